"""A connection to one simulated host: the port's verbs, and whether the host answers at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from hpconsole.core.errors import ConnectionLost, HostUnreachable
from hpconsole.core.hypervisor.intent_xml import NAMESPACE
from hpconsole.core.hypervisor.port import (
    DirtyRate,
    DomainEvent,
    DomainEventKind,
    FileTimes,
    HostSample,
    Hypervisor,
    HypervisorFacts,
    JobStats,
    LeaseRecord,
    MigrationRequest,
    MigrationTransport,
)
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.simulated import inquiries
from hpconsole.core.hypervisor.simulated import migration as migrations
from hpconsole.core.hypervisor.simulated.daemon import Daemon
from hpconsole.core.hypervisor.simulated.demand import read_domain
from hpconsole.core.hypervisor.simulated.domain import Domain
from hpconsole.core.hypervisor.simulated.edits import with_metadata, with_vcpu_pin
from hpconsole.core.hypervisor.simulated.guests import inactive_xml, migratable_xml
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err, Job
from hpconsole.core.hypervisor.simulated.machine_calls import SimulatedMachineCalls
from hpconsole.core.hypervisor.simulated.machine_xml import capabilities_xml, devices_xml, domain_capabilities_xml
from hpconsole.core.hypervisor.simulated.refusals import refused
from hpconsole.core.hypervisor.simulated.sampling import sample
from hpconsole.core.hypervisor.simulated.world import World

SCHEME = "sim://"
# How often a waiting migrate() looks at the clock, at most: an injected clock tells nobody that it moved.
_LOOK_S = 0.02


def host_name(uri: str) -> str:
    """The host a `sim://` URI names; empty if it names none."""
    if not uri.startswith(SCHEME):
        return ""
    name, _, path = uri.removeprefix(SCHEME).partition("/")
    return name if path in ("", "system") else ""


def _changed(daemon: Daemon, domain: Domain, change: Callable[[Element], str]) -> str:
    return change(read_domain(daemon.name, domain.document)[0])


class SimulatedHost(SimulatedMachineCalls):
    """The port over one simulated host. Many connections to one host may be open; each is closed by itself.

    Threads: any. Calls block while the host is frozen, until it is thawed, crashes, or this connection is closed.
    """

    def __init__(self, world: World, daemon: Daemon, uri: str) -> None:
        self._world = world
        self._daemon = daemon
        self._uri = uri
        self._boots = daemon.boots
        self._is_closed = False
        self._stops: list[Callable[[], None]] = []

    @property
    def uri(self) -> str:
        """The URI this connection was opened with."""
        return self._uri

    @contextmanager
    def _calling(self) -> Iterator[Daemon]:
        """One call: waits until the host answers, brings the time forward, holds the lock.

        Raises:
            HostUnreachable: this connection was closed, before or while waiting.
            ConnectionLost: the host crashed.
        """
        with self._world.lock:
            self._world.lock.wait_for(lambda: not self._daemon.is_frozen or self._is_dead)
            self._check_alive()
            self._world.advance()
            yield self._daemon

    @property
    def _is_dead(self) -> bool:
        daemon = self._daemon
        return self._is_closed or self._world.is_closed or daemon.is_crashed or daemon.boots != self._boots

    def _check_alive(self) -> None:
        name = self._daemon.name
        if self._is_closed or self._world.is_closed:
            sentence = f"The connection to {name} is closed. Connect again to go on."
            raise HostUnreachable(sentence, detail="client socket is closed", subject=name)
        if self._is_dead:
            sentence = f"The connection to {name} was lost: the host no longer answers."
            raise ConnectionLost(sentence, detail="End of file while reading data: Input/output error", subject=name)

    # --- reading -----------------------------------------------------------------

    def facts(self) -> HypervisorFacts:
        """Read what stays the same while the connection lives."""
        with self._calling() as daemon:
            return HypervisorFacts(
                hostname=daemon.name,
                hypervisor="QEMU",
                hypervisor_version=daemon.model.hypervisor_version,
                libvirt_version=daemon.model.libvirt_version,
                is_encrypted=True,
                capabilities_xml=capabilities_xml(daemon.model, daemon.uuid),
                domain_capabilities_xml=domain_capabilities_xml(daemon.model),
            )

    def devices(self) -> Mapping[str, Sequence[str]]:
        """XML of networks, pools, interfaces and node devices by kind."""
        with self._calling() as daemon:
            return devices_xml(daemon.model)

    def sample(self) -> HostSample:
        """Read everything that changes."""
        with self._calling() as daemon:
            return sample(daemon)

    def domain_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The live XML, or the definition. Simulated VMs hold no secrets."""
        with self._calling() as daemon:
            domain = daemon.domain(uuid)
            xml = domain.definition if inactive or domain.live is None else domain.live
            return xml if xml is not None else _changed(daemon, domain, inactive_xml)

    def migratable_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The live XML (or the definition) as a destination host accepts it."""
        with self._calling() as daemon:
            domain = daemon.domain(uuid)
            if inactive and domain.definition is not None:
                return domain.definition
            return _changed(daemon, domain, inactive_xml if inactive or not domain.is_active else migratable_xml)

    # --- changing ----------------------------------------------------------------

    def define(self, xml: str) -> str:
        """Define or redefine a VM persistently; returns its UUID."""
        with self._calling() as daemon:
            return daemon.define(xml)

    def undefine(self, uuid: str, *, keep_nvram: bool = True) -> None:
        """Forget the persistent definition. Simulated VMs have no NVRAM."""
        with self._calling() as daemon:
            daemon.undefine(uuid)

    def start(self, uuid: str, *, paused: bool = False) -> None:
        """Boot a defined VM."""
        with self._calling() as daemon:
            daemon.start(uuid, paused=paused)

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        """Start the VM with its host, or not."""
        with self._calling() as daemon:
            daemon.changeable(uuid).autostart = on
            daemon.changed()

    def shut_down(self, uuid: str) -> None:
        """Ask the guest to shut down; it does so after a while."""
        with self._calling() as daemon:
            daemon.shut_down(uuid)

    def force_off(self, uuid: str) -> None:
        """End the VM's process at once."""
        with self._calling() as daemon:
            daemon.force_off(uuid)

    def suspend(self, uuid: str) -> None:
        """Pause the vCPUs."""
        with self._calling() as daemon:
            daemon.suspend(uuid)

    def resume(self, uuid: str) -> None:
        """Let the vCPUs run again."""
        with self._calling() as daemon:
            daemon.resume(uuid)

    def pin_vcpu(self, uuid: str, vcpu_id: int, cpus: str, *, live: bool, config: bool) -> None:
        """Pin a vCPU to a CPU list."""
        with self._calling() as daemon:
            domain = daemon.domain(uuid)
            self._edit(daemon, uuid, lambda xml: with_vcpu_pin(daemon, xml, vcpu_id, cpus), live=live, config=config)
            if live:
                self._world.tell(daemon, DomainEventKind.TUNED, domain, f"cputune.vcpupin{vcpu_id}")

    def set_metadata(self, uuid: str, xml: str | None, *, live: bool, config: bool) -> None:
        """Write (None: remove) hpconsole's own metadata element."""
        with self._calling() as daemon:
            domain = daemon.domain(uuid)
            self._edit(daemon, uuid, lambda old: with_metadata(daemon.name, old, xml), live=live, config=config)
            self._world.tell(daemon, DomainEventKind.METADATA, domain, NAMESPACE)

    @staticmethod
    def _edit(daemon: Daemon, uuid: str, edit: Callable[[str], str], *, live: bool, config: bool) -> None:
        """Change the live XML, the definition, or both; nothing if one of them cannot be changed."""
        domain = daemon.changeable(uuid) if live else daemon.domain(uuid)
        if config and domain.definition is None:
            words = "cannot change persistent config of a transient domain"
            raise refused(daemon.name, Err.OPERATION_INVALID, words, vm=domain.name)
        new_live = edit(domain.live) if live and domain.live is not None else domain.live
        new_definition = edit(domain.definition) if config and domain.definition is not None else domain.definition
        domain.live, domain.definition = new_live, new_definition
        domain.demand = read_domain(daemon.name, domain.document)[1]

    # --- migrating ---------------------------------------------------------------

    def migrate(self, uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
        """Migrate live; returns when the VM runs on the destination.

        A peer-to-peer migration goes on when this connection is closed; one managed by this console does not.
        """
        with self._calling() as source:
            there = self._destination(request, destination)
            if there is not None and there.is_frozen:
                self._wait_until_thawed(there)
            running = migrations.begin(self._world, source, uuid, request, there)
            while not running.is_over:
                self._wait_for_progress(running)
            while source.is_frozen and not self._is_dead:
                self._world.lock.wait()  # it is over, but the source's daemon cannot say so
            if running.error is not None:
                raise running.error
            self._check_alive()

    def _wait_until_thawed(self, daemon: Daemon) -> None:
        self._world.lock.wait_for(lambda: not daemon.is_frozen or self._is_dead)
        self._check_alive()
        self._world.advance()

    def _wait_for_progress(self, running: migrations.Migration) -> None:
        if self._is_dead and not self._daemon.is_crashed:
            if running.request.transport is MigrationTransport.CLIENT_MANAGED:
                running.abort()
            self._check_alive()
        self._world.advance()
        if not running.is_over:
            self._world.lock.wait(min(_LOOK_S, max(0.001, self._world.next_event_s())))

    def _destination(self, request: MigrationRequest, connection: Hypervisor | None) -> Daemon | None:
        if request.transport is MigrationTransport.PEER_TO_PEER:
            found = self._world.daemons.get(host_name(request.destination_uri))
            return None if found is None or found.is_crashed else found
        if not isinstance(connection, SimulatedHost) or connection._world is not self._world:
            words = "the destination of a migration managed by the client must be a connection to a simulated host"
            raise refused(self._daemon.name, Err.INVALID_ARG, words)
        connection._check_alive()
        return connection._daemon

    def job_stats(self, uuid: str, *, completed: bool = False) -> JobStats:
        """Statistics of the running job, or of the last completed one."""
        with self._calling() as daemon:
            domain = daemon.domain(uuid)
            if completed:
                return domain.completed or JobStats(int(Job.NONE))
            if domain.migration is None:
                return JobStats(int(Job.NONE))
            return domain.migration.stats(incoming=domain.migration.incoming is domain)

    def abort_job(self, uuid: str, *, post_copy: bool = False) -> None:
        """Cancel the running job, or break off a post-copy."""
        with self._calling() as daemon:
            if post_copy:
                self._outgoing(daemon, uuid).break_off()
            else:
                self._outgoing(daemon, uuid).abort()

    def set_migration_limits(
        self, uuid: str, *, bandwidth_mib_s: int | None = None, downtime_ms: int | None = None
    ) -> None:
        """Change a running migration's bandwidth or allowed downtime."""
        with self._calling() as daemon:
            running = self._outgoing(daemon, uuid)
            if bandwidth_mib_s is not None:
                running.bandwidth_mib_s = bandwidth_mib_s
            if downtime_ms is not None:
                running.memory.downtime_limit_ms = downtime_ms

    def start_post_copy(self, uuid: str) -> None:
        """Switch a running migration to post-copy."""
        with self._calling() as daemon:
            self._outgoing(daemon, uuid).start_post_copy()

    @staticmethod
    def _outgoing(daemon: Daemon, uuid: str) -> migrations.Migration:
        domain = daemon.active(uuid)
        if domain.migration is None or domain.migration.domain is not domain:
            raise refused(daemon.name, Err.OPERATION_INVALID, "no job is active on the domain", vm=domain.name)
        return domain.migration

    # --- the lease ---------------------------------------------------------------

    def lease(self) -> LeaseRecord | None:
        """Who holds this host's lease; None = nobody."""
        with self._calling() as daemon:
            return daemon.lease

    def take_lease(self, uuid: str, text: str) -> bool:
        """Take the lease, or renew it; False if somebody else holds it."""
        with self._calling() as daemon:
            if daemon.lease is not None and daemon.lease.uuid != uuid:
                return False
            daemon.lease = LeaseRecord(uuid, text)
            return True

    def drop_lease(self, uuid: str) -> None:
        """Give back the lease of this UUID."""
        with self._calling() as daemon:
            if daemon.lease is not None and daemon.lease.uuid == uuid:
                daemon.lease = None

    # --- asking before -----------------------------------------------------------

    def start_dirty_rate(self, uuid: str, seconds: int) -> None:
        """Begin to measure how fast the guest writes to its memory; returns at once."""
        with self._calling() as daemon:
            inquiries.start_dirty_rate(self._world, daemon, uuid, seconds)

    def dirty_rate(self, uuid: str) -> DirtyRate:
        """What the last measurement found."""
        with self._calling() as daemon:
            return inquiries.dirty_rate(self._world, daemon, uuid)

    def compare_cpu(self, cpu_xml: str, *, arch: str, machine: str, virt_type: str) -> str:
        """Why this host's hypervisor cannot give a guest this CPU; empty if it can."""
        with self._calling() as daemon:
            return inquiries.compare_cpu(daemon, cpu_xml)

    def why_no_way(self, uuid: str, destination_uri: str) -> str:
        """Why this host cannot connect to the other; empty if it can."""
        with self._calling() as daemon:
            daemon.changeable(uuid)
            return inquiries.why_no_way(self._world, daemon, self._world.daemons.get(host_name(destination_uri)))

    def card_speed_mib_s(self) -> float | None:
        """What its network card carries."""
        with self._calling() as daemon:
            return float(daemon.model.link_mib_s)

    def has_file(self, path: str) -> bool | None:
        """Simulated hosts share everything and have no pools to tell."""
        with self._calling():
            return None

    def file_times(self, path: str) -> FileTimes | None:
        """Simulated hosts have no pools to tell."""
        with self._calling():
            return None

    # --- the connection ----------------------------------------------------------

    def listen(self, handler: Callable[[DomainEvent], None]) -> Callable[[], None]:
        """Call `handler` for each event of this host, on the event thread; returns the way to stop."""
        with self._calling() as daemon:
            stop = self._world.events.listen(daemon.name, handler)
            self._stops.append(stop)
            return stop

    def is_alive(self) -> bool:
        """Whether the connection still works; a frozen host is not told from a silent one."""
        return not self._is_dead

    def close(self) -> None:
        """Close the connection; blocked calls and further ones raise HostUnreachable. Idempotent."""
        with self._world.lock:
            self._is_closed = True
            stops, self._stops = self._stops, []
            self._world.lock.notify_all()
        for stop in stops:
            stop()
