"""The books of one host: what it has, what is taken, what is promised. Everything units ask, as plain numbers.

Built from a host, the VMs on it and the promises to VMs on their way. Units never look at hosts themselves, so what
an account says is what counts. Memory in KiB, loads in percent of one CPU, `None` = unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from hpconsole.core.model.affinity import DEFAULT_SETTINGS, ClusterSettings
from hpconsole.core.model.host import Host
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler import needs
from hpconsole.core.scheduler.host_tables import HostTables, tables_of
from hpconsole.core.scheduler.occupancy import Occupancy, occupancy
from hpconsole.core.scheduler.pending import PendingKind, PendingResources, ledger
from hpconsole.core.scheduler.reservations import Reservation

UNKNOWN = frozenset[str]()


@dataclass(frozen=True, slots=True)
class NodeAccount:
    """One NUMA node: what is free of it, promises subtracted."""

    node_id: int
    free_kib: int = 0
    total_kib: int = 0
    cpu_bits: int = 0  # online CPUs
    core_bits: tuple[int, ...] = ()  # its cores; one object for all hosts of a model
    core_sockets: tuple[int, ...] = ()  # the socket of each; likewise
    pages: tuple[tuple[int, int], ...] = ()  # (page size in KiB, free pages)
    is_told: bool = True  # whether the host says what is free; numbers of a node that is not told are zero


@dataclass(frozen=True, slots=True)
class HostAccount:
    """One host. The defaults are an unknown host that is up."""

    name: str
    # What it is
    hostname: str = ""
    uuid: str = ""
    is_candidate: bool = True
    arch: str = ""
    libvirt_version: int | None = None
    hypervisor_version: int | None = None
    os_release: str | None = None
    cpu_model: str = ""
    features: frozenset[str] = UNKNOWN
    usable_models: frozenset[str] = UNKNOWN
    machine_types: frozenset[str] = UNKNOWN
    tsc_frequency_hz: float | None = None
    has_tsc_scaling: bool = False
    networks: frozenset[str] = UNKNOWN
    bridges: frozenset[str] = UNKNOWN
    pci: frozenset[str] = UNKNOWN
    mediated: frozenset[tuple[str, int]] = frozenset()  # (type, how many more)
    has_passthrough: bool = False
    labels: frozenset[str] = UNKNOWN
    # CPUs
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    threads_per_core: int = 0  # of the known topology
    online_bits: int = 0
    exclusive_bits: int = 0  # pinned exclusively
    shared_pinned_bits: int = 0  # pinned, not exclusively
    isolated_bits: int = 0  # kept by the kernel for explicitly pinned VMs
    exclusive_cores: int = 0  # cores with no other CPU left
    has_topology: bool = False
    cpu_pct: float | None = None
    shared_usage_pct: float = 0.0  # summed over CPUs not exclusively pinned; 0 = not told
    overloaded_since_s: float | None = None
    shared_vm_cores: int = 0  # of the largest shared VM that runs there
    pending_shared_cores: int = 0
    shared_vcpus: int = 0
    pending_load_pct: float = 0.0
    # Memory
    memory_kib: float | None = None
    reserved_kib: float = 0
    committed_kib: float = 0
    pending_overcommit_kib: float = 0
    pending_static_kib: float = 0
    overcommit_pct: float = 100
    memory_free_kib: float | None = None
    swap_total_kib: float | None = None
    swap_free_kib: float | None = None
    pages: tuple[tuple[int, int], ...] = ()  # free huge pages of the host, promises subtracted
    supports_numa: bool = False
    nodes: tuple[NodeAccount, ...] = ()
    # VMs
    vm_count: int = 0
    pending_vm_count: int = 0
    ha_vm_count: int = 0
    is_manager: bool = False  # the reference's storage pool manager; no libvirt host is one

    @property
    def shared_cpus(self) -> int:
        """How many CPUs no VM has for its own."""
        return (self.online_bits & ~self.exclusive_bits).bit_count()

    @property
    def exclusive_cpus(self) -> int:
        """How many CPUs VMs have for their own."""
        return self.exclusive_bits.bit_count()

    @property
    def node_count(self) -> int:
        """How many NUMA nodes there are."""
        return len(self.nodes)

    @property
    def layout(self) -> tuple[tuple[int, int], ...]:
        """(number, CPUs as bits) of every node: equal for hosts of one model."""
        return tuple((node.node_id, node.cpu_bits) for node in self.nodes)


def account_of(
    host: Host,
    vms: Sequence[Vm] = (),
    reservations: Sequence[Reservation] = (),
    settings: ClusterSettings = DEFAULT_SETTINGS,
    known_vms: Mapping[str, Vm] = MappingProxyType({}),
) -> HostAccount:
    """The books of a host with these VMs on it, or on their way to it, and these promises made.

    Promises of other hosts do not count.
    """
    taken = occupancy(host, vms, reservations)
    vms = [vm for vm in vms if vm.host == host.name or host.name not in vm.process_hosts]  # not those only arriving
    here = {vm.uuid for vm in vms}
    pending = ledger((r for r in reservations if r.host == host.name and r.vm_uuid not in here), known_vms)
    return HostAccount(
        name=host.name,
        hostname=host.hostname,
        uuid=host.uuid,
        is_candidate=host.is_candidate,
        arch=host.cpu.arch,
        libvirt_version=host.libvirt_version,
        hypervisor_version=host.hypervisor_version,
        os_release=host.os_release or None,
        cpu_model=host.cpu.model,
        features=host.cpu.features,
        usable_models=host.cpu.usable_models,
        machine_types=host.machine_types,
        tsc_frequency_hz=host.cpu.tsc_frequency_hz,
        has_tsc_scaling=host.cpu.has_tsc_scaling,
        networks=host.devices.networks,
        bridges=host.devices.bridges,
        pci=frozenset(device.address for device in host.devices.pci),
        mediated=frozenset((kind.type_id, kind.available) for kind in host.devices.mediated),
        has_passthrough=host.devices.has_device_passthrough,
        labels=host.labels,
        **_cpu_facts(host, vms, pending, taken),
        **_memory_facts(host, vms, pending, taken, settings),
        vm_count=len(vms),
        pending_vm_count=len(pending.vms_on(host.name)),
        ha_vm_count=sum(1 for vm in vms if vm.intent.high_availability),
    )


def _cpu_facts(host: Host, vms: Sequence[Vm], pending: PendingResources, taken: Occupancy) -> dict[str, Any]:
    topology, usage, tables = host.topology, host.usage, tables_of(host.topology)
    cores = [core for node in tables.cores for core in node]
    exclusive = taken.exclusive.bits & tables.online
    owners = {user.vm_uuid for user in taken.users if user.is_exclusive}
    running = [vm for vm in vms if vm.uuid not in owners]
    return {
        "sockets": topology.sockets,
        "cores": topology.cores,
        "threads": topology.threads,
        "threads_per_core": max((core.width for core in cores), default=0),
        "online_bits": tables.online,
        "exclusive_bits": exclusive,
        "shared_pinned_bits": taken.shared.bits & tables.online,
        "isolated_bits": host.isolated_cpus.bits & tables.online,
        "exclusive_cores": sum(1 for core in cores if not core.bits & ~exclusive) if exclusive else 0,
        "has_topology": tables.online != 0,
        "cpu_pct": usage.cpu_pct,
        "shared_usage_pct": sum(pct for cpu_id, pct in usage.cpu_usage_pct if not exclusive >> cpu_id & 1),
        "overloaded_since_s": usage.overloaded_since.timestamp() if usage.overloaded_since else None,
        "shared_vm_cores": max((needs.cores(vm) for vm in running), default=0),
        "pending_shared_cores": pending.shared_cores_on(host.name),
        "shared_vcpus": sum(vm.vcpus for vm in running),
        "pending_load_pct": pending.load_on(host.name),
    }


def _memory_facts(
    host: Host, vms: Sequence[Vm], pending: PendingResources, taken: Occupancy, settings: ClusterSettings
) -> dict[str, Any]:
    # The huge page pool is gone for everything else, whether used or not; VMs in it cost only their overhead.
    pool = sum(size * count for node in host.usage.nodes for size, count in node.total_pages)
    pages: dict[int, int] = {}
    for usage in host.usage.nodes:
        for size, count in usage.free_pages:
            pages[size] = pages.get(size, 0) + count
    return {
        "memory_kib": host.memory_kib,
        "reserved_kib": host.reserved_kib,
        "committed_kib": pool + sum(needs.memory_need(vm).total_kib for vm in vms),
        "pending_overcommit_kib": sum(r.memory_kib for r in pending.on(host.name, PendingKind.OVERCOMMIT_MEMORY)),
        "pending_static_kib": pending.memory_on(host.name),
        "overcommit_pct": settings.overcommit_pct,
        "memory_free_kib": host.usage.memory_free_kib,
        "swap_total_kib": host.usage.swap_total_kib,
        "swap_free_kib": host.usage.swap_free_kib,
        "pages": pages_left(pages, pending.pages_on(host.name)),
        "supports_numa": bool(host.topology.nodes),
        "nodes": tuple(_nodes(host, taken)),
    }


def pages_left(free: Mapping[int, int], promised: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """Free huge pages by size, less those promised of the same size; never below zero."""
    return tuple(sorted((size, max(0, count - promised.get(size, 0))) for size, count in free.items()))


def _nodes(host: Host, taken: Occupancy) -> Iterator[NodeAccount]:
    tables = tables_of(host.topology)
    cores, sockets = _core_masks(tables)
    told = {node.node_id: node.memory_kib for node in host.topology.nodes}
    for position, node_id in enumerate(tables.node_ids):
        yield NodeAccount(
            node_id=node_id,
            free_kib=taken.free_kib.get(node_id, 0),
            total_kib=told.get(node_id, host.memory_kib or 0),
            cpu_bits=tables.node_bits[position],
            core_bits=cores[position],
            core_sockets=sockets[position],
            pages=tuple(sorted(taken.free_pages.get(node_id, {}).items())),
            is_told=node_id in taken.free_kib,
        )


@lru_cache(maxsize=256)
def _core_masks(tables: HostTables) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """For each node its cores as masks, and their sockets; the same objects for every host of a model."""
    cores = tuple(tuple(core.bits for core in node) for node in tables.cores)
    return cores, tuple(tuple(core.socket for core in node) for node in tables.cores)
