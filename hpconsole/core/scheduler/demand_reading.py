"""From a VM's intent and present pinning to its demand. Knows no destination host, only the one it comes from.

The choices made here: a strict pin list of several host nodes means one of them (as the reference places it), and
lying over several is offered only to a VM that does so now; an interleaved list means all of them, evenly; memory that
is only preferred somewhere is no requirement. Virtual nodes of a VM with CPUs of its own go where their vCPUs go.
"""

from __future__ import annotations

from collections.abc import Iterable

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.vm import CpuPinningPolicy, HostPinning, NumaMode, NumaPin, VirtualNumaNode, Vm
from hpconsole.core.scheduler.demand import (
    NO_OWNER,
    WHOLE,
    Block,
    Bound,
    CoreRule,
    Demand,
    NodeNeed,
    Tune,
)
from hpconsole.core.scheduler.demand_memory import following_tune, memory_fields, node_part
from hpconsole.core.scheduler.helper_threads import helpers_of
from hpconsole.core.scheduler.host_tables import HostTables, tables_of
from hpconsole.core.scheduler.occupancy import huge_page_kib, unbound_memory
from hpconsole.core.scheduler.shape_reading import shape_of

_RULES = {
    CpuPinningPolicy.DEDICATED: CoreRule.SIBLINGS,
    CpuPinningPolicy.ISOLATE_THREADS: CoreRule.WHOLE_CORES,
    CpuPinningPolicy.RESIZE_AND_PIN_NUMA: CoreRule.RESIZED,
    CpuPinningPolicy.NONE: CoreRule.FLOATING,
    CpuPinningPolicy.MANUAL: CoreRule.NOTHING,
}


def demand_of(vm: Vm, source: HostTopology | None = None, *, host: str = "") -> Demand:
    """What `vm` asks of a host.

    `source` is the topology of the host it runs on, where known: the shape of its pinning (cores, nodes) is read from
    it. `host` matters only to a VM with `intent.per_host`: the literal map for that host counts.
    """
    per_host = next((item for item in vm.intent.per_host if item.host == host), None)
    pins = intended_pins(vm, per_host)
    problems = _contradictions(vm, pins, per_host)
    if problems:
        return Demand(vm, problems=problems)
    tables = tables_of(source) if source is not None and (source.cpus or source.nodes) else None
    policy = vm.intent.cpu_pinning_policy
    if policy is CpuPinningPolicy.KEEP_SHAPE:
        return shape_of(vm, pins, tables)
    rule = _RULES.get(policy, CoreRule.FLOATING)
    if rule.takes_cpus and not vm.virtual_nodes:
        return _socketed(vm, rule, tables)
    return _by_virtual_node(vm, rule, pins, per_host, tables)


def intended_pins(vm: Vm, per_host: HostPinning | None = None) -> dict[int, NumaPin]:
    """The NUMA pin of each virtual node that is to be bound, by node id.

    The intent counts. Where it says nothing, a node that is bound now stays bound: to the same host nodes if the VM's
    pinning is literal or derived from them, else to any one node.
    """
    pins = {pin.node_id: pin for pin in vm.intent.numa_pins}
    if per_host is not None:
        pins |= {pin.node_id: pin for pin in per_host.numa}
    policy = vm.intent.cpu_pinning_policy
    is_literal = policy in (CpuPinningPolicy.NONE, CpuPinningPolicy.MANUAL)
    is_placed = policy in (
        CpuPinningPolicy.DEDICATED,
        CpuPinningPolicy.ISOLATE_THREADS,
        CpuPinningPolicy.RESIZE_AND_PIN_NUMA,
    )
    for node in vm.virtual_nodes:
        if node.node_id in pins:
            continue
        if node.host_nodes:
            pins[node.node_id] = NumaPin(node.node_id, node.host_nodes if is_literal else (), node.mode)
        elif is_placed:
            pins[node.node_id] = NumaPin(node.node_id, (), node.mode)
    return pins


def _contradictions(vm: Vm, pins: dict[int, NumaPin], per_host: HostPinning | None) -> tuple[str, ...]:
    """What cannot be meant, on any host."""
    problems: list[str] = []
    most = max(vm.vcpus, vm.topology.vcpus)
    ids = [node.node_id for node in vm.virtual_nodes]
    for node_id in sorted(set(pins) - set(ids)) if ids else ():
        problems.append(f"The pinning names virtual node {node_id}, which the VM does not have.")
    twice = [pin.node_id for pin in vm.intent.numa_pins]
    for node_id in sorted({i for i in twice if twice.count(i) > 1}):
        problems.append(f"The pinning names virtual node {node_id} twice.")
    if len(set(ids)) != len(ids):
        problems.append("Two virtual nodes of the VM have the same number.")
    literal = literal_map(vm, per_host) if vm.intent.cpu_pinning_policy is CpuPinningPolicy.MANUAL else ()
    for vcpu, cpus in literal:
        if not 0 <= vcpu < most:
            problems.append(f"The CPU pinning names vCPU {vcpu}, but the VM has only {most}: 0 to {most - 1}.")
        elif not cpus:
            problems.append(f"The CPU pinning leaves vCPU {vcpu} no CPU at all.")
    if len({vcpu for vcpu, _ in literal}) != len(literal):
        problems.append("The CPU pinning names a vCPU twice.")
    seen = EMPTY
    for node in vm.virtual_nodes:
        if not seen.isdisjoint(node.vcpus):
            problems.append(f"vCPU {(seen & node.vcpus).format()} is in two virtual nodes.")
        seen |= node.vcpus
        if node.memory_kib < 0:
            problems.append(f"Virtual node {node.node_id} has less than no memory.")
    if vm.memory_kib < 0 or vm.vcpus < 0:
        problems.append("The VM has less than no memory or vCPUs.")
    return tuple(problems)


def literal_map(vm: Vm, per_host: HostPinning | None = None) -> tuple[tuple[int, CpuSet], ...]:
    """The literal CPU map of policy MANUAL: for this host, else for every host, else the present one."""
    if per_host is not None and per_host.vcpus:
        return per_host.vcpus
    return vm.intent.cpu_pinning or vm.pinning.vcpus


def blocks_by_core(vm: Vm, vcpus: Iterable[int], rule: CoreRule, owner: int) -> tuple[Block, ...]:
    """The vCPUs in blocks: siblings of one virtual core together (SIBLINGS), or each for itself (WHOLE_CORES)."""
    if rule is CoreRule.WHOLE_CORES:
        return tuple(Block((vcpu,), WHOLE, (owner,), 1) for vcpu in sorted(vcpus))
    threads = max(1, vm.topology.threads)
    cores: dict[int, list[int]] = {}
    for vcpu in sorted(vcpus):
        cores.setdefault(vcpu // threads, []).append(vcpu)
    return tuple(Block(tuple(core), threads, (owner,), len(core)) for core in cores.values())


def _socketed(vm: Vm, rule: CoreRule, tables: HostTables | None) -> Demand:
    """A VM without virtual nodes that takes CPUs for itself: each virtual socket within one host socket."""
    threads = max(1, vm.topology.threads)
    per_socket = max(1, vm.topology.vcpus // max(1, vm.topology.sockets))
    if vm.topology.vcpus < vm.vcpus:  # a topology nobody gave: libvirt makes every vCPU a socket
        per_socket = threads
    sockets: dict[int, list[int]] = {}
    for vcpu in range(vm.vcpus):
        sockets.setdefault(vcpu // per_socket, []).append(vcpu)
    return Demand(
        vm,
        rule=rule,
        threads=threads,
        sockets=tuple(blocks_by_core(vm, vcpus, rule, NO_OWNER) for vcpus in sockets.values()),
        tune=following_tune(vm),
        vcpu_roles=tuple((vcpu, CpuSet(1 << vcpu)) for vcpu in range(vm.vcpus)),
        helpers=helpers_of(vm, tables, {}),
    )


def _by_virtual_node(
    vm: Vm,
    rule: CoreRule,
    pins: dict[int, NumaPin],
    per_host: HostPinning | None,
    tables: HostTables | None,
) -> Demand:
    """One need for each virtual node that is to be bound."""
    running = {node.node_id: node.vcpus & CpuSet((1 << vm.vcpus) - 1) for node in vm.virtual_nodes}
    if rule.takes_cpus and running:
        covered = EMPTY
        for vcpus in running.values():
            covered |= vcpus
        first = vm.virtual_nodes[0].node_id  # where QEMU puts vCPUs that no virtual node names
        running[first] |= CpuSet((1 << vm.vcpus) - 1) - covered
    needs: list[NodeNeed] = []
    bound: list[Bound] = []
    for node in vm.virtual_nodes:
        pin = pins.get(node.node_id)
        if pin is None:
            continue
        bound.append(Bound(node.node_id, pin.mode, (len(needs),)))
        needs.append(_need_of(vm, node, pin, rule, vcpus=running[node.node_id], tables=tables))
    tune = _tune_of(vm, rule, {item.node_id for item in bound})
    if rule is CoreRule.RESIZED and not vm.virtual_nodes:
        is_bound = tune is not None and tune.mode is not NumaMode.PREFERRED
        memory = memory_fields([(vm.memory_kib, huge_page_kib(vm), 1)] if is_bound else [])
        needs.append(NodeNeed(cpus_needed=vm.vcpus, vcpus=tuple(range(vm.vcpus)), vcpu_owners=(NO_OWNER,), **memory))
        tune = Tune(tune.mode, None, (0,)) if tune else None  # its memory is the need's
    exclusive = rule.takes_cpus
    return Demand(
        vm,
        rule=rule,
        threads=max(1, vm.topology.threads),
        node_needs=tuple(needs),
        nodes_distinct=rule is CoreRule.RESIZED,
        bound=tuple(bound),
        tune=tune,
        vcpu_roles=tuple((v, CpuSet(1 << v)) for need in needs for b in need.blocks for v in b.roles),
        floating=()
        if exclusive or rule is CoreRule.NOTHING
        else tuple((vcpu, (i,)) for i, need in enumerate(needs) for vcpu in need.vcpus),
        literal=literal_map(vm, per_host) if rule is CoreRule.NOTHING else (),
        helpers=helpers_of(vm, tables, _needs_by_source_node(vm, bound, tables)),
    )


def _need_of(
    vm: Vm, node: VirtualNumaNode, pin: NumaPin, rule: CoreRule, *, vcpus: CpuSet, tables: HostTables | None
) -> NodeNeed:
    fields = memory_fields([node_part(vm, node, pin.mode)])
    blocks = blocks_by_core(vm, vcpus, rule, node.node_id) if rule.takes_cpus else ()
    is_interleaved_list = pin.mode is NumaMode.INTERLEAVE and len(set(pin.host_nodes)) > 1
    can_spread = rule in (CoreRule.FLOATING, CoreRule.NOTHING) and pin.mode is not NumaMode.PREFERRED
    floats = rule in (CoreRule.FLOATING, CoreRule.RESIZED)
    return NodeNeed(
        virtual_nodes=(node.node_id,),
        cpus_needed=_cpus_needed(vm, node, rule, vcpus=vcpus, blocks=len(blocks), tables=tables),
        blocks=blocks,
        vcpus=tuple(vcpus) if floats else (),
        vcpu_owners=(node.node_id,) if floats and vcpus else (),
        allowed_nodes=tuple(dict.fromkeys(pin.host_nodes)) or None,
        takes_all_allowed=is_interleaved_list and can_spread,
        span=max(1, len(set(node.host_nodes))) if can_spread and not is_interleaved_list else 1,
        **fields,
    )


def _cpus_needed(
    vm: Vm, node: VirtualNumaNode, rule: CoreRule, *, vcpus: CpuSet, blocks: int, tables: HostTables | None
) -> int:
    if rule is CoreRule.SIBLINGS:
        return blocks * max(1, vm.topology.threads)
    if rule is CoreRule.WHOLE_CORES:
        return blocks
    if rule is CoreRule.FLOATING:
        # A virtual node never has more vCPUs than CPUs to run on, unless that is how it runs now.
        return min(len(vcpus), _present_cpus(vm, node, vcpus, tables) or len(vcpus))
    return len(vcpus) if rule is CoreRule.RESIZED else 0


def _present_cpus(vm: Vm, node: VirtualNumaNode, vcpus: CpuSet, tables: HostTables | None) -> int:
    """How many CPUs the vCPUs of this node may use now; 0 = not known."""
    pinned = EMPTY
    for vcpu, cpus in vm.pinning.vcpus:
        if vcpu in vcpus:
            pinned |= cpus
    if pinned or tables is None:
        return len(pinned)
    return sum(tables.node_bits[tables.index[i]].bit_count() for i in node.host_nodes if i in tables.index)


def _tune_of(vm: Vm, rule: CoreRule, bound: set[int]) -> Tune | None:
    tune = vm.numa_tune
    if tune is None:
        return None
    loose = unbound_memory(vm, bound)
    if rule in (CoreRule.SIBLINGS, CoreRule.WHOLE_CORES, CoreRule.RESIZED) or not loose:
        return following_tune(vm)
    fields = memory_fields([(0 if tune.mode is NumaMode.PREFERRED else kib, size, 1) for kib, size in loose])
    pages = ((fields["page_kib"], fields["pages"]),) if fields["page_kib"] else ()
    return Tune(tune.mode, tuple(tune.nodeset), (), fields["memory_kib"], pages + fields["more_pages"])


def _needs_by_source_node(vm: Vm, bound: list[Bound], tables: HostTables | None) -> dict[int, int]:
    """Position of a source node -> the need of the (first) virtual node that is bound to it now."""
    result: dict[int, int] = {}
    if tables is None:
        return result
    by_id = {node.node_id: node for node in vm.virtual_nodes}
    for item in bound:
        for host_node in by_id[item.node_id].host_nodes:
            if host_node in tables.index:
                result.setdefault(tables.index[host_node], item.needs[0])
    return result
