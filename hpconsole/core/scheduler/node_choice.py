"""Which host nodes a VM gets: hands the demand to the solver for its kind, and hosts with many nodes in portions.

A host with at most `node_sets.LIMIT` nodes with room is solved as a whole. Larger ones are solved around each of their
nodes (it and its nearest ones); the caller compares the results. Only where no portion has room for the VM, any way to
place it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hpconsole.core.scheduler.demand import Block
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_costs import NodeCosts
from hpconsole.core.scheduler.node_matching import any_matching, match
from hpconsole.core.scheduler.node_order import Ground, ground_of
from hpconsole.core.scheduler.node_packing import Packer
from hpconsole.core.scheduler.node_sets import LIMIT
from hpconsole.core.scheduler.prepared import Prepared, prepared_of
from hpconsole.core.scheduler.present_pinning import NOTHING_PRESENT
from hpconsole.core.scheduler.room import HostRoom, NodeRoom
from hpconsole.core.scheduler.spreading import Spreader


@dataclass(frozen=True, slots=True)
class Choice:
    """Where everything goes. Nodes are positions in the host's tables."""

    nodes: tuple[tuple[int, ...], ...]  # of each need
    spread: tuple[tuple[NodeRoom, tuple[Block, ...]], ...] = ()  # parts of nodes, and the blocks they take
    extra: tuple[int, ...] = ()  # the nodes of a spread VM, those that hold only memory included


def choices(room: HostRoom, base: int = 0) -> Iterator[Choice]:
    """The best choices for the demand of `room`, one where the host is solved as a whole; nothing if it does not fit.

    `base`: nodes (a mask) that hold the VM anyway: those of its literal CPUs.
    """
    demand = room.demand
    if demand.sockets:
        useful = [i for i, node in enumerate(room.nodes) if node.capacity or demand.tune is not None]
        yield from _in_portions(room, useful, lambda ground: _spread(ground, room))
        return
    if not demand.node_needs:
        yield Choice(())
        return
    prepared = prepared_of(demand)
    fits = fit_masks(room, prepared)
    costs = NodeCosts(room, prepared)
    if demand.nodes_distinct:
        if all(fits):
            yield from _in_portions(room, list(positions(_union(fits))), lambda ground: _distinct(ground, fits, costs))
        return
    allowed = [room.allowed(need) for need in demand.node_needs]
    can_span = any(need.span > 1 or need.takes_all_allowed for need in demand.node_needs)
    if not can_span and not all(fits):
        return
    useful = list(positions(_union(allowed if can_span else fits) | base))
    yield from _in_portions(room, useful, lambda ground: _shared(ground, costs, fits, allowed, base))


def is_possible(room: HostRoom, base: int = 0) -> bool:
    """Whether there is any choice; much quicker than the best one."""
    demand = room.demand
    if demand.sockets:
        ground = ground_of(room, tuple(range(room.tables.size)), bare=True)
        return Spreader(ground, demand, NOTHING_PRESENT).is_possible()
    if not demand.node_needs:
        return True
    prepared = Prepared(demand, NOTHING_PRESENT)
    fits = fit_masks(room, prepared)
    if demand.nodes_distinct:
        return all(fits) and any_matching(fits) is not None
    allowed = [room.allowed(need) for need in demand.node_needs]
    ground = ground_of(room, tuple(range(room.tables.size)), bare=True)
    return Packer(ground, NodeCosts(room, prepared), fits, allowed, base).any_packing() is not None


def fit_masks(room: HostRoom, prepared: Prepared) -> list[int]:
    """For each need the nodes that are allowed and have room for it alone, as a bit mask."""
    stand_in = prepared.stand_in
    masks: list[int] = []
    for j, need in enumerate(room.demand.node_needs):
        masks.append(room.fit_mask(need) if stand_in[j] == j else masks[stand_in[j]])
    return masks


def _in_portions(room: HostRoom, useful: Sequence[int], solve: Callable[[Ground], Choice | None]) -> Iterator[Choice]:
    if not useful:
        return
    if room.tables.size <= LIMIT:  # one table of sets for the whole host, whatever has room at the moment
        found = solve(ground_of(room, tuple(range(room.tables.size))))
        if found is not None:
            yield found
        return
    has_any = False
    for portion in _portions(room, useful):
        found = solve(ground_of(room, portion))
        if found is not None:
            has_any = True
            yield found
    if not has_any and len(useful) > LIMIT:
        found = solve(ground_of(room, tuple(useful)))
        if found is not None:
            yield found


def _portions(room: HostRoom, useful: Sequence[int]) -> list[tuple[int, ...]]:
    """Each useful node with its nearest ones; every different portion once."""
    if len(useful) <= LIMIT:
        return [tuple(useful)]
    distance = room.tables.pair_distance
    found: dict[tuple[int, ...], None] = {}
    for seed in useful:
        nearest = sorted(useful, key=lambda node: (node != seed, distance[seed][node], node))[:LIMIT]
        found[tuple(sorted(nearest))] = None
    return list(found)


def _distinct(ground: Ground, fits: Sequence[int], costs: NodeCosts) -> Choice | None:
    local = [_localised(mask, ground) for mask in fits]
    nodes = any_matching(local) if ground.is_bare else match(local, ground, costs)
    return None if nodes is None else Choice(tuple((ground.rooms[i].position,) for i in nodes))


def _shared(ground: Ground, costs: NodeCosts, fits: Sequence[int], allowed: Sequence[int], base: int) -> Choice | None:
    here = _localised(base, ground)
    if here.bit_count() != base.bit_count():
        return None  # this portion leaves out nodes the VM is on anyway
    packer = Packer(
        ground, costs, [_localised(mask, ground) for mask in fits], [_localised(mask, ground) for mask in allowed], here
    )
    masks = packer.any_packing() if ground.is_bare else packer.best()
    if masks is None:
        return None
    return Choice(tuple(tuple(ground.rooms[i].position for i in positions(mask)) for mask in masks))


def _spread(ground: Ground, room: HostRoom) -> Choice | None:
    spreader = Spreader(ground, room.demand, prepared_of(room.demand).present)
    found = spreader.any_spread() if ground.is_bare else spreader.best()
    if found is None:
        return None
    return Choice(
        (),
        tuple((cell.room, blocks) for cell, blocks in found.cells),
        tuple(ground.rooms[i].position for i in positions(found.nodes)),
    )


def _localised(mask: int, ground: Ground) -> int:
    """A mask over the host's nodes as one over the ground's."""
    if ground.is_whole:
        return mask
    return sum(1 << i for i, node in enumerate(ground.rooms) if mask >> node.position & 1)


def _union(masks: Sequence[int]) -> int:
    together = 0
    for mask in masks:
        together |= mask
    return together
