"""The journal of migrations: each step is written before it is taken, so that a later start knows what to ask for.

Knows no database: `core.database` keeps journals on disk, `MemoryJournal` for a run without one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from hpconsole.core.errors import StorageError
from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.model.placement import Placement

RAN_THERE = "ran_there"  # a fact: the VM was seen to run on its destination. Facts are added to, never forgotten


class Phase(StrEnum):
    """How far an attempt got, at most: the phase is written before what it names is begun."""

    PLANNED = "planned"  # waits in the queue; nothing was asked of any host
    STARTING = "starting"  # checked once more; nothing was changed
    MIGRATING = "migrating"  # libvirt was asked to migrate
    WATCHING = "watching"  # this console lost sight of it; the hosts may go on
    VERIFYING = "verifying"  # libvirt says it ended; both hosts are asked
    FINISHED = "finished"  # verified, or never begun; see `outcome`


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    """One attempt to move one VM. Host names and URIs as they were then."""

    migration_id: str
    plan_id: str
    step_index: int
    attempt: int  # from 1
    vm_uuid: str
    vm_name: str
    source: str
    source_uri: str
    destination: str
    destination_uri: str
    placement: Placement
    console: ConsoleIdentity
    is_destination_chosen: bool = False
    phase: Phase = Phase.PLANNED
    outcome: StepOutcome | None = None
    sentence: str = ""
    detail: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    facts: Mapping[str, Any] = field(
        default_factory=dict
    )  # JSON, known before: the forecast, whether it was paused ...
    statistics: Mapping[str, Any] = field(default_factory=dict)  # JSON, measured by libvirt, of the migration's end

    @property
    def is_open(self) -> bool:
        """Whether its end is not known yet."""
        return self.phase is not Phase.FINISHED


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of one attempt: what was about to be done, and when."""

    migration_id: str
    at: datetime
    phase: Phase
    sentence: str


class Journal(Protocol):
    """Every method returns when the entry is durable, may be called from any thread, and raises StorageError."""

    def begin(self, record: MigrationRecord) -> None:
        """Write a new attempt."""

    def advance(self, migration_id: str, phase: Phase, sentence: str, facts: Mapping[str, Any] | None = None) -> None:
        """Write what is about to be done; `facts` are added to those that are known of the attempt."""

    def finish(self, migration_id: str, outcome: StepOutcome, sentence: str, detail: str = "") -> None:
        """Close an attempt with its verified outcome."""

    def measure(self, migration_id: str, statistics: Mapping[str, Any]) -> None:
        """Keep what was measured of an attempt, as JSON; earlier figures are replaced."""

    def adopt(self, record: MigrationRecord, console: ConsoleIdentity) -> bool:
        """Make an open attempt this console's; False if another console did so first, or it was closed."""

    def open_records(self) -> tuple[MigrationRecord, ...]:
        """Every attempt whose end is not known, oldest first."""

    def records(self, limit: int = 200) -> tuple[MigrationRecord, ...]:
        """The newest attempts, newest first."""

    def lines(self, migration_id: str) -> tuple[JournalLine, ...]:
        """What was written of one attempt, oldest first."""


class MemoryJournal:
    """A journal that ends with the process: for the simulated cluster, and where no database can be used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, MigrationRecord] = {}
        self._lines: list[JournalLine] = []

    def begin(self, record: MigrationRecord) -> None:
        """Keep a new attempt."""
        now = datetime.now(UTC)
        with self._lock:
            self._records[record.migration_id] = replace(record, created_at=now, updated_at=now)
            self._lines.append(JournalLine(record.migration_id, now, record.phase, record.sentence))

    def advance(self, migration_id: str, phase: Phase, sentence: str, facts: Mapping[str, Any] | None = None) -> None:
        """Keep what is about to be done."""
        self._change(migration_id, phase=phase, sentence=sentence, facts=facts)

    def finish(self, migration_id: str, outcome: StepOutcome, sentence: str, detail: str = "") -> None:
        """Close an attempt."""
        self._change(migration_id, phase=Phase.FINISHED, sentence=sentence, outcome=outcome, detail=detail)

    def measure(self, migration_id: str, statistics: Mapping[str, Any]) -> None:
        """Keep what was measured of an attempt."""
        with self._lock:
            record = self._records.get(migration_id)
            if record is None:
                raise StorageError(f"The journal has no migration {migration_id}.")
            self._records[migration_id] = replace(record, statistics=dict(statistics))

    def adopt(self, record: MigrationRecord, console: ConsoleIdentity) -> bool:
        """Make an open attempt this console's."""
        with self._lock:
            present = self._records.get(record.migration_id)
            if present is None or not present.is_open or present.console != record.console:
                return False
            self._records[record.migration_id] = replace(present, console=console)
            return True

    def open_records(self) -> tuple[MigrationRecord, ...]:
        """Every attempt whose end is not known, oldest first."""
        with self._lock:
            return tuple(record for record in self._records.values() if record.is_open)

    def records(self, limit: int = 200) -> tuple[MigrationRecord, ...]:
        """The newest attempts, newest first."""
        with self._lock:
            return tuple(reversed(self._records.values()))[:limit]

    def lines(self, migration_id: str) -> tuple[JournalLine, ...]:
        """What was kept of one attempt, oldest first."""
        with self._lock:
            return tuple(line for line in self._lines if line.migration_id == migration_id)

    def _change(self, migration_id: str, *, facts: Mapping[str, Any] | None = None, **changes: Any) -> None:
        now = datetime.now(UTC)
        with self._lock:
            record = self._records.get(migration_id)
            if record is None:
                raise StorageError(f"The journal has no migration {migration_id}.")
            changed = replace(record, **changes, updated_at=now, facts={**record.facts, **(facts or {})})
            self._records[migration_id] = changed
            self._lines.append(JournalLine(migration_id, now, changed.phase, changed.sentence))


class JournalWriter:
    """Writes that never stand in the way of a migration: when the disk fails, work goes on and the user is told once.

    Args:
        journal: Where entries belong.
        on_trouble: Called with a sentence when an entry could not be written, the first time only.
    """

    def __init__(self, journal: Journal, on_trouble: Callable[[str], None]) -> None:
        self._journal = journal
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._was_told = False

    def begin(self, record: MigrationRecord) -> None:
        """Write a new attempt."""
        self._write(lambda: self._journal.begin(record))

    def advance(self, migration_id: str, phase: Phase, sentence: str, facts: Mapping[str, Any] | None = None) -> None:
        """Write what is about to be done."""
        self._write(lambda: self._journal.advance(migration_id, phase, sentence, facts))

    def finish(self, migration_id: str, outcome: StepOutcome, sentence: str, detail: str = "") -> None:
        """Close an attempt."""
        self._write(lambda: self._journal.finish(migration_id, outcome, sentence, detail))

    def measure(self, migration_id: str, statistics: Mapping[str, Any]) -> None:
        """Keep what was measured of an attempt."""
        self._write(lambda: self._journal.measure(migration_id, statistics))

    def _write(self, action: Callable[[], None]) -> None:
        try:
            action()
        except StorageError as error:
            with self._lock:
                is_first, self._was_told = not self._was_told, True
            if is_first:
                self._on_trouble(
                    "The journal of migrations cannot be written; they go on, but a next start of the console may not "
                    f"know of them. {error.sentence}"
                )
