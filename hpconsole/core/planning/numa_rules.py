"""Are these virtual NUMA nodes something a VM can have, and can the chosen hosts hold them? (behaviour.md B8).

Rules in the reference's order; the first broken one is the answer. Free memory is not looked at: that is the
scheduler's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hpconsole.core.model.vm import CpuPinningPolicy, NumaMode
from hpconsole.core.scheduler.wording import listed

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """A virtual node as it is edited: values may still be impossible. `key` is what makes it the same node."""

    index: int
    memory_kib: int
    host_nodes: tuple[int | None, ...] = ()
    vcpus: tuple[int, ...] = ()
    mode: NumaMode = NumaMode.INTERLEAVE
    key: str | None = None


@dataclass(frozen=True, slots=True)
class VmFacts:
    """What the rules ask of the VM."""

    vcpus: int
    memory_kib: int
    policy: CpuPinningPolicy = CpuPinningPolicy.NONE
    huge_page_kib: int | None = None


@dataclass(frozen=True, slots=True)
class NumaProblem:
    """What is wrong. `kind` is the reference's message key."""

    kind: str
    sentence: str


HostNodes = Mapping[int, int]  # node number -> its memory, KiB


def check(nodes: Sequence[NodeDraft], vm: VmFacts, hosts: Mapping[str, HostNodes] | None) -> NumaProblem | None:
    """Every rule. `hosts`: the chosen hosts with their nodes; None = the rules about the VM alone."""
    if not nodes:
        return None
    return check_nodes(nodes, vm) or (None if hosts is None else check_hosts(nodes, vm, hosts))


def check_nodes(nodes: Sequence[NodeDraft], vm: VmFacts) -> NumaProblem | None:
    """The rules about the VM alone."""
    if not nodes:
        return None
    return (
        _check_preferred(nodes)
        or _check_count(nodes, vm)
        or check_duplicates(nodes)
        or _check_gaps(nodes)
        or _check_vcpus(nodes, vm)
        or _check_memory(nodes, vm)
    )


def check_hosts(nodes: Sequence[NodeDraft], vm: VmFacts, hosts: Mapping[str, HostNodes]) -> NumaProblem | None:
    """The rules about the chosen hosts."""
    if vm.policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
        return None
    if not hosts and any(node.host_nodes for node in nodes):
        return NumaProblem(
            "ACTION_TYPE_FAILED_VM_NOT_PINNED_TO_AT_LEAST_ONE_HOST",
            "Virtual NUMA nodes are pinned to nodes of a host, but the VM may run on any: choose at least one specific "
            "host for it in Edit VM, or unpin them.",
        )
    for name, host_nodes in hosts.items():
        problem = check_host(nodes, name, host_nodes)
        if problem is not None:
            return problem
    return None


def check_host(nodes: Sequence[NodeDraft], name: str, host_nodes: HostNodes) -> NumaProblem | None:
    """Whether this host can hold the pins."""
    if not host_nodes:
        return NumaProblem("VM_NUMA_PINNED_VDS_NODE_EMPTY", f"{name} tells no NUMA nodes.")
    if len(host_nodes) == 1:
        return NumaProblem("HOST_NUMA_NOT_SUPPORTED", f"{name} has only one NUMA node, so nothing can be pinned there.")
    for node in nodes:
        for host_node in node.host_nodes:
            if host_node is None:
                return NumaProblem(
                    "VM_NUMA_NODE_PINNED_INDEX_ERROR", f"Virtual node {node.index} has a pin to no node."
                )
            if host_node not in host_nodes:
                return NumaProblem(
                    "VM_NUMA_NODE_HOST_NODE_INVALID_INDEX",
                    f"Virtual node {node.index} is pinned to node {host_node}, which {name} does not have.",
                )
            if node.mode is NumaMode.STRICT and node.memory_kib > host_nodes[host_node]:
                return NumaProblem(
                    "VM_NUMA_NODE_MEMORY_ERROR",
                    f"Virtual node {node.index} has {node.memory_kib // 1024:,} MiB, "
                    f"node {host_node} of {name} only {host_nodes[host_node] // 1024:,} MiB.",
                )
    return None


def check_duplicates(nodes: Iterable[NodeDraft]) -> NumaProblem | None:
    """No number twice."""
    twice = sorted(index for index, count in Counter(node.index for node in nodes).items() if count > 1)
    if twice:
        return NumaProblem("VM_NUMA_NODE_INDEX_DUPLICATE", f"Virtual node numbers occur twice: {listed(twice)}.")
    return None


def _check_preferred(nodes: Sequence[NodeDraft]) -> NumaProblem | None:
    if not any(node.mode is NumaMode.PREFERRED for node in nodes):
        return None
    if len(nodes) == 1 and len(nodes[0].host_nodes) == 1:
        return None
    return NumaProblem(
        "VM_NUMA_NODE_PREFERRED_NOT_PINNED_TO_SINGLE_NODE",
        "Mode “preferred” is for a VM with one virtual node, pinned to one node of the host.",
    )


def _check_count(nodes: Sequence[NodeDraft], vm: VmFacts) -> NumaProblem | None:
    if len(nodes) <= vm.vcpus:
        return None
    return NumaProblem(
        "VM_NUMA_NODE_MORE_NODES_THAN_CPUS", f"{len(nodes)} virtual nodes are more than the VM's {vm.vcpus} vCPUs."
    )


def _check_gaps(nodes: Sequence[NodeDraft]) -> NumaProblem | None:
    present = {node.index for node in nodes}
    missing = [index for index in range(len(nodes)) if index not in present]
    if not missing:
        return None
    shown = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
    return NumaProblem(
        "VM_NUMA_NODE_NON_CONTINUOUS_INDEX",
        f"{len(nodes)} virtual nodes are numbered 0 to {len(nodes) - 1}; missing: {shown}.",
    )


def _check_vcpus(nodes: Sequence[NodeDraft], vm: VmFacts) -> NumaProblem | None:
    named = [vcpu for node in nodes for vcpu in node.vcpus]
    outside = sorted(vcpu for vcpu in named if not 0 <= vcpu < vm.vcpus)
    if outside:
        return NumaProblem(
            "VM_NUMA_NODE_INVALID_CPU_ID", f"There is no vCPU {outside[0]}: the VM has 0 to {vm.vcpus - 1}."
        )
    twice = sorted(vcpu for vcpu, count in Counter(named).items() if count > 1)
    if twice:
        return NumaProblem("VM_NUMA_NODE_DUPLICATE_CPU_IDS", f"vCPUs are in two virtual nodes: {listed(twice)}.")
    return None


def _check_memory(nodes: Sequence[NodeDraft], vm: VmFacts) -> NumaProblem | None:
    total = sum(node.memory_kib for node in nodes)
    if total > vm.memory_kib:
        return NumaProblem(
            "VM_NUMA_NODE_TOTAL_MEMORY_ERROR",
            f"The virtual nodes have {total // 1024:,} MiB together, the VM only {vm.memory_kib // 1024:,} MiB.",
        )
    size = vm.huge_page_kib
    uneven = [node.index for node in nodes if size and node.memory_kib % size]
    if uneven:
        return NumaProblem(
            "VM_NUMA_NODE_NOT_MULTIPLE_OF_HUGEPAGE",
            f"The memory of virtual nodes {listed(uneven)} is no multiple of the huge page size ({size:,} KiB).",
        )
    return None


# Edits of the node list


def added(existing: Sequence[NodeDraft], requested: Sequence[NodeDraft]) -> tuple[NodeDraft, ...]:
    """The nodes after some were added."""
    return (*existing, *requested)


def updated(existing: Sequence[NodeDraft], requested: Sequence[NodeDraft]) -> tuple[NodeDraft, ...]:
    """The nodes after those of the same key were replaced; keys that nobody has are added."""
    by_key = {node.key: node for node in requested}
    known = {node.key for node in existing}
    return (*(by_key.get(node.key, node) for node in existing), *(n for n in requested if n.key not in known))


def removed(existing: Sequence[NodeDraft], requested: Sequence[NodeDraft]) -> tuple[NodeDraft, ...]:
    """The nodes after those of the same key were taken out."""
    gone = {node.key for node in requested}
    return tuple(node for node in existing if node.key not in gone)


def edited(operation: str, existing: Sequence[NodeDraft], requested: Sequence[NodeDraft]) -> tuple[NodeDraft, ...]:
    """The nodes after an edit (`add`, `update`, `set`, `remove`)."""
    change = {"add": added, "update": updated, "remove": removed}.get(operation)
    return tuple(requested) if change is None else change(existing, requested)


def check_edit(
    operation: str,
    existing: Sequence[NodeDraft],
    requested: Sequence[NodeDraft],
    vm: VmFacts | None,
    hosts: Mapping[str, HostNodes] | None,
) -> NumaProblem | None:
    """Whether an edit leads to something the VM can have. `vm` None: it is gone. `hosts`: as in `check`."""
    if vm is None:
        return NumaProblem("ACTION_TYPE_FAILED_VM_NOT_FOUND", "The VM does not exist any more.")
    # Before the whole: two edits that contradict each other are named as such, not as one node too many.
    contradiction = check_duplicates(requested) if operation == "update" else None
    return contradiction or check(edited(operation, existing, requested), vm, hosts)
