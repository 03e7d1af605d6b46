"""Running and past migrations, told from events: what the task list shows. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from hpconsole.core.events import (
    Event,
    MigrationProgress,
    PlanFinished,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.planning.forecast import Verdict
from hpconsole.core.planning.migration_options import MigrationOptions, effective_policy, may_post_copy
from hpconsole.core.planning.migration_policy import BUILT_IN
from hpconsole.core.planning.plan import Step
from hpconsole.ui import format as fmt
from hpconsole.ui.tasks.course import Course, rest_text
from hpconsole.ui.tone import Tone

_MOST_FINISHED = 200  # older ones are in the journal


class TaskState(StrEnum):
    """Where a task is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self not in (TaskState.WAITING, TaskState.RUNNING, TaskState.CANCELLING)


ENDS = {
    StepOutcome.DONE: TaskState.DONE,
    StepOutcome.FAILED: TaskState.FAILED,
    StepOutcome.CANCELLED: TaskState.CANCELLED,
    StepOutcome.SKIPPED: TaskState.SKIPPED,
    StepOutcome.UNKNOWN: TaskState.UNKNOWN,
}
TONES = {
    TaskState.WAITING: Tone.MUTED,
    TaskState.RUNNING: Tone.ACCENT,
    TaskState.CANCELLING: Tone.WARNING,
    TaskState.DONE: Tone.GOOD,
    TaskState.FAILED: Tone.BAD,
    TaskState.CANCELLED: Tone.MUTED,
    TaskState.SKIPPED: Tone.MUTED,
    TaskState.UNKNOWN: Tone.WARNING,
}
ICONS = {
    TaskState.WAITING: "ring",
    TaskState.RUNNING: "busy",
    TaskState.CANCELLING: "busy",
    TaskState.DONE: "good",
    TaskState.FAILED: "bad",
    TaskState.CANCELLED: "cancel",
    TaskState.SKIPPED: "ring",
    TaskState.UNKNOWN: "warning",
}

Key = tuple[str, int]  # plan id, index of the step


@dataclass(frozen=True, slots=True)
class Task:
    """One step of a plan."""

    plan_id: str
    index: int
    step: Step
    state: TaskState = TaskState.WAITING
    share: float = 0.0  # 0-1, never falls
    progress: MigrationProgress | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    sentence: str = ""
    detail: str = ""
    waiting_for: str = ""  # a sentence, while it waits
    end_state: str = ""  # value of `EndState`; empty where no host was asked
    migration_id: str = ""  # of the last attempt, once it ended
    is_as_planned: bool = True  # once moved: the proof found nothing amiss
    is_done_with: bool = False  # what could be done about its end was begun
    may_post_copy: bool = False  # it was begun so that it can be switched
    place: int | None = None  # in the queue, from 1, while it waits
    tried: tuple[str, ...] = ()  # the hosts that earlier attempts were to go to
    course: Course = field(default_factory=Course, compare=False)  # grows while it runs

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state.is_over

    @property
    def is_moved(self) -> bool:
        """Whether it did what it was meant to do."""
        return self.state is TaskState.DONE

    @property
    def is_waiting(self) -> bool:
        """Whether it has not begun."""
        return self.state is TaskState.WAITING

    @property
    def is_cancelling(self) -> bool:
        """Whether it was asked to stop."""
        return self.state is TaskState.CANCELLING

    @property
    def has_progress(self) -> bool:
        """Whether memory is being sent."""
        return self.progress is not None and self.progress.total_mib > 0

    @property
    def foreseen(self) -> str:
        """What was expected of it before it began; empty where nothing was."""
        expected = self.step.forecast
        if expected is None or expected.verdict is Verdict.UNKNOWN:
            return ""
        return (
            f"Foreseen: {expected.verdict.value}, about {fmt.seconds(expected.total_s)} in "
            f"{fmt.count(expected.passes, 'pass', 'passes')}, "
            f"pause of about {fmt.milliseconds(round(expected.downtime_ms))}"
        )

    @property
    def mark(self) -> tuple[str, Tone]:
        """Its icon and the colour of that: a move of which not all is as planned is no plain success."""
        if self.is_moved and not self.is_as_planned:
            return ICONS[TaskState.UNKNOWN], TONES[TaskState.UNKNOWN]
        return ICONS[self.state], TONES[self.state]

    @property
    def is_trouble(self) -> bool:
        """Whether its sentence has to be read."""
        return self.state in (TaskState.FAILED, TaskState.UNKNOWN) or not self.is_as_planned

    @property
    def is_in_post_copy(self) -> bool:
        """Whether the VM runs on the destination already, and its memory follows."""
        return self.progress is not None and self.progress.is_post_copy

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.plan_id, self.index

    @property
    def title(self) -> str:
        """What is done."""
        return f"Migrate {self.step.vm_name}"

    @property
    def route(self) -> str:
        """From where to where."""
        return f"{self.step.source} → {self.step.destination}"

    @property
    def remark(self) -> str:
        """The line below the title: how it goes, or how it ended."""
        before = f"Tried before: {fmt.names(self.tried, 3)}." if self.tried else ""
        if self.state.is_over:
            said = self.sentence or self.state.value.capitalize()
            return f"{said} {before}".strip() if self.is_moved else said
        if self.state is TaskState.CANCELLING:
            return "Cancelling: the VM goes on where it is…"
        if self.state is TaskState.WAITING:
            place = f", {fmt.ordinal(self.place)} in the queue" if self.place is not None else ""
            return f"Waiting{place}: {self.waiting_for}" if self.waiting_for else f"Waiting{place or ' for its turn'}"
        if self.waiting_for:  # its attempt failed, and another host is to be tried
            return f"Waiting to try another host: {self.waiting_for}"
        return f"{before} {self._progress_text()}".strip()

    def _progress_text(self) -> str:
        progress = self.progress
        if progress is None:
            return "Preparing…"
        if progress.sentence and not progress.total_mib:
            return progress.sentence
        parts = [f"Pass {progress.pass_number}"] if progress.pass_number else []
        if progress.total_mib and progress.pass_number >= 2:
            # the share counts passes: beside it, "86 of 129 MiB left" would read as a contradiction
            parts += ["sending again what the VM rewrote", f"{fmt.mib(progress.remaining_mib)} left"]
        elif progress.total_mib:
            parts.append(f"{fmt.mib(progress.remaining_mib)} of {fmt.mib(progress.total_mib)} left")
        if progress.throughput_mib_s:
            parts.append(fmt.mib_s(progress.throughput_mib_s))
        if rest := rest_text(self.course, progress.expected_rest_s) if progress.total_mib else "":
            parts.append(rest)
        return "   ".join(text for text in (progress.sentence, "   ·   ".join(parts)) if text)


def may_switch_by_presets(options: MigrationOptions) -> bool:
    """Whether a migration with these options is begun so that it can be switched to post-copy, own policies aside."""
    return may_post_copy(options, effective_policy(options, BUILT_IN))


class TaskBook:
    """Follows events.

    Args:
        may_switch: Whether a migration with these options is begun so that it can be switched to post-copy. At once.
    """

    def __init__(self, may_switch: Callable[[MigrationOptions], bool] = may_switch_by_presets) -> None:
        self.may_switch = may_switch
        self._tasks: dict[Key, Task] = {}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What runs, what waits in the order of the queue, what is over, the newest first."""
        known = tuple(self._tasks.values())
        waiting = sorted(
            (task for task in known if task.is_waiting),
            key=lambda task: len(known) if task.place is None else task.place,
        )
        under_way = (task for task in known if not task.is_over and not task.is_waiting)
        return (*under_way, *waiting, *(task for task in reversed(known) if task.is_over))

    @property
    def running(self) -> tuple[Task, ...]:
        """Those that are not over."""
        return tuple(task for task in self._tasks.values() if not task.state.is_over)

    def of_vm(self, vm_uuid: str) -> Task | None:
        """The task under way of this VM, if there is one."""
        return next((task for task in self.running if task.step.vm_uuid == vm_uuid), None)

    def task(self, key: Key) -> Task | None:
        """The task of this key."""
        return self._tasks.get(key)

    def hear(self, event: Event) -> bool:
        """Follow one event; returns whether any task is another now."""
        match event:
            case PlanSubmitted(plan=plan):
                for index, step in enumerate(plan.steps):
                    self._tasks.setdefault((plan.plan_id, index), Task(plan.plan_id, index, step))
            case StepStarted():
                # A step taken up again from the journal was never submitted in this run.
                task = self._tasks.get((event.plan_id, event.index)) or Task(event.plan_id, event.index, event.step)
                # Another attempt, on another host, has a course of its own.
                is_first = task.state is TaskState.WAITING
                had, has = task.step.destination, event.step.destination
                self._tasks[task.key] = replace(
                    task,
                    step=event.step,
                    state=TaskState.RUNNING,
                    started_at=event.at,
                    course=task.course if is_first else Course(),
                    progress=None,
                    waiting_for="",
                    place=None,
                    may_post_copy=self.may_switch(event.step.options),
                    tried=task.tried if is_first or had == has else (*task.tried, had),
                )
            case StepProgressed():
                self._progress(event)
            case StepFinished():
                self._finish(event)
            case PlanFinished():
                self._forget_oldest()
            case _:
                return False
        return True

    def wait(self, reasons: Mapping[Key, str]) -> bool:
        """What the waiting tasks wait for, a sentence each, in the order of the queue; whether any is another now.

        One that runs and is among them waits for its next attempt.
        """
        places = {key: place for place, key in enumerate(reasons, 1)}
        is_changed = False
        for key, task in self._tasks.items():
            if task.is_over or (key not in reasons and not task.is_waiting and not task.waiting_for):
                continue
            reason = reasons.get(key, task.waiting_for if task.is_waiting else "")
            place = places.get(key, task.place) if task.is_waiting else None  # without a reason: it is about to start
            if (reason, place) != (task.waiting_for, task.place):
                self._tasks[key] = replace(task, waiting_for=reason, place=place)
                is_changed = True
        return is_changed

    def done_with(self, key: Key, is_begun: bool = True) -> None:
        """What could be done about the end of this task was begun, or was not done after all."""
        task = self._tasks.get(key)
        if task is not None:
            self._tasks[key] = replace(task, is_done_with=is_begun)

    def cancelling(self, key: Key) -> None:
        """The user wants this task to stop."""
        task = self._tasks.get(key)
        if task is not None and not task.state.is_over:
            self._tasks[key] = replace(task, state=TaskState.CANCELLING)

    def clear_finished(self) -> None:
        """Forget those that are over; the journal keeps them."""
        self._tasks = {k: t for k, t in self._tasks.items() if not t.state.is_over}

    def _progress(self, event: StepProgressed) -> None:
        task = self._tasks.get((event.plan_id, event.index))
        if task is None or task.state.is_over:
            return
        share = max(task.share, min(1.0, event.progress.share))
        task.course.add(event.progress)
        self._tasks[task.key] = replace(task, progress=event.progress, share=share, waiting_for="")

    def _finish(self, event: StepFinished) -> None:
        task = self._tasks.get((event.plan_id, event.index)) or Task(event.plan_id, event.index, event.step)
        state = ENDS[event.outcome]
        self._tasks[task.key] = replace(
            task,
            step=event.step,
            state=state,
            share=1.0 if state is TaskState.DONE else task.share,
            ended_at=event.at,
            sentence=event.sentence,
            detail=event.detail,
            end_state=event.end_state,
            migration_id=event.migration_id,
            is_as_planned=event.is_as_planned,
        )

    def _forget_oldest(self) -> None:
        over = [key for key, task in self._tasks.items() if task.state.is_over]
        for key in over[: max(0, len(over) - _MOST_FINISHED)]:
            del self._tasks[key]


def summary(tasks: tuple[Task, ...]) -> str:
    """One line about all of them; empty where there is nothing to say."""
    running = [task for task in tasks if not task.is_over and not task.is_waiting]
    waiting = sum(task.is_waiting for task in tasks)
    failed = sum(task.state is TaskState.FAILED for task in tasks)
    parts = []
    if running:
        share = sum(task.share for task in running) / len(running)
        parts.append(f"{fmt.count(len(running), 'migration')} under way, {fmt.pct(share * 100)}")
    if waiting:
        parts.append(f"{waiting} waiting" if running else f"{fmt.count(waiting, 'migration')} waiting")
    if failed:
        parts.append(f"{failed} failed")
    if amiss := sum(not task.is_as_planned for task in tasks):
        parts.append(f"{amiss} not as planned")
    return "   ·   ".join(parts)
