"""What is to be packed into the nodes of a host: needs in order, the ways for each, what there is, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from hpconsole.core.scheduler.demand import NodeNeed
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_costs import NodeCosts, total
from hpconsole.core.scheduler.node_order import Ground
from hpconsole.core.scheduler.room import CoreCost, NodeRoom

# Amounts of several resources as one number: a field for each, its top bit set in what is left. Taking too much of any
# resource clears that bit, so that one subtraction and one comparison answer for all of them.
FIELD = 48
TOP = 1 << FIELD - 1


class Option(NamedTuple):
    """One way for one need: these nodes (as a mask and one by one), so much of each resource on every one of them."""

    nodes: int
    places: tuple[int, ...]
    amounts: tuple[int, ...]
    packed: int


def an_option(places: tuple[int, ...], amounts: tuple[int, ...]) -> Option:
    """The option of these nodes and amounts."""
    return Option(sum(1 << i for i in places), places, amounts, packed(amounts))


def packed(amounts: Sequence[int]) -> int:
    """Amounts as one number."""
    return sum(min(amount, TOP - 1) << FIELD * r for r, amount in enumerate(amounts))


class PackingTask:
    """The needs of `costs.prepared` and the nodes of `ground`.

    `fits`, `allowed`: for each need the nodes (a mask) with room for it alone, and those its pin list allows.
    """

    def __init__(self, ground: Ground, costs: NodeCosts, fits: Sequence[int], allowed: Sequence[int]) -> None:
        self.ground, self.costs = ground, costs
        self.rule = ground.rooms[0].rule
        needs = costs.prepared.demand.node_needs
        self.sizes = sorted({size for pages in costs.prepared.pages for size, _ in pages})
        # What is hard to place decides early; alike needs stand together.
        self.order = sorted(
            range(len(needs)), key=lambda j: (fits[j].bit_count(), *_bulk(needs[j]), costs.prepared.kinds[j])
        )
        # Alike needs with the same nodes to choose from share one list.
        shared: dict[tuple[int, int, int], list[Option]] = {}
        self.options: list[list[Option]] = []
        for j in self.order:
            key = (costs.prepared.kinds[j], fits[j], allowed[j])
            if key not in shared:
                shared[key] = list(self._options(j, fits[j], allowed[j]))
            self.options.append(shared[key])
        self.capacities = [self._capacities(node) for node in ground.rooms]
        self.resources = range(2 + len(self.sizes))
        self.wish_masks = [
            sum(1 << i for i, node in enumerate(ground.rooms) if costs.wish_masks[j] >> node.position & 1)
            for j in self.order
        ]
        self.is_even = ground.rooms[0].tables.is_even and self.rule.takes_cpus
        self.steps = self.tries = self.visits = 0  # so far, over all sets; see the budgets of `set_packing`
        self.has_floats = any(need.vcpus for need in needs)

    def could_keep(self, place: int, nodes: int) -> int:
        """At most so many vCPUs of a need stay on these nodes."""
        here = self.wish_masks[place] & nodes
        rooms = (self.ground.rooms[i] for i in positions(here))
        return max((self.costs.could_keep(room, self.order[place]) for room in rooms), default=0)

    def cost_of_packing(self, chosen: Sequence[int], holds: Mapping[int, Sequence[int]]) -> CoreCost:
        """What a whole packing costs: `chosen` the nodes of each need, `holds[i]` the needs on node i (places)."""
        parts = [
            self.costs.floating([self.ground.rooms[i] for i in positions(nodes)], self.order[place])
            for place, nodes in enumerate(chosen if self.has_floats else ())
        ]
        for node, places in holds.items():
            if places:
                parts.append(self.costs.together(self.ground.rooms[node], [self.order[place] for place in places]))
        return total(parts)

    def _options(self, j: int, fits: int, allowed: int) -> Iterator[Option]:
        need, pages = self.costs.prepared.demand.node_needs[j], dict(self.costs.prepared.pages[j])
        if not need.takes_all_allowed:
            amounts = self._amounts(need, pages, 1)
            for node in positions(fits):
                yield an_option((node,), amounts)
            if need.span == 1:
                return
        everywhere = list(positions(allowed))
        widths = [len(everywhere)] if need.takes_all_allowed else range(2, min(need.span, len(everywhere)) + 1)
        for width in widths:
            for chosen in combinations(everywhere, width):
                rooms = [self.ground.rooms[i] for i in chosen]
                has_cpus = sum(room.capacity for room in rooms) >= need.cpus_needed
                if has_cpus and all(room.has_memory(need, width) for room in rooms):
                    yield an_option(chosen, self._amounts(need, pages, width))

    def _amounts(self, need: NodeNeed, pages: Mapping[int, int], width: int) -> tuple[int, ...]:
        blocks = len(need.blocks) if self.rule.takes_cpus else 0
        return (blocks, -(-need.memory_kib // width), *(-(-pages.get(size, 0) // width) for size in self.sizes))

    def _capacities(self, room: NodeRoom) -> tuple[int, ...]:
        return (room.capacity, room.free_kib, *(room.free_pages.get(size, 0) for size in self.sizes))


def _bulk(need: NodeNeed) -> tuple[int, int]:
    pages = sum(size * count for size, count in need.page_needs)
    return (-len(need.blocks), -need.memory_kib - pages)
