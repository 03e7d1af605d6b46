"""A host with 50 VMs to be emptied, among many hosts that are in use; deterministic."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host
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
from tests.benchmarks.clusters import MODELS, a_large_cluster
from tests.builders import MIB, a_host, a_snapshot, a_vm

PINNED = ((2, 4096), (4, 8192), (2, 8192), (4, 4096))  # (cores of one node, MiB), turned over by the 20 pinned VMs
PLAIN = ((2, 2048), (4, 4096), (4, 8192), (8, 8192), (2, 4096), (8, 16_384))  # (vCPUs, MiB) of the 30 others


def a_pinned_guest(host: Host, number: int, node_id: int, first: int) -> Vm:
    """Whole cores of one node from its `first` on, 2-MiB pages."""
    cores_wanted, memory_mib = PINNED[number % len(PINNED)]
    cores = [c for c in host.topology.cpus if c.node_id == node_id and c.siblings.first == c.cpu_id]
    cpus = [cpu for core in cores[first : first + cores_wanted] for cpu in core.siblings]
    return a_vm(
        f"hp-{number:02d}",
        host=host.name,
        vcpus=len(cpus),
        memory_mib=memory_mib,
        topology=VcpuTopology(1, cores_wanted, 2),
        virtual_nodes=(
            VirtualNumaNode(0, CpuSet.of(range(len(cpus))), memory_mib * MIB, (node_id,), NumaMode.STRICT, 2048),
        ),
        pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus))),
        intent=VmIntent(
            optimized_for=OptimizedFor.HIGH_PERFORMANCE,
            cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE,
            migration_mode=MigrationMode.MANUAL,
        ),
    )


def a_drain_case(hosts: int = 1000, *, pinned: int = 20, plain: int = 30) -> tuple[ClusterSnapshot, str]:
    """The cluster of the scheduler's measurements and one more host, full of VMs; its name."""
    base, _ = a_large_cluster(hosts - 1)
    full = a_host("host-full", topology=MODELS[3], cpu_load_pct=60, machine_types=frozenset({"pc-q35-7.2"}))
    random = Random(5)
    vms: list[Vm] = []
    first = [0] * len(full.topology.nodes)
    for i in range(pinned):
        node = min(range(len(first)), key=lambda n: first[n])
        vms.append(a_pinned_guest(full, i, node, first[node]))
        first[node] += PINNED[i % len(PINNED)][0]
    for i in range(plain):
        vcpus, memory_mib = PLAIN[i % len(PLAIN)]
        vms.append(a_vm(f"web-{i:02d}", host=full.name, vcpus=vcpus, memory_mib=memory_mib))
    loads = {**base.loads, **{vm.uuid: VmLoad(cpu_pct=random.uniform(5, 80)) for vm in vms}}
    everything = [*base.vms.values(), *vms]
    made = a_snapshot([*base.hosts.values(), full], everything, loads)
    return replace(made, serial=1), full.name
