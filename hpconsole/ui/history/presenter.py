"""Migrations of this and earlier runs, read from the journal: one entry a VM and plan, with every attempt. No Qt.

What an older console or another hand wrote into the journal is hostile: figures that are no numbers are not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.journal import Journal, JournalLine, MigrationRecord, Phase
from hpconsole.core.planning.forecast import Verdict
from hpconsole.core.planning.plan import MigrateStep
from hpconsole.ui import format as fmt
from hpconsole.ui.tasks.task_book import ENDS, Task, TaskState
from hpconsole.ui.tone import Tone

MOST_ENTRIES = 1000
_LARGEST = 1e15
_TIMES_FROM_PCT = 300  # more than that is easier to read as a factor
_OUTCOMES = {
    StepOutcome.DONE: ("moved", "good", Tone.GOOD),
    StepOutcome.FAILED: ("failed", "bad", Tone.BAD),
    StepOutcome.CANCELLED: ("cancelled", "cancel", Tone.MUTED),
    StepOutcome.SKIPPED: ("not begun", "ring", Tone.MUTED),
    StepOutcome.UNKNOWN: ("not known", "warning", Tone.WARNING),
}
_PHASES = {
    Phase.PLANNED: "waits",
    Phase.STARTING: "being prepared",
    Phase.MIGRATING: "under way",
    Phase.WATCHING: "lost sight of",
    Phase.VERIFYING: "being verified",
    Phase.FINISHED: "ended",
}


class Measure(NamedTuple):
    """One figure foreseen beside the one measured, as texts; `UNKNOWN` where it is not known."""

    what: str
    foreseen: str
    measured: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One VM of one plan. `attempts` in the order they were made; the last one tells how it ended."""

    attempts: tuple[MigrationRecord, ...]

    @property
    def last(self) -> MigrationRecord:
        """The attempt that counts."""
        return self.attempts[-1]

    @property
    def key(self) -> str:
        """What identifies it."""
        return self.attempts[0].migration_id

    @property
    def began_at(self) -> datetime | None:
        """When the first attempt was written."""
        return self.attempts[0].created_at

    @property
    def is_amiss(self) -> bool:
        """Whether it moved, and the proof found something that is not as planned."""
        return self.last.outcome is StepOutcome.DONE and self.last.statistics.get("is_as_planned") is False

    @property
    def outcome_text(self) -> str:
        """How it ended, or how far it is, in a word or two."""
        record = self.last
        if self.is_amiss:
            return "not as planned"
        return _PHASES[record.phase] if record.outcome is None else _OUTCOMES[record.outcome][0]

    @property
    def mark(self) -> tuple[str, Tone]:
        """The icon beside the VM's name."""
        record = self.last
        if self.is_amiss:
            return _OUTCOMES[StepOutcome.UNKNOWN][1:]
        return ("busy", Tone.ACCENT) if record.outcome is None else _OUTCOMES[record.outcome][1:]

    @property
    def total_s(self) -> float | None:
        """How long the last attempt took; as measured, or else between its first and last line."""
        measured = number(self.last.statistics, "total_s")
        began, ended = self.last.created_at, self.last.updated_at
        if measured is not None or self.last.outcome is not StepOutcome.DONE or began is None or ended is None:
            return measured
        return max(0.0, (ended - began) / timedelta(seconds=1))

    @property
    def downtime_ms(self) -> float | None:
        """How long the VM stood still, as the hypervisor told."""
        return number(self.last.statistics, "downtime_ms")

    @property
    def forecast_error(self) -> float | None:
        """How far the total time was from the forecast, as a share of the forecast; below 0: sooner than foreseen."""
        if self.last.outcome is not StepOutcome.DONE or not is_foretold(self.last):
            return None
        foreseen, measured = number(forecast_of(self.last), "total_s"), number(self.last.statistics, "total_s")
        return (measured - foreseen) / foreseen if foreseen and measured is not None else None


def read(journal: Journal) -> tuple[Entry, ...]:
    """Every migration that is kept, newest first. Reads a disk: not on the thread of a window.

    Raises:
        StorageError: the journal cannot be read.
    """
    return grouped(journal.records(MOST_ENTRIES))


def grouped(records: Iterable[MigrationRecord]) -> tuple[Entry, ...]:
    """Attempts put together by what they belong to; the newest first."""
    entries: dict[tuple[str, int], list[MigrationRecord]] = {}
    for record in records:
        entries.setdefault((record.plan_id, record.step_index), []).append(record)
    return tuple(Entry(tuple(sorted(group, key=lambda record: record.attempt))) for group in entries.values())


def task_of(entry: Entry, entries: Iterable[Entry]) -> Task | None:
    """The entry as a task, for what can be done about its end (`actions_after`).

    None where its end is not known yet, and where a later one of the same VM counts instead.
    """
    record = entry.last
    newest = next((other for other in entries if other.last.vm_uuid == record.vm_uuid), entry)
    state = record.statistics.get("end_state")
    if newest.key != entry.key or not isinstance(state, str):
        return None
    step = MigrateStep(
        record.vm_uuid, record.vm_name, record.source, record.destination, record.placement, record.sentence
    )
    return Task(
        record.plan_id,
        record.step_index,
        step,
        state=TaskState.UNKNOWN if record.outcome is None else ENDS[record.outcome],
        sentence=record.sentence,
        end_state=state,
        migration_id=record.migration_id,
    )


def found_nothing(sought: str, total: int) -> str:
    """What is said where a search hides every migration, with the way out."""
    return f"No migration is found by “{sought}”; clear the search box to see all of them ({total:,})."


def of_vm(entries: Sequence[Entry], vm_uuid: str) -> tuple[Entry, ...]:
    """The migrations of one VM."""
    return tuple(entry for entry in entries if entry.last.vm_uuid == vm_uuid)


def when(moment: datetime | None, now: datetime) -> str:
    """A moment in the user's time, as short as it can be told."""
    if moment is None:
        return fmt.UNKNOWN
    local, today = moment.astimezone(), now.astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%d %b %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"


def number(values: Mapping[str, Any], key: str) -> float | None:
    """A figure of the journal; None where it is none."""
    value = values.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _LARGEST:
        return None
    return float(value)


def forecast_of(record: MigrationRecord) -> Mapping[str, Any]:
    """What was foreseen of this attempt; empty where nothing was."""
    forecast = record.facts.get("forecast")
    return forecast if isinstance(forecast, Mapping) else {}


def is_foretold(record: MigrationRecord) -> bool:
    """Whether the forecast said when it ends: not where the guest's writes were not known."""
    return forecast_of(record).get("verdict") != Verdict.UNKNOWN.value


def measures(record: MigrationRecord) -> tuple[Measure, ...]:
    """Forecast beside outcome, a line for each figure of which one of them is known."""
    foreseen, measured = forecast_of(record), record.statistics
    is_sure = is_foretold(record)
    lines = []
    for what, key, text in (
        ("Total time", "total_s", fmt.seconds),
        ("Pause", "downtime_ms", fmt.milliseconds),
        ("Passes", "passes", _whole),
        ("Memory sent", "sent_mib", fmt.mib),
        ("Throughput", "throughput_mib_s", fmt.mib_s),
    ):
        before = number(foreseen, "bandwidth_mib_s" if key == "throughput_mib_s" else key)
        after = number(measured, key)
        if not is_sure and key in ("total_s", "downtime_ms", "passes"):
            at_least = f"{text(before)} or more" if key == "total_s" and before is not None else fmt.UNKNOWN
            lines.append(
                Measure(what, at_least, text(after), "what it writes was not known" if key == "total_s" else "")
            )
        elif before is not None or after is not None:
            lines.append(Measure(what, text(before), text(after), _difference(before, after)))
    return tuple(lines)


def _whole(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else f"{value:.0f}"


def _difference(before: float | None, after: float | None) -> str:
    if not before or after is None:
        return ""
    off = (after - before) / before * 100
    if off >= _TIMES_FROM_PCT:
        return f"{after / before:.0f} times as much as foreseen"
    return "as foreseen" if abs(off) < 1 else f"{abs(off):.0f} % {'more' if off > 0 else 'less'} than foreseen"


def story(entry: Entry, lines: Mapping[str, Sequence[JournalLine]], now: datetime) -> tuple[tuple[str, Tone], ...]:
    """Everything that was written of it, a line each: attempts with their reasons, and what was done when."""
    told: list[tuple[str, Tone]] = []
    for record in entry.attempts:
        if len(entry.attempts) > 1:
            told.append((f"Attempt {record.attempt}, to {record.destination}", Tone.ACCENT))
        for line in lines.get(record.migration_id, ()):
            told.append((f"{when(line.at, now)}   {line.sentence or _PHASES[line.phase]}", Tone.NORMAL))
        if record.detail:
            told.append((record.detail, Tone.MUTED))
    return tuple(told)
