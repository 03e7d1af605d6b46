"""Runs plans: what starts when, on how many threads, how it is cancelled, what is tried after a failure.

How one VM is moved is `migration`'s business. Everything that happens is an event of the store; nobody is called back.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hpconsole.core.errors import ExecutionError, PlanOutOfDate
from hpconsole.core.events import (
    Event,
    MigrationProgress,
    Notice,
    PlanFinished,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.execution.attempt import preset
from hpconsole.core.execution.console_identity import ConsoleIdentity, this_console
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.entries import record_of
from hpconsole.core.execution.journal import Journal, JournalWriter
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.migration import Listener, Migration, Result, Surroundings, Timings
from hpconsole.core.execution.promises import Promises
from hpconsole.core.execution.queue_control import QueueControl
from hpconsole.core.execution.recovery import Found
from hpconsole.core.execution.retry import may_be_retried, next_try
from hpconsole.core.execution.steering import JobChange
from hpconsole.core.execution.step_queue import Limits, QueuedStep, StepQueue, StepState, StepStatus
from hpconsole.core.execution.unfinished import Unfinished
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.planning.migration_options import MigrationOptions, most_at_once
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.core.planning.plan import Plan, Step
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.core.store import Store

_log = logging.getLogger(__name__)


class Executor:
    """The queue of plans and the threads that work on it.

    Args:
        pool: Connections to the hosts.
        store: Where the newest snapshot is and events go.
        journal: Where attempts are written before they are made.
        policy: The scheduling policy in force, for steps that are placed again.
        limits: How many migrations may run at once.
        timings: How often and how long hosts are asked.
        refresh: Asks for a new poll of a host, when a VM left or reached it.
        how: The migration policy that these options mean.
        fill: Adds to options what their policy says of bandwidth, connections and TLS.
        foresee: Adds what is known to expect of a step, at once.

    Threads: public methods from any thread; they return at once, except `close`. One thread `hpc-executor` starts
    steps; each running step has its own, and one that looks at its progress.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        store: Store,
        journal: Journal,
        *,
        policy: Callable[[], Policy] = lambda: DEFAULT_POLICY,
        limits: Limits | None = None,
        timings: Timings | None = None,
        refresh: Callable[[str], None] = lambda _host: None,
        console: ConsoleIdentity | None = None,
        how: Callable[[MigrationOptions], MigrationPolicy] = preset,
        fill: Callable[[MigrationOptions], MigrationOptions] = lambda options: options,
        foresee: Callable[[Step], Step] = lambda step: step,
    ) -> None:
        self._pool = pool
        self._store = store
        self._journal = journal
        self._writer = JournalWriter(journal, lambda sentence: self._notify("warning", sentence))
        self._with = Surroundings(pool, store, self._writer, policy, timings or Timings(), how)
        self._policy = policy
        self._foresee = foresee
        self._fill = fill
        self._refresh = refresh
        self._console = console or this_console()
        self._queue = StepQueue(limits or Limits())
        self._promises = Promises(store)
        self._lock = threading.RLock()
        self._booking = threading.Lock()  # held while a place is chosen; never taken with `_lock` held
        self._changed = threading.Condition(self._lock)
        self.control = QueueControl(self._queue, self._lock, how, self._wake)
        self._is_closing = False
        self._is_dirty = False
        self._must_recover = False
        self._dispatcher: threading.Thread | None = None
        self._threads: set[threading.Thread] = set()
        self._unfinished = Unfinished(
            pool,
            journal,
            self._console,
            adopt=self._adopt,
            notify=self._notify,
            deadline_s=self._with.timings.call_s,
        )
        self._stop_listening = store.subscribe(self._unfinished.look_at)

    # --- what others call -----------------------------------------------------------------------------------------

    def submit(self, plan: Plan) -> None:
        """Run a confirmed plan. Its steps start as the limits allow.

        Raises:
            ExecutionError: the console is closing.
            PlanOutOfDate: one of its VMs is waiting or on its way already; nothing was changed.
        """
        vms = self._store.snapshot.vms
        with self._lock:
            if self._is_closing:
                raise ExecutionError("The console is closing; nothing was changed.")
            for step in plan.steps:
                if self._queue.of_vm(step.vm_uuid) is not None:
                    raise PlanOutOfDate(
                        f"{step.vm_name} is being migrated by another plan already; nothing was changed.",
                        subject=step.vm_name,
                    )
            for index, planned in enumerate(plan.steps):
                step = replace(planned, options=self._fill(planned.options))
                entry = QueuedStep(plan, index, step, vms.get(step.vm_uuid), uuid.uuid4().hex)
                entry.most = most_at_once(step.options, self._with.how(step.options))
                self._queue.add(entry)
        self._report(PlanSubmitted(_now(), plan))
        if not plan.steps:
            self._report(PlanFinished(_now(), plan, ()))
        self._wake()

    def cancel(self, plan_id: str, index: int | None = None) -> None:
        """Cancel one step of a plan, or all of them. What comes of it is an event; a step that ended stays so."""
        with self._lock:
            for entry in self._queue.of_plan(plan_id):
                if index is None or entry.index == index:
                    entry.token.cancel()
        self._wake()

    def reservations(self) -> tuple[Reservation, ...]:
        """What waiting, running and just ended steps promise to their VMs on the destinations."""
        with self._lock:
            return self._promises.of(self._queue.unfinished())

    def running(self) -> tuple[StepStatus, ...]:
        """Every step that waits or runs, in the order of the queue."""
        with self._lock:
            return self._queue.statuses()

    def recover(self) -> None:
        """Look after the migrations that an earlier run of the console left unfinished. Returns at once."""
        with self._lock:
            self._must_recover = True
        self._wake()

    def refuse_to_lose(self, host: str) -> None:
        """Raise ExecutionError, with a sentence, while a VM is on its way from or to this host."""
        steps = [status.step for status in self.running()]
        moved = sorted({step.vm_name for step in steps if host in (step.source, step.destination)})
        if moved:
            raise ExecutionError(
                f"{host} stays: {', '.join(moved)} {'is' if len(moved) == 1 else 'are'} being moved from or to it. "
                "Wait for the end, or cancel, then remove it.",
                subject=host,
            )

    def ask_again(self, migration_id: str) -> None:
        """Ask the hosts once more how an attempt ended that is not known. Returns at once; the answer is an event."""
        self._unfinished.ask(migration_id)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop. Waiting steps are cancelled; migrations between hosts go on by themselves, and the journal says so.

        Blocks for at most `timeout_s`. Idempotent.
        """
        deadline = time.monotonic() + timeout_s
        self._stop_listening()
        self._unfinished.close()
        with self._lock:
            first, self._is_closing = not self._is_closing, True
            entries = list(self._queue.unfinished()) if first else []
            for entry in entries:
                if entry.state is StepState.WAITING:
                    entry.token.cancel()
                else:
                    entry.token.leave()
        if first and entries:
            self._wake()
        with self._changed:
            self._changed.notify_all()
            dispatcher, threads = self._dispatcher, tuple(self._threads)
        for thread in (*threads, dispatcher):
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    # --- the dispatcher -------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._changed:
            self._is_dirty = True
            if self._dispatcher is None:
                self._dispatcher = threading.Thread(target=self._dispatch, name="hpc-executor", daemon=True)
                self._dispatcher.start()
            self._changed.notify_all()

    def _dispatch(self) -> None:
        """Start what may start, whenever something changed. Ends with the console."""
        while True:
            with self._changed:
                while not self._is_dirty and not self._is_closing:
                    self._changed.wait()
                is_last = self._is_closing
                self._is_dirty = False
                must_recover, self._must_recover = self._must_recover and not is_last, False
            if must_recover:
                self._unfinished.find()
            self._write_planned()
            self._end_cancelled()
            if is_last:
                return
            self._start_what_may()

    def _write_planned(self) -> None:
        with self._lock:
            new = [entry for entry in self._queue.unfinished() if not entry.is_in_journal]
            for entry in new:
                entry.is_in_journal = True
        for entry in new:
            entry.step = self._foresee(entry.step)
            self._writer.begin(record_of(entry, self._pool.uris(), self._console))

    def _end_cancelled(self) -> None:
        with self._lock:
            gone = [e for e in self._queue.unfinished() if e.state is StepState.WAITING and e.token.is_cancelled]
        for entry in gone:
            step = entry.step
            why = "was cancelled before it began" if not self._is_closing else "was given up: the console closes"
            sentence = f"Moving {step.vm_name} {why}. It stays on {step.source}, unchanged."
            self._end(entry, Result(StepOutcome.CANCELLED, None, sentence, "", step))

    def _start_what_may(self) -> None:
        with self._lock:
            if self._is_closing:
                return
            for entry in self._queue.startable():
                entry.state = StepState.RUNNING
                thread = threading.Thread(
                    target=self._run, args=(entry,), name=f"hpc-migrate-{entry.step.vm_name}", daemon=True
                )
                self._threads.add(thread)
                thread.start()
            for entry, share in self._queue.new_shares():
                entry.steering.ask(JobChange(bandwidth_mib_s=share, is_automatic=True))

    # --- one step -------------------------------------------------------------------------------------------------

    def _run(self, entry: QueuedStep) -> None:
        """The step runner: the one place where any error ends the step and not the thread's owner."""
        try:
            result = self._attempt(entry)
        except Exception as error:  # noqa: BLE001 - a step must end with an event, whatever went wrong
            _log.exception("the step of %s ended unexpectedly", entry.step.vm_name)
            sentence = (
                f"Moving {entry.step.vm_name} was interrupted by an error of the console itself ({error}). "
                f"Look on {entry.step.source} and {entry.step.destination} where it runs; the next start asks them."
            )
            result = Result(StepOutcome.UNKNOWN, EndState.UNKNOWN, sentence, repr(error), entry.step)
        try:
            if result is not None:
                self._after(entry, result)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _attempt(self, entry: QueuedStep) -> Result | None:
        listener = Listener(
            on_started=lambda step: self._on_started(entry, step),
            on_progress=lambda progress: self._on_progress(entry, progress),
            on_lost_sight=lambda sentence: self._on_lost_sight(entry, sentence),
            on_change=lambda severity, sentence: self._notify(severity, sentence, entry.step.vm_name),
        )
        step, token = entry.step, entry.token
        migration = Migration(self._with, step, entry.migration_id, token, listener, steering=entry.steering)
        if entry.is_recovered:
            self._on_started(entry, entry.step)
            return migration.resume(entry.known or KnownBefore())
        return migration.run(lambda choose: self._book(entry, choose))

    def _book(self, entry: QueuedStep, choose: Callable[[Sequence[Reservation]], Step]) -> Step:
        """One step at a time: what one takes, the next one sees."""
        with self._booking:
            with self._lock:
                others = self._promises.before(self._queue.unfinished(), entry)
            step = choose(others)
            with self._lock:
                entry.step = step
                entry.is_booked = True
            return step

    def _on_started(self, entry: QueuedStep, step: Step) -> None:
        with self._lock:
            entry.step = step
            entry.tried.add(step.destination)
        self._report(StepStarted(_now(), entry.plan.plan_id, entry.index, step))

    def _on_progress(self, entry: QueuedStep, progress: MigrationProgress) -> None:
        with self._lock:
            entry.progress = progress
        self._report(StepProgressed(_now(), entry.plan.plan_id, entry.index, progress))

    def _on_lost_sight(self, entry: QueuedStep, sentence: str) -> None:
        with self._lock:
            entry.state = StepState.WATCHING
            last = entry.progress or MigrationProgress(0.0, 0, 0.0, 0.0, 0.0, None, 0.0, None)
        self._on_progress(entry, replace(last, sentence=sentence, expected_rest_s=None))

    def _after(self, entry: QueuedStep, result: Result) -> None:
        entry.tried.add(result.step.destination)
        following = self._next_try(entry, result)
        if isinstance(following, str):
            ending = f"{result.sentence} {following}".strip()
            self._end(entry, replace(result, sentence=ending))
            return
        self._writer.finish(entry.migration_id, result.outcome, result.sentence, result.detail)
        self._notify("warning", f"{result.sentence} Trying {following.destination} next.", result.step.vm_name)
        self._look_later(result)
        with self._lock:
            entry.step = following
            entry.attempt += 1
            entry.migration_id = uuid.uuid4().hex
            entry.is_in_journal = entry.is_booked = False
            entry.progress = None
            entry.state = StepState.WAITING
        self._wake()

    def _next_try(self, entry: QueuedStep, result: Result) -> Step | str:
        if entry.is_recovered or entry.token.is_cancelled or self._is_closing or not may_be_retried(result):
            return ""
        if entry.vm is None:
            return ""
        with self._lock:
            others = self._promises.of(self._queue.unfinished(), but=entry)
        return next_try(
            result,
            entry.vm,
            tried=frozenset(entry.tried),
            snapshot=self._store.snapshot,
            policy=self._policy(),
            reservations=others,
        )

    def _end(self, entry: QueuedStep, result: Result) -> None:
        """Close a step: journal, promise, events. An unknown outcome stays open in the journal."""
        if result.outcome is not StepOutcome.UNKNOWN:
            self._writer.finish(entry.migration_id, result.outcome, result.sentence, result.detail)
        with self._lock:
            entry.state = StepState.ENDED
            entry.outcome = result.outcome
            if result.state is not None and (result.state.is_moved or result.state is EndState.UNKNOWN):
                self._promises.keep(entry.vm, result.step)
        step = result.step
        if result.state is not None:
            self._refresh(step.source)
            self._refresh(step.destination)
        plan_id, index = entry.plan.plan_id, entry.index
        state = result.state.value if result.state is not None else ""
        self._look_later(result)
        if result.outcome is StepOutcome.UNKNOWN:
            self._unfinished.keep(entry.migration_id, step, result.state)
        self._report(
            StepFinished(
                _now(),
                plan_id,
                index,
                step,
                result.outcome,
                result.sentence,
                result.detail,
                state,
                entry.migration_id,
                result.is_as_planned,
            )
        )
        self._finish_plan(entry.plan)
        self._wake()

    def _look_later(self, result: Result) -> None:
        if result.unchecked is not None:
            self._unfinished.watch(result.step, result.unchecked)

    def _finish_plan(self, plan: Plan) -> None:
        with self._lock:
            outcomes = tuple(entry.outcome for entry in self._queue.of_plan(plan.plan_id) if entry.outcome is not None)
            if len(outcomes) < len(plan.steps) or not outcomes:
                return
            self._queue.remove(plan.plan_id)
        self._report(PlanFinished(_now(), plan, outcomes))

    # --- what an earlier run left ---------------------------------------------------------------------------------

    def _adopt(self, found: Found) -> None:
        record = found.record
        with self._lock:
            if self._queue.of_vm(record.vm_uuid) is not None:
                return
            vm = self._store.snapshot.vms.get(record.vm_uuid)
            step = found.plan.steps[0]
            entry = QueuedStep(found.plan, 0, step, vm, record.migration_id, record.attempt)
            entry.is_in_journal = entry.is_recovered = True
            entry.known = KnownBefore.from_json(record.facts)
            self._queue.add(entry)
        self._notify("info", found.sentence, record.vm_name)
        self._report(PlanSubmitted(_now(), found.plan))
        self._wake()

    # --- small things ---------------------------------------------------------------------------------------------

    def _notify(self, severity: str, sentence: str, subject: str = "") -> None:
        self._report(Notice(_now(), severity, sentence, subject))

    def _report(self, event: Event) -> None:
        self._store.report(event)


def _now() -> datetime:
    return datetime.now(UTC)
