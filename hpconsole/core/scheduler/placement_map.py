"""From chosen host nodes to the full map of a VM: every vCPU, virtual node, emulator and IO thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode, NumaTune
from hpconsole.core.scheduler.core_assignment import Seats, seats_of
from hpconsole.core.scheduler.demand import CoreRule, Demand, Helper, HelperKind, Tune
from hpconsole.core.scheduler.floating import used_bits
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_choice import Choice
from hpconsole.core.scheduler.prepared import Prepared
from hpconsole.core.scheduler.room import HostRoom, NodeRoom


def map_of(room: HostRoom, prepared: Prepared, choice: Choice) -> Placement:
    """The map of the demand of `room` on the chosen nodes."""
    present = prepared.present
    by_node: dict[int, list[int]] = {}
    for j, nodes in enumerate(choice.nodes):
        if room.demand.node_needs[j].blocks:
            by_node.setdefault(nodes[0], []).append(j)
    cpus: dict[int, int] = {}
    for node, needs in by_node.items():
        cpus.update(_seated_on(room.nodes[node], needs, prepared))
    if choice.spread:
        seats: Seats = []
        for part, own in choice.spread:
            seats += seats_of(part, own, present.wishes)
        cpus.update(roles_seated(seats, room.demand.rule, present.cpu_of))
    return map_of_seats(room, choice, cpus)


def _seated_on(node: NodeRoom, needs: Sequence[int], prepared: Prepared) -> Mapping[int, int]:
    """The CPU of each role of these needs on one node; remembered for nodes with the same CPUs free."""
    key = (node.cpus, *needs)
    known = prepared.seats.get(key)
    if known is None:
        present = prepared.present
        blocks = [block for j in needs for block in prepared.blocks[j]]
        seats = seats_of(node, blocks, present.wishes)
        known = prepared.seats[key] = roles_seated(seats, node.rule, present.cpu_of)
    return known


def roles_seated(seats: Seats, rule: CoreRule, cpu_of: Mapping[int, int]) -> dict[int, int]:
    """The CPU of each role. On its core a role keeps its CPU number where it can; the others go up in order."""
    by_core: dict[int, list[int]] = {}
    for block, core in sorted(seats, key=lambda seat: seat[0].roles):
        by_core.setdefault(core.bits, []).extend(block.roles)
    cpus: dict[int, int] = {}
    for bits, roles in by_core.items():
        if rule is CoreRule.WHOLE_CORES:
            cpus[roles[0]] = (bits & -bits).bit_length() - 1
            continue
        free = bits
        waiting: list[int] = []
        for role in roles:
            now = cpu_of.get(role)
            if now is not None and free >> now & 1:
                cpus[role] = now
                free ^= 1 << now
            else:
                waiting.append(role)
        cpus.update(zip(waiting, positions(free), strict=False))
    return cpus


def map_of_seats(room: HostRoom, choice: Choice, cpus: Mapping[int, int]) -> Placement:
    """The map where the CPU of each role is known already."""
    demand = room.demand
    sets: dict[int, int] = {vcpu: own.bits for vcpu, own in demand.literal}
    for vcpu, roles in demand.vcpu_roles:
        bits = roles.bits
        is_single = bits and not bits & (bits - 1)
        sets[vcpu] = 1 << cpus[bits.bit_length() - 1] if is_single else _bits(cpus[role] for role in roles)
    for vcpu, needs in demand.floating:
        for j in needs:
            for node in choice.nodes[j]:
                sets[vcpu] = sets.get(vcpu, 0) | used_bits(room.nodes[node], demand.node_needs[j], vcpu)
    own = _bits(cpus.values())
    if demand.rule is CoreRule.WHOLE_CORES:
        own = room.tables.whole_cores(own)
    needs_nodes = bool(demand.helpers) or demand.tune is not None
    used = _used_nodes(room, choice, sets) if needs_nodes else ()
    helpers = {
        helper.iothread: _helper_bits(room, choice, helper, sets, own=own, used=used) for helper in demand.helpers
    }
    emulator = helpers.pop(0, 0)
    ids = room.tables.node_ids
    bindings = tuple(
        NodeBinding(
            bound.node_id,
            tuple(ids[i] for i in sorted({node for j in bound.needs for node in choice.nodes[j]})),
            bound.mode,
        )
        for bound in demand.bound
    )
    return Placement(
        vm_uuid=demand.vm.uuid,
        host=room.occupancy.host.name,
        bindings=bindings,
        pinning=CpuPinning(
            vcpus=tuple([(vcpu, _cpu_set(bits)) for vcpu, bits in sorted(sets.items()) if bits]),
            emulator=CpuSet(emulator) if emulator else None,
            iothreads=tuple((thread, CpuSet(bits)) for thread, bits in sorted(helpers.items()) if bits),
        ),
        numa_tune=_numa_tune(demand.tune, demand, choice, used, ids),
    )


def _numa_tune(
    tune: Tune | None, demand: Demand, choice: Choice, used: tuple[int, ...], ids: tuple[int, ...]
) -> NumaTune | None:
    if tune is None:
        return None
    if tune.nodes is not None:
        return NumaTune(tune.mode, CpuSet.of(tune.nodes))
    nodes: Iterable[int] = used
    if tune.needs:
        nodes = {node for j in tune.needs for node in choice.nodes[j]}
    elif demand.bound:
        nodes = {node for bound in demand.bound for j in bound.needs for node in choice.nodes[j]}
    chosen = sorted(nodes)
    if tune.mode is NumaMode.PREFERRED:
        chosen = chosen[:1]  # libvirt knows only one preferred node
    return NumaTune(tune.mode, CpuSet.of(ids[i] for i in chosen))


def _used_nodes(room: HostRoom, choice: Choice, sets: Mapping[int, int]) -> tuple[int, ...]:
    """Every node that holds the VM, ascending."""
    nodes = {node for nodes in choice.nodes for node in nodes} | set(choice.extra)
    for bits in sets.values():
        nodes.update(room.tables.nodes_of(bits))
    return tuple(sorted(nodes))


def _helper_bits(
    room: HostRoom, choice: Choice, helper: Helper, sets: Mapping[int, int], *, own: int, used: tuple[int, ...]
) -> int:
    """The CPUs of the emulator or an IO thread. Where its own way has none, it shares the vCPUs' CPUs."""
    everywhere = 0
    for bits in sets.values():
        everywhere |= bits
    nodes = sorted({node for j in helper.needs for node in choice.nodes[j]}) or list(used)
    found = 0
    if helper.kind is HelperKind.LITERAL:
        found = helper.present.bits & room.tables.online & ~room.occupancy.exclusive.bits
    elif helper.kind is HelperKind.VCPUS:
        for vcpu in helper.vcpus:
            found |= sets.get(vcpu, 0)
    elif helper.kind is HelperKind.NODES:
        for node in nodes:
            found |= room.nodes[node].usable_bits
    else:
        found = _own_cpus(room, helper, nodes, own)
    return found or everywhere


def _own_cpus(room: HostRoom, helper: Helper, nodes: list[int], own: int) -> int:
    """As many CPUs as it has now, beside the vCPUs' own: the same ones if they are free, else near and unshared."""
    usable = 0
    for node in room.nodes:
        usable |= node.usable_bits
    usable &= ~own
    wanted = helper.present.bits
    if not wanted & ~usable and (not helper.needs or set(room.tables.nodes_of(wanted)) <= set(nodes)):
        return wanted
    shared = room.occupancy.shared.bits
    distance = room.tables.pair_distance
    rank = {i: min((distance[i][node] for node in nodes), default=0) for i in range(room.tables.size)}
    choice = sorted(
        positions(usable),
        key=lambda cpu: (rank[room.tables.core_of[cpu][0]], shared >> cpu & 1, room.tables.core_of[cpu][1].bits, cpu),
    )
    return _bits(choice[: wanted.bit_count()])


@lru_cache(maxsize=4096)
def _cpu_set(bits: int) -> CpuSet:
    """Shared: the maps of many hosts name the same few CPUs."""
    return CpuSet(bits)


def _bits(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits
