"""A placement in one sentence: which CPUs and nodes a VM gets on a host, and which it has now. Pure."""

from __future__ import annotations

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host, HostTopology
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import Vm


def move_sentence(vm: Vm, source: Host, destination: Host, placement: Placement) -> str:
    """What moving `vm` means: from where, to where, and what becomes of its pinning."""
    beginning = f"Move {vm.name} from {source.name} to {destination.name}"
    pinned = len(placement.pinning.vcpus)
    if pinned:
        after = cpus_on_nodes(placement.pinning.all_vcpu_cpus, destination.topology)
        before = cpus_on_nodes(vm.pinning.all_vcpu_cpus, source.topology) if vm.pinning.vcpus else ""
        whose = f"its {pinned} vCPUs" if pinned > 1 else "its vCPU"
        if after == before:
            return f"{beginning}; {whose} stay{'' if pinned > 1 else 's'} pinned to {after}."
        return f"{beginning}; {whose} will be pinned to {after} (now {before or 'not pinned'})."
    after_nodes = bound_nodes(placement)
    before_nodes = vm_nodes(vm)
    if after_nodes and after_nodes == before_nodes:
        return f"{beginning}; its memory stays bound to {_nodes(after_nodes)}."
    if after_nodes:
        now = f"now {_nodes(before_nodes)}" if before_nodes else "now not bound"
        return f"{beginning}; its memory will be bound to {_nodes(after_nodes)} ({now})."
    return f"{beginning}."


def cpus_on_nodes(cpus: CpuSet, topology: HostTopology) -> str:
    """`CPUs 2-5 on node 1`, naming every node that holds one of them; without a node where the host tells none."""
    word = "CPU" if len(cpus) == 1 else "CPUs"
    nodes = CpuSet.of(node.node_id for node in topology.nodes if not node.cpus.isdisjoint(cpus))
    return f"{word} {cpus.format()}" + (f" on {_nodes(nodes)}" if nodes else "")


def bound_nodes(placement: Placement) -> CpuSet:
    """Every host node that the placement binds memory to."""
    nodes = placement.numa_tune.nodeset if placement.numa_tune is not None else EMPTY
    return nodes | CpuSet.of(node for binding in placement.bindings for node in binding.host_nodes)


def vm_nodes(vm: Vm) -> CpuSet:
    """Every host node that the VM's memory is bound to now."""
    nodes = vm.numa_tune.nodeset if vm.numa_tune is not None else EMPTY
    return nodes | CpuSet.of(node for virtual in vm.virtual_nodes for node in virtual.host_nodes)


def _nodes(nodes: CpuSet) -> str:
    return f"node {nodes.format()}" if len(nodes) == 1 else f"nodes {nodes.format()}"
