"""How good a placement is: the documented order, as numbers. Placements of one VM on one host compare by it.

Host nodes; sum of distances between them; cache banks per virtual node; cores shared or split; distance to the VM's
PCI devices; moved vCPUs; tightness. Less is better in each, an earlier one outweighs all later ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hpconsole.core.model.placement import Placement
from hpconsole.core.scheduler.demand import NO_OWNER, CoreRule, Demand
from hpconsole.core.scheduler.node_order import device_nodes, free_cpus, free_memory
from hpconsole.core.scheduler.room import HostRoom


class Order(NamedTuple):
    """See the module. Free CPUs and memory are those of all used nodes before the VM comes."""

    host_nodes: int
    distance: int  # both ways, of each two nodes that hold the VM
    cache_banks: int  # summed over virtual nodes, counted per host node
    part_cores: int  # the VM's own cores of which it has some but not all CPUs
    device_distance: int  # from each PCI device given to it to its nearest node
    moved_vcpus: int
    free_cpus: int
    free_kib: int


def order_of(room: HostRoom, placement: Placement) -> Order:
    """The order of a placement of the demand of `room`."""
    demand, tables = room.demand, room.tables
    sets = {vcpu: cpus.bits for vcpu, cpus in placement.pinning.vcpus}
    used = used_nodes(room, placement, sets)
    devices = device_nodes(room) if used else ()
    now = {vcpu: cpus.bits for vcpu, cpus in demand.vm.pinning.vcpus}
    return Order(
        host_nodes=len(used),
        distance=tables.spread(used),
        cache_banks=_banks(room, sets),
        part_cores=_part_cores(room, sets),
        device_distance=sum(min(tables.distance[node][device] for node in used) for device in devices),
        moved_vcpus=sum(1 for vcpu, bits in sets.items() if now.get(vcpu) != bits),
        free_cpus=sum(free_cpus(demand, room.nodes[i]) for i in used),
        free_kib=sum(free_memory(demand, room.nodes[i]) for i in used),
    )


def used_nodes(room: HostRoom, placement: Placement, sets: Mapping[int, int]) -> tuple[int, ...]:
    """The nodes that hold the VM: bound memory, vCPUs, and memory that follows them."""
    index = room.tables.index
    used = {index[i] for binding in placement.bindings for i in binding.host_nodes}
    for bits in sets.values():
        used.update(room.tables.nodes_of(bits))
    tune = room.demand.tune
    if tune is not None and tune.nodes is None and placement.numa_tune is not None:
        used.update(index[i] for i in placement.numa_tune.nodeset if i in index)
    return tuple(sorted(used))


def _banks(room: HostRoom, sets: Mapping[int, int]) -> int:
    owner_of = {vcpu: node.node_id for node in room.demand.vm.virtual_nodes for vcpu in node.vcpus}
    by_owner: dict[int, int] = {}
    for vcpu, bits in sets.items():
        owner = owner_of.get(vcpu, NO_OWNER)
        by_owner[owner] = by_owner.get(owner, 0) | bits
    banks = [bank for node in room.tables.banks for bank in node]
    return sum(1 for bits in by_owner.values() for bank in banks if bank & bits)


def _part_cores(room: HostRoom, sets: Mapping[int, int]) -> int:
    demand: Demand = room.demand
    if not demand.rule.takes_cpus or demand.rule is CoreRule.WHOLE_CORES:
        return 0
    floating = {vcpu for vcpu, _ in demand.floating}
    own = 0
    for vcpu, bits in sets.items():
        if vcpu not in floating:
            own |= bits
    return sum(1 for cores in room.tables.cores for core in cores if core.bits & own and core.bits & ~own)
