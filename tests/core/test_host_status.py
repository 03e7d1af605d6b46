"""What was decided about hosts is told, kept, and never silently lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.errors import StorageError
from hpconsole.core.events import Event, HostStatusChanged
from hpconsole.core.host_status import KIND, HostStatuses
from hpconsole.core.memory_documents import MemoryDocuments
from hpconsole.core.model.host import HostStatus


def test_a_decision_is_told_once_and_known_to_the_next_run(tmp_path: Path) -> None:
    events: list[Event] = []
    database = Database.open(tmp_path / "db.sqlite3")
    statuses = HostStatuses(events.append)
    statuses.attach(database.documents)
    statuses.set("a", HostStatus.MAINTENANCE, "new disks")
    statuses.set("a", HostStatus.MAINTENANCE, "new disks")

    changes = [event for event in events if isinstance(event, HostStatusChanged)]
    assert [(event.host, event.before, event.status) for event in changes] == [
        ("a", HostStatus.UP, HostStatus.MAINTENANCE)
    ]
    later = HostStatuses(events.append)
    later.attach(database.documents)
    assert (later.of("a").status, later.of("a").reason) == (HostStatus.MAINTENANCE, "new disks")
    later.set("a", HostStatus.UP)
    assert not database.documents.all(KIND)
    database.close()


def test_what_another_console_decides_is_known_here_and_told(tmp_path: Path) -> None:
    databases = [Database.open(tmp_path / "db.sqlite3") for _ in range(2)]
    events: list[Event] = []
    here, there = HostStatuses(events.append), HostStatuses(lambda _event: None)
    for statuses, database in zip((here, there), databases, strict=True):
        statuses.attach(database.documents)
    there.set("a", HostStatus.MAINTENANCE, "new disks")
    assert here.newest(0)["a"].reason == "new disks"
    assert [(event.host, event.status) for event in events if isinstance(event, HostStatusChanged)] == [
        ("a", HostStatus.MAINTENANCE)
    ]
    there.set("a", HostStatus.UP)
    there.set("b", HostStatus.NON_OPERATIONAL, "no storage")
    here.set("a", HostStatus.MAINTENANCE, "new disks")  # as it was known here until now: a decision all the same
    assert set(there.newest(0)) == {"a", "b"}
    assert set(here.newest(0)) == {"a", "b"}
    here.reload()
    assert len(events) == 4, "each change is told once"
    for database in databases:
        database.close()


def test_what_is_known_is_read_again_only_when_it_is_old(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "db.sqlite3")
    now_s = 0.0
    here, there = HostStatuses(lambda _event: None, clock=lambda: now_s), HostStatuses(lambda _event: None)
    here.attach(database.documents)
    there.attach(database.documents)
    there.set("a", HostStatus.MAINTENANCE)
    assert not here.newest(5.0)
    now_s = 6.0
    assert set(here.newest(5.0)) == {"a"}
    database.close()


def test_what_cannot_be_read_keeps_vms_away(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "db.sqlite3")
    database.documents.save(KIND, "a", {"status": "gone fishing"})
    statuses = HostStatuses(lambda _event: None)
    statuses.attach(database.documents)
    assert statuses.of("a").status is HostStatus.PREPARING_FOR_MAINTENANCE
    assert statuses.of("b").status is HostStatus.UP
    database.close()


def test_a_database_that_fails_costs_the_memory_only() -> None:
    class Full(MemoryDocuments):
        def save(self, kind: str, name: str, body: object) -> None:
            raise StorageError("The disk is full.")

        def remove(self, kind: str, name: str) -> None:
            raise StorageError("The disk is full.")

    events: list[Event] = []
    statuses = HostStatuses(events.append)
    statuses.attach(Full())
    with pytest.raises(StorageError):
        statuses.set("a", HostStatus.MAINTENANCE)
    assert statuses.of("a").status is HostStatus.MAINTENANCE
    statuses.reload()
    assert statuses.of("a").status is HostStatus.MAINTENANCE, "what could not be written is not lost by reading"
    assert len(events) == 1
