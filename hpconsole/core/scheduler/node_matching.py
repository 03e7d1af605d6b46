"""Each need on a host node of its own: the best set of nodes, and who goes where. Exact.

First which sets of nodes can hold the needs at all (families of sets, see `node_sets`), then the sets with the least
distance, then among those the least cost, nearest devices, most vCPUs kept, tightest fit. Costs are asked for only
where they decide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpconsole.core.scheduler.demand import CoreRule
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_costs import NodeCosts
from hpconsole.core.scheduler.node_order import Ground, device_distance, least, tightest
from hpconsole.core.scheduler.node_sets import EMPTY_SET, Sets, family_of, grown, members, sets_of_size, sums
from hpconsole.core.scheduler.seating import UNFIT, seat

PART = 1 << 20  # one cache bank outweighs any number of part cores, one part core any number of vCPUs kept
_FEW = 8  # sets that are rather looked at one by one

Weights = list[dict[int, int]]  # for each need, the weight of every node it may have


def holding_family(fits: Sequence[int], size: int) -> int:
    """The family of node sets in which each need can have a node of its own and no node is left over."""
    family = EMPTY_SET
    for mask in sorted(fits, key=int.bit_count):
        larger = 0
        for node in positions(mask):
            larger |= grown(family, size, node)
        family = larger
        if not family:
            return 0
    return family


def _holding_sets(fits: Sequence[int], size: int) -> Sets:
    """The members of `holding_family`."""
    if len(set(fits)) == 1 and len(fits) <= size:
        every = sets_of_size(size, len(fits))
        within: Sets = every[(every & ~fits[0]) == 0]
        return within
    return members(holding_family(fits, size))


def match(fits: Sequence[int], ground: Ground, costs: NodeCosts) -> tuple[int, ...] | None:
    """The node of each need (`fits`: nodes with room for it, a mask); None if they cannot all have one of their own."""
    sets = _holding_sets(fits, ground.size)
    if not len(sets):
        return None
    if len(sets) > 1:
        sets = least(sets, ground.spread[sets])
    reach = int(np.bitwise_or.reduce(sets))
    prices = _prices(fits, reach, ground, costs)
    if len(sets) > 1:
        sets = _cheapest(sets, prices, ground.size)
    if len(sets) > 1 and ground.device_rings:
        sets = least(sets, device_distance(sets, ground))
    wishes = [_local_mask(mask, ground) for mask in costs.wish_masks]
    if any(mask & reach for mask in wishes):
        prices = [
            {
                i: price * PART + (costs.alone(ground.rooms[i], j).kept if wishes[j] >> i & 1 else 0)
                for i, price in row.items()
            }
            for j, row in enumerate(prices)
        ]
        if len(sets) > 1:
            sets = _cheapest(sets, prices, ground.size)
    if len(sets) > 1:
        sets = tightest(sets, ground)
    return _seat(int(sets[0]), prices)


def _prices(fits: Sequence[int], reach: int, ground: Ground, costs: NodeCosts) -> Weights:
    """Cache banks and part cores of each need on each node within `reach` that it fits, as one number."""
    room = ground.rooms[0]
    if room.tables.is_even and room.rule is not CoreRule.SIBLINGS:  # the same everywhere, whatever it is
        return [dict.fromkeys(positions(mask & reach), 0) for mask in fits]
    return [
        {i: (cost := costs.alone(ground.rooms[i], j)).banks * PART + cost.part_cores for i in positions(mask & reach)}
        for j, mask in enumerate(fits)
    ]


def _local_mask(nodes: int, ground: Ground) -> int:
    """A mask over the host's nodes as one over the ground."""
    if ground.is_whole:
        return nodes
    return sum(1 << i for i, room in enumerate(ground.rooms) if nodes >> room.position & 1)


def _cheapest(sets: Sets, prices: Weights, size: int) -> Sets:
    """Of these sets, those whose cheapest assignment of needs to nodes costs least."""
    if all(len(set(row.values())) == 1 for row in prices):
        return sets  # a need costs the same wherever it goes
    if all(row == prices[0] for row in prices):  # whoever goes where, the same nodes cost the same
        return least(sets, sums(sets, [prices[0].get(i, 0) for i in range(size)]))
    if len(sets) <= _FEW:
        return _those(sets, [_cost_in(item, prices) for item in sets.tolist()])
    # No set costs less than the sum of what each need costs on the best of its nodes.
    bounds = np.zeros(len(sets), dtype=np.int64)
    for row in prices:
        lowest = np.full(len(sets), UNFIT, dtype=np.int64)
        for price in sorted(set(row.values()), reverse=True):
            nodes = sum(1 << i for i, own in row.items() if own == price)
            lowest[sets & nodes != 0] = price
        bounds += lowest
    promising = least(sets, bounds)
    if len(promising) <= _FEW:
        found = [_cost_in(item, prices) for item in promising.tolist()]
        best = min(found)
        rivals = sets[(bounds <= best) & (bounds > bounds.min())]
        if not len(rivals):
            return _those(promising, found)
        if len(rivals) <= _FEW:
            both = np.concatenate([promising, rivals])
            found += [_cost_in(item, prices) for item in rivals.tolist()]
            return _those(both, found)
    return _least_sums(sets, prices, size)


def _those(sets: Sets, costs: Sequence[int]) -> Sets:
    return least(sets, np.array(costs, dtype=np.int64))


def _least_sums(sets: Sets, prices: Weights, size: int) -> Sets:
    """As `_cheapest`, for many sets at once: families grow by one need at a time, each set kept at its least cost."""
    levels: dict[int, int] = {0: EMPTY_SET}
    for row in sorted(prices, key=len):
        larger: dict[int, int] = {}
        for cost, family in levels.items():
            for node, price in row.items():
                new = grown(family, size, node)
                if new:
                    larger[cost + price] = larger.get(cost + price, 0) | new
        seen, levels = 0, {}
        for cost in sorted(larger):
            if new := larger[cost] & ~seen:
                levels[cost] = new
                seen |= new
    wanted = family_of(sets)
    return members(next(found for cost in sorted(levels) if (found := levels[cost] & wanted)))


def _table(nodes: int, prices: Weights) -> tuple[list[int], list[list[int]]]:
    chosen = list(positions(nodes))
    return chosen, [[row.get(node, UNFIT) for node in chosen] for row in prices]


def _cost_in(nodes: int, prices: Weights) -> int:
    """The cost of the cheapest assignment within one set."""
    return sum(row[node] for row, node in zip(prices, _seat(nodes, prices), strict=True))


def _seat(nodes: int, prices: Weights) -> tuple[int, ...]:
    """The cheapest assignment within one set; of equal ones the one that gives the first needs the lowest nodes."""
    chosen, table = _table(nodes, prices)
    if all(len(set(line)) == 1 for line in table):  # all the same to everybody
        return tuple(chosen)
    return tuple(chosen[i] for i in seat(table))


def any_matching(fits: Sequence[int]) -> tuple[int, ...] | None:
    """A node of its own for each need, by augmenting paths: any number of nodes, no order among the ways."""
    holder: dict[int, int] = {}

    def find(j: int, tried: set[int]) -> bool:
        for node in positions(fits[j]):
            if node not in tried:
                tried.add(node)
                if node not in holder or find(holder[node], tried):
                    holder[node] = j
                    return True
        return False

    if not all(find(j, set()) for j in range(len(fits))):
        return None
    seats = {j: node for node, j in holder.items()}
    return tuple(seats[j] for j in range(len(fits)))
