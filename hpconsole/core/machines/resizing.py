"""What a VM with the policy *Resize and pin to NUMA* becomes on a host (behaviour.md A6.5). Pure.

Virtual sockets, cores and threads like the host's with one core of each socket left to it, a virtual node for each host
node with CPUs, bound to it, and every vCPU on the threads of its core.
"""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.machines.draft import CpuPinningPolicy, VmDraft
from hpconsole.core.machines.editing import with_node_count, with_topology
from hpconsole.core.machines.layout import host_topology
from hpconsole.core.model.host import Host
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode
from hpconsole.core.planning.virtual_numa import resize_and_pin, resized_topology


def resized(draft: VmDraft, host: Host) -> VmDraft:
    """The draft as large as the host; one of another policy as it is.

    Raises:
        InvalidEdit: the host has one core per socket, or tells no CPUs.
    """
    if draft.cpu_pinning_policy is not CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
        return draft
    most = host_topology(host)
    if most.cores < 2 or not host.topology.cpus:
        raise InvalidEdit(
            "cpu_pinning_policy",
            f"Resize and pin leaves one core of each socket to the host, and {host.name} has "
            f"{'only one' if host.topology.cpus else 'told no CPUs'}.",
        )
    cores = most.sockets * most.cores
    topology = resized_topology(most.sockets, cores, cores * most.threads)
    count = sum(1 for node in host.topology.nodes if node.cpus)
    shaped = with_node_count(with_topology(draft, topology), count)
    nodes = tuple(replace(node, mode=NumaMode.STRICT, host_nodes=()) for node in shaped.numa_nodes)
    return replace(shaped, numa_nodes=nodes)


def resized_placement(draft: VmDraft, host: Host, uuid: str) -> Placement:
    """The map of a resized draft on this host."""
    nodes = [node for node in host.topology.nodes if node.cpus]
    most = host_topology(host)
    cores = most.sockets * most.cores
    pinning = resize_and_pin(
        draft.vcpus,
        sockets=most.sockets,
        cores=cores,
        threads=cores * most.threads,
        nodes=[node.cpus for node in nodes],
    )
    bindings = tuple(
        NodeBinding(virtual.index, (node.node_id,), NumaMode.STRICT)
        for virtual, node in zip(draft.numa_nodes, nodes, strict=True)
    )
    return Placement(uuid, host.name, bindings, CpuPinning(pinning))
