"""Looks after the cluster while a console runs: who acts, hosts that fail, broken rules, load. One round a minute.

The same in the window and in `hpconsole watch`. Everything it decides is told; everything it does is a plan.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hpconsole.core.availability.guard import Guard
from hpconsole.core.availability.health import HealthState
from hpconsole.core.availability.leadership import Leader, Leadership
from hpconsole.core.balancing.mode import Mode, read_mode, save_mode
from hpconsole.core.balancing.moves_log import (
    BY_HAND,
    BY_ITSELF,
    REST_KIND,
    REST_NAME,
    MoveLine,
    read_log,
    remember_move,
)
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.resting import REST_S, Rests, rests_from_json
from hpconsole.core.balancing.rounds import run_round
from hpconsole.core.balancing.worth import Duration, assumed_duration
from hpconsole.core.errors import HpconsoleError, StorageError
from hpconsole.core.keeping import Documents
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.balancers import NONE as NO_BALANCER
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things are looked at, in seconds."""

    round_s: float = 60.0
    look_s: float = 5.0


class Watch:
    """Two threads: one renews the lease, one looks at hosts and runs rounds.

    Args:
        leader: Who acts.
        guard: What is done about hosts that fail.
        documents: Where is kept who rests.
        submit: Runs a plan.
        tell: Severity, sentence, subject.
        before_round: Reads what another console may have changed (rules, policies).
        acts: False recommends only (dry run): no lease is taken, nothing is fenced, restarted or moved.

    Threads: public methods from any; they return at once, except `close` and `run_now`.
    """

    def __init__(
        self,
        leader: Leader,
        guard: Guard,
        documents: Documents,
        *,
        snapshot: Callable[[], ClusterSnapshot],
        policy: Callable[[], Policy],
        reservations: Callable[[], Sequence[Reservation]],
        submit: Callable[[Plan], None],
        tell: Callable[[str, str, str], None],
        pace: Pace | None = None,
        acts: bool = True,
        duration: Duration = assumed_duration,
        before_round: Callable[[], object] = lambda: None,
        on_round: Callable[[RoundReport], None] = lambda _report: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.guard = guard
        self._leader = leader
        self._documents = documents
        self._snapshot = snapshot
        self._policy = policy
        self._reservations = reservations
        self._submit = submit
        self._tell = tell
        self._pace = pace or Pace()
        self._acts = acts
        self._duration = duration
        self._before_round = before_round
        self._on_round = on_round
        self._clock = clock
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._last: RoundReport | None = None
        self._mode = Mode.ACT
        self._storage_said = ""
        self._round_lock = threading.Lock()

    @property
    def leadership(self) -> Leadership:
        """Who acts, as far as is known."""
        if not self._acts:
            return Leadership(False, "This console only recommends (dry run).")
        if not self.is_needed():
            return Leadership(False, "Nothing in this cluster asks for anybody to act by itself.")
        return self._leader.current

    @property
    def mode(self) -> Mode:
        """What rounds may do, as read last."""
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Decide what rounds may do, from now on and in the next runs. Writes to a disk; raises StorageError."""
        save_mode(self._documents, mode)
        self._mode = mode

    def is_needed(self) -> bool:
        """Whether there is anything to act upon: else no lease is taken, and nothing at all is written on the hosts."""
        snapshot = self._snapshot()
        may_move = self._mode is Mode.ACT
        return (
            (may_move and bool(snapshot.affinity_groups))
            or (may_move and self._policy().balancer != NO_BALANCER.name)
            or any(vm.intent.high_availability for vm in snapshot.vms.values())
            or any(health.state is HealthState.NON_OPERATIONAL for health in self.guard.health.values())
        )

    @property
    def last(self) -> RoundReport | None:
        """The newest round: its move, or why there was none."""
        return self._last

    def moves(self) -> tuple[MoveLine, ...]:
        """What was moved so far, newest first. Reads a disk; raises StorageError."""
        return read_log(self._documents)

    def start(self) -> None:
        """Begin. Returns at once; the first round comes after one interval."""
        work = [("hpc-watch", self._look_on)]
        if self._acts:
            work.append(("hpc-lease", self._lead_on))
        for name, action in work:
            thread = threading.Thread(target=action, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop, and give the lease back. Migrations under way go on. Idempotent."""
        if self._over.is_set():
            return
        self._over.set()
        until_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        self.guard.close()
        if self._acts and self._threads:
            self._leader.close()

    def apply(self, report: RoundReport) -> None:
        """Carry out what a round recommended, because a person says so; the VM rests afterwards as any other.

        Writes to a disk.

        Raises:
            HpconsoleError: there is nothing to carry out, or it cannot be any more.
        """
        found = report.recommendation
        if found is None:
            raise HpconsoleError("This round recommended nothing.")
        self._carry_out(report, BY_HAND)

    def _carry_out(self, report: RoundReport, by: str) -> None:
        found = report.recommendation
        if found is None:
            return
        self._submit(found.plan)
        remember_move(self._documents, found, by, datetime.now(UTC))
        self._tell("info", f"Moving {found.vm_name} to {found.destination} ({by}). {found.reason}", found.vm_name)

    def run_now(self, *, acts: bool = True) -> RoundReport:
        """One round at once: recommended, and carried out where this console acts.

        Args:
            acts: False only looks, whoever leads: somebody wants to know.

        Raises:
            StorageError: the database fails; nothing was moved.
        """
        with self._round_lock:
            self._before_round()
            self._mode = read_mode(self._documents)
            report = self._round(looks_only=not acts)
            found = report.recommendation
            may_act = acts and self._acts and self._mode is Mode.ACT
            is_acting = found is not None and may_act and self._leader.may_act()
            report = replace(report, is_acting=is_acting)
            if found is not None and is_acting:
                self._carry_out(report, BY_ITSELF)
            elif found is not None and self._is_news(report):
                self._tell(
                    "info", f"Recommended: move {found.vm_name} to {found.destination}. {found.reason}", found.vm_name
                )
            self._last = report
        self._on_round(report)
        return report

    def _round(self, *, looks_only: bool) -> RoundReport:
        now = datetime.now(UTC)
        if self._mode is Mode.OFF and not looks_only:
            return RoundReport(now, None, ("Balancing is switched off: nothing is looked at by itself.",))
        return run_round(
            self._snapshot(),
            self._policy(),
            self._reservations(),
            rests=self._rests(),
            now=now,
            duration=self._duration,
        )

    def _is_news(self, report: RoundReport) -> bool:
        before = self._last.recommendation if self._last is not None else None
        found = report.recommendation
        return found is not None and (
            before is None or (before.vm_uuid, before.destination) != (found.vm_uuid, found.destination)
        )

    def _rests(self) -> Rests:
        return rests_from_json(self._documents.get(REST_KIND, REST_NAME) or {}, REST_S)

    def _lead_on(self) -> None:
        was_mine = has_asked = False
        while not self._over.is_set():
            if self.is_needed():
                has_asked = True
                self._leader.renew()
            elif has_asked:
                has_asked = False
                self._leader.close()
            current = self.leadership
            if current.is_mine != was_mine:
                was_mine = current.is_mine
                self._tell("info", current.sentence, "")
            self._over.wait(self._leader.interval_s)

    def _look_on(self) -> None:
        with suppress(StorageError):  # the first round reads it again, and says why not
            self._mode = read_mode(self._documents)
        round_at_s = self._clock() + self._pace.round_s
        while not self._over.wait(self._pace.look_s):
            try:
                self.guard.look()
                if self._clock() >= round_at_s:
                    round_at_s = self._clock() + self._pace.round_s
                    self.run_now()
                self._storage_said = ""
            except HpconsoleError as error:  # the database, or a plan that is out of date: the next look tries again
                _log.info("nothing was done this time: %s", error.detail or error.sentence)
                if self._storage_said != error.sentence:
                    self._storage_said = error.sentence
                    self._tell("warning", error.sentence, error.subject)
