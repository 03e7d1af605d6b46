"""What is known of one drain: how far it is, what was done, who is stuck and why. A frozen value, kept as a document.

Written before each action, so that a console that was killed can go on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from hpconsole.core.errors import ScenarioError
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.planning.drain import DrainIntent
from hpconsole.core.scheduler.value_json import from_json, to_json

_log = logging.getLogger(__name__)
KIND = "drain"
_MOST_LINES = 500


class DrainState(StrEnum):
    """How a drain stands."""

    RUNNING = "running"
    PAUSED = "paused"  # nothing new begins; what runs goes on
    WAITING = "waiting"  # nothing more can be done without the administrator: VMs are stuck or left out
    STOPPED = "stopped"  # by the administrator; the hosts stay in "preparing" until they are activated
    DONE = "done"

    @property
    def is_over(self) -> bool:
        """Whether it will do nothing any more."""
        return self in (DrainState.STOPPED, DrainState.DONE)


@dataclass(frozen=True, slots=True)
class DrainLine:
    """One thing that happened."""

    at: datetime
    sentence: str


@dataclass(frozen=True, slots=True)
class DoneVm:
    """A VM that has left."""

    vm_uuid: str
    vm_name: str
    source: str
    destination: str  # empty: shut down
    at: datetime


@dataclass(frozen=True, slots=True)
class StuckVm:
    """A VM that could not leave, and why; `is_chosen`: it was left out."""

    vm_uuid: str
    vm_name: str
    host: str
    sentence: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class DrainRecord:
    """See the module."""

    drain_id: str
    title: str
    intent: DrainIntent
    state: DrainState
    console_id: str
    machine: str
    pid: int
    process_started: str = ""
    began_at: datetime | None = None
    changed_at: datetime | None = None
    total: int = 0  # VMs that were to leave
    done: tuple[DoneVm, ...] = ()
    stuck: tuple[StuckVm, ...] = ()
    lines: tuple[DrainLine, ...] = ()
    sentence: str = ""  # how it stands

    @property
    def console(self) -> ConsoleIdentity:
        """Who runs it."""
        return ConsoleIdentity(self.console_id, self.machine, self.pid, self.process_started)

    def with_line(self, sentence: str, **changes: Any) -> DrainRecord:
        """With one more line, and other changes."""
        now = datetime.now(UTC)
        lines = (*self.lines, DrainLine(now, sentence))[-_MOST_LINES:]
        return replace(self, lines=lines, sentence=sentence, changed_at=now, **changes)

    def owned_by(self, console: ConsoleIdentity) -> DrainRecord:
        """Taken over."""
        return replace(
            self,
            console_id=console.console_id,
            machine=console.machine,
            pid=console.pid,
            process_started=console.started,
        )


def new_record(drain_id: str, title: str, intent: DrainIntent, console: ConsoleIdentity, total: int) -> DrainRecord:
    """The record of a drain that begins."""
    now = datetime.now(UTC)
    return DrainRecord(
        drain_id,
        title,
        intent,
        DrainState.RUNNING,
        console.console_id,
        console.machine,
        console.pid,
        console.started,
        began_at=now,
        changed_at=now,
        total=total,
    )


def record_to_json(record: DrainRecord) -> dict[str, Any]:
    """As it is kept."""
    body: dict[str, Any] = to_json(record)
    return body


def record_from_json(body: Mapping[str, Any]) -> DrainRecord | None:
    """What was kept; None where somebody's hand made it unreadable (logged)."""
    try:
        record: DrainRecord = from_json(DrainRecord, body, "drain")
    except ScenarioError as error:
        _log.warning("a drain cannot be read: %s", error.sentence)
        return None
    return record
