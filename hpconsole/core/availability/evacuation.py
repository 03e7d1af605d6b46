"""Which VMs leave a host that is reachable but not fit, and who stays and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpconsole.core.availability.health import HostHealth
from hpconsole.core.availability.settings import Evacuation
from hpconsole.core.errors import PlanningError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode, Vm
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration, why_not_movable
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation


@dataclass(frozen=True, slots=True)
class EvacuationPlan:
    """What is moved away from one host (None: nothing can), and a sentence for each VM that stays."""

    host: str
    plan: Plan | None
    staying: tuple[str, ...] = ()


def plan_evacuation(
    health: HostHealth,
    rule: Evacuation,
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation] = (),
    *,
    unfit: frozenset[str] = frozenset(),
) -> EvacuationPlan:
    """Moves for the automatic-mode VMs that the rule names. One VM that stays holds up no other.

    Args:
        unfit: Other hosts that nothing is moved to.
    """
    host = health.host
    on_their_way = {promise.vm_uuid for promise in reservations}
    staying: list[str] = []
    moving: list[str] = []
    for vm in snapshot.vms_on(host):
        if vm.uuid in on_their_way:
            continue
        reason = _why_it_stays(vm, rule, snapshot)
        if reason:
            staying.append(reason)
        else:
            moving.append(vm.uuid)
    if not moving:
        return EvacuationPlan(host, None, tuple(staying))
    intent = MigrationIntent(tuple(moving), excluded_hosts=unfit | {host})
    try:
        plan = plan_migration(intent, snapshot, policy, reservations)
    except PlanningError as error:
        return EvacuationPlan(host, None, (*staying, error.sentence))
    titled = Plan(
        f"Evacuate {host}: {len(plan.steps)} of {len(snapshot.vms_on(host))} VMs",
        plan.steps,
        plan.based_on,
        reason=health.sentence,
        warnings=plan.warnings,
    )
    return EvacuationPlan(host, titled, (*staying, *plan.warnings))


def _why_it_stays(vm: Vm, rule: Evacuation, snapshot: ClusterSnapshot) -> str:
    if rule is Evacuation.NONE:
        return f"{vm.name} stays: the cluster moves no VM away from hosts in trouble."
    if rule is Evacuation.ONLY_HIGHLY_AVAILABLE and not vm.intent.high_availability:
        return f"{vm.name} stays: only highly available VMs are moved away from hosts in trouble."
    if vm.intent.migration_mode is MigrationMode.MANUAL:
        return f"{vm.name} stays: it is only moved by hand (manual migration)."
    return why_not_movable(vm, snapshot)
