"""The placement that leaves every vCPU on the very CPU numbers it has now, where a host allows it."""

from __future__ import annotations

from hpconsole.core.model.placement import Placement
from hpconsole.core.scheduler.core_search import Wishes, wishes_met
from hpconsole.core.scheduler.demand import Block, CoreRule
from hpconsole.core.scheduler.node_choice import Choice
from hpconsole.core.scheduler.placement_map import map_of_seats
from hpconsole.core.scheduler.present_pinning import Present
from hpconsole.core.scheduler.room import HostRoom


def staying(room: HostRoom, present: Present) -> Placement | None:
    """See the module; None where some CPU is taken, or the demand would not be met there."""
    demand = room.demand
    left = present.cpus
    for place in room.nodes:
        left &= ~place.free_bits
    if left or not present.cpus:
        return None
    cpus = dict(present.cpu_of)
    nodes = [_node_of(room, cpus, need.blocks) for need in demand.node_needs]
    if any(node is None for node in nodes):
        return None
    chosen = tuple((node,) for node in nodes if node is not None)
    if demand.sockets:
        return _staying_sockets(room, cpus)
    for j, need in enumerate(demand.node_needs):
        if not room.allowed(need) >> chosen[j][0] & 1:
            return None
    if demand.nodes_distinct and len(set(chosen)) != len(chosen):
        return None
    for node in {node for (node,) in chosen}:
        here = [need for need, (own,) in zip(demand.node_needs, chosen, strict=True) if own == node]
        if not room.nodes[node].fits_all(here):
            return None
    return map_of_seats(room, Choice(chosen), cpus)


def _staying_sockets(room: HostRoom, cpus: dict[int, int]) -> Placement | None:
    used: set[int] = set()
    for blocks in room.demand.sockets:
        sockets: set[int] = set()
        for block in blocks:
            node = _node_of(room, cpus, (block,))
            if node is None:
                return None
            used.add(node)
            sockets.add(room.tables.core_of[cpus[block.roles[0]]][1].socket)
        if len(sockets) > 1:
            return None
    tune = room.demand.tune
    if tune is not None and not all(room.nodes[i].has_memory(tune, len(used)) for i in used):
        return None
    for node in used:
        own = [b for blocks in room.demand.sockets for b in blocks if _node_of(room, cpus, (b,)) == node]
        if len(own) > room.nodes[node].capacity:
            return None
    return map_of_seats(room, Choice((), extra=tuple(sorted(used))), cpus)


def _node_of(room: HostRoom, cpus: dict[int, int], blocks: tuple[Block, ...]) -> int | None:
    """The one node these blocks are on now, each on free CPUs of one core as its rule asks; None if it is not so."""
    taken: dict[int, int] = {}
    nodes: set[int] = set()
    for block in blocks:
        at = [room.tables.core_of.get(cpus[role]) for role in block.roles]
        first = at[0]
        if first is None or any(place != first for place in at):
            return None
        node = room.nodes[first[0]]
        core = next((core for core in node.cores if core.bits >> cpus[block.roles[0]] & 1), None)
        wanted = Wishes({block.roles[0]: (sum(1 << cpus[role] for role in block.roles),)}, {})
        if core is None or not wishes_met(block, core, node.rule, wanted):
            return None
        size = block.size if node.rule is CoreRule.SIBLINGS else core.width  # others have their cores to themselves
        if node.rule is CoreRule.WHOLE_CORES and core.free < core.width:
            return None
        taken[core.bits] = taken.get(core.bits, 0) + size
        is_over = taken[core.bits] > (core.free if node.rule is CoreRule.SIBLINGS else core.width)
        if is_over:
            return None
        nodes.add(first[0])
    return nodes.pop() if len(nodes) == 1 else None
