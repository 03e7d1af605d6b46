"""Which steps wait, which run, and which may start now. Pure bookkeeping under the executor's lock; no threads.

A migration loads two hosts, so each host sends and takes only so many at a time (2 and 2, as the reference's hosts
do). A step that must wait lets those behind it pass if their hosts are free: two slow migrations block two hosts,
not the cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from hpconsole.core.events import MigrationProgress, StepOutcome
from hpconsole.core.execution.cancel import CancelToken
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.steering import Steering
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.plan import Plan, Step


class StepState(StrEnum):
    """Where a step of the queue stands."""

    WAITING = "waiting"
    RUNNING = "running"
    WATCHING = "watching"  # the console lost sight of it and asks the hosts
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many migrations may run at once."""

    outgoing: int = 2  # leaving one host
    incoming: int = 2  # arriving at one host
    total: int = 8
    bandwidth_mib_s: int | None = None  # what the migrations of one host may use together, shared evenly


@dataclass(frozen=True, slots=True)
class StepStatus:
    """One step as the task list shows it."""

    plan_id: str
    index: int
    step: Step
    state: StepState
    attempt: int
    progress: MigrationProgress | None
    waiting_for: str  # a sentence, while it waits


@dataclass(eq=False, slots=True)
class QueuedStep:
    """One step of a plan on its way. Changed only under the executor's lock, except for `token`."""

    plan: Plan
    index: int
    step: Step
    vm: Vm | None
    migration_id: str
    attempt: int = 1
    state: StepState = StepState.WAITING
    token: CancelToken = field(default_factory=CancelToken)
    steering: Steering = field(default_factory=Steering)
    tried: set[str] = field(default_factory=set)
    progress: MigrationProgress | None = None
    outcome: StepOutcome | None = None
    is_recovered: bool = False  # found in the journal of an earlier run, or asked about again
    known: KnownBefore | None = None  # of a recovered one: what its journal entry says of the VM before
    is_in_journal: bool = False
    most: int = 255  # of its kind at once on a host: its policy's limit
    share_mib_s: int | None = None  # its part of what its hosts' migrations may use, as last given to it
    is_booked: bool = False  # its place was checked and taken; until then the plan's place is a wish


class StepQueue:
    """The steps of all plans: those of higher priority first, else in the order they were submitted."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.is_paused = False
        self._entries: list[QueuedStep] = []

    def add(self, entry: QueuedStep) -> None:
        """Put a step behind all that are at least as urgent."""
        place = len(self._entries)
        while place and _is_behind(self._entries[place - 1], entry):
            place -= 1
        self._entries.insert(place, entry)

    def put_first(self, entry: QueuedStep) -> None:
        """Let a waiting step start before all others that wait."""
        self._entries.remove(entry)
        waiting = (place for place, one in enumerate(self._entries) if one.state is StepState.WAITING)
        self._entries.insert(next(waiting, len(self._entries)), entry)

    def remove(self, plan_id: str) -> None:
        """Forget a plan, every step of which ended."""
        self._entries = [entry for entry in self._entries if entry.plan.plan_id != plan_id]

    def of_plan(self, plan_id: str) -> list[QueuedStep]:
        """The steps of one plan, in its order."""
        return [entry for entry in self._entries if entry.plan.plan_id == plan_id]

    def of_vm(self, vm_uuid: str) -> QueuedStep | None:
        """The step that waits or runs for this VM, if there is one."""
        return next((entry for entry in self.unfinished() if entry.step.vm_uuid == vm_uuid), None)

    def unfinished(self) -> Iterator[QueuedStep]:
        """Every step that waits or runs."""
        return (entry for entry in self._entries if entry.state is not StepState.ENDED)

    def active(self) -> list[QueuedStep]:
        """Every step that runs or is watched."""
        return [entry for entry in self._entries if entry.state in (StepState.RUNNING, StepState.WATCHING)]

    def startable(self) -> list[QueuedStep]:
        """The waiting steps that may start now, together, within the limits."""
        usage = _Usage(self.active(), is_paused=self.is_paused)
        chosen: list[QueuedStep] = []
        for entry in self._entries:
            if entry.state is StepState.WAITING and not usage.why_not(entry, self.limits):
                usage.count(entry)
                chosen.append(entry)
        return chosen

    def new_shares(self) -> list[tuple[QueuedStep, int]]:
        """Who of those that run gets another part of the bandwidth than it has: an even share of its busier host's."""
        whole = self.limits.bandwidth_mib_s
        if whole is None:
            return []
        usage = _Usage(self.active())
        changed: list[tuple[QueuedStep, int]] = []
        for entry in self.active():
            share = max(1, whole // usage.sharing(entry))
            own = entry.step.options.bandwidth_mib_s
            share = share if own is None else min(share, own)
            if share != entry.share_mib_s:
                entry.share_mib_s = share
                changed.append((entry, share))
        return changed

    def statuses(self) -> tuple[StepStatus, ...]:
        """Every unfinished step, with what the waiting ones wait for."""
        usage = _Usage(self.active(), is_paused=self.is_paused)
        return tuple(
            StepStatus(
                entry.plan.plan_id,
                entry.index,
                entry.step,
                entry.state,
                entry.attempt,
                entry.progress,
                usage.why_not(entry, self.limits) if entry.state is StepState.WAITING else "",
            )
            for entry in self.unfinished()
        )


def priority_of(entry: QueuedStep) -> int:
    """How urgent a step is: what its plan says, or else the VM's own priority, 1 to 100."""
    wanted = entry.step.options.priority
    if wanted is not None:
        return wanted
    return entry.vm.intent.priority if entry.vm is not None else 50


def _is_behind(present: QueuedStep, new: QueuedStep) -> bool:
    """Whether a step that waits already lets a new one of another plan pass; a plan keeps its own order."""
    if present.state is not StepState.WAITING or present.plan.plan_id == new.plan.plan_id:
        return False
    return priority_of(present) < priority_of(new)


class _Usage:
    """How many run now, per host and together. Watched and recovered ones load their hosts too."""

    def __init__(self, active: list[QueuedStep], *, is_paused: bool = False) -> None:
        self._is_paused = is_paused
        self._outgoing: Counter[str] = Counter()
        self._incoming: Counter[str] = Counter()
        self._total = 0
        for entry in active:
            self.count(entry)

    def count(self, entry: QueuedStep) -> None:
        self._outgoing[entry.step.source] += 1
        self._incoming[entry.step.destination] += 1
        self._total += 1

    def sharing(self, entry: QueuedStep) -> int:
        """How many use the busier of its two hosts, itself included."""
        source, destination = entry.step.source, entry.step.destination
        each = (self._outgoing[name] + self._incoming[name] for name in (source, destination))
        return max(1, *each)

    def why_not(self, entry: QueuedStep, limits: Limits) -> str:
        step = entry.step
        if entry.is_recovered:
            return ""  # it runs on the hosts already, whatever our limits say
        if self._is_paused:
            return "The queue is paused."
        if self._outgoing[step.source] >= min(limits.outgoing, entry.most):
            return f"{self._outgoing[step.source]} migrations leave {step.source} already."
        if self._incoming[step.destination] >= min(limits.incoming, entry.most):
            return f"{self._incoming[step.destination]} migrations arrive at {step.destination} already."
        if self._total >= limits.total:
            return f"{self._total} migrations run already."
        return ""
