"""The clusters of docs/scheduler.md. `python -m tests.core.scheduler.docs_scenarios` writes them to docs/scenarios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostCpuModel, HostStatus, HostTopology, NodeUsage
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
    VmCpu,
    VmIntent,
)
from hpconsole.core.scheduler.scenario import save
from tests.builders import MIB, a_host, a_snapshot, a_topology, a_vm

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "scenarios"
GIB = 1024 * MIB
FOUR_NODES = a_topology(2, 2, 8, 2, mib_per_node=65_536, huge_2m=16_384)
TWO_NODES = a_topology(2, 1, 16, 2, mib_per_node=131_072, huge_2m=32_768)


def host(
    name: str, topology: HostTopology, *, pages: tuple[int, ...] = (), load: float = 20, **changes: object
) -> Host:
    """A host with so many free 2-MiB pages on each node."""
    made = a_host(name, topology=topology, cpu_load_pct=load, **changes)
    nodes = tuple(
        NodeUsage(
            node.node_id,
            free_kib=24 * GIB,
            free_pages=((2048, pages[i] if i < len(pages) else node.page_totals[0][1]),),
            total_pages=node.page_totals,
        )
        for i, node in enumerate(topology.nodes)
    )
    return replace(made, usage=replace(made.usage, nodes=nodes, memory_free_kib=24 * GIB * len(nodes)))


def database(name: str = "db-1", *, on: str = "alpha", first_core: int = 4) -> Vm:
    """8 vCPUs over two virtual nodes in huge pages, each vCPU on a core of its own."""
    cpus = [*range(first_core, first_core + 4), *range(first_core + 8, first_core + 12)]
    nodes = tuple(
        VirtualNumaNode(i, CpuSet.of(range(4 * i, 4 * i + 4)), 16 * GIB, (i,), NumaMode.STRICT, 2048) for i in range(2)
    )
    return a_vm(
        name,
        host=on,
        vcpus=8,
        memory_mib=32 * 1024,
        topology=VcpuTopology(2, 4, 1),
        virtual_nodes=nodes,
        huge_page_kib=2048,
        pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus))),
        intent=VmIntent(
            optimized_for=OptimizedFor.HIGH_PERFORMANCE,
            cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE,
            migration_mode=MigrationMode.MANUAL,
        ),
    )


def huge_pages() -> ClusterSnapshot:
    """A database VM that needs two nodes with 8,192 free pages each."""
    hosts = [
        host("alpha", FOUR_NODES),
        host("beta", FOUR_NODES, load=30),
        host("gamma", FOUR_NODES, load=75),
        host("delta", FOUR_NODES, pages=(9000, 7680, 2000, 4000)),
    ]
    return a_snapshot(hosts, [database()])


def own_cpus() -> ClusterSnapshot:
    """The cores of a host that has the memory belong to other VMs: three are left on one node, none elsewhere."""
    single = a_topology(2, 2, 8, 1, mib_per_node=65_536, huge_2m=16_384)
    left = (
        (*range(4), *range(8, 12)),
        (*range(4, 8), *range(12, 16)),
        (*range(16, 20), *range(24, 28)),
        (20, *range(28, 32)),
    )
    neighbours = [
        replace(
            database(f"app-{i}", on="beta"),
            vcpus=len(cpus),
            virtual_nodes=(),
            huge_page_kib=None,
            memory_kib=GIB,
            topology=VcpuTopology(1, len(cpus), 1),
            pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus))),
        )
        for i, cpus in enumerate(left)
    ]
    hosts = [host("alpha", single), host("beta", single), host("gamma", TWO_NODES)]
    return a_snapshot(hosts, [database(), *neighbours])


def cpu_model() -> ClusterSnapshot:
    """A VM with pass-through CPU; one host lacks a flag, one is in maintenance."""
    new = HostCpuModel(arch="x86_64", model="Icelake", features=frozenset({"avx2", "avx512f", "aes"}))
    old = HostCpuModel(arch="x86_64", model="Skylake", features=frozenset({"avx2", "aes"}))
    hosts = [
        host("alpha", TWO_NODES, cpu=new),
        host("beta", TWO_NODES, cpu=new, load=40),
        host("gamma", TWO_NODES, cpu=old),
        host("delta", TWO_NODES, cpu=new, status=HostStatus.MAINTENANCE),
    ]
    vm = replace(a_vm("compute", host="alpha", vcpus=8, memory_mib=8192), cpu=VmCpu(mode="host-passthrough"))
    return a_snapshot(hosts, [vm])


def affinity() -> ClusterSnapshot:
    """Two web servers that must not share a host, and one that should be near the cache."""
    vms = [a_vm(f"web-{i}", host=name, vcpus=4, memory_mib=4096) for i, name in ((1, "alpha"), (2, "beta"))]
    cache = a_vm("cache", host="gamma", vcpus=4, memory_mib=16_384)
    groups = (
        AffinityGroup(
            "web apart",
            vm_rule=AffinityRule.NEGATIVE,
            is_vm_rule_enforced=True,
            vms=tuple(vm.uuid for vm in vms),
        ),
        AffinityGroup("licensed", host_rule=AffinityRule.POSITIVE, vms=(vms[0].uuid,), hosts=("alpha", "gamma")),
    )
    hosts = [
        host(name, TWO_NODES, load=load) for name, load in (("alpha", 50), ("beta", 10), ("gamma", 60), ("delta", 15))
    ]
    return replace(a_snapshot(hosts, [*vms, cache]), affinity_groups=groups)


def small_hosts() -> ClusterSnapshot:
    """A large VM without pinning: one host has too few cores, one too little memory, one is full of promises."""
    small = a_topology(1, 1, 8, 2, mib_per_node=65_536, huge_2m=0)
    hosts = [
        host("alpha", TWO_NODES, load=85),
        host("beta", small, pages=(0,)),
        replace(host("gamma", TWO_NODES), memory_kib=140 * GIB),
        host("delta", TWO_NODES, load=5),
    ]
    vms = [a_vm("warehouse", host="alpha", vcpus=12, memory_mib=40 * 1024)]
    return a_snapshot(hosts, vms)


SCENARIOS: dict[str, Callable[[], ClusterSnapshot]] = {
    "huge-pages": huge_pages,
    "own-cpus": own_cpus,
    "cpu-model": cpu_model,
    "affinity": affinity,
    "small-hosts": small_hosts,
}


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in SCENARIOS.items():
        save(make(), FOLDER / f"{name}.json")


if __name__ == "__main__":
    main()
