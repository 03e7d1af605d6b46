"""One attempt to move one VM: check once more, migrate, watch, and prove what came of it.

Every phase is written to the journal before it is begun. Libvirt's answer is never believed: the sentence at the end
says what both hosts were seen to have.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from hpconsole.core.errors import (
    ConnectionLost,
    HostUnreachable,
    HpconsoleError,
    HypervisorError,
    NoSuitableHost,
    PlanningError,
)
from hpconsole.core.events import MigrationProgress, StepOutcome
from hpconsole.core.execution.cancel import CancelToken
from hpconsole.core.execution.convergence import GivenUp, ScheduleFollower
from hpconsole.core.execution.end_states import EndState, HostView, describe, judge
from hpconsole.core.execution.journal import JournalWriter, Phase
from hpconsole.core.execution.preflight import Booking, Prepared, prepare
from hpconsole.core.execution.routes import Route, is_worth_another_route, routes
from hpconsole.core.execution.verification import differences, look, outcome_detail
from hpconsole.core.execution.watching import JobReader, JobWatcher
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import JobStats, MigrationRequest, MigrationTransport
from hpconsole.core.planning.migration_policy import MINIMAL_DOWNTIME, MigrationPolicy
from hpconsole.core.planning.plan import Step
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timings:
    """How often hosts are asked, and how long they are waited for."""

    poll_s: float = 0.5
    call_s: float = 10.0  # the deadline of one question
    settle_s: float = 3.0  # how long two hosts may take to agree once libvirt's call has returned
    patience_s: float = 600.0  # how long a silent host is asked before the outcome is called unknown
    silence_s: float = 240.0  # how long a migration may send nothing before it is aborted


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an attempt works with."""

    pool: ConnectionPool
    store: Store
    journal: JournalWriter
    policy: Callable[[], Policy]
    timings: Timings = Timings()
    how: MigrationPolicy = MINIMAL_DOWNTIME


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom an attempt tells. Called on its threads; returns at once."""

    on_started: Callable[[Step], None]
    on_progress: Callable[[MigrationProgress], None]
    on_lost_sight: Callable[[str], None]  # a sentence


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended. `state` None: nothing was begun.

    `is_at_source`: the source was seen to run the VM, whatever older polls say, so that another host may be tried.
    `is_stalled`: the VM writes faster than can be sent, which another host does not change.
    """

    outcome: StepOutcome
    state: EndState | None
    sentence: str
    detail: str
    step: Step
    is_at_source: bool = False
    is_stalled: bool = False


@dataclass(frozen=True, slots=True)
class _Expectation:
    """What is to be proven."""

    step: Step
    was_paused: bool
    should_be_persistent: bool
    error: HypervisorError | None
    note: str = ""


class Migration:
    """One attempt. `run` (or `resume`, for one found in the journal) is called once, on a thread of its own."""

    def __init__(
        self, surroundings: Surroundings, step: Step, migration_id: str, token: CancelToken, listener: Listener
    ) -> None:
        self._with = surroundings
        self._step = step
        self._id = migration_id
        self._token = token
        self._listener = listener
        self._given_up: GivenUp | None = None
        self._reader = JobReader(
            surroundings.pool,
            step.source,
            step.vm_uuid,
            listener.on_progress,
            deadline_s=surroundings.timings.call_s,
        )

    def run(self, book: Booking) -> Result | None:
        """Move the VM to the place that `book` gives. None: the console closes and the hosts go on by themselves."""
        self._with.journal.advance(self._id, Phase.STARTING, "Checking once more before anything is changed.")
        try:
            prepared = prepare(
                self._step,
                self._with.pool,
                self._with.store.snapshot,
                self._with.policy(),
                book,
                deadline_s=self._with.timings.call_s,
            )
        except PlanningError as refusal:
            is_at_source = isinstance(refusal, NoSuitableHost)  # asked for only once the source has shown it
            return Result(StepOutcome.SKIPPED, None, refusal.sentence, refusal.detail, self._step, is_at_source)
        except HpconsoleError as failure:
            sentence = f"{self._step.vm_name} was not moved, nothing was changed: {failure.sentence}"
            return Result(StepOutcome.FAILED, None, sentence, failure.detail, self._step)
        self._step = prepared.step
        self._listener.on_started(prepared.step)
        if self._token.is_cancelled:
            sentence = f"Moving {self._step.vm_name} was cancelled before it began. It runs on {self._step.source}."
            return Result(StepOutcome.CANCELLED, None, sentence, "", self._step)
        error, note = self._move(prepared)
        if self._token.is_left:
            return None
        expected = _Expectation(prepared.step, prepared.was_paused, prepared.is_persistent, error, note)
        return self._prove(expected, lost_sight=isinstance(error, ConnectionLost | HostUnreachable))

    def resume(self) -> Result | None:
        """Find out what became of an attempt that an earlier run of the console began. None: closing again."""
        return self._prove(_Expectation(self._step, False, False, None), lost_sight=True)

    # --- moving ---------------------------------------------------------------------------------------------------

    def _move(self, prepared: Prepared) -> tuple[HypervisorError | None, str]:
        """Try each route; what libvirt said in the end, and a remark on the way that was taken."""
        pool, step = self._with.pool, prepared.step
        error: HypervisorError | None = None
        note = ""
        for route in routes(pool.uri(step.source), pool.uri(step.destination)):
            if self._token.is_cancelled or self._token.is_left or self._given_up is not None:
                break
            if error is not None:
                note = (
                    f"{step.source} could not reach {step.destination} by itself; this console carried the migration."
                )
                _log.info("%s: next route %s after: %s", step.vm_name, route, error.detail or error.sentence)
            self._with.journal.advance(self._id, Phase.MIGRATING, f"Migrating, {route.transport.value}.")
            error = self._migrate(prepared, route)
            if error is None or not is_worth_another_route(error) or not self._is_untouched(prepared):
                break
        return error, note

    def _is_untouched(self, prepared: Prepared) -> bool:
        """Whether the VM still runs on the source, and there only: an answer that was lost on its way is no refusal."""
        pool, step, deadline_s = self._with.pool, prepared.step, self._with.timings.call_s
        source = look(pool, step.source, step.vm_uuid, deadline_s=deadline_s)
        destination = look(pool, step.destination, step.vm_uuid, deadline_s=deadline_s)
        state = judge(source, destination, was_paused=prepared.was_paused)
        return state.is_as_before and not destination.is_active

    def _migrate(self, prepared: Prepared, route: Route) -> HypervisorError | None:
        pool, step = self._with.pool, prepared.step
        request = MigrationRequest(
            destination_uri=route.destination_uri,
            transport=route.transport,
            destination_xml=prepared.destination_xml,
            persistent_xml=prepared.persistent_xml,
            migrate_uri=route.migrate_uri,
            bandwidth_mib_s=step.bandwidth_mib_s,
            auto_converge=self._with.how.auto_converge,
            compressed=self._with.how.compressed,
            post_copy=step.post_copy,
        )
        follower = ScheduleFollower(
            self._with.how.schedule,
            step.vm_name,
            silence_s=self._with.timings.silence_s,
            bandwidth_mib_s=step.bandwidth_mib_s,
        )
        watcher = JobWatcher(self._reader, self._token, follower, interval_s=self._with.timings.poll_s)
        try:
            source = pool.hypervisor(step.source)
            is_ours = route.transport is MigrationTransport.CLIENT_MANAGED
            destination = pool.hypervisor(step.destination) if is_ours else None
            source.migrate(step.vm_uuid, request, destination)
        except HypervisorError as error:
            return error
        finally:
            watcher.close()
            self._given_up = follower.given_up
        return None

    # --- proving --------------------------------------------------------------------------------------------------

    def _prove(self, expected: _Expectation, *, lost_sight: bool) -> Result | None:
        phase = Phase.WATCHING if lost_sight else Phase.VERIFYING
        self._with.journal.advance(self._id, phase, "Asking both hosts where the VM is.")
        if lost_sight:
            self._listener.on_lost_sight(
                f"The console lost sight of {expected.step.vm_name}; the hosts go on by themselves. Asking them."
            )
        found = self._until_known(expected)
        if found is None:
            return None
        state, source, destination = found
        step = expected.step
        sentences = [self._beginning(state, expected), describe(state, step.vm_name, source, destination)]
        detail = outcome_detail(state, (source, destination), expected.error)
        if state.is_moved:
            wrong = differences(destination, step.placement, should_be_persistent=expected.should_be_persistent)
            if wrong:
                sentences += ["But not all is as planned:", *wrong]
            elif not step.placement.is_free:
                sentences.append("Its pinning there is as planned.")
            sentences.append(expected.note)
            detail += self._completed()
        elif self._given_up is not None and not self._token.is_cancelled:
            sentences.append(self._given_up.advice)
        sentence = " ".join(part for part in sentences if part)
        is_stalled = self._given_up is not None and not self._given_up.is_link_silent and not state.is_moved
        outcome = self._outcome(state, expected.error)
        return Result(outcome, state, sentence, detail, step, state.is_as_before, is_stalled)

    def _until_known(self, expected: _Expectation) -> tuple[EndState, HostView, HostView] | None:
        """Ask until both hosts agree on something final, or patience ends. None: the console closes."""
        timings, step, pool = self._with.timings, expected.step, self._with.pool
        wanted = (EndState.ON_DESTINATION,) if expected.error is None else (EndState.ON_DESTINATION, EndState.ON_SOURCE)
        began = time.monotonic()
        while not self._token.is_left:
            source = look(pool, step.source, step.vm_uuid, deadline_s=timings.call_s)
            destination = look(pool, step.destination, step.vm_uuid, deadline_s=timings.call_s)
            state = judge(source, destination, was_paused=expected.was_paused)
            waited_s = time.monotonic() - began
            if state in wanted or (state.is_final and waited_s >= timings.settle_s):
                return state, source, destination
            if state is EndState.UNKNOWN and waited_s >= timings.patience_s:
                return state, source, destination
            if state is EndState.STILL_MIGRATING:
                is_ours = not _is_somebody_elses(expected.error)
                if not is_ours and waited_s >= timings.settle_s:
                    return state, source, destination
                if self._token.is_cancelled and is_ours:
                    self._reader.abort()
                self._reader.read(describe(state, step.vm_name, source, destination))
            self._token.wait(timings.poll_s if state is not EndState.UNKNOWN else min(5.0, timings.poll_s * 4))
        return None

    def _beginning(self, state: EndState, expected: _Expectation) -> str:
        step, error = expected.step, expected.error
        if state.is_moved:
            return "It was too late to cancel." if self._token.is_cancelled else ""
        if self._token.is_cancelled and state.is_as_before:
            return f"The migration of {step.vm_name} to {step.destination} was cancelled."
        if state is EndState.STILL_MIGRATING:
            return f"This console could not move {step.vm_name}: somebody else is migrating it."
        if self._given_up is not None:
            return f"{step.vm_name} could not be moved to {step.destination}: {self._given_up.reason}"
        why = error.sentence if error is not None else "the hosts gave up, or the console was gone when it ended."
        return f"{step.vm_name} could not be moved to {step.destination}: {why}"

    def _outcome(self, state: EndState, error: HypervisorError | None) -> StepOutcome:
        if state is EndState.UNKNOWN:
            return StepOutcome.UNKNOWN
        if state.is_moved:
            return StepOutcome.DONE
        if self._token.is_cancelled and state.is_as_before:
            return StepOutcome.CANCELLED
        _log.warning("migration of %s: %s", self._step.vm_name, error.detail or error.sentence if error else state)
        return StepOutcome.FAILED

    def _completed(self) -> str:
        """Time and downtime, which the destination keeps; nothing where it does not tell."""
        step = self._step
        try:
            stats: JobStats = self._with.pool.call(
                step.destination,
                lambda host: host.job_stats(step.vm_uuid, completed=True),
                deadline_s=self._with.timings.call_s,
            )
        except HpconsoleError:
            return ""
        parts = [
            f"total {stats.elapsed_ms / 1000:.1f} s" if stats.elapsed_ms is not None else "",
            f"downtime {stats.downtime_ms} ms" if stats.downtime_ms is not None else "",
            f"{stats.iteration} passes" if stats.iteration else "",
        ]
        return "\n" + ", ".join(part for part in parts if part)


def _is_somebody_elses(error: HypervisorError | None) -> bool:
    """Our call was refused and yet a job runs: another console's, or a tool's."""
    return error is not None and not isinstance(error, ConnectionLost | HostUnreachable)
