"""Hosts, VMs and snapshots for tests: valid by default, say only what the test is about."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import (
    CacheBank,
    Host,
    HostCpu,
    HostLink,
    HostNumaNode,
    HostTopology,
    HostUsage,
    LinkState,
    NodeUsage,
)
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import VcpuTopology, VirtualNumaNode, Vm, VmLoad, VmState

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MIB = 1024  # KiB


def a_topology(
    sockets: int = 2,
    nodes_per_socket: int = 1,
    cores_per_node: int = 8,
    threads: int = 2,
    *,
    mib_per_node: int = 65_536,
    huge_2m: int = 1024,
    has_l3: bool = True,
) -> HostTopology:
    """A machine numbered as Linux does it: thread 0 of every core first. Distances 10, 12 in a socket, 21 across."""
    count = sockets * nodes_per_socket
    cores = count * cores_per_node
    cpus: list[HostCpu] = []
    nodes: list[HostNumaNode] = []
    banks: list[CacheBank] = []
    for node in range(count):
        socket = node // nodes_per_socket
        own = range(node * cores_per_node, (node + 1) * cores_per_node)
        node_cpus = CpuSet.of(core + t * cores for core in own for t in range(threads))
        for core in own:
            siblings = CpuSet.of(core + t * cores for t in range(threads))
            core_id = core - socket * nodes_per_socket * cores_per_node
            cpus += [HostCpu(cpu, node, socket, 0, core_id, siblings) for cpu in siblings]
        distances = tuple(
            (other, 10 if other == node else 12 if other // nodes_per_socket == socket else 21)
            for other in range(count)
        )
        nodes.append(HostNumaNode(node, mib_per_node * MIB, node_cpus, distances, ((2048, huge_2m),)))
        banks.append(CacheBank(3, 32 * MIB, node_cpus))
    return HostTopology(
        cpus=tuple(sorted(cpus, key=lambda cpu: cpu.cpu_id)),
        nodes=tuple(nodes),
        l3_banks=tuple(banks) if has_l3 else (),
        sockets=sockets,
        cores=cores,
        threads=cores * threads,
    )


def a_host(name: str = "host-a", *, cpu_load_pct: float = 10.0, **changes: Any) -> Host:
    """A connected host, nearly empty; node memory is 90 % free less the huge pages, all huge pages free."""
    topology: HostTopology = changes.pop("topology", None) or a_topology()
    nodes = tuple(
        NodeUsage(
            node.node_id,
            free_kib=int(node.memory_kib * 0.9) - sum(size * pages for size, pages in node.page_totals),
            free_pages=node.page_totals,
            total_pages=node.page_totals,
        )
        for node in topology.nodes
    )
    usage = HostUsage(
        at=NOW,
        memory_free_kib=sum(node.free_kib for node in nodes),
        swap_total_kib=0,
        swap_free_kib=0,
        cpu_pct=cpu_load_pct,
        nodes=nodes,
    )
    facts: dict[str, Any] = {
        "uri": f"qemu+ssh://{name}/system",
        "hostname": name,
        "link": HostLink(LinkState.CONNECTED, since=NOW, answered_at=NOW),
        "libvirt_version": 9_000_000,
        "hypervisor_version": 7_002_022,
        "memory_kib": sum(node.memory_kib for node in topology.nodes),
        "topology": topology,
        "usage": usage,
    }
    return Host(name=name, **(facts | changes))


def a_vm(
    name: str = "vm-1", *, host: str | None = "host-a", vcpus: int = 4, memory_mib: int = 4096, **changes: Any
) -> Vm:
    """A running VM without pinning."""
    facts: dict[str, Any] = {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "host": host,
        "state": VmState.RUNNING if host else VmState.SHUT_OFF,
        "vcpus": vcpus,
        "topology": VcpuTopology(sockets=1, cores=vcpus, threads=1),
        "memory_kib": memory_mib * MIB,
        "arch": "x86_64",
        "virt_type": "kvm",
    }
    return Vm(name=name, **(facts | changes))


def virtual_nodes(
    count: int, *, vcpus: int, memory_mib: int, pins: Sequence[Iterable[int]] = ()
) -> tuple[VirtualNumaNode, ...]:
    """`count` equal virtual nodes that share `vcpus` and `memory_mib`, pinned to `pins[i]` where given."""
    each = vcpus // count
    return tuple(
        VirtualNumaNode(
            node_id=i,
            vcpus=CpuSet.of(range(i * each, (i + 1) * each)),
            memory_kib=memory_mib * MIB // count,
            host_nodes=tuple(pins[i]) if i < len(pins) else (),
        )
        for i in range(count)
    )


def a_snapshot(
    hosts: Iterable[Host] | int = 2, vms: Iterable[Vm] = (), loads: dict[str, VmLoad] | None = None, serial: int = 1
) -> ClusterSnapshot:
    """A snapshot of these hosts (or so many default ones, host-a, host-b ...) and VMs."""
    if isinstance(hosts, int):
        hosts = [a_host(f"host-{chr(ord('a') + i)}") for i in range(hosts)]
    return ClusterSnapshot(
        serial=serial,
        taken_at=NOW,
        hosts={host.name: host for host in hosts},
        vms={vm.uuid: vm for vm in vms},
        loads=loads or {},
    )
