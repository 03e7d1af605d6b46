"""One live migration between two simulated hosts: what is checked, who pauses and resumes when, and how it ends.

How much is sent and how long it takes is `precopy`'s. Guarded by the cluster's lock.
"""

from __future__ import annotations

import math

from hpconsole.core.errors import ConnectionLost, HypervisorError
from hpconsole.core.hypervisor.port import DomainEventKind, JobStats, MigrationRequest, MigrationTransport
from hpconsole.core.hypervisor.simulated.daemon import Daemon
from hpconsole.core.hypervisor.simulated.demand import Demand, read_domain
from hpconsole.core.hypervisor.simulated.domain import Domain
from hpconsole.core.hypervisor.simulated.guests import inactive_xml, incoming_xml, migratable_xml
from hpconsole.core.hypervisor.simulated.libvirt_numbers import (
    Err,
    Job,
    JobOperation,
    Lifecycle,
    Paused,
    Running,
    Shutoff,
    State,
)
from hpconsole.core.hypervisor.simulated.loads import MIB
from hpconsole.core.hypervisor.simulated.precopy import PAGE_BYTES, Phase, Precopy
from hpconsole.core.hypervisor.simulated.refusals import refused
from hpconsole.core.hypervisor.simulated.world import World

STALL_AT_SHARE = 0.4


class Migration:
    """A migration under way. `is_over` with `error` None: the VM runs on the destination."""

    def __init__(
        self, world: World, source: Daemon, destination: Daemon, domain: Domain, request: MigrationRequest
    ) -> None:
        self.world = world
        self.source = source
        self.destination = destination
        self.domain = domain
        self.request = request
        self.is_over = False
        self.error: HypervisorError | None = None
        self.bandwidth_mib_s = request.bandwidth_mib_s
        self.memory = Precopy(
            memory_bytes=domain.demand.memory_kib * 1024,
            character=domain.character,
            auto_converge=request.auto_converge,
            is_dirtying=domain.state is State.RUNNING,
        )
        self._persistent_xml = self._definition_there()
        self.incoming = self._prepare()
        self.failure = world.failures.pop(domain.name, None)
        if domain.name in world.stalls:
            world.stalls.remove(domain.name)
            self.memory.stalls_at_share = STALL_AT_SHARE
        domain.migration = self.incoming.migration = self
        world.migrations.append(self)

    # --- before ------------------------------------------------------------------

    def _definition_there(self) -> str | None:
        """What will be defined on the destination: nothing for a transient domain."""
        if self.domain.definition is None:
            return None
        if self.request.persistent_xml is None:
            return self.domain.definition
        root, demand = read_domain(self.source.name, self.request.persistent_xml)
        self._check_same_guest(demand)
        return inactive_xml(root)

    def _prepare(self) -> Domain:
        """The destination takes memory and starts a QEMU that waits. Nothing is left there if it refuses."""
        there = self.destination
        xml = self.request.destination_xml
        if xml is None:
            xml = migratable_xml(read_domain(self.source.name, self.domain.document)[0])
        root, demand = read_domain(there.name, xml)
        self._check_same_guest(demand)
        there.check_name_is_free(demand)
        present = there.domains.get(demand.uuid)
        if present is not None and present.is_active:
            words = f"domain is already active as '{present.name}'"
            raise refused(there.name, Err.OPERATION_INVALID, words, vm=demand.name)
        there.check_can_run(demand)
        self._check_cpu(demand)
        there.ledger.claim(demand)
        domain = there.adopt(demand) if present is None else present
        domain.demand = demand
        domain.live = incoming_xml(root, there.next_id())
        domain.enter(State.PAUSED, Paused.MIGRATION, self.world.now_s)
        there.changed()
        self.world.tell_lifecycle(there, domain, Lifecycle.STARTED, 1)
        return domain

    def _check_same_guest(self, demand: Demand) -> None:
        """Refuse, as libvirt does, to change what the guest can see (virDomainDefCheckABIStability)."""
        own = self.domain.demand
        pairs = (
            ("uuid", demand.uuid, own.uuid),
            ("name", demand.name, own.name),
            ("vCPU count", demand.vcpus, own.vcpus),
            ("max memory", demand.memory_kib, own.memory_kib),
            ("NUMA cell count", len(demand.parts), len(own.parts)),
        )
        for what, theirs, ours in pairs:
            if theirs != ours:
                words = f"Target domain {what} {theirs} does not match source {ours}"
                raise refused(self.destination.name, Err.CONFIG_UNSUPPORTED, words, vm=own.name)
        for cell, (theirs_part, ours_part) in enumerate(zip(demand.parts, own.parts, strict=True)):
            if theirs_part.kib != ours_part.kib:
                words = f"Size of target NUMA node {cell} ({theirs_part.kib}) doesn't match source ({ours_part.kib})"
                raise refused(self.destination.name, Err.CONFIG_UNSUPPORTED, words, vm=own.name)

    def _check_cpu(self, demand: Demand) -> None:
        """A guest with the host's CPU needs at least that CPU; in reality QEMU finds out when it loads the state."""
        if demand.cpu_mode != "host-passthrough":
            return
        if self.destination.model.generation.value < self.source.model.generation.value:
            words = "Host CPU does not provide required features of the running guest"
            raise refused(self.destination.name, Err.CPU_INCOMPATIBLE, words, vm=demand.name)

    # --- under way ---------------------------------------------------------------

    @property
    def rate(self) -> float:
        """Bytes per second: its share of both links, and not above its limit."""
        if not self.memory.is_sending:
            return 0.0
        sending = [migration for migration in self.world.migrations if migration.memory.is_sending]
        out = sum(migration.source is self.source for migration in sending)
        into = sum(migration.destination is self.destination for migration in sending)
        share = min(self.source.model.link_mib_s / out, self.destination.model.link_mib_s / into)
        if self.bandwidth_mib_s and self.memory.phase is not Phase.POST_COPY:
            share = min(share, self.bandwidth_mib_s)
        return share * MIB

    def next_event_s(self) -> float:
        """Seconds until the next pass, phase or end. While a daemon is frozen, its part is not done."""
        needs_daemons = self.memory.phase in (Phase.SETUP, Phase.STOPPED, Phase.POST_COPY)
        if needs_daemons and (self.source.is_frozen or self.destination.is_frozen):
            return math.inf
        return self.memory.next_event_s(self.rate)

    def fire(self) -> None:
        """The event that was due."""
        before = self.memory.phase
        if self.failure is not None and before is Phase.PRE_COPY and self.memory.iteration == 1:
            self._fail(refused(self.source.name, Err.OPERATION_FAILED, self.failure, vm=self.domain.name))
            return
        self.memory.fire()
        now = self.memory.phase
        if now is Phase.DONE:
            self._complete()
        elif now is Phase.STOPPED and self.domain.state is State.RUNNING:
            self.source.pause(self.domain, Paused.MIGRATION, 1)
        if now in (Phase.PRE_COPY, Phase.STOPPED) and not self.memory.is_stalled:
            self.world.tell(self.source, DomainEventKind.MIGRATION_PASS, self.domain, str(self.memory.iteration))
        self.world.lock.notify_all()

    def start_post_copy(self) -> None:
        """Run the guest on the destination now."""
        if not self.request.post_copy:
            words = "switching to post-copy requires migration to be started with VIR_MIGRATE_POSTCOPY flag"
            raise refused(self.source.name, Err.OPERATION_INVALID, words, vm=self.domain.name)
        if self.memory.phase is not Phase.PRE_COPY:
            words = "post-copy can only be started while outgoing migration is in progress"
            raise refused(self.source.name, Err.OPERATION_INVALID, words, vm=self.domain.name)
        self.source.pause(self.domain, Paused.POSTCOPY, 7)
        self.memory.start_post_copy()
        self.destination.run(self.incoming, Running.POSTCOPY, 3)

    def abort(self) -> None:
        """Cancel; refused once the guest runs on the destination."""
        if self.memory.phase is Phase.POST_COPY:
            words = "cannot abort migration in post-copy mode"
            raise refused(self.source.name, Err.OPERATION_INVALID, words, vm=self.domain.name)
        words = "job 'migration out' canceled by client"
        self._fail(refused(self.source.name, Err.OPERATION_ABORTED, words, vm=self.domain.name))

    def break_off(self) -> None:
        """Break off a post-copy: the guest stands still until it is resumed."""
        if self.memory.phase is not Phase.POST_COPY:
            words = "current job is not outgoing migration in post-copy mode"
            raise refused(self.source.name, Err.OPERATION_INVALID, words, vm=self.domain.name)
        words = "job 'migration out' failed post-copy"
        self.source.pause(self.domain, Paused.POSTCOPY_FAILED, 8)
        self._lose(self.source, refused(self.source.name, Err.OPERATION_FAILED, words, vm=self.domain.name))

    def stats(self, *, incoming: bool = False) -> JobStats:
        """What virDomainGetJobStats answers; the destination knows only how it went in the end."""
        memory = self.memory
        operation = JobOperation.MIGRATION_IN if incoming else JobOperation.MIGRATION_OUT
        done = memory.phase is Phase.DONE
        if incoming and not done:
            words = "migration statistics are available only on the source host"
            raise refused(self.destination.name, Err.OPERATION_UNSUPPORTED, words, vm=self.domain.name)
        remaining = int(memory.remaining_bytes) // PAGE_BYTES * PAGE_BYTES
        return JobStats(
            job_type=int(Job.COMPLETED if done else Job.UNBOUNDED),
            operation=int(operation),
            elapsed_ms=int(memory.elapsed_s * 1000),
            downtime_ms=int(memory.downtime_s * 1000) if done else memory.expected_downtime_ms,
            setup_ms=int(memory.setup_s * 1000),
            memory_total_bytes=memory.memory_bytes,
            memory_processed_bytes=int(memory.sent_bytes),
            memory_remaining_bytes=remaining,
            memory_bps=int(self.rate if not done else memory.last_rate),
            dirty_rate_pages_s=int(memory.dirty_bytes_s / PAGE_BYTES) if memory.iteration > 1 else 0,
            page_size_bytes=PAGE_BYTES,
            iteration=memory.iteration,
            auto_converge_throttle_pct=memory.throttle_pct or None,
            postcopy_requests=int(memory.page_requests),
            disk_remaining_bytes=0,
        )

    # --- the end -----------------------------------------------------------------

    def _complete(self) -> None:
        """In libvirt's order: defined, resumed there; stopped, done here. No event tells that the source forgot it."""
        there, here, incoming, domain = self.destination, self.source, self.incoming, self.domain
        self._finish()
        if self._persistent_xml is not None:
            incoming.definition = self._persistent_xml
            self.world.tell_lifecycle(there, incoming, Lifecycle.DEFINED, 0)
        was_paused = domain.state is State.PAUSED and domain.reason == Paused.USER
        if was_paused:
            there.pause(incoming, Paused.USER, 0)
        else:
            there.run(incoming, Running.MIGRATED, 1)
        incoming.completed, domain.completed = self.stats(incoming=True), self.stats()
        if self.request.undefine_source:
            domain.definition = None
        here.stop(domain, Shutoff.MIGRATED, 3)
        self.world.tell(here, DomainEventKind.JOB_COMPLETED, domain)

    def _fail(self, error: HypervisorError) -> None:
        """It did not happen: the destination forgets, the source goes on."""
        self.error = error
        self._finish()
        if self.incoming.is_active:
            self.destination.stop(self.incoming, Shutoff.FAILED, 5)
        if self.domain.state is State.PAUSED and self.domain.reason == Paused.MIGRATION:
            self.source.run(self.domain, Running.MIGRATION_CANCELED, 0)
        self.source.changed()

    def _finish(self) -> None:
        self.is_over = True
        self.world.migrations.remove(self)
        self.domain.migration = self.incoming.migration = None
        self.world.lock.notify_all()

    def lose_guest(self, where: Daemon) -> None:
        """The QEMU process on one side was ended by force."""
        is_here = where is self.source
        words = (
            "domain is not running" if is_here else "job 'migration out' failed: Lost connection to destination host"
        )
        error = refused(self.source.name, Err.OPERATION_FAILED, words, vm=self.domain.name)
        self._lose(where, error)

    def lose_host(self, where: Daemon) -> None:
        """A host is gone, and the guest's process there with it."""
        if where is self.source:
            sentence = (
                f"The connection to {where.name} was lost while {self.domain.name} was being migrated to "
                f"{self.destination.name}."
            )
            error: HypervisorError = ConnectionLost(sentence, detail="client socket is closed", subject=where.name)
        else:
            words = "job 'migration out' failed: Lost connection to destination host"
            error = refused(self.source.name, Err.OPERATION_FAILED, words, vm=self.domain.name)
        self._lose(where, error)

    def _lose(self, where: Daemon, error: HypervisorError) -> None:
        if self.memory.phase is not Phase.POST_COPY:
            self._fail(error)
            return
        # Half of the guest's memory was on the other side: whoever is left cannot go on.
        self.error = error
        self._finish()
        left, domain = (self.destination, self.incoming) if where is self.source else (self.source, self.domain)
        left.pause(domain, Paused.POSTCOPY_FAILED, 8)
        self.domain.broken = self

    def go_on(self) -> None:
        """Resume after the post-copy broke: the rest of the memory follows."""
        self.error, self.is_over = None, False
        self.domain.broken = None
        self.domain.migration = self.incoming.migration = self
        self.world.migrations.append(self)
        self.source.pause(self.domain, Paused.POSTCOPY, 7)
        self.destination.run(self.incoming, Running.POSTCOPY, 3)
        self.world.lock.notify_all()


def begin(world: World, source: Daemon, uuid: str, request: MigrationRequest, destination: Daemon | None) -> Migration:
    """Begin a migration, or refuse it as libvirt would.

    Args:
        destination: Where to; None = the destination's URI leads to no host that answers.

    Raises:
        VmNotFound: the source has no such VM.
        OperationRefused: nothing was changed on either host.
    """
    domain = source.changeable(uuid)
    if request.resume_post_copy:
        return _resume(source, domain, _reached(world, source, domain, request, destination))
    if domain.state not in (State.RUNNING, State.PAUSED):
        raise refused(source.name, Err.OPERATION_INVALID, "domain is not running", vm=domain.name)
    there = _reached(world, source, domain, request, destination)
    if there is source:
        words = f"Attempt to migrate guest to the same host {source.uuid}"
        raise refused(source.name, Err.INTERNAL_ERROR, words, vm=domain.name)
    return Migration(world, source, there, domain, request)


def _reached(
    world: World, source: Daemon, domain: Domain, request: MigrationRequest, destination: Daemon | None
) -> Daemon:
    is_cut = destination is not None and frozenset((source.name, destination.name)) in world.cuts
    if (
        destination is None
        or destination.is_crashed
        or (is_cut and request.transport is MigrationTransport.PEER_TO_PEER)
    ):
        place = request.destination_uri.partition("://")[2].partition("/")[0]
        words = f"unable to connect to server at '{place}:16509': No route to host"
        raise refused(source.name, Err.SYSTEM_ERROR, words, vm=domain.name)
    return destination


def _resume(source: Daemon, domain: Domain, there: Daemon) -> Migration:
    """Go on with the one whose post-copy broke, where both halves of the guest are still there."""
    broken = domain.broken
    halves = (domain, broken.incoming) if broken is not None else ()
    is_whole = all((half.state, half.reason) == (State.PAUSED, Paused.POSTCOPY_FAILED) for half in halves)
    if broken is None or not is_whole or broken.destination is not there:
        words = "QEMU reports migration is not in the failed post-copy state"
        raise refused(source.name, Err.OPERATION_INVALID, words, vm=domain.name)
    broken.go_on()
    return broken
