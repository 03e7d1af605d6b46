"""Checks that a placement breaks no rule, whatever its quality: for hosts too large for brute force."""

from __future__ import annotations

from collections.abc import Iterator

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinningPolicy, NumaMode, Vm
from hpconsole.core.scheduler.occupancy import PLAIN, Occupancy, claims_of


def violations(vm: Vm, taken: Occupancy, placement: Placement) -> list[str]:
    """Every rule that the placement breaks."""
    return [*_cpu_violations(vm, taken, placement), *_memory_violations(vm, taken, placement)]


def _cpu_violations(vm: Vm, taken: Occupancy, placement: Placement) -> Iterator[str]:
    topology = taken.host.topology
    online = topology.all_cpus
    policy = vm.intent.cpu_pinning_policy
    core = {cpu.cpu_id: (cpu.siblings | CpuSet.of([cpu.cpu_id])) & online for cpu in topology.cpus}
    # A kept shape may have vCPUs at home on a whole node, beside others' shared CPUs.
    is_alone = policy in (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS)
    forbidden = taken.exclusive | taken.shared if is_alone else taken.exclusive
    for vcpu, cpus in placement.pinning.vcpus:
        if not cpus or not cpus <= online:
            yield f"vCPU {vcpu} on {cpus} of {online}"
        if not cpus.isdisjoint(forbidden):
            yield f"vCPU {vcpu} on CPUs of others: {cpus & forbidden}"
    if policy in (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS):
        used = [cpus.first for _, cpus in placement.pinning.vcpus]
        if len(used) != vm.vcpus or any(len(cpus) != 1 for _, cpus in placement.pinning.vcpus):
            yield "not every vCPU has one CPU"
        if len(set(used)) != len(used):
            yield "two vCPUs on one CPU"
        if policy is CpuPinningPolicy.ISOLATE_THREADS:
            if len({core[cpu] for cpu in used}) != len(used):
                yield "two vCPUs on one core"
            if any(not core[cpu].isdisjoint(forbidden) for cpu in used):
                yield "a core shared with another VM"
        threads = max(1, vm.topology.threads) if policy is CpuPinningPolicy.DEDICATED else 1
        by_core: dict[int, set[int]] = {}
        for vcpu, cpus in placement.pinning.vcpus:
            by_core.setdefault(vcpu // threads, set()).add(core[cpus.first].bits)
        if any(len(cores) > 1 for cores in by_core.values()):
            yield "siblings of a virtual core on different cores"
    yield from _locality_violations(vm, taken, placement)


def _locality_violations(vm: Vm, taken: Occupancy, placement: Placement) -> Iterator[str]:
    """The vCPUs of a bound virtual node must be on its host nodes (but for literal maps and kept shapes)."""
    if vm.intent.cpu_pinning_policy in (CpuPinningPolicy.MANUAL, CpuPinningPolicy.KEEP_SHAPE):
        return
    topology = taken.host.topology
    nodes = {node.node_id: node.cpus for node in topology.nodes} or {0: topology.all_cpus}
    by_id = {node.node_id: node for node in vm.virtual_nodes}
    for binding in placement.bindings:
        here = nodes[binding.host_nodes[0]]
        for node in binding.host_nodes[1:]:
            here |= nodes[node]
        for vcpu in by_id[binding.node_id].vcpus:
            cpus = placement.pinning.of_vcpu(vcpu)
            if cpus is not None and not cpus <= here:
                yield f"vCPU {vcpu} of virtual node {binding.node_id} on {cpus}, outside of {here}"


def _memory_violations(vm: Vm, taken: Occupancy, placement: Placement) -> Iterator[str]:
    bound = {binding.node_id for binding in placement.bindings}
    wanted = {pin.node_id for pin in vm.intent.numa_pins}
    if not wanted <= bound:
        yield f"virtual nodes {wanted - bound} are not bound"
    for binding in placement.bindings:
        pin = next((pin for pin in vm.intent.numa_pins if pin.node_id == binding.node_id), None)
        if pin is not None and pin.host_nodes and not set(binding.host_nodes) <= set(pin.host_nodes):
            yield f"virtual node {binding.node_id} on {binding.host_nodes}, not on {pin.host_nodes}"
        if pin is not None and pin.mode is not binding.mode:
            yield f"virtual node {binding.node_id} changed its mode"
        if not binding.host_nodes or (binding.mode is NumaMode.PREFERRED and len(binding.host_nodes) > 1):
            yield f"virtual node {binding.node_id} is bound to {binding.host_nodes}"
    for claim in claims_of(vm, placement):
        free = taken.free_kib.get(claim.node_id, 0)
        if claim.page_kib != PLAIN:
            free = taken.free_pages.get(claim.node_id, {}).get(claim.page_kib, 0)
        if claim.amount > free:
            yield f"{claim.amount} of {free} on node {claim.node_id} (pages of {claim.page_kib})"
