"""Where else can a VM go whose migration failed? The next best host, up to three; never for a host the user chose."""

from __future__ import annotations

from collections.abc import Sequence

from hpconsole.core.errors import PlanningError
from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.migration import Result
from hpconsole.core.execution.preflight import as_seen, settled
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.plan import Step
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation

MAX_TRIED_HOSTS = 3  # the reference's MaxRerunVmOnVdsCount


def may_be_retried(result: Result) -> bool:
    """Whether the VM runs where it was, its destination was ours to choose, and another one may do better."""
    failed = result.outcome in (StepOutcome.FAILED, StepOutcome.SKIPPED) and not result.is_stalled
    return failed and result.is_at_source and not result.step.is_destination_chosen


def next_try(
    result: Result,
    vm: Vm,
    *,
    tried: frozenset[str],
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation],
) -> Step | str:
    """The next step for this VM; or why there is none, in a sentence.

    Args:
        vm: As it was when its step was submitted: polls may still show the job that has just failed, or the half
            guest on the destination.
    """
    if len(tried) >= MAX_TRIED_HOSTS:
        return f"{len(tried)} hosts were tried ({', '.join(sorted(tried))}); no further one is."
    snapshot = as_seen(snapshot, settled(vm, result.step.source))
    intent = MigrationIntent((vm.uuid,), excluded_hosts=tried)
    try:
        return plan_migration(intent, snapshot, policy, reservations).steps[0]
    except PlanningError:
        return "No other host can take it."
