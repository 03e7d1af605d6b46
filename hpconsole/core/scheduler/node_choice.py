"""Which host nodes a VM gets: hands the demand to the solver for its kind, and hosts with many nodes in portions.

A host with at most `node_sets.LIMIT` nodes with room is solved as a whole. Larger ones are solved around each of their
nodes (it and its nearest ones); the caller compares the results. Only where no portion has room for the VM, any way to
place it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hpconsole.core.scheduler.core_assignment import cost_of, signature
from hpconsole.core.scheduler.demand import Block, NodeNeed
from hpconsole.core.scheduler.floating import counted_blocks, float_cost
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_matching import PART, Seekers, any_matching, match
from hpconsole.core.scheduler.node_order import Ground, ground_of
from hpconsole.core.scheduler.node_packing import Packer, Seeker
from hpconsole.core.scheduler.node_sets import LIMIT
from hpconsole.core.scheduler.present_pinning import Present
from hpconsole.core.scheduler.room import CoreCost, HostRoom, NodeRoom
from hpconsole.core.scheduler.spreading import Spreader


@dataclass(frozen=True, slots=True)
class Choice:
    """Where everything goes. Nodes are positions in the host's tables."""

    nodes: tuple[tuple[int, ...], ...]  # of each need
    spread: tuple[tuple[NodeRoom, tuple[Block, ...]], ...] = ()  # parts of nodes, and the blocks they take
    extra: tuple[int, ...] = ()  # the nodes of a spread VM, those that hold only memory included


class Fit(NamedTuple):
    """Of each need: the nodes with room for it alone (a mask), and its kind. Needs of a kind ask for the same."""

    masks: Sequence[int]
    kinds: Sequence[int]


def choices(room: HostRoom, present: Present, base: int = 0) -> Iterator[Choice]:
    """The best choices for the demand of `room`, one where the host is solved as a whole; nothing if it does not fit.

    `base`: nodes (a mask) that hold the VM anyway: those of its literal CPUs.
    """
    demand = room.demand
    if demand.sockets:
        useful = [i for i, node in enumerate(room.nodes) if node.capacity or demand.tune is not None]
        yield from _in_portions(room, useful, lambda ground: _spread(ground, room, present))
        return
    if not demand.node_needs:
        yield Choice(())
        return
    fit = _fits(room)
    if demand.nodes_distinct:
        if all(fit.masks):
            useful = list(positions(_union(fit.masks)))
            yield from _in_portions(room, useful, lambda ground: _distinct(ground, room, present, fit))
        return
    allowed = [room.allowed(need) for need in demand.node_needs]
    can_span = any(need.span > 1 or need.takes_all_allowed for need in demand.node_needs)
    useful = list(positions(_union(allowed if can_span else fit.masks) | base))
    yield from _in_portions(room, useful, lambda ground: _shared(ground, room, present, fit, base))


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


def _kind_of(need: NodeNeed) -> tuple[object, ...]:
    return (
        need.memory_kib, need.page_needs, need.cpus_needed, signature(need.blocks), len(need.vcpus),
        len(need.vcpu_owners), need.usable_needed, need.allowed_nodes, need.takes_all_allowed, need.span,
    )  # fmt: skip


def _fits(room: HostRoom) -> Fit:
    kinds: dict[tuple[object, ...], int] = {}
    masks: dict[int, int] = {}
    fits: list[int] = []
    numbers: list[int] = []
    for need in room.demand.node_needs:
        kind = kinds.setdefault(_kind_of(need), len(kinds))
        if kind not in masks:
            masks[kind] = room.fit_mask(need)
        fits.append(masks[kind])
        numbers.append(kind)
    return Fit(fits, numbers)


def need_cost(node: NodeRoom, need: NodeNeed, present: Present) -> CoreCost:
    """What a need alone on a node costs there."""
    floating = float_cost([node], need, present.sets)
    if not need.blocks:
        return floating
    own = cost_of(node, counted_blocks(need), present.wishes)
    return CoreCost(own.banks + floating.banks, own.part_cores, own.kept + floating.kept)


def _distinct(ground: Ground, room: HostRoom, present: Present, fit: Fit) -> Choice | None:
    needs = room.demand.node_needs
    local = [_localised(mask, ground) for mask in fit.masks]
    if ground.is_bare:
        nodes = any_matching(local)
    else:
        costs = [
            tuple(
                need_cost(node, need, present) if mask >> i & 1 else CoreCost(0, 0, 0)
                for i, node in enumerate(ground.rooms)
            )
            for need, mask in zip(needs, local, strict=True)
        ]
        nodes = match(
            Seekers(
                fits=tuple(local),
                cost=tuple(tuple(cost.banks * PART + cost.part_cores for cost in row) for row in costs),
                kept=tuple(tuple(-cost.kept for cost in row) for row in costs),
                kinds=tuple(fit.kinds),
            ),
            ground,
        )
    return None if nodes is None else Choice(tuple((ground.rooms[i].position,) for i in nodes))


def _shared(ground: Ground, room: HostRoom, present: Present, fit: Fit, base: int) -> Choice | None:
    needs = room.demand.node_needs
    if base and _localised(base, ground).bit_count() != base.bit_count():
        return None  # this portion leaves out nodes the VM is on anyway
    seekers = [
        # What could stay where it is, is like no other need.
        Seeker(
            need,
            _localised(mask, ground),
            _localised(room.allowed(need), ground),
            kind if not _could_stay(room, need, present) else len(needs) + j,
        )
        for j, (need, mask, kind) in enumerate(zip(needs, fit.masks, fit.kinds, strict=True))
    ]
    packer = Packer(ground, seekers, present, _localised(base, ground))
    masks = packer.any_packing() if ground.is_bare else packer.best()
    if masks is None:
        return None
    return Choice(tuple(tuple(ground.rooms[i].position for i in positions(mask)) for mask in masks))


def _could_stay(room: HostRoom, need: NodeNeed, present: Present) -> bool:
    """Whether some vCPU of this need may keep its CPUs on this host."""
    wishes = present.wishes
    wanted = [bits for block in need.blocks for bits in wishes.narrow.get(block.roles[0], ())]
    wanted += [wishes.homes[block.roles[0]] for block in need.blocks if block.roles[0] in wishes.homes]
    if any(not bits & ~node.free_bits for bits in wanted for node in room.nodes):
        return True
    return any(present.sets.get(vcpu, 0) & room.tables.online for vcpu in need.vcpus)


def _spread(ground: Ground, room: HostRoom, present: Present) -> Choice | None:
    spreader = Spreader(ground, room.demand, present)
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
    return sum(1 << i for i, node in enumerate(ground.rooms) if mask >> node.position & 1)


def _union(masks: Sequence[int]) -> int:
    together = 0
    for mask in masks:
        together |= mask
    return together
