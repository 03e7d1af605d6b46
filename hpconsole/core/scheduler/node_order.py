"""What makes one set of host nodes better than another for one VM: distance, devices, tightness. Positions, not ids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpconsole.core.scheduler.demand import CoreRule, Demand, NodeNeed, Tune
from hpconsole.core.scheduler.host_tables import HostTables
from hpconsole.core.scheduler.node_sets import LIMIT, Sets, lowest_first, spread_table, sums
from hpconsole.core.scheduler.room import HostRoom, NodeRoom

Rings = tuple[tuple[int, int], ...]  # of one device: (distance, nodes at that distance), nearest first


@dataclass(frozen=True)
class Ground:
    """The nodes of one host (or the candidates among them) for one VM. Masks are over positions in here.

    A *bare* ground has too many nodes for a table of all sets: it can only answer whether there is any way.
    """

    demand: Demand
    rooms: tuple[NodeRoom, ...]
    spread: Sets  # for every set, the sum of distances between each two of its nodes
    device_rings: tuple[Rings, ...]

    @property
    def is_bare(self) -> bool:
        """Whether there is no table of distances."""
        return len(self.spread) == 0

    @property
    def is_whole(self) -> bool:
        """Whether these are all nodes of the host, at their own positions."""
        return len(self.rooms) == self.rooms[0].tables.size

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.rooms)

    @cached_property
    def free_cpus(self) -> tuple[int, ...]:
        """Free CPUs of each node, as tightness counts them."""
        return tuple(free_cpus(self.demand, node) for node in self.rooms)

    @cached_property
    def free_kib(self) -> tuple[int, ...]:
        """Free memory of each node, as tightness counts it."""
        return tuple(free_memory(self.demand, node) for node in self.rooms)


_spreads: dict[tuple[int, tuple[int, ...]], tuple[HostTables, Sets]] = {}
_KEPT = 64
_NO_TABLE: Sets = np.zeros(0, dtype=np.int64)


def ground_of(room: HostRoom, candidates: tuple[int, ...], *, bare: bool = False) -> Ground:
    """The ground of these nodes (positions, ascending); always bare if there are more than `LIMIT`."""
    return Ground(
        demand=room.demand,
        rooms=tuple(room.nodes[i] for i in candidates),
        spread=_NO_TABLE if bare or len(candidates) > LIMIT else _spread_of(room.tables, candidates),
        device_rings=device_rings(room, candidates),
    )


def free_cpus(demand: Demand, node: NodeRoom) -> int:
    """CPUs free on a node; none count for a VM whose CPUs are named."""
    return 0 if demand.rule is CoreRule.NOTHING else node.free_bits.bit_count()


def free_memory(demand: Demand, node: NodeRoom) -> int:
    """KiB free on a node, of the kinds (plain, page sizes) that the VM asks for."""
    asked: list[NodeNeed | Tune] = [*demand.node_needs]
    if demand.tune is not None:
        asked.append(demand.tune)
    total = node.free_kib if any(item.memory_kib for item in asked) else 0
    sizes = {size for item in asked for size, _ in item.page_needs}
    return total + sum(size * node.free_pages.get(size, 0) for size in sizes)


def device_nodes(room: HostRoom) -> tuple[int, ...]:
    """The nodes (positions) of the host devices given to the VM, as far as known; one per device."""
    wanted = [device.address for device in room.demand.vm.devices.assigned if device.kind == "pci"]
    if not wanted:
        return ()
    at = {device.address: device.node_id for device in room.occupancy.host.devices.pci}
    nodes = (at.get(address) for address in wanted)
    return tuple(room.tables.index[node] for node in nodes if node is not None and node in room.tables.index)


def device_rings(room: HostRoom, candidates: tuple[int, ...]) -> tuple[Rings, ...]:
    """For each device the nodes by their distance from it."""
    rings: list[Rings] = []
    for device in device_nodes(room):
        by_distance: dict[int, int] = {}
        for i, node in enumerate(candidates):
            distance = room.tables.distance[node][device]
            by_distance[distance] = by_distance.get(distance, 0) | 1 << i
        rings.append(tuple(sorted(by_distance.items())))
    return tuple(rings)


def least(sets: Sets, values: Sets) -> Sets:
    """The sets with the smallest value."""
    lowest: Sets = sets[values == values.min()]
    return lowest


def tightest(sets: Sets, ground: Ground) -> Sets:
    """The sets that leave the least free, CPUs first, then memory; of those the one of the lowest nodes."""
    sets = least(sets, sums(sets, ground.free_cpus))
    if len(sets) > 1:
        sets = least(sets, sums(sets, ground.free_kib))
    return np.array([min(sets.tolist(), key=lambda item: lowest_first(item, ground.size))], dtype=np.int64)


def device_distance(sets: Sets, ground: Ground) -> Sets:
    """For each set the sum, over devices, of the distance from its nearest node."""
    total = np.zeros(len(sets), dtype=np.int64)
    for rings in ground.device_rings:
        reached = np.zeros(len(sets), dtype=bool)
        for distance, nodes in rings:
            new = ~reached & (sets & nodes != 0)
            total[new] += distance
            reached |= new
    return total


def _spread_of(tables: HostTables, candidates: tuple[int, ...]) -> Sets:
    """Remembered: the nodes that have room change slowly, and hosts of one model share tables."""
    key = (id(tables), candidates)
    known = _spreads.get(key)
    if known is not None and known[0] is tables:
        return known[1]
    table = spread_table([[tables.pair_distance[a][b] for b in candidates] for a in candidates])
    if len(_spreads) >= _KEPT:
        _spreads.clear()
    _spreads[key] = (tables, table)
    return table
