"""What is not known of migrations? What an earlier run of the console left unfinished, and what hosts did not tell.

A migration between hosts goes on when its console is killed. Its entry is still open: it is taken over, and the hosts
are asked for the truth, by the same code that watches a migration of this run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.journal import Journal, MigrationRecord, Phase
from hpconsole.core.planning.migration_options import DEFAULT_OPTIONS, MigrationOptions, options_from_json
from hpconsole.core.planning.plan import MigrateStep, Plan

# STARTING is not among them: where the disk was full, it may be the last that could be written.
_UNTOUCHED = (Phase.PLANNED,)


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
            sentence = (
                f"{record.vm_name} was not moved: the console ended before its turn came. It was on {record.source} "
                "then; as far as the journal knows, nothing was changed."
            )
            journal.finish(record.migration_id, StepOutcome.SKIPPED, sentence)


def find_orphans(
    journal: Journal, console: ConsoleIdentity, uris: Mapping[str, str]
) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """Take over the attempts that may have changed something; another running console's are left to it.

    Args:
        uris: The hosts of this run, by name. An earlier run may have named the same host otherwise.

    Returns: What was taken over, and a sentence for each attempt whose hosts this run does not have.

    Raises:
        StorageError: the journal cannot be used.
    """
    found: list[Found] = []
    out_of_reach: list[str] = []
    for record in journal.open_records():
        if record.phase in _UNTOUCHED or not _is_orphan(record, console):
            continue
        source = _name_here(record.source, record.source_uri, uris)
        destination = _name_here(record.destination, record.destination_uri, uris)
        if source is None or destination is None:
            missing = record.source if source is None else record.destination
            out_of_reach.append(
                f"How the migration of {record.vm_name} from {record.source} to {record.destination} ended is not "
                f"known, and {missing} is none of the hosts of this run. Add it and start the console again."
            )
        elif journal.adopt(record, console):
            present = replace(record, source=source, destination=destination)
            found.append(Found(present, _as_plan(present), _sentence(present)))
    return tuple(found), tuple(out_of_reach)


def to_ask_again(record: MigrationRecord) -> Found:
    """An attempt of this run, as a plan that finds out how it ended."""
    sentence = f"Asking {record.source} and {record.destination} again how the migration of {record.vm_name} ended."
    return Found(record, _as_plan(record), sentence)


def _name_here(name: str, uri: str, uris: Mapping[str, str]) -> str | None:
    if uris.get(name) == uri:
        return name
    return next((known for known, its_uri in uris.items() if its_uri == uri), name if name in uris else None)


def _is_orphan(record: MigrationRecord, console: ConsoleIdentity) -> bool:
    return record.console.console_id != console.console_id and not record.console.is_running


def _as_plan(record: MigrationRecord) -> Plan:
    step = MigrateStep(
        vm_uuid=record.vm_uuid,
        vm_name=record.vm_name,
        source=record.source,
        destination=record.destination,
        placement=replace(record.placement, host=record.destination),
        sentence=f"Move {record.vm_name} from {record.source} to {record.destination}; begun by an earlier run.",
        is_destination_chosen=record.is_destination_chosen,
        options=_options(record),
    )
    title = f"Unfinished: {record.vm_name} from {record.source} to {record.destination}"
    return Plan(title, (step,), based_on=0, reason="found in the journal at the start")


def _options(record: MigrationRecord) -> MigrationOptions:
    kept = record.facts.get("options")
    return options_from_json(kept) if isinstance(kept, Mapping) else DEFAULT_OPTIONS


def _sentence(record: MigrationRecord) -> str:
    return (
        f"The migration of {record.vm_name} from {record.source} to {record.destination} was not finished when the "
        "console ended. Asking both hosts what came of it."
    )
