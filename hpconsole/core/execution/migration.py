"""One attempt to move one VM: check once more, migrate, watch, and prove what came of it.

Every phase is written to the journal before it is begun. Libvirt's answer is never believed: the sentence at the end
says what both hosts were seen to have.
"""

from __future__ import annotations

import logging
import time

from hpconsole.core.errors import HpconsoleError, HypervisorError, PlanningError
from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.attempt import Listener, Result, Surroundings, Timings
from hpconsole.core.execution.cancel import CancelToken
from hpconsole.core.execution.convergence import GivenUp, ScheduleFollower
from hpconsole.core.execution.end_states import judge
from hpconsole.core.execution.journal import Phase
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.preflight import Booking, Prepared, prepare
from hpconsole.core.execution.proving import Expectation, Prover
from hpconsole.core.execution.routes import Route, is_worth_another_route, routes
from hpconsole.core.execution.steering import Steering
from hpconsole.core.execution.verification import look
from hpconsole.core.execution.watching import JobHelp, JobReader, JobWatcher, Target
from hpconsole.core.hypervisor.lent_mark import LentMark
from hpconsole.core.hypervisor.port import Hypervisor, MigrationRequest, MigrationTransport
from hpconsole.core.planning.migration_options import AUTO_CONNECTIONS, connections, may_post_copy
from hpconsole.core.planning.plan import Step
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost

__all__ = ["Listener", "Migration", "Result", "Surroundings", "Timings"]

_log = logging.getLogger(__name__)


class Migration:
    """One attempt. `run` (or `resume`, for one found in the journal) is called once, on a thread of its own."""

    def __init__(
        self,
        surroundings: Surroundings,
        step: Step,
        migration_id: str,
        token: CancelToken,
        listener: Listener,
        *,
        steering: Steering | None = None,
    ) -> None:
        self._with = surroundings
        self._step = step
        self._id = migration_id
        self._token = token
        self._listener = listener
        self._steering = steering or Steering()
        self._given_up: GivenUp | None = None
        self._reader = JobReader(
            surroundings.pool,
            Target(step.vm_uuid, step.vm_name, step.source, step.destination),
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
            sentence = (
                f"{self._step.vm_name} was not moved, nothing was changed: {failure.sentence} "
                f"It was on {self._step.source} when it was last seen."
            )
            return Result(StepOutcome.FAILED, None, sentence, failure.detail, self._step)
        self._step = prepared.step
        self._listener.on_started(prepared.step)
        if self._token.is_cancelled:
            sentence = f"Moving {self._step.vm_name} was cancelled before it began. It runs on {self._step.source}."
            return Result(StepOutcome.CANCELLED, None, sentence, "", self._step)
        self._lend(prepared.known)
        error, note = self._move(prepared)
        if self._token.is_left:
            return None
        return self._proven(self._prover(), Expectation(prepared.step, prepared.known, error, note, self._given_up))

    def resume(self, known: KnownBefore) -> Result | None:
        """Find out what became of an attempt that an earlier run of the console began. None: closing again."""
        helper = self._help(self._follower(), began_s=None)
        self._lend(known)
        return self._proven(self._prover(helper), Expectation(self._step, known, is_resumed=True))

    def _lend(self, known: KnownBefore) -> None:
        """Polls take the emulator's pin for what is meant, not for what it is while the VM moves."""
        self._with.store.lent.lend(self._step.vm_uuid, known.emulator_meant(self._step))

    def _proven(self, prover: Prover, expected: Expectation) -> Result | None:
        result = prover.prove(expected)
        if result is not None and result.outcome is not StepOutcome.UNKNOWN:
            self._with.store.lent.give_back(self._step.vm_uuid)
        return result

    def _prover(self, helper: JobHelp | None = None) -> Prover:
        return Prover(self._with, self._id, self._token, self._listener, self._reader, helper=helper)

    def _follower(self) -> ScheduleFollower:
        options = self._step.options
        return ScheduleFollower(
            self._with.how(options).schedule,
            self._step.vm_name,
            silence_s=self._with.timings.silence_s,
            bandwidth_mib_s=options.bandwidth_mib_s,
        )

    def _help(self, follower: ScheduleFollower, *, began_s: float | None) -> JobHelp:
        return JobHelp(
            self._reader,
            self._token,
            follower,
            self._steering,
            began_s=began_s,
            on_change=self._listener.on_change,
        )

    # --- moving ---------------------------------------------------------------------------------------------------

    def _move(self, prepared: Prepared) -> tuple[HypervisorError | None, str]:
        """Try each route; what libvirt said in the end, and a remark on the way that was taken."""
        pool, step = self._with.pool, prepared.step
        error: HypervisorError | None = None
        note = ""
        self._move_threads_away(prepared)
        for route in routes(pool.uri(step.source), pool.uri(step.destination)):
            if self._token.is_cancelled or self._token.is_left or self._given_up is not None:
                break
            if error is not None:
                note = (
                    f"{step.source} could not reach {step.destination} by itself; this console carried the migration."
                )
                _log.info("%s: next route %s after: %s", step.vm_name, route, error.detail or error.sentence)
            self._with.journal.advance(
                self._id, Phase.MIGRATING, f"Migrating, {route.transport.value}.", prepared.known.to_json()
            )
            error = self._migrate(prepared, route)
            if error is None or not is_worth_another_route(error) or not self._is_untouched(prepared):
                break
        return error, note

    def _move_threads_away(self, prepared: Prepared) -> None:
        """Keep the source's migration threads off guests' CPUs; `carrying_over` gives the emulator its CPUs back."""
        step, cpus = prepared.step, prepared.threads.source
        if cpus is None:
            return
        words = f"Keeping its migration threads on CPUs {cpus.format()} of {step.source}."
        self._with.journal.advance(self._id, Phase.MIGRATING, words, prepared.known.to_json())
        mark = LentMark(cpus, prepared.vm.pinning.emulator)

        def lend(host: Hypervisor) -> None:
            host.mark_lent(step.vm_uuid, mark)  # first: no console may take the lent CPUs for what is meant
            host.pin_emulator(step.vm_uuid, cpus.format(), live=True, config=False)

        try:
            self._with.pool.call(step.source, lend, deadline_s=self._with.timings.call_s)
        except HpconsoleError as error:
            self._listener.on_change(
                "warning",
                f"The migration threads of {step.vm_name} run on guests' CPUs of {step.source}: {error.sentence}",
            )

    def _is_untouched(self, prepared: Prepared) -> bool:
        """Whether the VM still runs on the source, and there only: an answer that was lost on its way is no refusal."""
        pool, step, deadline_s = self._with.pool, prepared.step, self._with.timings.call_s
        source = look(pool, step.source, step.vm_uuid, deadline_s=deadline_s)
        destination = look(pool, step.destination, step.vm_uuid, deadline_s=deadline_s)
        state = judge(source, destination, was_paused=prepared.known.was_paused)
        return state.is_as_before and not destination.is_active

    def _migrate(self, prepared: Prepared, route: Route) -> HypervisorError | None:
        pool, step = self._with.pool, prepared.step
        request = self._request(prepared, route)
        follower = self._follower()
        helper = self._help(follower, began_s=time.monotonic())
        watcher = JobWatcher(helper, self._token, interval_s=self._with.timings.poll_s)
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

    def _request(self, prepared: Prepared, route: Route) -> MigrationRequest:
        options = prepared.step.options
        how = self._with.how(options)
        return MigrationRequest(
            destination_uri=route.destination_uri,
            transport=route.transport,
            destination_xml=prepared.destination_xml,
            persistent_xml=prepared.persistent_xml,
            migrate_uri=route.migrate_uri,
            bandwidth_mib_s=options.bandwidth_mib_s,
            auto_converge=how.auto_converge,
            compressed=how.compressed,
            post_copy=may_post_copy(options, how),
            parallel_connections=self._connections(prepared),
            tls=options.tls,
        )

    def _connections(self, prepared: Prepared) -> int | None:
        options, spare = prepared.step.options, prepared.threads.source
        is_auto = options.parallel_connections == AUTO_CONNECTIONS
        return connections(
            options,
            vcpus=prepared.vm.vcpus,
            link_mib_s=self._link(prepared.step) if is_auto else None,
            spare_cpus=None if spare is None else len(spare),
        )

    def _link(self, step: Step) -> float | None:
        """What the slower of the two network cards carries; None where neither tells."""
        told = []
        for host in (step.source, step.destination):
            try:
                deadline_s = self._with.timings.call_s
                told.append(self._with.pool.call(host, lambda one: one.card_speed_mib_s(), deadline_s=deadline_s))
            except HpconsoleError as error:
                _log.info("network card of %s: %s", host, error.sentence)
        return min((speed for speed in told if speed is not None), default=None)
