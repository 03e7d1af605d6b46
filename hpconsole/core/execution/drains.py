"""All drains of this console: begun, paused, resumed, stopped; and those that earlier runs left, to go on with.

The one place that says whether a drain may begin.
"""

from __future__ import annotations

import logging
import threading
import uuid
from datetime import UTC, datetime

from hpconsole.core.errors import ExecutionError, PlanRefused, StorageError
from hpconsole.core.events import DrainChanged
from hpconsole.core.execution.console_identity import ConsoleIdentity, this_console
from hpconsole.core.execution.drain_record import (
    KIND,
    DrainRecord,
    DrainState,
    new_record,
    record_from_json,
    record_to_json,
)
from hpconsole.core.execution.drain_run import DrainRun
from hpconsole.core.execution.drain_surroundings import DrainSurroundings
from hpconsole.core.keeping import Documents
from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.drain import DrainIntent, DrainPlan

_log = logging.getLogger(__name__)


class Drains:
    """See the module.

    Args:
        documents: Where records are kept; None: for this run only.
        activate: Gives a host its status "up" (`App.set_host_status`).

    Threads: public methods from any; they return at once.
    """

    def __init__(
        self,
        surroundings: DrainSurroundings,
        documents: Documents | None = None,
        console: ConsoleIdentity | None = None,
    ) -> None:
        self._with = surroundings
        self._documents = documents
        self._console = console or this_console()
        self._lock = threading.RLock()
        self._recovering = threading.Lock()  # so that nobody takes over the same drain twice
        self._runs: dict[str, DrainRun] = {}
        self._others: dict[str, DrainRecord] = {}  # over, or another console's
        self._was_told = False

    def recover(self) -> None:
        """Take over the drains of consoles that ended: they are paused, and go on when somebody says so.

        May be called again at any time, for those of consoles that have ended since. Reads a disk.
        """
        with self._recovering:
            self._recover()

    def start(self, plan: DrainPlan) -> DrainRecord:
        """Run a confirmed plan; its hosts are "preparing for maintenance" from now on.

        Raises:
            PlanRefused: the plan has obstacles, or a VM that may not be migrated needs a decision.
            ExecutionError: one of the hosts is being emptied already.
        """
        if plan.obstacles:
            raise PlanRefused(" ".join(plan.obstacles))
        if plan.blockers:
            reasons = " ".join(item.why for item in plan.blockers)
            names = ", ".join(item.vm_name for item in plan.blockers)
            raise PlanRefused(f"{reasons} Choose what becomes of {names}: shut down, switch off, or leave out.")
        with self._lock:
            for run in self._runs.values():
                both = set(run.record.intent.hosts) & set(plan.intent.hosts)
                if both and not run.record.state.is_over:
                    names = ", ".join(sorted(both))
                    raise ExecutionError(f"{names} is being emptied already ({run.record.state.value}).", subject=names)
            total = len(plan.items)
            record = new_record(uuid.uuid4().hex, plan.title, plan.intent, self._console, total)
        record = record.with_line(f"{plan.title} began: {len(plan.moves)} VMs to move.")
        self._keep(record)
        for host in plan.intent.hosts:
            try:
                self._with.set_status(host, HostStatus.PREPARING_FOR_MAINTENANCE, plan.intent.reason)
            except StorageError as error:
                record = record.with_line(f"The status of {host} holds for this run only: {error.sentence}")
        return self._run(record, plan).record

    def all(self) -> tuple[DrainRecord, ...]:
        """Every drain that is known, the newest first."""
        with self._lock:
            records = [*(run.record for run in self._runs.values()), *self._others.values()]
        start = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(records, key=lambda record: record.began_at or start, reverse=True))

    def get(self, drain_id: str) -> DrainRecord | None:
        """One drain."""
        with self._lock:
            run = self._runs.get(drain_id)
            return run.record if run is not None else self._others.get(drain_id)

    def of_host(self, host: str) -> DrainRecord | None:
        """The drain of a host that is not over."""
        return next((r for r in self.all() if host in r.intent.hosts and not r.state.is_over), None)

    def plan_of(self, drain_id: str) -> DrainPlan | None:
        """The plan a drain follows now; None where it is over, another console's, or not planned yet."""
        run = self._runs.get(drain_id)
        return run.plan if run is not None else None

    def under_way(self, drain_id: str) -> frozenset[str]:
        """The VMs that are being moved or stopped right now, by UUID; empty where it is not this console's."""
        run = self._runs.get(drain_id)
        return run.under_way if run is not None else frozenset()

    def pause(self, drain_id: str) -> None:
        """Begin nothing new. Raises ExecutionError where it is not this console's."""
        self._mine(drain_id).pause()

    def resume(self, drain_id: str, intent: DrainIntent | None = None) -> None:
        """Go on, or try again; with other decisions if given. Raises ExecutionError where it is not this console's."""
        self._mine(drain_id).resume(intent)

    def stop(self, drain_id: str) -> None:
        """End it. Raises ExecutionError where it is not this console's."""
        self._mine(drain_id).stop()

    def activate(self, host: str) -> None:
        """Bring a host back: its drain is stopped, its status is "up".

        Raises:
            StorageError: it is up for this run only, since the database fails.
        """
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            if host in run.record.intent.hosts and not run.record.state.is_over:
                run.stop(f"Stopped: {host} was activated.")
        self._with.set_status(host, HostStatus.UP, "")
        self._with.refresh(host)

    def close(self, timeout_s: float = 2.0) -> None:
        """Let go of all; the next console can go on with them. Idempotent."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.close(timeout_s)

    def _recover(self) -> None:
        if self._documents is None:
            return
        try:
            bodies = self._documents.all(KIND)
        except StorageError as error:
            _log.warning("drains cannot be read: %s", error.detail or error.sentence)
            return
        for body in bodies.values():
            record = record_from_json(body)
            if record is None or record.drain_id in self._runs:
                continue
            if record.state.is_over or record.console.is_running:
                with self._lock:
                    self._others[record.drain_id] = record
                continue
            taken = record.owned_by(self._console)
            if record.state is DrainState.RUNNING:
                sentence = "The console ended in the middle of it. Paused; resume to go on."
                taken = taken.with_line(sentence, state=DrainState.PAUSED)
            with self._lock:
                self._others.pop(taken.drain_id, None)
            self._run(taken, None)
            self._tell(taken)

    def _mine(self, drain_id: str) -> DrainRun:
        run = self._runs.get(drain_id)
        if run is None:
            raise ExecutionError("This maintenance is over, or another console runs it; nothing was changed.")
        return run

    def _run(self, record: DrainRecord, plan: DrainPlan | None) -> DrainRun:
        run = DrainRun(record, plan, self._with, self._keep)
        with self._lock:
            self._runs[record.drain_id] = run
        run.begin()
        return run

    def _keep(self, record: DrainRecord) -> None:
        try:
            if self._documents is not None:
                self._documents.save(KIND, record.drain_id, record_to_json(record))
        except StorageError as error:
            if not self._was_told:
                self._was_told = True
                _log.warning("a drain cannot be kept: %s", error.detail or error.sentence)
        self._tell(record)

    def _tell(self, record: DrainRecord) -> None:
        event = DrainChanged(datetime.now(UTC), record.drain_id, record.state.value, record.sentence)
        self._with.store.report(event)
