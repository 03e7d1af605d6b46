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
    tried: set[str] = field(default_factory=set)
    progress: MigrationProgress | None = None
    outcome: StepOutcome | None = None
    is_recovered: bool = False  # found in the journal of an earlier run, or asked about again
    known: KnownBefore | None = None  # of a recovered one: what its journal entry says of the VM before
    is_in_journal: bool = False
    is_booked: bool = False  # its place was checked and taken; until then the plan's place is a wish


class StepQueue:
    """The steps of all plans, in the order they were submitted."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._entries: list[QueuedStep] = []

    def add(self, entry: QueuedStep) -> None:
        """Put a step at the end."""
        self._entries.append(entry)

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
        usage = _Usage(self.active())
        chosen: list[QueuedStep] = []
        for entry in self._entries:
            if entry.state is StepState.WAITING and not usage.why_not(entry, self.limits):
                usage.count(entry)
                chosen.append(entry)
        return chosen

    def statuses(self) -> tuple[StepStatus, ...]:
        """Every unfinished step, with what the waiting ones wait for."""
        usage = _Usage(self.active())
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


class _Usage:
    """How many run now, per host and together. Watched and recovered ones load their hosts too."""

    def __init__(self, active: list[QueuedStep]) -> None:
        self._outgoing: Counter[str] = Counter()
        self._incoming: Counter[str] = Counter()
        self._total = 0
        for entry in active:
            self.count(entry)

    def count(self, entry: QueuedStep) -> None:
        self._outgoing[entry.step.source] += 1
        self._incoming[entry.step.destination] += 1
        self._total += 1

    def why_not(self, entry: QueuedStep, limits: Limits) -> str:
        step = entry.step
        if entry.is_recovered:
            return ""  # it runs on the hosts already, whatever our limits say
        if self._outgoing[step.source] >= limits.outgoing:
            return f"{self._outgoing[step.source]} migrations leave {step.source} already."
        if self._incoming[step.destination] >= limits.incoming:
            return f"{self._incoming[step.destination]} migrations arrive at {step.destination} already."
        if self._total >= limits.total:
            return f"{self._total} migrations run already."
        return ""
