"""What will one live migration do, pass by pass? QEMU's pre-copy as arithmetic. Pure; knows no VM and no host.

QEMU sends what is dirty until what is left fits into `bandwidth * allowed downtime`; it then asks the guest's dirty
log, which adds what was written meanwhile, and either stops the guest for the rest or begins the next pass
(migration_iteration_run and ram_save_pending in QEMU 7.2). It looks ten times a second, so a pass takes 0.1 s at
least. With p what is left, B the bandwidth, d the allowed downtime and w(t) the guest's write curve:

    t = max(0.1, (p - B*d) / B)      p' = u + w(t), at most W       with u = max(0, p - B*t), what is unsent

(scattered writes hit the unsent memory, too, and add only w(t) * (1 - u/W)).
It ends in a pass with p' < B*d. Auto-converge slows the vCPUs down by 20 %, then 10 % more each time, whenever more
than half of what was sent in (at least) a second was dirtied again, twice in a row. The rest goes with no limit, so
the downtime is p' / link + what the devices take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.planning.dirtying import WriteCurve
from hpconsole.core.planning.migration_policy import ABORT, POST_COPY, Schedule
from hpconsole.core.planning.stalls import StallCount

WINDOW_S = 0.1
DEVICE_STATE_S = 0.03
QEMU_DOWNTIME_MS = 300  # where no policy says otherwise
THROTTLE_FIRST_PCT, THROTTLE_STEP_PCT, THROTTLE_MOST_PCT = 20, 10, 99
_LOOK_S = 0.5  # how often the console looks at a running migration (`Timings.poll_s`)
_MOST_PASSES = 1000
_HOPELESS_PASSES = 40  # without any headway, once nothing more is allowed


class Ending(StrEnum):
    """How a migration ends."""

    CONVERGED = "pre-copy"
    POST_COPY = "post-copy"
    ABORTED = "given up"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Run:
    """One migration, foreseen. `left_mib`: what the last pass left, to be sent while the guest stands still."""

    ending: Ending
    seconds: float
    passes: int
    left_mib: float
    downtime_ms: float
    downtime_limit_ms: int
    sent_mib: float
    throttle_pct: int = 0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a migration is made under. Rates in MiB/s. `link_mib_s`: with no limit, as the last rest is sent."""

    to_move_mib: float
    writes: WriteCurve
    bandwidth_mib_s: float
    link_mib_s: float
    schedule: Schedule
    auto_converge: bool = False
    may_post_copy: bool = False


class _Course:
    """The state of one simulated migration."""

    def __init__(self, conditions: Conditions) -> None:
        self.given = conditions
        self.count = StallCount(_usable(conditions))
        self.limit_ms = QEMU_DOWNTIME_MS
        for action in conditions.schedule.initial:
            if action.name == "setDowntime" and action.params:
                self.limit_ms = int(action.params[0])
        self.at_s = 0.0
        self.next_look_s = _LOOK_S
        self.number = 1
        self.left_mib = conditions.to_move_mib
        self.sent_mib = 0.0
        self.throttle_pct = 0
        self.period_s = self.period_sent = self.period_dirtied = 0.0
        self.high_periods = 0
        self.best_mib = math.inf
        self.since_best = 0
        self.ending: Ending | None = None

    @property
    def threshold_mib(self) -> float:
        return self.given.bandwidth_mib_s * self.limit_ms / 1000

    def run_pass(self) -> None:
        """Send until what is left fits into the allowed downtime, then ask what was written meanwhile."""
        began_s = self.at_s
        writes = self.given.writes if not self.throttle_pct else self.given.writes.slowed(self.throttle_pct)
        while self.ending is None:
            rate = self.given.bandwidth_mib_s
            due_s = max(WINDOW_S if self.at_s == began_s else 0.0, (self.left_mib - self.threshold_mib) / rate)
            if self.at_s + due_s < self.next_look_s:
                self._send(due_s)
                break
            self._send(max(0.0, self.next_look_s - self.at_s))
            self.next_look_s = self.at_s + _LOOK_S
            self._look()
        took_s = self.at_s - began_s
        dirtied = writes.written_mib(took_s)
        self.left_mib = _joined(self.left_mib, dirtied, writes)
        self.number += 1
        self.since_best = 0 if self.left_mib < self.best_mib - 0.01 else self.since_best + 1
        self.best_mib = min(self.best_mib, self.left_mib)
        self._throttle(took_s, dirtied)

    def _send(self, seconds: float) -> None:
        amount = min(self.left_mib, self.given.bandwidth_mib_s * seconds)
        self.left_mib -= amount
        self.sent_mib += amount
        self.period_sent += amount
        self.at_s += seconds

    def _look(self) -> None:
        action = self.count.look(self.number, self.left_mib)
        if action is None:
            return
        if action.name == ABORT.name:
            self.ending = Ending.ABORTED
        elif action.name == POST_COPY.name:
            self.ending = Ending.POST_COPY
        elif action.params:
            self.limit_ms = int(action.params[0])

    def _throttle(self, took_s: float, dirtied: float) -> None:
        self.period_s += took_s
        self.period_dirtied += dirtied
        if self.period_s < 1.0:
            return
        if self.given.auto_converge and self.number > 2 and self.period_dirtied > self.period_sent / 2:
            self.high_periods += 1
            if self.high_periods >= 2:
                self.high_periods = 0
                step = THROTTLE_STEP_PCT if self.throttle_pct else THROTTLE_FIRST_PCT
                self.throttle_pct = min(THROTTLE_MOST_PCT, self.throttle_pct + step)
        self.period_s = self.period_sent = self.period_dirtied = 0.0


def foresee(conditions: Conditions) -> Run:
    """The course of one migration. Takes up to some milliseconds; bandwidth must be above 0."""
    course = _Course(conditions)
    while course.ending is None and course.number <= _MOST_PASSES and course.since_best < _HOPELESS_PASSES:
        course.run_pass()
        if course.ending is None and course.left_mib < course.threshold_mib:
            course.ending = Ending.CONVERGED
    link = max(conditions.link_mib_s, conditions.bandwidth_mib_s)
    stop_s = DEVICE_STATE_S
    if course.ending is Ending.CONVERGED:
        stop_s += course.left_mib / link
        course.at_s += stop_s
        course.sent_mib += course.left_mib
    elif course.ending is Ending.POST_COPY:
        course.at_s += course.left_mib / link
        course.sent_mib += course.left_mib
    return Run(
        ending=course.ending or Ending.NEVER,
        seconds=course.at_s,
        passes=course.number,
        left_mib=course.left_mib,
        downtime_ms=stop_s * 1000,
        downtime_limit_ms=course.limit_ms,
        sent_mib=course.sent_mib,
        throttle_pct=course.throttle_pct,
    )


def _joined(unsent_mib: float, dirtied_mib: float, writes: WriteCurve) -> float:
    most = writes.working_set_mib
    if dirtied_mib <= 0 or most <= 0:
        return unsent_mib
    if writes.is_scattered:
        return unsent_mib + dirtied_mib * max(0.0, 1 - unsent_mib / most)
    return max(unsent_mib, min(unsent_mib + dirtied_mib, most))


def _usable(conditions: Conditions) -> Schedule:
    return conditions.schedule if conditions.may_post_copy else conditions.schedule.without_post_copy()
