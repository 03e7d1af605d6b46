"""Each need on a host node of its own: the best set of nodes, and who goes where. Exact.

First which sets of nodes can hold the needs at all (families of sets, see `node_sets`), then the sets with the least
distance, then among those the least cost, nearest devices, most vCPUs kept, tightest fit. Above `node_sets.LIMIT`
candidate nodes the families would be too large and `wide_hosts` takes over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_order import Ground, device_distance, least, tightest
from hpconsole.core.scheduler.node_sets import (
    EMPTY_SET,
    Sets,
    family_of,
    grown,
    members,
    sums,
)
from hpconsole.core.scheduler.seating import UNFIT, seat

PART = 1 << 20  # one cache bank outweighs any number of part cores


@dataclass(frozen=True, slots=True)
class Seekers:
    """Needs that look for nodes.

    `fits[j]`: the nodes (a mask) with room for need j. Where it fits, `cost[j][i]`: banks and part cores of need j on
    node i as one number, and `kept[j][i]`: the vCPUs that stay on their CPUs there.
    """

    fits: tuple[int, ...]
    cost: tuple[tuple[int, ...], ...]
    kept: tuple[tuple[int, ...], ...]
    kinds: tuple[int, ...]  # needs of one kind are interchangeable but for `kept`


def holding_family(fits: Sequence[int], size: int) -> int:
    """The family of node sets in which each need can have a node of its own and no node is left over."""
    family = EMPTY_SET
    for mask in sorted(fits, key=int.bit_count):
        larger = 0
        for node in positions(mask):
            larger |= grown(family, size, 1 << node)
        family = larger
        if not family:
            return 0
    return family


def match(seekers: Seekers, ground: Ground) -> tuple[int, ...] | None:
    """The node of each need; None if they cannot all have one of their own."""
    family = holding_family(seekers.fits, ground.size)
    if not family:
        return None
    sets = members(family)
    sets = least(sets, ground.spread[sets])
    if len(sets) > 1:
        sets = _least_cost(sets, seekers, ground)
    if len(sets) > 1 and ground.device_rings:
        sets = least(sets, device_distance(sets, ground))
    if len(sets) > 1 and any(any(row) for row in seekers.kept):
        sets = _most_kept(sets, seekers, ground)
    if len(sets) > 1:
        sets = tightest(sets, ground)
    return _seat(int(sets[0]), seekers, ground.size)


def _least_cost(sets: Sets, seekers: Seekers, ground: Ground) -> Sets:
    if len(set(seekers.kinds)) == 1:  # whoever goes where, the same nodes cost the same
        return least(sets, sums(sets, seekers.cost[0]))
    lowest = _least_sums(family_of(sets), seekers.fits, seekers.cost, ground.size)
    return members(lowest)


def _most_kept(sets: Sets, seekers: Seekers, ground: Ground) -> Sets:
    weights = tuple(
        tuple(cost * PART - kept for cost, kept in zip(costs, keeps, strict=True))
        for costs, keeps in zip(seekers.cost, seekers.kept, strict=True)
    )
    return members(_least_sums(family_of(sets), seekers.fits, weights, ground.size))


def _least_sums(family: int, fits: Sequence[int], weights: Sequence[Sequence[int]], size: int) -> int:
    """Of the sets in `family`, those whose cheapest assignment of needs to nodes costs least."""
    cheapest = [min(row[node] for node in positions(mask)) for mask, row in zip(fits, weights, strict=True)]
    at_best = [
        sum(1 << node for node in positions(mask) if row[node] == low)
        for mask, row, low in zip(fits, weights, cheapest, strict=True)
    ]
    if at_best == list(fits):  # nothing to choose
        return family
    lucky = holding_family(at_best, size) & family
    if lucky:
        return lucky
    levels: dict[int, int] = {0: EMPTY_SET}
    for j in sorted(range(len(fits)), key=lambda j: (fits[j].bit_count(), j)):
        levels = _extended(levels, fits[j], weights[j], size)
    return next(found for cost in sorted(levels) if (found := levels[cost] & family))


def _extended(levels: dict[int, int], fits: int, weights: Sequence[int], size: int) -> dict[int, int]:
    larger: dict[int, int] = {}
    for cost, family in levels.items():
        for node in positions(fits):
            new = grown(family, size, 1 << node)
            if new:
                total = cost + weights[node]
                larger[total] = larger.get(total, 0) | new
    seen, result = 0, dict[int, int]()
    for cost in sorted(larger):
        new = larger[cost] & ~seen
        if new:
            result[cost] = new
            seen |= new
    return result


def _seat(nodes: int, seekers: Seekers, size: int) -> tuple[int, ...]:
    """The cheapest assignment within one set; of equal ones the one that gives the first needs the lowest nodes."""
    chosen = [node for node in range(size) if nodes >> node & 1]
    if len(set(seekers.kinds)) == 1 and not any(any(row) for row in seekers.kept):
        return tuple(chosen)
    costs = [
        [seekers.cost[j][node] * PART - seekers.kept[j][node] if fits >> node & 1 else UNFIT for node in chosen]
        for j, fits in enumerate(seekers.fits)
    ]
    return tuple(chosen[i] for i in seat(costs))


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
