"""The port: the verbs hpconsole needs of one host's hypervisor, in libvirt's XML and statistics.

Two implementations: `libvirt_host.LibvirtHost` (real) and `simulated` (an in-memory cluster, for `--demo`, what-if
and tests). Both answer in libvirt's own XML, so the code that reads and edits XML is the same for both.

Every method blocks, may be called from any thread, and raises only `core.errors.HypervisorError` subclasses.
Deadlines are not kept here but by the lane that calls (see `lane`): libvirt's calls cannot be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hpconsole.core.hypervisor.machine_port import MachinePort

Stats = Mapping[str, int | str | float | bool]


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """One line of a host's domain list. `state` and `reason` are VIR_DOMAIN_* numbers."""

    uuid: str
    name: str
    state: int
    reason: int
    is_persistent: bool
    autostart: bool


@dataclass(frozen=True, slots=True)
class HypervisorFacts:
    """What does not change while a connection lives. Versions: major * 1,000,000 + minor * 1,000 + release."""

    hostname: str
    hypervisor: str  # virConnectGetType: QEMU, TEST ...
    hypervisor_version: int
    libvirt_version: int
    is_encrypted: bool
    capabilities_xml: str
    domain_capabilities_xml: str  # of the default machine and the best virtualisation type; "" = not supported


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """virNodeGetMemoryStats of one cell (or, cell -1, of the host), KiB."""

    cell: int
    total_kib: int
    free_kib: int
    buffers_kib: int = 0
    cached_kib: int = 0


@dataclass(frozen=True, slots=True)
class HostSample:
    """One poll of a host: counters and lists as libvirt gives them, in bulk calls."""

    cpu_time_ns: Mapping[str, int]  # virNodeGetCPUStats, all CPUs: user, kernel, idle, iowait
    memory: NodeMemory
    cells: tuple[NodeMemory, ...]
    free_pages: Mapping[int, Mapping[int, int]]  # cell -> page size in KiB -> free pages
    online_cpus: tuple[bool, ...]  # virNodeGetCPUMap
    domains: tuple[DomainRecord, ...]
    domain_stats: Mapping[str, Stats]  # by UUID: virConnectGetAllDomainStats in libvirt's own keys


class MigrationTransport(StrEnum):
    """Who drives the migration protocol."""

    PEER_TO_PEER = "peer to peer"  # the hosts finish it even if the console dies
    CLIENT_MANAGED = "managed by this console"  # for hosts that cannot reach each other's libvirtd


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """One live migration, in the terms of virDomainMigrate3/ToURI3. `None` = libvirt's default."""

    destination_uri: str  # as the source host reaches the destination's libvirtd (peer to peer)
    transport: MigrationTransport = MigrationTransport.PEER_TO_PEER
    destination_xml: str | None = None
    persistent_xml: str | None = None
    migrate_uri: str | None = None  # tcp://address[:port] QEMU connects to
    bandwidth_mib_s: int | None = None
    auto_converge: bool = False
    compressed: bool = False
    post_copy: bool = False  # allow switching; it is not started by itself
    parallel_connections: int | None = None
    tls: bool = False
    undefine_source: bool = True
    resume_post_copy: bool = False  # go on with one whose post-copy broke, with the request it was begun with


@dataclass(frozen=True, slots=True)
class JobStats:
    """virDomainGetJobStats of a migration. Bytes and milliseconds as libvirt has them; None = not told."""

    job_type: int  # VIR_DOMAIN_JOB_*: 0 none, 1 bounded, 2 unbounded, 3 completed, 4 failed, 5 cancelled
    operation: int = 0
    elapsed_ms: int | None = None
    downtime_ms: int | None = None
    setup_ms: int | None = None
    memory_total_bytes: int | None = None
    memory_processed_bytes: int | None = None
    memory_remaining_bytes: int | None = None
    memory_bps: int | None = None
    dirty_rate_pages_s: int | None = None
    zero_pages: int | None = None  # sent as "all zeros", a few bytes each
    page_size_bytes: int | None = None
    iteration: int | None = None
    auto_converge_throttle_pct: int | None = None
    postcopy_requests: int | None = None
    disk_remaining_bytes: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class DirtyRate:
    """The guest's dirty rate as last measured (VIR_DOMAIN_STATS_DIRTYRATE), by page sampling."""

    is_measured: bool  # False: never, or a measurement is under way
    started_at_s: int = 0  # of the host's clock; tells two measurements apart
    period_s: int = 0
    mib_s: float = 0.0  # distinct memory written to in the period, by second


@dataclass(frozen=True, slots=True)
class FileTimes:
    """When a file was last changed, as its file system keeps it: seconds since the epoch. Hosts that share it agree."""

    modified_s: float  # its content
    changed_s: float  # also its owner, its name ...


class DomainEventKind(StrEnum):
    """What happened to a domain, as far as hpconsole listens."""

    DEFINED = "defined"
    UNDEFINED = "undefined"
    LIFECYCLE = "lifecycle"  # started, stopped, paused, resumed, crashed: detail = "event:detail" numbers
    TUNED = "tuned"  # pinning and other tunables changed on the running domain
    DEVICE = "device"
    MIGRATION_PASS = "migration pass"  # noqa: S105 - detail = iteration number
    JOB_COMPLETED = "job completed"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """One event. Delivered on the libvirt event thread: handlers return at once."""

    kind: DomainEventKind
    uuid: str
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Who holds a host's lease: a number of the holder's own making, and a text for people."""

    uuid: str
    text: str


class Hypervisor(MachinePort, Protocol):
    """One host, reached."""

    @property
    def uri(self) -> str:
        """The URI this connection was opened with."""

    def facts(self) -> HypervisorFacts:
        """Read what stays the same while the connection lives."""

    def devices(self) -> Mapping[str, Sequence[str]]:
        """XML of networks, pools and node devices by kind: `network`, `pool`, `interface`, `nodedev`."""

    def sample(self) -> HostSample:
        """Read everything that changes, in as few calls as libvirt allows."""

    def domain_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The live XML, or the persistent definition, with no secrets in it (XMLDesc without SECURE)."""

    def migratable_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The live XML (or the definition) as a destination host accepts it, secrets included (XMLDesc MIGRATABLE)."""

    def define(self, xml: str) -> str:
        """Define or redefine a VM persistently; returns its UUID."""

    def undefine(self, uuid: str, *, keep_nvram: bool = True) -> None:
        """Forget the persistent definition; a running VM goes on as a transient one."""

    def start(self, uuid: str, *, paused: bool = False) -> None:
        """Boot a defined VM."""

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        """Start the VM with its host, or not."""

    def shut_down(self, uuid: str) -> None:
        """Ask the guest to shut down."""

    def force_off(self, uuid: str) -> None:
        """End the VM's process at once (virDomainDestroy)."""

    def suspend(self, uuid: str) -> None:
        """Pause the vCPUs."""

    def resume(self, uuid: str) -> None:
        """Let the vCPUs run again."""

    def pin_vcpu(self, uuid: str, vcpu_id: int, cpus: str, *, live: bool, config: bool) -> None:
        """Pin a vCPU to a CPU list such as `0-3`."""

    def set_metadata(self, uuid: str, xml: str | None, *, live: bool, config: bool) -> None:
        """Write (None: remove) hpconsole's own metadata element."""

    def migrate(self, uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
        """Migrate live; returns when the VM runs on the destination.

        Args:
            destination: The connection to the destination, for a client-managed migration.

        Raises:
            OperationRefused: it did not happen; the VM still runs here (verify before believing it).
            ConnectionLost: the console lost the host; a peer-to-peer migration may be going on.
        """

    def job_stats(self, uuid: str, *, completed: bool = False) -> JobStats:
        """Statistics of the running job, or of the last completed one."""

    def abort_job(self, uuid: str, *, post_copy: bool = False) -> None:
        """Cancel the running job. `post_copy`: only break off a post-copy that hangs, so that it can be resumed."""

    def set_migration_limits(
        self, uuid: str, *, bandwidth_mib_s: int | None = None, downtime_ms: int | None = None
    ) -> None:
        """Change a running migration's bandwidth or allowed downtime."""

    def start_post_copy(self, uuid: str) -> None:
        """Switch a running migration to post-copy."""

    def lease(self) -> LeaseRecord | None:
        """Who holds this host's lease (of which there is one); None = nobody."""

    def take_lease(self, uuid: str, text: str) -> bool:
        """Take the lease, or renew it under the same UUID; False if somebody else holds it. Atomic on the host."""

    def drop_lease(self, uuid: str) -> None:
        """Give back the lease of this UUID, and no other; nothing happens where it is not held."""

    def start_dirty_rate(self, uuid: str, seconds: int) -> None:
        """Begin to measure how fast the guest writes to its memory, over 1 to 60 s; returns at once.

        Page sampling: QEMU hashes 512 pages of each GiB at the beginning and at the end; the guest runs on meanwhile.

        Raises:
            OperationRefused: it is not running, is being measured already, or libvirt or QEMU is too old.
        """

    def dirty_rate(self, uuid: str) -> DirtyRate:
        """What the last measurement found."""

    def compare_cpu(self, cpu_xml: str, *, arch: str, machine: str, virt_type: str) -> str:
        """Why this host's hypervisor cannot give a guest this CPU, in libvirt's words; empty if it can.

        Raises:
            OperationRefused: the host's libvirt cannot tell (too old, or the CPU cannot be compared).
        """

    def why_no_way(self, uuid: str, destination_uri: str) -> str:
        """Why this host's libvirt cannot connect to the other's, as for moving this VM; empty if it just did.

        Begins a peer-to-peer migration that every libvirt must refuse (to a guest of another UUID), which it does only
        once it is connected; neither guest nor destination notices. Until a connection attempt ends, which may take
        minutes where packets vanish, the VM has a job and cannot be moved: call it on a thread that can wait.

        Raises:
            OperationRefused: the VM does not run, or has another job.
        """

    def card_speed_mib_s(self) -> float | None:
        """What the fastest network card with a link carries; None where the host does not tell."""

    def has_file(self, path: str) -> bool | None:
        """Whether one of the host's active storage pools holds this file or device; None: it has no pool there."""

    def file_times(self, path: str) -> FileTimes | None:
        """When this file was changed, looked up now; None: no active pool holds it, or the host does not tell."""

    def listen(self, handler: Callable[[DomainEvent], None]) -> Callable[[], None]:
        """Call `handler` for each event, on the event thread; returns the way to stop."""

    def is_alive(self) -> bool:
        """Whether the connection still works, without asking the host (keep-alive decides)."""

    def close(self) -> None:
        """Close the connection; further calls raise HostUnreachable. Idempotent."""
