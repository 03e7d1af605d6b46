"""Who has taken which memory on one simulated host, by NUMA node and page size. Never below zero.

Knows nothing of time and of XML; not thread-safe (the cluster's lock guards it).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hpconsole.core.errors import OperationRefused
from hpconsole.core.hypervisor.simulated.demand import Demand, MemoryPart
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err
from hpconsole.core.hypervisor.simulated.machines import GIB, HostModel
from hpconsole.core.hypervisor.simulated.refusals import refused

_MONITOR = "process exited while connecting to monitor: qemu-system-x86_64: "


@dataclass(slots=True)
class Claim:
    """What one running VM has taken: KiB by node, pages by (node, size in KiB)."""

    kib: dict[int, int] = field(default_factory=dict)
    pages: dict[tuple[int, int], int] = field(default_factory=dict)


class Ledger:
    """The memory of one host."""

    def __init__(self, model: HostModel) -> None:
        self._model = model
        self._nodes = range(model.shape.nodes)
        # The host's own processes: most on node 0, as everywhere.
        self._free_kib = {
            node: model.node_kib(node) - model.pool_kib - (3 * GIB if node == 0 else GIB // 2) for node in self._nodes
        }
        self._free_pages = {(node, size): count for node in self._nodes for size, count in model.pool.items()}
        self._claims: dict[str, Claim] = {}
        if min(self._free_kib.values()) < 0:
            raise ValueError(f"{model.name}: its huge pages do not fit into its nodes")

    def free_kib(self, node: int) -> int:
        """What of a node's memory is neither taken nor in a pool of huge pages."""
        return self._free_kib[node]

    def free_pages(self, node: int, size_kib: int) -> int:
        """Free pages in a pool."""
        return self._free_pages[node, size_kib]

    def check_nodes(self, demand: Demand) -> None:
        """Refuse nodes that this machine has not."""
        missing = [node for node in demand.nodes if node not in self._nodes]
        if missing:
            raise self._refused(demand, Err.CONFIG_UNSUPPORTED, f"NUMA node {missing[0]} is unavailable")

    def claim(self, demand: Demand) -> Claim:
        """Take what a VM needs, or nothing at all.

        Raises:
            OperationRefused: a node or page size is not there, or there is not enough of it; in libvirt's words.
        """
        self.check_nodes(demand)
        claim = Claim()
        try:
            for part in demand.parts:
                self._take(demand, part, claim)
        except OperationRefused:
            self._give_back(claim)
            raise
        self._claims[demand.uuid] = claim
        return claim

    def release(self, uuid: str) -> None:
        """Give back what a VM had; nothing happens if it had nothing."""
        claim = self._claims.pop(uuid, None)
        if claim is not None:
            self._give_back(claim)

    def _give_back(self, claim: Claim) -> None:
        for node, kib in claim.kib.items():
            self._free_kib[node] += kib
        for place, count in claim.pages.items():
            self._free_pages[place] += count

    def _take(self, demand: Demand, part: MemoryPart, claim: Claim) -> None:
        if part.page_kib is None:
            rest = self._take_plain(part, claim)
            words = f"{_MONITOR}cannot set up guest memory 'pc.ram': Cannot allocate memory"
        else:
            size = part.page_kib
            if size not in self._model.pool:
                words = f"Unable to find any usable hugetlbfs mount for {size} KiB"
                raise self._refused(demand, Err.INTERNAL_ERROR, words)
            rest = self._take_pages(part, size, claim)
            words = f"{_MONITOR}unable to map backing store for guest RAM: Cannot allocate memory"
        if rest > 0:
            raise self._refused(demand, Err.INTERNAL_ERROR, words)

    def _take_plain(self, part: MemoryPart, claim: Claim) -> int:
        rest = part.kib
        nodes = self._order(part)
        share = -(-rest // len(part.nodes)) if part.mode == "interleave" and part.nodes else rest
        for limit in (share, rest):  # interleaving falls back to whoever has room
            for node in nodes:
                taken = max(0, min(rest, limit, self._free_kib[node]))
                self._free_kib[node] -= taken
                claim.kib[node] = claim.kib.get(node, 0) + taken
                rest -= taken
        return rest

    def _take_pages(self, part: MemoryPart, size: int, claim: Claim) -> int:
        rest = -(-part.kib // size)
        for node in self._order(part, size):
            taken = min(rest, self._free_pages[node, size])
            self._free_pages[node, size] -= taken
            claim.pages[node, size] = claim.pages.get((node, size), 0) + taken
            rest -= taken
        return rest

    def _order(self, part: MemoryPart, size: int | None = None) -> list[int]:
        """The nodes memory may come from, in the order the kernel would try."""
        if part.nodes and part.mode != "preferred":
            return list(part.nodes)
        chosen = list(part.nodes) or self._roomiest(self._nodes, size)[:1]
        first = chosen[0]
        others = sorted(set(self._nodes) - set(chosen), key=lambda node: (self._model.distance(first, node), node))
        return [*chosen, *others]

    def _roomiest(self, nodes: Iterable[int], size: int | None) -> list[int]:
        def free(node: int) -> int:
            return self._free_kib[node] if size is None else self._free_pages[node, size]

        return sorted(nodes, key=lambda node: (-free(node), node))

    def _refused(self, demand: Demand, code: Err, words: str) -> OperationRefused:
        return refused(self._model.name, code, words, vm=demand.name)
