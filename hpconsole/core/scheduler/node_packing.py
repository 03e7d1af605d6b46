"""Needs that may share host nodes: the fewest nodes that hold them all, and who goes where. Exact.

Node sets are tried in the documented order (fewest nodes, least distance); `set_packing` searches within one set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from operator import ge

import numpy as np

from hpconsole.core.scheduler.demand import NodeNeed
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_costs import NodeCosts, total
from hpconsole.core.scheduler.node_order import Ground, device_distance
from hpconsole.core.scheduler.node_sets import Sets, lowest_first, membership, sets_of_size, sums
from hpconsole.core.scheduler.room import CoreCost, NodeRoom
from hpconsole.core.scheduler.set_packing import BUDGET, NEVER_BETTER, Option, SetPacking, an_option


class Packer:
    """Finds the best packing of the needs of `costs.prepared` on `ground`.

    `fits`, `allowed`: for each need the nodes (a mask) with room for it alone, and those its pin list allows.
    `base`: nodes (a mask) that hold the VM anyway.
    """

    def __init__(
        self, ground: Ground, costs: NodeCosts, fits: Sequence[int], allowed: Sequence[int], base: int = 0
    ) -> None:
        self.ground, self.costs, self.base = ground, costs, base
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
        self.steps = self.tries = self.visits = 0  # see the budgets of `set_packing`
        self.has_floats = any(need.vcpus for need in needs)

    def best(self) -> tuple[int, ...] | None:
        """The nodes (a mask) of each seeker; None if they cannot be packed."""
        if not all(self.options):
            return None
        alone: dict[int, dict[int, int]] = {}
        for place, options in enumerate(self.options):
            if id(options) not in alone:
                alone[id(options)] = {option.nodes: self._banks_alone(place, option.nodes) for option in options}
        self.banks = [alone[id(options)] for options in self.options]
        reach = {_union(option.nodes for option in options) for options in self.options}
        self.reach = reach
        # Nodes that must be in every set, and those that may be.
        self.base |= _union(nodes for nodes in reach if nodes & nodes - 1 == 0)
        self.useful = [i for i in positions(_union(reach)) if not self.base >> i & 1]
        demands = list(self._demands())
        self.offers = np.array([offered for offered, _ in demands], dtype=np.float64).T.reshape(self.ground.size, -1)
        self.floors = np.array([needed for _, needed in demands], dtype=np.float64)
        for extra in range(self._least_extra(), len(self.useful) + 1):
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

    def _least_extra(self) -> int:
        """With fewer nodes besides the base, not even the largest ones would be enough."""
        have = self.offers[list(positions(self.base))].sum(axis=0)
        largest = -np.sort(-self.offers[self.useful], axis=0)
        for extra in range(len(self.useful) + 1):
            if (extra or self.base) and (have + largest[:extra].sum(axis=0) >= self.floors).all():
                return extra
        return len(self.useful) + 1

    def any_packing(self) -> tuple[int, ...] | None:
        """Some packing on any number of nodes: whether there is one, without looking for the best."""
        if not all(self.options):
            return None
        result = SetPacking(self, (1 << self.ground.size) - 1, NEVER_BETTER).run()
        if result is None:
            return None
        by_seeker = dict(zip(self.order, result[1], strict=True))
        return tuple(by_seeker[j] for j in range(len(by_seeker)))

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

    def _promising(self, extra: int) -> Sets:
        """The sets of `extra` nodes besides `base` that are large enough on the whole."""
        chosen = sets_of_size(len(self.useful), extra)
        have = self.offers[list(positions(self.base))].sum(axis=0)
        member = membership(len(self.useful), extra)
        chosen = chosen[(member @ self.offers[self.useful] + have >= self.floors).all(axis=1)]
        sets = np.full(len(chosen), self.base, dtype=np.int64)
        for i, node in enumerate(self.useful):
            sets |= (chosen >> i & 1) << node
        for nodes in self.reach:
            sets = sets[(sets & nodes) != 0]
        return sets

    def _demands(self) -> Iterator[tuple[list[int], int]]:
        """(what each node offers, how much is needed in all): necessary for any packing.

        Every resource as a sum; and for every need, so many needs that ask for at least as much of everything.
        """
        shared = {id(options): options for options in self.options}
        count = Counter(map(id, self.options))
        is_single = not any(option.nodes & option.nodes - 1 for options in shared.values() for option in options)
        if is_single:  # then every option of a need asks for the same
            amounts_of = {key: options[0].amounts for key, options in shared.items()}
            totals = [sum(count[key] * own[r] for key, own in amounts_of.items()) for r in self.resources]
        else:
            totals = [
                sum(count[key] * min(_in_all(option, r) for option in options) for key, options in shared.items())
                for r in self.resources
            ]
        for resource, needed in enumerate(totals):
            if needed:
                yield [capacity[resource] for capacity in self.capacities], needed
        for amounts in set(amounts_of.values()) if is_single else ():
            asked = [(r, amount) for r, amount in enumerate(amounts) if amount]
            if asked:
                offered = [min([capacity[r] // amount for r, amount in asked]) for capacity in self.capacities]
                at_least = (key for key, own in amounts_of.items() if all(map(ge, own, amounts)))
                yield offered, sum(count[key] for key in at_least)

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
            if best is not None and (bound >= best or self.steps > BUDGET):
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
        for place, by_option in enumerate(self.banks):
            least = [cost for option, cost in by_option.items() if not option & ~nodes]
            if not least:
                return None
            banks += min(least)
            if self.wish_masks[place] & nodes:
                kept += self.could_keep(place, nodes)
        return CoreCost(banks, 0, -kept)

    def _banks_alone(self, place: int, nodes: int) -> int:
        if self.is_even:  # a bank for each virtual node, wherever it goes
            owners = {owner for block in self.costs.prepared.blocks[self.order[place]] for owner in block.owners}
            return len(owners)
        rooms = [self.ground.rooms[i] for i in positions(nodes)]
        if len(rooms) == 1:
            return self.costs.alone(rooms[0], self.order[place]).banks
        return self.costs.floating(rooms, self.order[place]).banks

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


def _in_all(option: Option, resource: int) -> int:
    return option.amounts[resource] * option.nodes.bit_count()


def _bulk(need: NodeNeed) -> tuple[int, int]:
    pages = sum(size * count for size, count in need.page_needs)
    return (-len(need.blocks), -need.memory_kib - pages)


def _union(masks: Iterable[int]) -> int:
    together = 0
    for mask in masks:
        together |= mask
    return together
