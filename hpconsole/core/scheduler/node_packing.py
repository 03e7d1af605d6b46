"""Needs that may share host nodes: the fewest nodes that hold them all, and who goes where. Exact.

Node sets are tried in the documented order (fewest nodes, least distance); `set_packing` searches within one set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from hpconsole.core.scheduler.core_assignment import cost_of
from hpconsole.core.scheduler.demand import NodeNeed
from hpconsole.core.scheduler.floating import counted_blocks, float_cost
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_order import Ground, device_distance
from hpconsole.core.scheduler.node_sets import Sets, lowest_first, sets_of_size, sums
from hpconsole.core.scheduler.present_pinning import Present
from hpconsole.core.scheduler.room import CoreCost, NodeRoom
from hpconsole.core.scheduler.set_packing import Option, SetPacking


class Seeker(NamedTuple):
    """A need that looks for nodes."""

    need: NodeNeed
    fits: int  # nodes with room for it alone
    allowed: int  # nodes its pin list allows
    kind: int  # needs of one kind are interchangeable


class Packer:
    """Finds the best packing of `seekers` on `ground`. `base`: nodes (a mask) that hold the VM anyway."""

    def __init__(self, ground: Ground, seekers: Sequence[Seeker], present: Present, base: int) -> None:
        self.ground, self.present, self.base = ground, present, base
        self.rule = ground.rooms[0].rule
        self.sizes = sorted({size for seeker in seekers for size, _ in seeker.need.page_needs})
        # What is hard to place decides early; equal needs stand together.
        self.order = sorted(range(len(seekers)), key=lambda j: self._bulk(seekers[j]))
        self.seekers = [seekers[j] for j in self.order]
        self.blocks = [counted_blocks(seeker.need) for seeker in self.seekers]
        self.options = [list(self._options(seeker)) for seeker in self.seekers]
        self.capacities = [self._capacities(node) for node in ground.rooms]
        first_of_kind: dict[int, int] = {}
        self.stand_in = [first_of_kind.setdefault(seeker.kind, j) for j, seeker in enumerate(self.seekers)]
        self._alone: dict[tuple[int, int], CoreCost] = {}
        self._together: dict[tuple[int, ...], CoreCost] = {}

    def best(self) -> tuple[int, ...] | None:
        """The nodes (a mask) of each seeker; None if they cannot be packed."""
        if not all(self.options):
            return None
        widest = sum(max(option.nodes.bit_count() for option in options) for options in self.options)
        for extra in range(0 if self.base else 1, min(widest, self.ground.size) + 1):
            sets = self._promising(extra)
            while len(sets):
                distances = self.ground.spread[sets]
                nearest = distances == distances.min()
                found = self._best_of(sets[nearest])
                if found is not None:
                    by_seeker = dict(zip(self.order, found, strict=True))
                    return tuple(by_seeker[j] for j in range(len(found)))
                sets = sets[~nearest]
        return None

    def any_packing(self) -> tuple[int, ...] | None:
        """A packing on any number of nodes, for hosts too large to compare all sets of nodes."""
        if not all(self.options):
            return None
        result = SetPacking(self, (1 << self.ground.size) - 1, CoreCost(0, 0, 0)).run()
        if result is None:
            return None
        by_seeker = dict(zip(self.order, result[1], strict=True))
        return tuple(by_seeker[j] for j in range(len(by_seeker)))

    def cost_alone(self, j: int, nodes: int) -> CoreCost:
        """What need j costs on these nodes with nobody beside it."""
        key = (self.stand_in[j], nodes)
        known = self._alone.get(key)
        if known is None:
            known = self._float_cost(j, nodes)
            if self.rule.takes_cpus:
                known = CoreCost(*map(sum, zip(known, self.cost_together(nodes.bit_length() - 1, (j,)), strict=True)))
            self._alone[key] = known
        return known

    def cost_together(self, node: int, needs: Sequence[int]) -> CoreCost:
        """What the blocks of these needs cost together on one node."""
        key = (node, *sorted([self.stand_in[j] for j in needs]))
        known = self._together.get(key)
        if known is None:
            blocks = [block for j in needs for block in self.blocks[j]]
            known = self._together[key] = cost_of(self.ground.rooms[node], blocks, self.present.wishes)
        return known

    def cost_of_packing(self, chosen: Sequence[int], holds: dict[int, list[int]]) -> CoreCost:
        """What a whole packing costs: `chosen[j]` the nodes of need j, `holds[i]` the needs on node i."""
        parts = [self._float_cost(j, nodes) for j, nodes in enumerate(chosen) if self.seekers[j].need.vcpus]
        if self.rule.takes_cpus:
            parts += [self.cost_together(node, needs) for node, needs in holds.items() if needs]
        banks = part_cores = kept = 0
        for part in parts:
            banks, part_cores, kept = banks + part.banks, part_cores + part.part_cores, kept + part.kept
        return CoreCost(banks, part_cores, kept)

    def _float_cost(self, j: int, nodes: int) -> CoreCost:
        """What a need's floating vCPUs cost: sharing changes nothing for them."""
        return float_cost([self.ground.rooms[i] for i in positions(nodes)], self.seekers[j].need, self.present.sets)

    def _promising(self, extra: int) -> Sets:
        """The sets of `extra` nodes besides `base` that are large enough on the whole."""
        reach = [_union(option.nodes for option in options) for options in self.options]
        sets: Sets = sets_of_size(self.ground.size, extra)
        sets = sets[(sets & (self.base | ~_union(reach))) == 0] | self.base
        for resource in range(len(self.capacities[0])):
            needed = sum(min(o.amounts[resource] * o.nodes.bit_count() for o in options) for options in self.options)
            if needed:
                sets = sets[sums(sets, [capacity[resource] for capacity in self.capacities]) >= needed]
        for nodes in set(reach):
            sets = sets[(sets & nodes) != 0]
        return sets

    def _best_of(self, sets: Sets) -> list[int] | None:
        """The best packing in any of these equally near sets."""
        devices = device_distance(sets, self.ground).tolist()
        cpus, kib = sums(sets, self.ground.free_cpus).tolist(), sums(sets, self.ground.free_kib).tolist()
        candidates = []
        for i, item in enumerate(sets.tolist()):
            goal = self._goal(item)
            if goal is not None:
                tie = (cpus[i], kib[i], lowest_first(item, self.ground.size))
                candidates.append(((goal[:2], devices[i], goal.kept, tie), item, goal))
        best: tuple[object, ...] | None = None
        found: list[int] | None = None
        for bound, item, goal in sorted(candidates):
            if best is not None and bound >= best:
                break
            result = SetPacking(self, item, goal).run()
            if result is not None:
                cost, packing = result
                key = (cost[:2], *bound[1:2], cost.kept, bound[3])
                if best is None or key < best:
                    best, found = key, packing
        return found

    def _goal(self, nodes: int) -> CoreCost | None:
        """A lower bound of the cost in this set; None if some need fits nowhere in it."""
        banks = kept = 0
        for j, options in enumerate(self.options):
            costs = [self.cost_alone(j, option.nodes) for option in options if not option.nodes & ~nodes]
            if not costs:
                return None
            banks += min(cost.banks for cost in costs)
            kept += self._could_keep(j, nodes)
        return CoreCost(banks, 0, -kept)

    def _could_keep(self, j: int, nodes: int) -> int:
        """At most so many vCPUs of need j stay, whatever else that costs."""
        need, wishes = self.seekers[j].need, self.present.wishes
        free = 0
        for i in positions(nodes):
            free |= self.ground.rooms[i].keepable_bits
        count = sum(1 for b in need.blocks for bits in wishes.narrow.get(b.roles[0], ()) if not bits & ~free)
        return count + (len(wishes.wide) if need.blocks else 0) + len(need.vcpus)

    def _options(self, seeker: Seeker) -> Iterator[Option]:
        need = seeker.need
        if not need.takes_all_allowed:
            for node in positions(seeker.fits):
                yield Option(1 << node, self._amounts(need, 1))
        everywhere = list(positions(seeker.allowed))
        widths = [len(everywhere)] if need.takes_all_allowed else range(2, min(need.span, len(everywhere)) + 1)
        for width in widths:
            for chosen in combinations(everywhere, width):
                rooms = [self.ground.rooms[i] for i in chosen]
                has_cpus = sum(room.capacity for room in rooms) >= need.cpus_needed
                if has_cpus and all(room.has_memory(need, width) for room in rooms):
                    yield Option(sum(1 << i for i in chosen), self._amounts(need, width))

    def _amounts(self, need: NodeNeed, width: int) -> tuple[int, ...]:
        pages = dict(need.page_needs)
        blocks = len(need.blocks) if self.rule.takes_cpus else 0
        return (blocks, -(-need.memory_kib // width), *(-(-pages.get(size, 0) // width) for size in self.sizes))

    def _capacities(self, room: NodeRoom) -> tuple[int, ...]:
        return (room.capacity, room.free_kib, *(room.free_pages.get(size, 0) for size in self.sizes))

    @staticmethod
    def _bulk(seeker: Seeker) -> tuple[int, ...]:
        need = seeker.need
        pages = sum(size * count for size, count in need.page_needs)
        return (seeker.fits.bit_count(), -len(need.blocks), -need.memory_kib - pages, seeker.kind)


def _union(masks: Iterator[int] | Sequence[int]) -> int:
    together = 0
    for mask in masks:
        together |= mask
    return together
