"""The journal of migrations on disk: `execution.journal.Journal` over two tables."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from hpconsole.core.database import tables
from hpconsole.core.database.repositories import Transaction
from hpconsole.core.errors import InvalidPinning, StorageError
from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.journal import JournalLine, MigrationRecord, Phase
from hpconsole.core.planning.placement_json import placement_from_json, placement_to_json

_log = logging.getLogger(__name__)
_migrations = tables.migrations
_steps = tables.migration_steps


class DiskJournal:
    """Every method is one durable transaction.

    Threads: any. Every method raises StorageError where the database fails.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def begin(self, record: MigrationRecord) -> None:
        """Write a new attempt."""
        now = _now()
        with self._transaction() as connection:
            connection.execute(insert(_migrations).values(**_row(record), created_at=now, updated_at=now))
            _add_line(connection, record.migration_id, now, record.phase, record.sentence)

    def advance(self, migration_id: str, phase: Phase, sentence: str, facts: Mapping[str, Any] | None = None) -> None:
        """Write what is about to be done; `facts` are added to those that are known of the attempt."""
        self._change(migration_id, phase, sentence, {}, facts)

    def finish(self, migration_id: str, outcome: StepOutcome, sentence: str, detail: str = "") -> None:
        """Close an attempt with its verified outcome."""
        self._change(migration_id, Phase.FINISHED, sentence, {"outcome": outcome.value, "detail": detail})

    def measure(self, migration_id: str, statistics: Mapping[str, Any]) -> None:
        """Keep what was measured of an attempt; earlier figures are replaced."""
        statement = update(_migrations).where(_migrations.c.migration_id == migration_id)
        with self._transaction() as connection:
            if connection.execute(statement.values(statistics=dict(statistics))).rowcount != 1:
                raise StorageError(f"The journal has no migration {migration_id}.")

    def adopt(self, record: MigrationRecord, console: ConsoleIdentity) -> bool:
        """Make an open attempt this console's; False if another console did so first, or it was closed."""
        statement = (
            update(_migrations)
            .where(
                _migrations.c.migration_id == record.migration_id,
                _migrations.c.console_id == record.console.console_id,
                _migrations.c.phase != Phase.FINISHED.value,
            )
            .values(**_console(console), updated_at=_now())
        )
        with self._transaction() as connection:
            return connection.execute(statement).rowcount == 1

    def open_records(self) -> tuple[MigrationRecord, ...]:
        """Every attempt whose end is not known, oldest first."""
        query = select(_migrations).where(_migrations.c.phase != Phase.FINISHED.value).order_by(_migrations.c.id)
        with self._transaction() as connection:
            return _readable(connection.execute(query).mappings())

    def records(self, limit: int = 200) -> tuple[MigrationRecord, ...]:
        """The newest attempts, newest first."""
        query = select(_migrations).order_by(_migrations.c.id.desc()).limit(limit)
        with self._transaction() as connection:
            return _readable(connection.execute(query).mappings())

    def lines(self, migration_id: str) -> tuple[JournalLine, ...]:
        """What was written of one attempt, oldest first."""
        columns = _steps.c
        query = select(columns.at, columns.phase, columns.sentence).where(columns.migration_id == migration_id)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(columns.id))
            return tuple(
                JournalLine(migration_id, datetime.fromisoformat(at), Phase(phase), sentence)
                for at, phase, sentence in rows
            )

    def _change(
        self,
        migration_id: str,
        phase: Phase,
        sentence: str,
        more: dict[str, Any],
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        now = _now()
        its = _migrations.c.migration_id == migration_id
        with self._transaction() as connection:
            if facts:
                known = connection.execute(select(_migrations.c.facts).where(its)).scalar()
                more = {**more, "facts": {**(known if isinstance(known, dict) else {}), **facts}}
            values = {"phase": phase.value, "sentence": sentence, "updated_at": now, **more}
            statement = update(_migrations).where(its).values(values)
            if connection.execute(statement).rowcount != 1:
                raise StorageError(f"The journal has no migration {migration_id}.")
            _add_line(connection, migration_id, now, phase, sentence)


def _add_line(connection: Connection, migration_id: str, at: str, phase: Phase, sentence: str) -> None:
    connection.execute(insert(_steps).values(migration_id=migration_id, at=at, phase=phase.value, sentence=sentence))


def _row(record: MigrationRecord) -> dict[str, Any]:
    return {
        "migration_id": record.migration_id,
        "plan_id": record.plan_id,
        "step_index": record.step_index,
        "attempt": record.attempt,
        "vm_uuid": record.vm_uuid,
        "vm_name": record.vm_name,
        "source": record.source,
        "source_uri": record.source_uri,
        "destination": record.destination,
        "destination_uri": record.destination_uri,
        "is_destination_chosen": record.is_destination_chosen,
        "placement": placement_to_json(record.placement),
        "phase": record.phase.value,
        "outcome": None if record.outcome is None else record.outcome.value,
        "sentence": record.sentence,
        "detail": record.detail,
        "facts": dict(record.facts),
        "statistics": dict(record.statistics),
        **_console(record.console),
    }


def _console(console: ConsoleIdentity) -> dict[str, Any]:
    return {
        "console_id": console.console_id,
        "console_machine": console.machine,
        "console_pid": console.pid,
        "console_started": console.started,
    }


def _readable(rows: Iterable[RowMapping]) -> tuple[MigrationRecord, ...]:
    """Rows as values; one that somebody else's hand made unreadable is left out, and logged."""
    records: list[MigrationRecord] = []
    for row in rows:
        try:
            records.append(_record(row))
        except (ValueError, InvalidPinning) as error:
            _log.warning("journal entry %s cannot be read: %s", row["migration_id"], error)
    return tuple(records)


def _record(row: RowMapping) -> MigrationRecord:
    return MigrationRecord(
        migration_id=row["migration_id"],
        plan_id=row["plan_id"],
        step_index=row["step_index"],
        attempt=row["attempt"],
        vm_uuid=row["vm_uuid"],
        vm_name=row["vm_name"],
        source=row["source"],
        source_uri=row["source_uri"],
        destination=row["destination"],
        destination_uri=row["destination_uri"],
        placement=placement_from_json(row["placement"]),
        console=ConsoleIdentity(row["console_id"], row["console_machine"], row["console_pid"], row["console_started"]),
        is_destination_chosen=row["is_destination_chosen"],
        phase=Phase(row["phase"]),
        outcome=None if row["outcome"] is None else StepOutcome(row["outcome"]),
        sentence=row["sentence"],
        detail=row["detail"],
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        facts=row["facts"] if isinstance(row["facts"], dict) else {},
        statistics=row["statistics"] if isinstance(row["statistics"], dict) else {},
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
