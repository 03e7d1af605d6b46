"""What did an earlier run of the console leave unfinished? Read from the journal at the start.

A migration between hosts goes on when its console is killed. Its entry is still open: it is taken over, and the hosts
are asked for the truth, by the same code that watches a migration of this run.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.journal import Journal, MigrationRecord, Phase
from hpconsole.core.planning.plan import MigrateStep, Plan

_UNTOUCHED = (Phase.PLANNED, Phase.STARTING)


@dataclass(frozen=True, slots=True)
class Found:
    """An attempt nobody looks after, as a plan that the task list can show."""

    record: MigrationRecord
    plan: Plan
    sentence: str


def close_untouched(journal: Journal, console: ConsoleIdentity) -> None:
    """Close the attempts of ended consoles that never asked a host for anything.

    Raises:
        StorageError: the journal cannot be used.
    """
    for record in journal.open_records():
        if record.phase in _UNTOUCHED and _is_orphan(record, console) and journal.adopt(record, console):
            sentence = f"{record.vm_name} was not moved: the console ended before it began. Nothing was changed."
            journal.finish(record.migration_id, StepOutcome.SKIPPED, sentence)


def find_orphans(journal: Journal, console: ConsoleIdentity) -> tuple[Found, ...]:
    """Take over the attempts that may have changed something; another running console's are left to it.

    Raises:
        StorageError: the journal cannot be used.
    """
    found: list[Found] = []
    for record in journal.open_records():
        is_touched = record.phase not in _UNTOUCHED
        if is_touched and _is_orphan(record, console) and journal.adopt(record, console):
            found.append(Found(record, _as_plan(record), _sentence(record)))
    return tuple(found)


def _is_orphan(record: MigrationRecord, console: ConsoleIdentity) -> bool:
    return record.console.console_id != console.console_id and not record.console.is_running


def _as_plan(record: MigrationRecord) -> Plan:
    step = MigrateStep(
        vm_uuid=record.vm_uuid,
        vm_name=record.vm_name,
        source=record.source,
        destination=record.destination,
        placement=record.placement,
        sentence=f"Move {record.vm_name} from {record.source} to {record.destination}; begun by an earlier run.",
        is_destination_chosen=record.is_destination_chosen,
    )
    title = f"Unfinished: {record.vm_name} from {record.source} to {record.destination}"
    return Plan(title, (step,), based_on=0, reason="found in the journal at the start")


def _sentence(record: MigrationRecord) -> str:
    return (
        f"The migration of {record.vm_name} from {record.source} to {record.destination} was not finished when the "
        "console ended. Asking both hosts how it ended."
    )
