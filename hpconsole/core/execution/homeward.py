"""What the journal knows of where VMs came from, for `planning.return_home`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.journal import MigrationRecord
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.planning.return_home import Move


def finished_moves(records: Iterable[MigrationRecord], *, since: datetime | None = None) -> tuple[Move, ...]:
    """The moves that were proven, newest first.

    Args:
        records: newest first, as `Journal.records` gives them.
        since: only moves that began then or later.
    """
    return tuple(
        Move(record.vm_uuid, record.source, record.destination, KnownBefore.from_json(record.facts).home)
        for record in records
        if record.outcome is StepOutcome.DONE
        and (since is None or (record.created_at is not None and record.created_at >= since))
    )
