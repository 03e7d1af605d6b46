"""Needs that may share host nodes: the fewest nodes that hold them all, and who goes where. Exact.

Node sets are tried in the documented order (fewest nodes, least distance); `set_packing` searches within one set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import ge

import numpy as np

from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_costs import NodeCosts
from hpconsole.core.scheduler.node_order import Ground, device_distance
from hpconsole.core.scheduler.node_sets import Sets, lowest_first, membership, sets_of_size, sums
from hpconsole.core.scheduler.packing_task import Option, PackingTask
from hpconsole.core.scheduler.room import CoreCost
from hpconsole.core.scheduler.set_packing import BUDGET, NEVER_BETTER, SetPacking


class Packer:
    """Finds the best packing of the needs of `costs.prepared` on `ground`.

    `fits`, `allowed`: for each need the nodes (a mask) with room for it alone, and those its pin list allows.
    `base`: nodes (a mask) that hold the VM anyway.
    """

    def __init__(
        self, ground: Ground, costs: NodeCosts, fits: Sequence[int], allowed: Sequence[int], base: int = 0
    ) -> None:
        self.task = PackingTask(ground, costs, fits, allowed)
        self.base = base

    def best(self) -> tuple[int, ...] | None:
        """The nodes (a mask) of each seeker; None if they cannot be packed."""
        if not all(self.task.options):
            return None
        alone: dict[int, dict[int, int]] = {}
        for place, options in enumerate(self.task.options):
            if id(options) not in alone:
                alone[id(options)] = {option.nodes: self._banks_alone(place, option.nodes) for option in options}
        self.banks = [alone[id(options)] for options in self.task.options]
        reach = {_union(option.nodes for option in options) for options in self.task.options}
        self.reach = reach
        # Nodes that must be in every set, and those that may be.
        self.base |= _union(nodes for nodes in reach if nodes & nodes - 1 == 0)
        self.useful = [i for i in positions(_union(reach)) if not self.base >> i & 1]
        demands = list(self._demands())
        self.offers = np.array([offered for offered, _ in demands], dtype=np.float64).T.reshape(
            self.task.ground.size, -1
        )
        self.floors = np.array([needed for _, needed in demands], dtype=np.float64)
        for extra in range(self._least_extra(), len(self.useful) + 1):
            sets = self._promising(extra)
            while len(sets):
                distances = self.task.ground.spread[sets]
                nearest = distances == distances.min()
                found = self._best_of(sets[nearest])
                if found is not None:
                    by_seeker = dict(zip(self.task.order, found, strict=True))
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
        if not all(self.task.options):
            return None
        result = SetPacking(self.task, (1 << self.task.ground.size) - 1, NEVER_BETTER).run()
        if result is None:
            return None
        by_seeker = dict(zip(self.task.order, result[1], strict=True))
        return tuple(by_seeker[j] for j in range(len(by_seeker)))

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
        shared = {id(options): options for options in self.task.options}
        count = Counter(map(id, self.task.options))
        is_single = not any(option.nodes & option.nodes - 1 for options in shared.values() for option in options)
        if is_single:  # then every option of a need asks for the same
            amounts_of = {key: options[0].amounts for key, options in shared.items()}
            totals = [sum(count[key] * own[r] for key, own in amounts_of.items()) for r in self.task.resources]
        else:
            totals = [
                sum(count[key] * min(_in_all(option, r) for option in options) for key, options in shared.items())
                for r in self.task.resources
            ]
        for resource, needed in enumerate(totals):
            if needed:
                yield [capacity[resource] for capacity in self.task.capacities], needed
        for amounts in set(amounts_of.values()) if is_single else ():
            asked = [(r, amount) for r, amount in enumerate(amounts) if amount]
            if asked:
                offered = [min([capacity[r] // amount for r, amount in asked]) for capacity in self.task.capacities]
                at_least = (key for key, own in amounts_of.items() if all(map(ge, own, amounts)))
                yield offered, sum(count[key] for key in at_least)

    def _best_of(self, sets: Sets) -> list[int] | None:
        """The best packing in any of these equally near sets."""
        devices = device_distance(sets, self.task.ground).tolist()
        cpus, kib = sums(sets, self.task.ground.free_cpus).tolist(), sums(sets, self.task.ground.free_kib).tolist()
        candidates = []
        for i, item in enumerate(sets.tolist()):
            goal = self._goal(item)
            if goal is not None:
                tie = (cpus[i], kib[i], lowest_first(item, self.task.ground.size))
                candidates.append(((goal[:2], devices[i], goal.kept, tie), item, goal))
        best: tuple[object, ...] | None = None
        found: list[int] | None = None
        for bound, item, goal in sorted(candidates):
            if best is not None and (bound >= best or self.task.steps > BUDGET):
                break
            result = SetPacking(self.task, item, goal).run()
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
            if self.task.wish_masks[place] & nodes:
                kept += self.task.could_keep(place, nodes)
        return CoreCost(banks, 0, -kept)

    def _banks_alone(self, place: int, nodes: int) -> int:
        if self.task.is_even:  # a bank for each virtual node, wherever it goes
            owners = {
                owner for block in self.task.costs.prepared.blocks[self.task.order[place]] for owner in block.owners
            }
            return len(owners)
        rooms = [self.task.ground.rooms[i] for i in positions(nodes)]
        if len(rooms) == 1:
            return self.task.costs.alone(rooms[0], self.task.order[place]).banks
        return self.task.costs.floating(rooms, self.task.order[place]).banks


def _in_all(option: Option, resource: int) -> int:
    return option.amounts[resource] * option.nodes.bit_count()


def _union(masks: Iterable[int]) -> int:
    together = 0
    for mask in masks:
        together |= mask
    return together
