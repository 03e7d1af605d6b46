"""What a host is: its CPUs, NUMA nodes, memory, versions, and how well it is reached. Frozen values.

`None` means unknown, never zero. What rarely changes (topology, CPU model, versions) is kept apart from what each
poll brings (`HostUsage`), and equal topologies are one shared object, so a thousand hosts of one model cost one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hpconsole.core.model.cpuset import EMPTY, CpuSet


class HostStatus(StrEnum):
    """What the administrator and hpconsole decided about a host (not whether it can be reached)."""

    UP = "up"
    PREPARING_FOR_MAINTENANCE = "preparing for maintenance"
    MAINTENANCE = "maintenance"
    NON_OPERATIONAL = "non-operational"


class LinkState(StrEnum):
    """How the connection to a host stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    UNRESPONSIVE = "not responding"  # a call is past its deadline, the connection not yet given up
    DISCONNECTED = "disconnected"
    REFUSED = "refused"  # authentication failed or the URI is not accepted: no point in trying again by itself


@dataclass(frozen=True, slots=True)
class HostLink:
    """The connection to a host, and how old what we know of it is."""

    state: LinkState = LinkState.CONNECTING
    since: datetime | None = None
    answered_at: datetime | None = None  # last complete poll
    problem: str = ""  # a sentence
    is_encrypted: bool = True


@dataclass(frozen=True, slots=True)
class HostCpu:
    """One logical CPU. `socket_id`, `die_id`, `core_id` are the kernel's; a core is (socket, die, core)."""

    cpu_id: int
    node_id: int
    socket_id: int
    die_id: int
    core_id: int
    siblings: CpuSet  # the threads of its core, itself included


@dataclass(frozen=True, slots=True)
class CacheBank:
    """One cache shared by `cpus`."""

    level: int
    size_kib: int
    cpus: CpuSet


@dataclass(frozen=True, slots=True)
class HostNumaNode:
    """One NUMA node. A node may have no CPUs, or no memory."""

    node_id: int
    memory_kib: int
    cpus: CpuSet
    distances: tuple[tuple[int, int], ...] = ()  # (node id, distance; 10 = local), as ACPI SLIT has it
    page_totals: tuple[tuple[int, int], ...] = ()  # (page size in KiB, pages in the pool), huge pages only

    def distance_to(self, node_id: int) -> int:
        """SLIT distance; where the firmware gives none, 10 to itself and 20 to any other (the kernel's defaults)."""
        for other, distance in self.distances:
            if other == node_id:
                return distance
        return 10 if node_id == self.node_id else 20


@dataclass(frozen=True, slots=True)
class HostTopology:
    """CPUs, NUMA nodes and caches of a machine model. Equal ones are shared between hosts (see `core.hypervisor`)."""

    cpus: tuple[HostCpu, ...] = ()  # ascending by cpu_id; online CPUs only, numbers may have holes
    nodes: tuple[HostNumaNode, ...] = ()  # ascending by node_id, numbers may have holes
    l3_banks: tuple[CacheBank, ...] = ()
    sockets: int | None = None
    cores: int | None = None  # in the whole host
    threads: int | None = None  # in the whole host: the logical CPUs
    dies_per_socket: int = 1

    @property
    def all_cpus(self) -> CpuSet:
        """Every online logical CPU."""
        return CpuSet.of(cpu.cpu_id for cpu in self.cpus)

    @property
    def supports_numa(self) -> bool:
        """More than one node, as the reference system defines it for pinning (behaviour.md B8 rule 10)."""
        return len(self.nodes) > 1

    def node(self, node_id: int) -> HostNumaNode | None:
        """The node of this number, if there is one."""
        return next((node for node in self.nodes if node.node_id == node_id), None)


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """What a poll says of one NUMA node."""

    node_id: int
    free_kib: int
    free_pages: tuple[tuple[int, int], ...] = ()  # (page size in KiB, free pages), huge pages only
    total_pages: tuple[tuple[int, int], ...] = ()  # pools may be resized at run time


@dataclass(frozen=True, slots=True)
class HostUsage:
    """What a poll says of a host."""

    at: datetime | None = None
    memory_free_kib: int | None = None  # free + buffers + cached, as a guest could get it
    swap_total_kib: int | None = None
    swap_free_kib: int | None = None
    cpu_pct: float | None = None  # 0-100 of all CPUs
    cpu_usage_pct: tuple[tuple[int, float], ...] = ()  # (cpu_id, 0-100), where the host tells
    overloaded_since: datetime | None = None
    nodes: tuple[NodeUsage, ...] = ()

    def node(self, node_id: int) -> NodeUsage | None:
        """The usage of the node of this number, if it was told."""
        return next((node for node in self.nodes if node.node_id == node_id), None)


@dataclass(frozen=True, slots=True)
class HostCpuModel:
    """CPU model and flags, and what the hypervisor can offer to guests of them."""

    arch: str = ""
    model: str = ""
    vendor: str = ""
    features: frozenset[str] = frozenset()  # flags a host-passthrough guest sees
    usable_models: frozenset[str] = frozenset()  # from domain capabilities; empty = unknown
    tsc_frequency_hz: int | None = None
    has_tsc_scaling: bool = False


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A host device that can be passed through."""

    address: str  # 0000:3b:00.0
    node_id: int | None = None
    product: str = ""


@dataclass(frozen=True, slots=True)
class MediatedDeviceType:
    """A mediated-device type and how many more can be made."""

    type_id: str
    available: int


@dataclass(frozen=True, slots=True)
class HostDevices:
    """What a host has that a VM may ask for by name."""

    networks: frozenset[str] = frozenset()
    bridges: frozenset[str] = frozenset()
    storage_pools: frozenset[str] = frozenset()
    pci: tuple[PciDevice, ...] = ()
    mediated: tuple[MediatedDeviceType, ...] = ()
    has_device_passthrough: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """One hypervisor machine. `name` is its key everywhere: the configured one, unique in the cluster."""

    name: str
    uri: str = ""
    uuid: str = ""
    hostname: str = ""
    status: HostStatus = HostStatus.UP
    status_reason: str = ""
    link: HostLink = HostLink()
    hypervisor: str = "QEMU"
    libvirt_version: int | None = None  # major * 1,000,000 + minor * 1,000 + release
    hypervisor_version: int | None = None
    os_release: str = ""  # "RHEL - 9.4 - 1.el9", as far as known
    memory_kib: int | None = None
    reserved_kib: int = 0  # kept for the host itself
    cpu: HostCpuModel = HostCpuModel()
    topology: HostTopology = HostTopology()
    isolated_cpus: CpuSet = EMPTY  # kernel isolcpus: only explicitly pinned VMs may use them
    machine_types: frozenset[str] = frozenset()  # empty = unknown
    devices: HostDevices = HostDevices()
    labels: frozenset[str] = frozenset()
    usage: HostUsage = field(default=HostUsage())

    @property
    def is_candidate(self) -> bool:
        """Whether VMs may be placed on it: decided up, and reached."""
        return self.status is HostStatus.UP and self.link.state is LinkState.CONNECTED
