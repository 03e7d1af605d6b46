"""What can be done about a migration that ended badly: look again, let the VM go on where its memory is, clean up.

Each looks at every host first and does only what is provably safe; where that cannot be proven it refuses and says why.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from hpconsole.core.errors import ExecutionError, HypervisorError, OperationRefused, StorageError
from hpconsole.core.execution.end_sentences import describe
from hpconsole.core.execution.end_states import EndAction, EndState, HostView, judge
from hpconsole.core.execution.journal import RAN_THERE, Journal, MigrationRecord
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.routes import routes
from hpconsole.core.execution.verification import look
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import MigrationRequest, MigrationTransport

_log = logging.getLogger(__name__)

# What libvirt says as long as a QEMU still believes in the old link: up to its next packet, which TCP sends ever later.
_TOO_EARLY = ("is being actively monitored", "migration is still running", "failed in post-copy phase")
_NOTICED_WITHIN_S = 90.0
_MOVED = frozenset(state.value for state in EndState if state.is_moved)
_FORCE_OFF_S = 24.0  # a QEMU that waits for lost memory does not end when asked: libvirt kills it after some 15 s


@dataclass(frozen=True, slots=True)
class Situation:
    """How a VM's newest migration stands now, as its hosts show it."""

    record: MigrationRecord
    state: EndState
    sentence: str
    source: HostView
    destination: HostView

    @property
    def actions(self) -> tuple[EndAction, ...]:
        """What can be done about it."""
        return self.state.actions


class Repairs:
    """Repairs of VMs whose newest migration is in the journal.

    Threads: any; every method blocks while hosts are asked, `recover` until the memory has arrived.
    """

    def __init__(self, pool: ConnectionPool, journal: Journal, *, deadline_s: float = 10.0) -> None:
        self._pool = pool
        self._journal = journal
        self._deadline_s = deadline_s

    def situation(self, vm_uuid: str) -> Situation:
        """Ask both hosts of the VM's newest migration.

        Raises:
            ExecutionError: the journal knows no migration of it.
            StorageError: the journal cannot be read.
        """
        record = next((record for record in self._journal.records(5000) if record.vm_uuid == vm_uuid), None)
        if record is None:
            raise ExecutionError("The journal knows no migration of this VM.", subject=vm_uuid)
        source = look(self._pool, record.source, vm_uuid, deadline_s=self._deadline_s)
        destination = look(self._pool, record.destination, vm_uuid, deadline_s=self._deadline_s)
        known = KnownBefore.from_json(record.facts)
        state = judge(source, destination, was_paused=known.was_paused)
        return Situation(record, state, describe(state, record.vm_name, source, destination), source, destination)

    def recover(self, vm_uuid: str, *, may_start_anew: bool = False) -> Situation:
        """Let the VM go on where its memory is; returns how it stands then.

        Args:
            may_start_anew: Where part of its memory is lost, end what is left of it and boot it.

        Raises:
            ExecutionError: there is nothing to recover, or it cannot be proven to be safe.
            HypervisorError: a host did not do it.
        """
        now = self.situation(vm_uuid)
        name, here, there = now.record.vm_name, now.source.host, now.destination.host
        hangs = now.state is EndState.STILL_MIGRATING and now.source.is_in_post_copy
        if now.state is EndState.BROKEN_POST_COPY or hangs:
            self._resume_post_copy(now)
        elif now.state is EndState.PAUSED_ON_SOURCE:
            self._refuse_if_it_ran_there(now)
            _log.info("resuming %s on %s", vm_uuid, here)
            self._pool.call(here, lambda host: host.resume(vm_uuid), deadline_s=self._deadline_s)
        elif now.state is EndState.PAUSED_ON_DESTINATION:
            _log.info("resuming %s on %s", vm_uuid, there)
            self._pool.call(there, lambda host: host.resume(vm_uuid), deadline_s=self._deadline_s)
        elif self._is_lost(now):
            if not may_start_anew:
                raise ExecutionError(f"{now.sentence} Nothing was changed.", subject=name)
            host = self._start_anew(now)
            return replace(
                self._noted(self.situation(vm_uuid)), sentence=f"{name} was started anew on {host}, from its disks."
            )
        elif not now.state.is_final:
            raise ExecutionError(f"{name} cannot be recovered yet. {now.sentence}", subject=name)
        else:
            self._noted(now)
            raise ExecutionError(f"There is nothing to recover of {name}. {now.sentence}", subject=name)
        return self._noted(self.situation(vm_uuid))

    def clean_up(self, vm_uuid: str, host: str) -> str:
        """Remove what is left of a VM on a host where it provably is not the live one; returns a sentence.

        Raises:
            ExecutionError: it is, or may be, the live one; nothing was changed.
            HypervisorError: the host did not do it.
        """
        views = {name: look(self._pool, name, vm_uuid, deadline_s=self._deadline_s) for name in self._pool.names()}
        target = views.pop(host, None)
        if target is None:
            raise ExecutionError(f"There is no host named {host} in this console.", subject=host)
        name = next((view.record.name for view in (target, *views.values()) if view.record is not None), vm_uuid)
        self._refuse_if_it_may_live(name, target, list(views.values()))
        live = next(view.host for view in views.values() if view.is_active and not view.is_half)
        was_active = target.is_active
        _log.info("cleaning up %s on %s, it runs on %s", vm_uuid, host, live)
        if was_active:
            self._pool.call(host, lambda there: there.force_off(vm_uuid), deadline_s=_FORCE_OFF_S)
        if target.record is not None and target.record.is_persistent:
            self._pool.call(host, lambda there: there.undefine(vm_uuid), deadline_s=self._deadline_s)
        with suppress(ExecutionError, StorageError):  # it need not be a migration that left this
            self._noted(self.situation(vm_uuid))
        what = "The stopped guest process" if was_active else "The definition"
        return f"{what} of {name} on {host} was removed. {name} runs on {live}."

    def _noted(self, now: Situation) -> Situation:
        """Say in the journal how it stands now: what was done is not offered again.

        An attempt that is not closed is left to those who look after it. That a VM ran on its destination is never
        forgotten (`_refuse_if_it_ran_there`).
        """
        record, known = now.record, now.record.statistics
        forgets = known.get("end_state") in _MOVED and not now.state.is_moved
        if not record.is_open and now.state.is_final and not forgets:
            try:
                self._journal.measure(record.migration_id, {**known, "end_state": now.state.value})
            except StorageError as error:
                _log.warning("what was repaired of %s is not in the journal: %s", record.vm_uuid, error.sentence)
        return now

    # --- what is lost ---------------------------------------------------------------------------------------------

    @staticmethod
    def _is_lost(now: Situation) -> bool:
        ended = now.state is EndState.NOWHERE and (now.source.record or now.destination.record) is not None
        return now.state is EndState.LOST_POST_COPY or ended

    def _start_anew(self, now: Situation) -> str:
        """End the useless half, keep one definition, the source's if it has one, and boot it there: on that host."""
        uuid = now.record.vm_uuid
        views = [view for view in (now.source, now.destination) if view.record is not None]
        defined = [view.host for view in views if view.record is not None and view.record.is_persistent]
        if not defined or not now.source.is_reachable or not now.destination.is_reachable:
            raise ExecutionError(
                f"{now.record.vm_name} has no definition left to start it from. {now.sentence}",
                subject=now.record.vm_name,
            )
        _log.info("starting %s anew on %s", uuid, defined[0])
        for view in views:
            if view.is_active:
                self._pool.call(view.host, lambda host: host.force_off(uuid), deadline_s=_FORCE_OFF_S)
        for host in defined[1:]:
            self._pool.call(host, lambda there: there.undefine(uuid), deadline_s=self._deadline_s)
        self._pool.call(defined[0], lambda host: host.start(uuid), deadline_s=max(30.0, self._deadline_s))
        return defined[0]

    # --- what must be true ----------------------------------------------------------------------------------------

    def _refuse_if_it_may_live(self, name: str, target: HostView, others: list[HostView]) -> None:
        host = target.host
        unchanged = "Nothing was changed."
        if not target.is_reachable:
            raise ExecutionError(f"{host} does not answer: {target.problem} {unchanged}", subject=name)
        if target.record is None:
            raise ExecutionError(f"Nothing of {name} is on {host}.", subject=name)
        live = [view for view in others if view.is_active and not view.is_half]
        if target.is_active and not target.is_paused:
            raise ExecutionError(f"{name} runs on {host}: that is no left-over. {unchanged}", subject=name)
        if not live:
            silent = [view.host for view in others if not view.is_reachable]
            asked = f" {', '.join(silent)} did not answer." if silent else ""
            raise ExecutionError(
                f"No other host runs {name}, so what is on {host} may be all there is of it.{asked} {unchanged}",
                subject=name,
            )
        needed = next((view for view in (*live, target) if view.is_in_post_copy), None)
        if needed is not None or any(view.has_job for view in live):
            raise ExecutionError(
                f"{name} is being moved: part of its memory may be on {host} only. Wait for the end, or recover it. "
                f"{unchanged}",
                subject=name,
            )

    def _refuse_if_it_ran_there(self, now: Situation) -> None:
        """Older memory than the disks: running it again would damage them."""
        record = now.record
        seen = record.statistics.get("end_state")
        if not now.destination.is_reachable or now.destination.is_active:
            raise ExecutionError(
                f"{record.vm_name} may have run on {now.destination.host} since, which cannot be asked or still has a "
                "process of it. Nothing was changed.",
                subject=record.vm_name,
            )
        if seen in _MOVED or record.facts.get(RAN_THERE) is True:
            raise ExecutionError(
                f"{record.vm_name} ran on {now.destination.host} after the migration: what stands still on "
                f"{now.source.host} is older than its disks and must not run again. Force it off, and start it anew.",
                subject=record.vm_name,
            )
        if now.destination.record is not None and KnownBefore.from_json(record.facts).was_destination_clean:
            # libvirt defines a guest on its destination just before it runs there (qemuMigrationDstFinish)
            raise ExecutionError(
                f"{record.vm_name} may have run on {now.destination.host}: its definition is there, and was not before "
                f"the migration. What stands still on {now.source.host} may be older than its disks. Nothing was "
                "changed: force it off, and start it anew.",
                subject=record.vm_name,
            )

    # --- a broken post-copy ---------------------------------------------------------------------------------------

    def _resume_post_copy(self, now: Situation) -> None:
        record, uuid = now.record, now.record.vm_uuid
        if now.source.has_job:
            # QEMU does not notice a dead link for minutes; a job must be broken off before it can be resumed
            try:
                self._pool.call(
                    record.source, lambda host: host.abort_job(uuid, post_copy=True), deadline_s=self._deadline_s
                )
            except HypervisorError as error:
                _log.info("%s: breaking off its post-copy: %s", uuid, error.detail or error.sentence)
        self._go_on(now)

    def _go_on(self, now: Situation) -> None:
        """Resume it, as soon as both QEMUs know that the old link is dead."""
        record, began = now.record, time.monotonic()
        while True:
            try:
                self._ask_to_go_on(record)
            except OperationRefused as error:
                is_too_early = any(words in error.detail for words in _TOO_EARLY)
                if not is_too_early or time.monotonic() - began > _NOTICED_WITHIN_S:
                    raise ExecutionError(
                        f"{record.vm_name} could not be recovered yet, and still stands still on {record.destination}. "
                        f"{error.sentence} Nothing is lost: try again once {record.source} and {record.destination} "
                        "reach each other.",
                        detail=error.detail,
                        subject=record.vm_name,
                    ) from error
            else:
                return
            threading.Event().wait(1.0)
            if self.situation(record.vm_uuid).state.is_moved:
                return  # the link came back, and it went on by itself

    def _ask_to_go_on(self, record: MigrationRecord) -> None:
        route = routes(self._pool.uri(record.source), self._pool.uri(record.destination))[0]
        request = MigrationRequest(
            destination_uri=route.destination_uri,
            transport=route.transport,
            migrate_uri=route.migrate_uri,
            post_copy=True,
            resume_post_copy=True,
            undefine_source=KnownBefore.from_json(record.facts).is_persistent,
        )
        is_ours = route.transport is MigrationTransport.CLIENT_MANAGED
        destination = self._pool.hypervisor(record.destination) if is_ours else None
        self._pool.hypervisor(record.source).migrate(record.vm_uuid, request, destination)
