"""Which host node takes each pinned virtual node: the reference's search (behaviour.md A6.1), on one host.

Every virtual node goes wholly to one node of its pin list; several may share a host node. The list is tried from its
end, as the reference does, so the map found is the same; states that failed once are not searched again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.scheduler.account import NodeAccount
from hpconsole.core.scheduler.needs import page_count

Room = tuple[int, ...]  # what is left: per node KiB, then pages of each size per node


@dataclass(frozen=True, slots=True)
class NodeWish:
    """One virtual node that asks for a place. Without `allowed` it asks for none and gets none."""

    memory_kib: int
    allowed: tuple[int, ...] = ()  # host nodes in the order of the pin list
    page_kib: int | None = None
    cpu_masks: tuple[int, ...] = ()  # for each of its pinned vCPUs the CPUs it may use

    def without_cpus(self) -> NodeWish:
        """The same, wherever its vCPUs are pinned."""
        return replace(self, cpu_masks=())

    @property
    def pages(self) -> int:
        """Huge pages it takes."""
        return page_count(self.memory_kib, self.page_kib) if self.page_kib else 0


def find_assignment(wishes: Sequence[NodeWish], nodes: Sequence[NodeAccount]) -> dict[int, int] | None:
    """Position of each pinned wish -> host node number; None if there is no way, or nothing was asked at all."""
    if not wishes:
        return None
    known = {node.node_id: position for position, node in enumerate(nodes)}
    pinned = [(position, wish) for position, wish in enumerate(wishes) if wish.allowed]
    if any(node_id not in known for _, wish in pinned for node_id in wish.allowed):
        return None
    search = _Search(tuple(wish for _, wish in pinned), tuple(nodes), known)
    chosen = search.run()
    if chosen is None:
        return None
    return {position: nodes[choice].node_id for (position, _), choice in zip(pinned, chosen, strict=True)}


class _Search:
    def __init__(self, wishes: tuple[NodeWish, ...], nodes: tuple[NodeAccount, ...], known: dict[int, int]) -> None:
        self.wishes = wishes
        self.sizes = tuple(sorted({wish.page_kib for wish in wishes if wish.page_kib}))
        self.count = len(nodes)
        self.choices = tuple(self._choices(wish, nodes, known) for wish in wishes)
        free = [node.free_kib for node in nodes]
        for size in self.sizes:
            free += [next((count for kib, count in node.pages if kib == size), 0) for node in nodes]
        self.start: Room = tuple(free)
        self.failed: set[tuple[int, Room]] = set()

    def run(self) -> list[int] | None:
        """The chosen node position of each wish; depth first, without recursion."""
        chosen: list[int] = []
        rooms = [self.start]
        tries = [iter(self.choices[0])] if self.wishes else []
        while len(chosen) < len(self.wishes):
            step = self._next(len(chosen), rooms[-1], tries[-1])
            if step is not None:
                chosen.append(step[0])
                rooms.append(step[1])
                if len(chosen) < len(self.wishes):
                    tries.append(iter(self.choices[len(chosen)]))
                continue
            self.failed.add((len(chosen), rooms[-1]))
            tries.pop()
            rooms.pop()
            if not chosen:
                return None
            chosen.pop()
        return chosen

    def _next(self, depth: int, room: Room, candidates: Iterator[int]) -> tuple[int, Room] | None:
        for node in candidates:
            left = self._take(self.wishes[depth], node, room)
            if left is not None and (depth + 1, left) not in self.failed:
                return node, left
        return None

    def _choices(self, wish: NodeWish, nodes: tuple[NodeAccount, ...], known: dict[int, int]) -> tuple[int, ...]:
        positions = [known[node_id] for node_id in reversed(wish.allowed)]
        return tuple(p for p in positions if all(mask & nodes[p].cpu_bits for mask in wish.cpu_masks))

    def _take(self, wish: NodeWish, node: int, room: Room) -> Room | None:
        at, amount = node, wish.memory_kib
        if wish.page_kib:
            at, amount = node + self.count * (1 + self.sizes.index(wish.page_kib)), wish.pages
        if room[at] < amount:
            return None
        return (*room[:at], room[at] - amount, *room[at + 1 :])
