"""A plan: what will be done, in order, with a sentence for each step. Shown and confirmed before anything happens.

Plans are values. Whoever wants something done makes a plan and submits it; nothing else changes a VM.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.forecast import Forecast
from hpconsole.core.planning.migration_options import DEFAULT_OPTIONS, MigrationOptions


@dataclass(frozen=True, slots=True)
class MigrateStep:
    """Move one running VM."""

    vm_uuid: str
    vm_name: str
    source: str
    destination: str
    placement: Placement
    sentence: str
    is_destination_chosen: bool = False  # by the user: never retried elsewhere
    options: MigrationOptions = DEFAULT_OPTIONS
    forecast: Forecast | None = None  # what was expected when it was planned
    ignores_vm_affinity: bool = False  # hard VM-to-VM affinity does not count (maintenance, as the reference has it)


Step = MigrateStep


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps that belong together. `based_on` is the serial of the snapshot it was made from.

    `warnings` says what was asked for and is not in the plan, a sentence each (a VM that no host can take).
    """

    title: str
    steps: tuple[Step, ...]
    based_on: int
    reason: str = ""
    plan_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    warnings: tuple[str, ...] = ()
