"""A cluster for the Migrate dialog: one host that fits, one that fits less well, and some that cannot take the VM."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostLink, HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    NumaPin,
    OptimizedFor,
    Vm,
    VmIntent,
)
from tests.builders import NOW, a_host, a_snapshot, a_topology, a_vm, virtual_nodes


def trade_engine(host: str = "host-a") -> Vm:
    """4 vCPUs on CPUs of their own, 2 virtual nodes on a host node each, 4 GiB of 2-MiB pages."""
    return a_vm(
        "trade-engine-1",
        host=host,
        vcpus=4,
        memory_mib=4096,
        huge_page_kib=2048,
        virtual_nodes=tuple(
            replace(node, page_kib=2048) for node in virtual_nodes(2, vcpus=4, memory_mib=4096, pins=[[0], [1]])
        ),
        pinning=CpuPinning(tuple((vcpu, CpuSet.of([cpu])) for vcpu, cpu in enumerate((2, 18, 10, 26)))),
        intent=VmIntent(
            optimized_for=OptimizedFor.HIGH_PERFORMANCE,
            migration_mode=MigrationMode.MANUAL,
            cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE,
            numa_pins=(NumaPin(0), NumaPin(1)),
        ),
    )


def hosts() -> list[Host]:
    """host-a has the VM; b and c can take it, b better; d is too small, e in maintenance, f away."""
    away = HostLink(LinkState.DISCONNECTED, since=NOW, problem="Connection refused.")
    return [
        a_host("host-a"),
        a_host("host-b", cpu_load_pct=5, topology=a_topology(2, 2, 8, 2, huge_2m=4096)),
        a_host("host-c", cpu_load_pct=80, topology=a_topology(2, 1, 8, 2, huge_2m=4096)),
        a_host("host-d", topology=a_topology(1, 1, 2, 1, mib_per_node=2048, huge_2m=0)),
        a_host("host-e", status=HostStatus.MAINTENANCE),
        a_host("host-f", link=away),
    ]


def cluster(*others: Vm, serial: int = 1) -> ClusterSnapshot:
    """These hosts with the trade engine and, besides it, `others`."""
    return a_snapshot(hosts(), [trade_engine(), *others], serial=serial)
