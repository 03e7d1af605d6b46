"""A step of the queue as the journal keeps it."""

from __future__ import annotations

from collections.abc import Mapping

from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.journal import MigrationRecord
from hpconsole.core.execution.step_queue import QueuedStep
from hpconsole.core.planning.forecast_json import as_facts
from hpconsole.core.planning.migration_options import options_to_json


def record_of(entry: QueuedStep, uris: Mapping[str, str], console: ConsoleIdentity) -> MigrationRecord:
    """What is written before anything is done: the way it is to be made and what was expected of it are its facts."""
    step = entry.step
    facts: dict[str, object] = {
        "based_on": entry.plan.based_on,
        "reason": entry.plan.reason,
        "options": options_to_json(step.options),
    }
    if step.forecast is not None:
        facts["forecast"] = as_facts(step.forecast)
    return MigrationRecord(
        migration_id=entry.migration_id,
        plan_id=entry.plan.plan_id,
        step_index=entry.index,
        attempt=entry.attempt,
        vm_uuid=step.vm_uuid,
        vm_name=step.vm_name,
        source=step.source,
        source_uri=uris.get(step.source, ""),
        destination=step.destination,
        destination_uri=uris.get(step.destination, ""),
        placement=step.placement,
        console=console,
        is_destination_chosen=step.is_destination_chosen,
        sentence=step.sentence,
        facts=facts,
    )
