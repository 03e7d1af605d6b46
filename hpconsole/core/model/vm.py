"""What a VM is meant to have (`VmIntent`) and what it has now (`Vm`). Frozen values.

The two are kept apart on purpose: the intent travels in the domain XML's metadata, the present pinning is what
libvirt reports. A VM that other tools made has a derived intent (`is_stored` false) and nothing is written to it
until the user changes something.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hpconsole.core.model.cpuset import CpuSet


class OptimizedFor(StrEnum):
    """The reference's VM types."""

    DESKTOP = "desktop"
    SERVER = "server"
    HIGH_PERFORMANCE = "high_performance"


class MigrationMode(StrEnum):
    """Who may start a migration of this VM."""

    AUTOMATIC = "automatic"  # "Allow manual and automatic migration"
    MANUAL = "manual"  # "Allow manual migration only"
    DO_NOT_MIGRATE = "do_not_migrate"


class CpuPinningPolicy(StrEnum):
    """Where the CPU pinning of a VM comes from."""

    NONE = "none"
    MANUAL = "manual"  # a literal map: these CPU numbers, on every host
    RESIZE_AND_PIN_NUMA = "resize_and_pin_numa"
    DEDICATED = "dedicated"  # CPUs of its own, computed for each host
    ISOLATE_THREADS = "isolate_threads"  # a whole core for each vCPU
    KEEP_SHAPE = "keep_shape"  # ours: the same structure as now, on CPUs of its own, computed for each host

    @property
    def is_exclusive(self) -> bool:
        """Whether its CPUs may be used by no other pinned VM."""
        return self in (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS, CpuPinningPolicy.KEEP_SHAPE)


class NumaMode(StrEnum):
    """libvirt's memnode modes."""

    STRICT = "strict"
    INTERLEAVE = "interleave"
    PREFERRED = "preferred"
    RESTRICTIVE = "restrictive"


class VmState(StrEnum):
    """libvirt's domain states in the words the window shows."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting down"
    SHUT_OFF = "shut off"
    CRASHED = "crashed"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"

    is_active: bool  # whether a QEMU process exists

    def __init__(self, word: str) -> None:
        # not a property: tables of 100,000 VMs are sorted by what hangs on it
        self.is_active = word not in ("shut off", "crashed", "unknown")


@dataclass(frozen=True, slots=True)
class VcpuTopology:
    """Virtual sockets x dies x cores x threads."""

    sockets: int = 1
    cores: int = 1  # per die
    threads: int = 1  # per core
    dies: int = 1  # per socket

    @property
    def vcpus(self) -> int:
        """The product."""
        return self.sockets * self.dies * self.cores * self.threads


@dataclass(frozen=True, slots=True)
class VirtualNumaNode:
    """A NUMA node of the guest, with where its memory is bound now. Empty `host_nodes` = not pinned."""

    node_id: int
    vcpus: CpuSet
    memory_kib: int
    host_nodes: tuple[int, ...] = ()  # in the order of the pin list
    mode: NumaMode = NumaMode.STRICT
    page_kib: int | None = None  # huge page size of this node's memory


@dataclass(frozen=True, slots=True)
class NumaTune:
    """`<numatune><memory>`: the binding of the whole VM's memory."""

    mode: NumaMode
    nodeset: CpuSet


@dataclass(frozen=True, slots=True)
class CpuPinning:
    """Which CPUs each thread of a VM may use. A thread that is not named may use any."""

    vcpus: tuple[tuple[int, CpuSet], ...] = ()  # (vcpu id, CPUs), ascending
    emulator: CpuSet | None = None
    iothreads: tuple[tuple[int, CpuSet], ...] = ()  # (IO thread id from 1, CPUs)

    def of_vcpu(self, vcpu_id: int) -> CpuSet | None:
        """The CPUs of this vCPU; None where it is not pinned."""
        return next((cpus for vcpu, cpus in self.vcpus if vcpu == vcpu_id), None)

    @property
    def all_vcpu_cpus(self) -> CpuSet:
        """Every CPU that some vCPU is pinned to."""
        together = 0
        for _, cpus in self.vcpus:
            together |= cpus.bits
        return CpuSet(together)


NO_PINNING = CpuPinning()


@dataclass(frozen=True, slots=True)
class NumaPin:
    """The intent for one virtual node: these host nodes (empty = any one node of the host) in this mode."""

    node_id: int
    host_nodes: tuple[int, ...] = ()
    mode: NumaMode = NumaMode.STRICT


@dataclass(frozen=True, slots=True)
class HostPinning:
    """A literal pinning that holds on one host only (manual maps may differ per host)."""

    host: str
    vcpus: tuple[tuple[int, CpuSet], ...] = ()
    numa: tuple[NumaPin, ...] = ()


@dataclass(frozen=True, slots=True)
class VmIntent:
    """What a VM is meant to have. Kept in the domain XML's metadata under hpconsole's namespace."""

    optimized_for: OptimizedFor = OptimizedFor.SERVER
    migration_mode: MigrationMode = MigrationMode.AUTOMATIC
    is_migration_mode_chosen: bool = False  # by the user: automatic switching leaves it alone
    allowed_hosts: tuple[str, ...] = ()  # "Specific Host(s)", in order; empty = any host in the cluster
    cpu_pinning_policy: CpuPinningPolicy = CpuPinningPolicy.NONE
    cpu_pinning: tuple[tuple[int, CpuSet], ...] = ()  # the literal map of policy MANUAL
    numa_pins: tuple[NumaPin, ...] = ()
    per_host: tuple[HostPinning, ...] = ()
    high_availability: bool = False
    priority: int = 50  # 1-100, higher first
    needs_tsc_frequency: bool = False
    template: str = ""
    labels: frozenset[str] = frozenset()
    profile: tuple[tuple[str, str], ...] = ()  # what choosing a type changed: (field, JSON of [before, after])
    is_stored: bool = False  # read from hpconsole's metadata, not derived
    problem: str = ""  # a sentence: metadata is there but cannot be meant, so the rest is derived


@dataclass(frozen=True, slots=True)
class VmCpu:
    """`<cpu>` of the VM."""

    mode: str = ""  # host-passthrough, host-model, custom, maximum; empty = hypervisor default
    model: str = ""
    required_features: frozenset[str] = frozenset()

    @property
    def is_passthrough(self) -> bool:
        """Pass-through host CPU."""
        return self.mode == "host-passthrough"


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface: where it is plugged."""

    kind: str  # network, bridge, direct, hostdev, user, vhostuser, ethernet ...
    source: str = ""
    is_link_up: bool = True


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as far as migration cares."""

    target: str
    kind: str  # file, block, network, volume ...
    device: str  # disk, cdrom, floppy, lun
    source: str = ""
    cache: str = ""
    is_readonly: bool = False
    is_shareable: bool = False
    has_reservation: bool = False


@dataclass(frozen=True, slots=True)
class AssignedDevice:
    """A host device given to the VM."""

    kind: str  # pci, usb, mdev, scsi ...
    address: str
    is_migratable: bool = False


@dataclass(frozen=True, slots=True)
class VmDevices:
    """The devices that matter for placement and migration."""

    nics: tuple[Nic, ...] = ()
    disks: tuple[Disk, ...] = ()
    assigned: tuple[AssignedDevice, ...] = ()
    mediated_types: tuple[str, ...] = ()
    has_tpm_state: bool = False
    has_nvram: bool = False


def is_pinned_or_high_performance(
    optimized_for: OptimizedFor,
    policy: CpuPinningPolicy,
    *,
    is_passthrough_cpu: bool,
    has_pinned_vcpus: bool,
    has_pinned_nodes: bool,
) -> bool:
    """The single definition of "high-performance or pinned": dialogs, the maintenance warning and the scheduler ask it.

    Type High Performance, pass-through host CPU, any CPU-pinning policy, or any virtual node pinned.
    (The reference has three definitions that differ: behaviour.md B2.)
    """
    return (
        optimized_for is OptimizedFor.HIGH_PERFORMANCE
        or is_passthrough_cpu
        or policy is not CpuPinningPolicy.NONE
        or has_pinned_vcpus
        or has_pinned_nodes
    )


@dataclass(frozen=True, slots=True)
class OtherProcess:
    """A QEMU process of a VM on a host other than the one that has it: it is on its way there, or was left behind."""

    host: str
    pinning: CpuPinning = NO_PINNING  # what it has there


@dataclass(frozen=True, slots=True)
class Vm:
    """One VM as libvirt has it now. `uuid` is its key everywhere."""

    uuid: str
    name: str
    host: str | None = None  # where it runs, or else where it is defined
    state: VmState = VmState.SHUT_OFF
    state_reason: str = ""
    is_persistent: bool = True
    autostart: bool = False
    other_hosts: tuple[str, ...] = ()  # further hosts that hold a definition
    also_running_on: tuple[str, ...] = ()  # never empty is an emergency
    is_migrating: bool = False
    vcpus: int = 1  # running now; the topology may allow more
    topology: VcpuTopology = VcpuTopology()
    memory_kib: int = 0
    virtual_nodes: tuple[VirtualNumaNode, ...] = ()
    numa_tune: NumaTune | None = None
    huge_page_kib: int | None = None
    pinning: CpuPinning = NO_PINNING
    iothreads: int = 0
    iothread_ids: tuple[int, ...] = ()  # their numbers, ascending: libvirt's need not be 1 to n
    cpu: VmCpu = VmCpu()
    arch: str = ""
    machine: str = ""
    virt_type: str = ""  # kvm, qemu
    devices: VmDevices = VmDevices()
    intent: VmIntent = VmIntent()
    problem: str = ""  # a sentence: its XML cannot be used, so only name, state and host are known
    other_processes: tuple[OtherProcess, ...] = ()

    @property
    def is_running_somewhere(self) -> bool:
        """Whether it has a QEMU process on its host."""
        return self.state.is_active and self.host is not None

    @property
    def process_hosts(self) -> tuple[str, ...]:
        """Every host with a QEMU process of it, the one that has it first."""
        own = (self.host,) if self.state.is_active and self.host is not None else ()
        return (*own, *(process.host for process in self.other_processes))

    @property
    def known_on(self) -> tuple[str, ...]:
        """Every host that holds it, running or only defined."""
        own = () if self.host is None else (self.host,)
        return (*own, *self.other_hosts, *self.also_running_on)

    @property
    def is_pinned_or_high_performance(self) -> bool:
        """The single definition, of this VM as it is meant and as it is now."""
        return is_pinned_or_high_performance(
            self.intent.optimized_for,
            self.intent.cpu_pinning_policy,
            is_passthrough_cpu=self.cpu.is_passthrough,
            has_pinned_vcpus=bool(self.pinning.vcpus),
            has_pinned_nodes=any(node.host_nodes for node in self.virtual_nodes)
            or any(pin.host_nodes for pin in self.intent.numa_pins),
        )


@dataclass(frozen=True, slots=True)
class VmLoad:
    """What a poll says of a VM."""

    at: datetime | None = None
    cpu_pct: float = 0.0  # percent of one logical CPU: 4 busy vCPUs are 400
    memory_rss_kib: int | None = None
