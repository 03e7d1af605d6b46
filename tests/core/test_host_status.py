"""What was decided about hosts is told, kept, and never silently lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.errors import StorageError
from hpconsole.core.events import Event, HostStatusChanged
from hpconsole.core.host_status import KIND, HostStatuses
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


def test_what_cannot_be_read_keeps_vms_away(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "db.sqlite3")
    database.documents.save(KIND, "a", {"status": "gone fishing"})
    statuses = HostStatuses(lambda _event: None)
    statuses.attach(database.documents)
    assert statuses.of("a").status is HostStatus.PREPARING_FOR_MAINTENANCE
    assert statuses.of("b").status is HostStatus.UP
    database.close()


def test_a_database_that_fails_costs_the_memory_only() -> None:
    class Full:
        def all(self, kind: str) -> dict[str, dict[str, object]]:
            return {}

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
    assert len(events) == 1
