"""Large clusters for measurements: hosts of mixed models with other pinned VMs on them, deterministic."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, NodeUsage
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    NumaMode,
    OptimizedFor,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmIntent,
    VmLoad,
)
from tests.builders import MIB, a_host, a_snapshot, a_topology, a_vm

MODELS = (
    a_topology(2, 1, 16, 2, mib_per_node=131_072, huge_2m=32_768),
    a_topology(2, 2, 8, 2, mib_per_node=65_536, huge_2m=16_384),
    a_topology(2, 4, 8, 2, mib_per_node=65_536, huge_2m=16_384),
    a_topology(4, 2, 8, 2, mib_per_node=65_536, huge_2m=16_384),
)


def _neighbour(random: Random, host: Host, number: int) -> Vm:
    """A pinned VM on some cores of one node."""
    node = random.choice(host.topology.nodes)
    cores = [cpu for cpu in host.topology.cpus if cpu.node_id == node.node_id and cpu.siblings.first == cpu.cpu_id]
    chosen = random.sample(cores, k=2)
    cpus = [cpu_id for cpu in chosen for cpu_id in cpu.siblings]
    return a_vm(
        f"n{number}-{host.name}",
        host=host.name,
        vcpus=len(cpus),
        memory_mib=4096,
        topology=VcpuTopology(1, 2, 2),
        virtual_nodes=(VirtualNumaNode(0, CpuSet.of(range(4)), 4096 * MIB, (node.node_id,), page_kib=2048),),
        pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus))),
        intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE, migration_mode=MigrationMode.MANUAL),
    )


def a_pinned_vm(host: Host, nodes: int = 4, *, name: str = "the-vm") -> Vm:
    """16 vCPUs over `nodes` virtual nodes with huge pages, pinned one to one to cores of as many nodes of its host."""
    each = 16 // nodes
    virtual, pinning = [], []
    for i in range(nodes):
        node = host.topology.nodes[i]
        cpus = [c.cpu_id for c in host.topology.cpus if c.node_id == node.node_id and c.siblings.first == c.cpu_id][
            -each:
        ]
        virtual.append(
            VirtualNumaNode(
                i, CpuSet.of(range(i * each, i * each + each)), 8192 * MIB, (node.node_id,), NumaMode.STRICT, 2048
            )
        )
        pinning += [(i * each + k, CpuSet.of([cpu])) for k, cpu in enumerate(cpus)]
    return a_vm(
        name,
        host=host.name,
        vcpus=16,
        memory_mib=nodes * 8192,
        topology=VcpuTopology(nodes, each, 1),
        virtual_nodes=tuple(virtual),
        huge_page_kib=2048,
        pinning=CpuPinning(vcpus=tuple(pinning)),
        intent=VmIntent(
            optimized_for=OptimizedFor.HIGH_PERFORMANCE,
            cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE,
            migration_mode=MigrationMode.MANUAL,
        ),
    )


def a_large_cluster(hosts: int, vms_per_host: int = 3, *, seed: int = 1) -> tuple[ClusterSnapshot, Vm]:
    """`hosts` hosts of four models in turn, each with pinned VMs and load; and one pinned VM of four virtual nodes."""
    random = Random(seed)
    made: list[Host] = []
    vms: list[Vm] = []
    for i in range(hosts):
        base = a_host(f"host-{i:05d}", topology=MODELS[i % len(MODELS)], cpu_load_pct=random.uniform(0, 95))
        nodes = tuple(
            NodeUsage(
                node.node_id,
                free_kib=random.choice([2, 8, 32]) * 1024 * MIB,
                free_pages=((2048, random.choice([1024, 3000, 8192, 16_384])),),
                total_pages=node.page_totals,
            )
            for node in base.topology.nodes
        )
        usage = replace(base.usage, nodes=nodes, memory_free_kib=sum(node.free_kib for node in nodes))
        host = replace(base, usage=usage, hostname=base.name, machine_types=frozenset({"pc-q35-7.2"}))
        made.append(host)
        vms += [_neighbour(random, host, k) for k in range(vms_per_host)]
    wanted = a_pinned_vm(made[2])
    vms.append(wanted)
    loads = {vm.uuid: VmLoad(cpu_pct=random.uniform(0, 100)) for vm in vms}
    return a_snapshot(made, vms, loads), wanted
