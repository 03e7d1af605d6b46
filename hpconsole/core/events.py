"""What happened, as frozen values. Published by core threads, delivered in order, none lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.plan import Plan, Step


class StepOutcome(StrEnum):
    """How a step ended; the sentence of `StepFinished` says where the VM is."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"  # the hosts could not be asked; the journal keeps it open


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a migration is. `share` never falls."""

    share: float  # 0-1, made from passes: never runs backwards
    pass_number: int
    remaining_mib: float
    total_mib: float
    throughput_mib_s: float
    dirty_rate_mib_s: float | None
    elapsed_s: float
    expected_rest_s: float | None
    downtime_limit_ms: int | None = None
    sentence: str = ""
    is_post_copy: bool = False  # the VM runs on the destination, and the rest of its memory follows


@dataclass(frozen=True, slots=True)
class PlanSubmitted:
    """A plan was accepted; its steps wait or run."""

    at: datetime
    plan: Plan


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step began."""

    at: datetime
    plan_id: str
    index: int
    step: Step


@dataclass(frozen=True, slots=True)
class StepProgressed:
    """A running step moved on."""

    at: datetime
    plan_id: str
    index: int
    progress: MigrationProgress


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended. `sentence`: what happened, where the VM is now, what to do."""

    at: datetime
    plan_id: str
    index: int
    step: Step
    outcome: StepOutcome
    sentence: str
    detail: str = ""
    end_state: str = ""  # value of `execution.end_states.EndState`; empty where no host was asked
    migration_id: str = ""  # the attempt's key in the journal
    is_as_planned: bool = True  # of a VM that moved: False where the proof found something amiss; the sentence names it


@dataclass(frozen=True, slots=True)
class PlanFinished:
    """Every step of a plan ended."""

    at: datetime
    plan: Plan
    outcomes: tuple[StepOutcome, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should read that belongs to no plan (a host lost, a database problem)."""

    at: datetime
    severity: str  # info, warning, error
    sentence: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class HostStatusChanged:
    """A host was given another status (maintenance, up ...), by somebody or by a drain that ended."""

    at: datetime
    host: str
    before: HostStatus
    status: HostStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DrainChanged:
    """A drain moved on: another state, or one of its VMs. `execution.drain_run.Drains.get(drain_id)` has the rest."""

    at: datetime
    drain_id: str
    state: str  # a `DrainState`
    sentence: str


Event = (
    PlanSubmitted
    | StepStarted
    | StepProgressed
    | StepFinished
    | PlanFinished
    | Notice
    | HostStatusChanged
    | DrainChanged
)
