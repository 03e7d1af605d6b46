"""The demand of a VM that keeps its shape: the same sharing of CPUs, cores and host nodes as now, elsewhere.

Each CPU the VM is pinned to now is a *role*. CPUs of one core stay on one core, CPUs of different cores on different
ones, host nodes likewise, and each vCPU gets the CPUs found for its roles: whatever vCPUs share now, they share there.
vCPUs that may use all CPUs of a host node with more CPUs than vCPUs are at home on the node: they get all CPUs of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.vm import NumaMode, NumaPin, VirtualNumaNode, Vm
from hpconsole.core.scheduler.demand import NO_OWNER, Block, Bound, CoreRule, Demand, NodeNeed, Tune
from hpconsole.core.scheduler.demand_memory import following_tune, memory_fields, node_part
from hpconsole.core.scheduler.helper_threads import helpers_of
from hpconsole.core.scheduler.host_tables import HostTables
from hpconsole.core.scheduler.occupancy import unbound_memory


@dataclass
class _Place:
    """A host node the VM is on now, and what is there."""

    blocks: list[Block] = field(default_factory=list)
    vcpus: list[int] = field(default_factory=list)  # floating ones
    shares: float = 0.0  # how many floating vCPUs it carries, one that may use two nodes counted half on each
    parts: list[tuple[int, int | None, int]] = field(default_factory=list)
    virtual_nodes: set[int] = field(default_factory=set)
    allowed: list[tuple[int, ...]] = field(default_factory=list)


def shape_of(vm: Vm, pins: Mapping[int, NumaPin], source: HostTables | None) -> Demand:
    """The demand of a VM of policy KEEP_SHAPE that is pinned now. `source`: the host it is on, None if not known."""
    if source is None or vm.pinning.all_vcpu_cpus.bits & ~source.online:
        return _without_source(vm, pins)
    return _with_source(vm, pins, source)


def _with_source(vm: Vm, pins: Mapping[int, NumaPin], source: HostTables) -> Demand:
    floating, kept = _split_floating(vm, source)
    places: dict[int, _Place] = {}
    owner_of = {vcpu: node.node_id for node in vm.virtual_nodes for vcpu in node.vcpus}
    for position, block in _blocks(kept, owner_of, source):
        places.setdefault(position, _Place()).blocks.append(block)
    for vcpu, cpus in floating:
        at = source.nodes_of(cpus.bits)
        for position in at:
            place = places.setdefault(position, _Place())
            place.vcpus.append(vcpu)
            place.shares += 1 / len(at)
    homes = _homes(vm, pins, source, {**dict(floating), **dict(kept)})
    bound_to: dict[int, tuple[int, ...]] = {}
    for node, pin, positions in homes:
        bound_to[node.node_id] = positions
        for position in positions:
            place = places.setdefault(position, _Place())
            place.parts.append(node_part(vm, node, pin.mode, len(positions)))
            place.virtual_nodes.add(node.node_id)
            if pin.host_nodes:
                place.allowed.append(pin.host_nodes)
    tune = _place_tune(vm, places, set(bound_to), source)
    order = sorted(places)
    index = {position: i for i, position in enumerate(order)}
    needs = [_need(places[position], owner_of) for position in order]
    bound: list[Bound] = []
    for node, pin, positions in homes:
        if positions:
            bound.append(Bound(node.node_id, pin.mode, tuple(index[position] for position in positions)))
        else:  # to be bound, but nothing says where it is: a host node of its own
            bound.append(Bound(node.node_id, pin.mode, (len(needs),)))
            fields = memory_fields([node_part(vm, node, pin.mode)])
            needs.append(NodeNeed(virtual_nodes=(node.node_id,), allowed_nodes=pin.host_nodes or None, **fields))
    return Demand(
        vm,
        rule=CoreRule.SHAPE,
        node_needs=tuple(needs),
        nodes_distinct=True,
        bound=tuple(bound),
        tune=Tune(tune.mode, None, tuple(index[p] for p in tune.needs)) if tune is not None else None,
        vcpu_roles=tuple(kept),
        floating=tuple((vcpu, tuple(index[p] for p in source.nodes_of(cpus.bits))) for vcpu, cpus in floating),
        helpers=helpers_of(vm, source, index),
    )


def _split_floating(vm: Vm, source: HostTables) -> tuple[list[tuple[int, CpuSet]], list[tuple[int, CpuSet]]]:
    """(vCPUs at home on whole host nodes, vCPUs on CPUs of their own); vCPUs that may use every CPU are in neither."""
    users: dict[int, int] = {}
    for _, cpus in vm.pinning.vcpus:
        users[cpus.bits] = users.get(cpus.bits, 0) + 1
    floating: list[tuple[int, CpuSet]] = []
    kept: list[tuple[int, CpuSet]] = []
    for vcpu, cpus in vm.pinning.vcpus:
        is_wide = source.is_node_wide(cpus.bits, users[cpus.bits])
        if is_wide and cpus.bits == source.online and source.size > 1:
            continue
        if cpus:
            (floating if is_wide else kept).append((vcpu, cpus))
    return floating, kept


def _blocks(
    kept: Iterable[tuple[int, CpuSet]], owner_of: Mapping[int, int], source: HostTables
) -> Iterable[tuple[int, Block]]:
    """(position of the source node, block) for each core the VM has CPUs on now."""
    roles = EMPTY
    for _, cpus in kept:
        roles |= cpus
    kept = tuple(kept)
    for position, cores in enumerate(source.cores):
        for core in cores:
            here = CpuSet(core.bits & roles.bits)
            if here:
                users = [vcpu for vcpu, cpus in kept if not cpus.isdisjoint(here)]
                owners = tuple(sorted({owner_of.get(vcpu, NO_OWNER) for vcpu in users}))
                yield position, Block(tuple(here), len(here), owners, len(users))


def _homes(
    vm: Vm, pins: Mapping[int, NumaPin], source: HostTables, pinned: Mapping[int, CpuSet]
) -> list[tuple[VirtualNumaNode, NumaPin, tuple[int, ...]]]:
    """Each virtual node to be bound, with the source nodes (positions) its memory is on or belongs to.

    `pinned`: the vCPUs that are bound to CPUs or nodes.
    """
    homes: list[tuple[VirtualNumaNode, NumaPin, tuple[int, ...]]] = []
    for node in vm.virtual_nodes:
        pin = pins.get(node.node_id)
        if pin is None:
            continue
        now = tuple(sorted({source.index[i] for i in node.host_nodes if i in source.index}))
        if pin.mode is NumaMode.PREFERRED:
            now = now[:1]  # libvirt knows only one preferred node
        if not now:  # not bound yet: with most of its vCPUs
            count: dict[int, int] = {}
            for vcpu, cpus in pinned.items():
                if vcpu in node.vcpus:
                    for position in source.nodes_of(cpus.bits):
                        count[position] = count.get(position, 0) + 1
            now = tuple(sorted(count, key=lambda position: (-count[position], position))[:1])
        homes.append((node, pin, now))
    return homes


def _place_tune(vm: Vm, places: dict[int, _Place], bound: set[int], source: HostTables) -> Tune | None:
    """Put the memory that is in no bound virtual node where the whole VM's binding has it; `needs` = positions."""
    tune = vm.numa_tune
    if tune is None:
        return None
    positions = tuple(sorted({source.index[i] for i in tune.nodeset if i in source.index}))
    loose = unbound_memory(vm, bound)
    if not loose:
        return Tune(tune.mode, None)
    if not positions or len(positions) == source.size > 1:  # over all nodes: binds nothing
        return None
    for position in positions:
        place = places.setdefault(position, _Place())
        if tune.mode is not NumaMode.PREFERRED:
            place.parts += [(kib, size, len(positions)) for kib, size in loose]
    return Tune(tune.mode, None, positions)


def _need(place: _Place, owner_of: Mapping[int, int]) -> NodeNeed:
    allowed: tuple[int, ...] | None = None
    for nodes in place.allowed:
        allowed = tuple(i for i in (nodes if allowed is None else allowed) if i in nodes)
    blocks = tuple(sorted(place.blocks, key=lambda block: (-block.size, block.roles)))
    owners = {owner for block in blocks for owner in block.owners} | {owner_of.get(v, NO_OWNER) for v in place.vcpus}
    fields = memory_fields(place.parts)
    return NodeNeed(
        virtual_nodes=tuple(sorted((place.virtual_nodes | owners) - {NO_OWNER})),
        cpus_needed=sum(block.size for block in blocks),
        blocks=blocks,
        vcpus=tuple(place.vcpus),
        vcpu_owners=tuple(sorted({owner_of.get(vcpu, NO_OWNER) for vcpu in place.vcpus})),
        usable_needed=ceil(place.shares - 1e-9),
        allowed_nodes=allowed,
        **fields,
    )


def _without_source(vm: Vm, pins: Mapping[int, NumaPin]) -> Demand:
    """The shape as far as the VM alone tells it: which vCPUs share CPUs, which virtual nodes share host nodes.

    Cores are not known then. CPUs pinned one to one are taken to follow the guest's own threads.
    """
    sets = [cpus.bits for _, cpus in vm.pinning.vcpus]
    is_one_to_one = all(bits.bit_count() == 1 for bits in sets) and len(set(sets)) == len(sets)
    threads = max(1, vm.topology.threads) if is_one_to_one else 1
    key_of: dict[int, object] = {
        node.node_id: tuple(sorted(set(node.host_nodes))) or f"virtual node {node.node_id}" for node in vm.virtual_nodes
    }
    owner_of = {vcpu: node.node_id for node in vm.virtual_nodes for vcpu in node.vcpus}
    first = vm.virtual_nodes[0].node_id if vm.virtual_nodes else NO_OWNER
    blocks: dict[object, list[Block]] = {}
    for block in _loose_blocks(vm, owner_of, first, threads):
        blocks.setdefault(key_of.get(block.owners[0]), []).append(block)
    demand = Demand(
        vm,
        rule=CoreRule.SIBLINGS,
        threads=threads,
        tune=following_tune(vm),
        vcpu_roles=vm.pinning.vcpus,
        helpers=helpers_of(vm, None, {}),
    )
    if not vm.virtual_nodes:
        return replace(demand, sockets=tuple((block,) for block in blocks.get(None, ())))
    keys = list(dict.fromkeys(key_of.values()))
    needs: list[NodeNeed] = []
    for key in keys:
        nodes = [node for node in vm.virtual_nodes if key_of[node.node_id] == key]
        mine = [(node, pins[node.node_id]) for node in nodes if node.node_id in pins]
        place = _Place(
            blocks=blocks.get(key, []),
            parts=[node_part(vm, node, pin.mode) for node, pin in mine],
            virtual_nodes={node.node_id for node in nodes},
            allowed=[pin.host_nodes for _, pin in mine if pin.host_nodes],
        )
        needs.append(_need(place, owner_of))
    return replace(
        demand,
        node_needs=tuple(needs),
        nodes_distinct=all(node.host_nodes for node in vm.virtual_nodes),
        bound=tuple(
            Bound(node.node_id, pins[node.node_id].mode, (keys.index(key_of[node.node_id]),))
            for node in vm.virtual_nodes
            if node.node_id in pins
        ),
    )


def _loose_blocks(vm: Vm, owner_of: Mapping[int, int], first: int, threads: int) -> Iterable[Block]:
    """Blocks of one virtual core's CPUs (one to one pinning), else of one CPU."""
    groups: dict[tuple[int, int], list[int]] = {}
    seen: set[int] = set()
    for vcpu, cpus in vm.pinning.vcpus:
        owner = owner_of.get(vcpu, first)
        for role in cpus:
            if role not in seen:
                seen.add(role)
                groups.setdefault((owner, vcpu // threads if threads > 1 else -1 - role), []).append(role)
    for (owner, _), roles in groups.items():
        yield Block(tuple(roles), threads, (owner,), len(roles))
