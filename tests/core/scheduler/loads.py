"""Random loads of large hosts, and VMs to place on them: for benchmarks and for checks of validity at full size."""

from __future__ import annotations

from random import Random

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostTopology
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmIntent,
    VmState,
)
from hpconsole.core.scheduler.occupancy import Occupancy
from tests.builders import a_topology

PAGE_KIB = 2048
PAGES_PER_NODE = 32_768
EIGHT_NODES = a_topology(sockets=2, nodes_per_socket=4, cores_per_node=8)
SIXTEEN_NODES = a_topology(sockets=4, nodes_per_socket=4, cores_per_node=8)


def loaded(rng: Random, topology: HostTopology, *, load: float | None = None) -> Occupancy:
    """A host whose nodes are taken to different degrees: whole cores and single CPUs by others, huge pages in part."""
    taken = 0
    pages: dict[int, dict[int, int]] = {}
    for node in topology.nodes:
        share = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0]) if load is None else load
        for cpu in topology.cpus:
            if cpu.node_id == node.node_id and cpu.cpu_id == cpu.siblings.first and rng.random() < share:
                taken |= cpu.siblings.bits if rng.random() < 0.7 else 1 << cpu.cpu_id
        pages[node.node_id] = {PAGE_KIB: int(PAGES_PER_NODE * rng.choice([1.0, 0.75, 0.5, 0.25]))}
    return Occupancy(
        host=Host("host-b", topology=topology),
        free_kib={node.node_id: node.memory_kib // 4 for node in topology.nodes},
        free_pages=pages,
        exclusive=CpuSet(taken),
    )


def pinned_vm(
    policy: CpuPinningPolicy,
    topology: HostTopology,
    sizes: tuple[int, ...],
    *,
    pages_per_vcpu: int = 1024,
    threads: int = 1,
) -> Vm:
    """A VM of `len(sizes)` virtual nodes with so many vCPUs each, pinned one to one on as many host nodes."""
    nodes: list[VirtualNumaNode] = []
    pins: list[tuple[int, CpuSet]] = []
    for i, size in enumerate(sizes):
        first = len(pins)
        node = topology.nodes[i % len(topology.nodes)]
        siblings = {cpu.siblings for cpu in topology.cpus if cpu.node_id == node.node_id}
        by_core = sorted(siblings, key=lambda core: core.first)
        cpus = [cpu for core in by_core for cpu in core] if threads > 1 else [core.first for core in by_core]
        pins += [(first + v, CpuSet.of([cpus[v]])) for v in range(size)]
        nodes.append(
            VirtualNumaNode(
                i,
                CpuSet.of(range(first, first + size)),
                size * pages_per_vcpu * PAGE_KIB,
                (node.node_id,),
                page_kib=PAGE_KIB,
            )
        )
    vcpus = len(pins)
    return Vm(
        uuid="vm-1",
        name="vm-1",
        host="host-a",
        state=VmState.RUNNING,
        vcpus=vcpus,
        topology=VcpuTopology(1, vcpus // threads, threads),
        memory_kib=sum(node.memory_kib for node in nodes),
        virtual_nodes=tuple(nodes),
        pinning=CpuPinning(tuple(pins)),
        intent=VmIntent(cpu_pinning_policy=policy),
    )
