"""The journal: written before each step, read back at the next start. The same for disk and memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.errors import StorageError
from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.journal import Journal, MemoryJournal, MigrationRecord, Phase
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode, NumaTune

CONSOLE = ConsoleIdentity("console-1", "desk", 4711, "boot:1")
OTHER = ConsoleIdentity("console-2", "desk", 4712, "boot:2")
PLACEMENT = Placement(
    "uuid-1",
    "b",
    (NodeBinding(0, (1,), NumaMode.STRICT), NodeBinding(1, (2, 3), NumaMode.PREFERRED)),
    CpuPinning(((0, CpuSet.parse("2-3")), (11, CpuSet.parse("5"))), CpuSet.parse("0-1"), ((1, CpuSet.parse("4")),)),
    NumaTune(NumaMode.STRICT, CpuSet.parse("1-3")),
)


def a_record(number: int = 1) -> MigrationRecord:
    return MigrationRecord(
        migration_id=f"migration-{number}",
        plan_id="plan",
        step_index=0,
        attempt=1,
        vm_uuid="uuid-1",
        vm_name="db-1 “ü”",
        source="a",
        source_uri="qemu+tcp://a/system",
        destination="b",
        destination_uri="qemu+tcp://b/system",
        placement=PLACEMENT,
        console=CONSOLE,
        is_destination_chosen=True,
        sentence="Move it.",
    )


@pytest.fixture(params=["disk", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    database = Database.open(tmp_path / "hpconsole.sqlite3")
    yield database.journal
    database.close()


def test_an_attempt_comes_back_as_it_was_written(journal: Journal) -> None:
    journal.begin(a_record())
    (found,) = journal.open_records()
    assert found.created_at is not None
    assert found.created_at.tzinfo is not None
    assert replace(found, created_at=None, updated_at=None) == a_record()


def test_what_was_known_and_what_was_measured_stay_side_by_side(journal: Journal) -> None:
    journal.begin(replace(a_record(), facts={"forecast": {"total_s": 12.5}}))
    journal.measure("migration-1", {"total_s": 13.0})
    (found,) = journal.records()
    assert found.facts == {"forecast": {"total_s": 12.5}}
    assert found.statistics == {"total_s": 13.0}
    with pytest.raises(StorageError):
        journal.measure("no such", {})


def test_each_phase_is_a_line_and_the_newest_is_the_record_s(journal: Journal) -> None:
    journal.begin(a_record())
    journal.advance("migration-1", Phase.STARTING, "Checking.")
    journal.advance("migration-1", Phase.MIGRATING, "Migrating.")
    assert [(line.phase, line.sentence) for line in journal.lines("migration-1")] == [
        (Phase.PLANNED, "Move it."),
        (Phase.STARTING, "Checking."),
        (Phase.MIGRATING, "Migrating."),
    ]
    assert journal.open_records()[0].phase is Phase.MIGRATING


def test_a_finished_attempt_is_no_longer_open(journal: Journal) -> None:
    journal.begin(a_record(1))
    journal.begin(a_record(2))
    journal.finish("migration-1", StepOutcome.DONE, "It runs on b.", "details")
    assert [record.migration_id for record in journal.open_records()] == ["migration-2"]
    newest_first = journal.records()
    assert [record.migration_id for record in newest_first] == ["migration-2", "migration-1"]
    assert (newest_first[1].outcome, newest_first[1].detail) == (StepOutcome.DONE, "details")
    assert len(journal.records(limit=1)) == 1


def test_only_one_console_adopts_an_attempt(journal: Journal) -> None:
    journal.begin(a_record())
    (seen_by_both,) = journal.open_records()
    assert journal.adopt(seen_by_both, OTHER)
    assert not journal.adopt(seen_by_both, replace(OTHER, console_id="console-3"))
    assert journal.open_records()[0].console == OTHER
    journal.finish("migration-1", StepOutcome.DONE, "")
    assert not journal.adopt(journal.records()[0], CONSOLE)


def test_an_unknown_attempt_is_an_error(journal: Journal) -> None:
    with pytest.raises(StorageError):
        journal.advance("never begun", Phase.MIGRATING, "")


def test_an_entry_made_unreadable_by_hand_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = Database.open(tmp_path / "hpconsole.sqlite3")
    for number in (1, 2, 3):
        database.journal.begin(a_record(number))
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE migrations SET placement = '{\"nodes\": 5}' WHERE id = 1")
        connection.exec_driver_sql("UPDATE migrations SET phase = 'nonsense' WHERE id = 2")
    with caplog.at_level(logging.WARNING):
        assert [record.migration_id for record in database.journal.open_records()] == ["migration-3"]
    assert "migration-1" in caplog.text
    database.close()
