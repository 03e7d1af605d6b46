"""Finds the best placement of one demand on one host, or none. The engine behind `placement` and `misfit`."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.model.placement import Placement
from hpconsole.core.scheduler.demand import CoreRule, Demand
from hpconsole.core.scheduler.node_choice import choices, is_possible
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placement_map import map_of
from hpconsole.core.scheduler.placement_order import order_of
from hpconsole.core.scheduler.prepared import prepared_of
from hpconsole.core.scheduler.room import HostRoom
from hpconsole.core.scheduler.staying import staying


def find(demand: Demand, occupancy: Occupancy) -> Placement | None:
    """The best placement in the documented order (`placement_order`); None if there is none."""
    for variant in _variants(demand, occupancy):
        found = _find(variant, occupancy)
        if found is not None:
            return found
    return None


def fits(demand: Demand, occupancy: Occupancy) -> bool:
    """Whether there is any placement."""
    room = HostRoom(demand, occupancy)
    if not is_open(room):
        return False
    tune = demand.tune
    if tune is not None and tune.nodes is None and not demand.node_needs and not demand.sockets:
        # Memory alone, divided evenly over any number of nodes.
        counts = range(1, room.tables.size + 1)
        return any(sum(node.has_memory(tune, count) for node in room.nodes) >= count for count in counts)
    return is_possible(room, literal_nodes(room))


def is_open(room: HostRoom) -> bool:
    """Whether the host has every node and literal CPU the demand names, and the memory of its literal binding."""
    literal = 0
    for _, cpus in room.demand.literal:
        literal |= cpus.bits
    if literal & ~(room.tables.online & ~room.occupancy.exclusive.bits):
        return False
    return room.has_tune_memory and not room.missing_nodes()


def literal_nodes(room: HostRoom) -> int:
    """The nodes (a mask) of the demand's literal CPUs."""
    mask = 0
    for _, cpus in room.demand.literal:
        for node in room.tables.nodes_of(cpus.bits):
            mask |= 1 << node
    return mask


def _find(demand: Demand, occupancy: Occupancy) -> Placement | None:
    room = HostRoom(demand, occupancy)
    if not is_open(room):
        return None
    prepared = prepared_of(demand)
    present = prepared.present
    found = [map_of(room, prepared, choice) for choice in choices(room, literal_nodes(room))]
    if not found:
        return None
    if present.cpu_of and found[0].pinning.vcpus != demand.vm.pinning.vcpus:
        same = staying(room, present)
        if same is not None:
            found.append(same)
    if len(found) == 1:
        return found[0]
    return min(found, key=lambda placement: order_of(room, placement))


def _variants(demand: Demand, occupancy: Occupancy) -> list[Demand]:
    """The demand, preceded by a stricter one for a literal CPU map: each virtual node's memory beside its CPUs.

    Literal CPUs say nothing of memory, but memory beside them comes before everything the order compares.
    """
    if demand.rule is not CoreRule.NOTHING or not demand.literal or not demand.node_needs:
        return [demand]
    room = HostRoom(demand, occupancy)
    cpus_of = {vcpu: cpus.bits for vcpu, cpus in demand.literal}
    nodes = {node.node_id: node for node in demand.vm.virtual_nodes}
    needs = []
    for need in demand.node_needs:
        common = -1
        for node_id in need.virtual_nodes:
            for vcpu in nodes[node_id].vcpus:
                if vcpu in cpus_of:
                    common &= sum(1 << i for i in room.tables.nodes_of(cpus_of[vcpu]))
        if common == -1 or need.takes_all_allowed:
            needs.append(need)
            continue
        near = common & room.allowed(need)
        ids = room.tables.node_ids
        listed = need.allowed_nodes if need.allowed_nodes is not None else ids
        allowed = tuple(i for i in listed if i in room.tables.index and near >> room.tables.index[i] & 1)
        needs.append(replace(need, allowed_nodes=allowed))
    stricter = replace(demand, node_needs=tuple(needs))
    return [demand] if stricter == demand or room.missing_nodes() else [stricter, demand]
