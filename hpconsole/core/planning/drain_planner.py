"""Makes drain plans: who goes where, all at once, with every choice the administrator must make. Pure.

First a greedy answer, at once; then the exact one, within its time; where a VM still has no host, the fewest moves of
other VMs that make room for it. Whatever made it, every place was found by the scheduler's filters and exact placement.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.drain import (
    USUAL,
    AtOnce,
    DrainAction,
    DrainChoice,
    DrainIntent,
    DrainItem,
    DrainPlan,
    PlannedBy,
    PlanProblem,
    PlanQuality,
    warnings_of,
)
from hpconsole.core.planning.drain_greedy import Assignment, cost_of, greedy, simple_bound
from hpconsole.core.planning.drain_items import Forecaster, ItemMaker, no_forecast
from hpconsole.core.planning.drain_judge import Judge
from hpconsole.core.planning.drain_order import arranged
from hpconsole.core.planning.drain_room import make_room
from hpconsole.core.planning.drain_units import Kind, Unit, enforced_apart, kinds_of, units_of
from hpconsole.core.planning.migrate import why_not_movable
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.reservations import Reservation

_GOOD_ENOUGH = 1e-9


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The VMs on the hosts to be emptied, by what can become of them."""

    moving: tuple[Vm, ...]
    decided: tuple[DrainItem, ...]  # left out or shut down, by choice
    blocked: tuple[DrainItem, ...]
    notes: tuple[str, ...]


def plan_drain(
    intent: DrainIntent,
    snapshot: ClusterSnapshot,
    policy: Policy = DEFAULT_POLICY,
    reservations: Sequence[Reservation] = (),
    *,
    forecaster: Forecaster = no_forecast,
    at_once: AtOnce = USUAL,
    on_first: Callable[[DrainPlan], None] | None = None,
) -> DrainPlan:
    """Plan to empty the hosts of the intent.

    Args:
        reservations: What running plans have promised.
        forecaster: Duration and downtime of one move.
        at_once: How many may move at the same time.
        on_first: Gets the greedy plan at once, while the exact one is still made.

    Raises:
        InvalidEdit: no host was named, or one that is not in the snapshot; or a VM goes to one of the hosts.

    Threads: any; takes up to the intent's time limit and more, so windows call it off their own thread.
    """
    began = time.monotonic()
    _check(intent, snapshot)
    sorted_ = _sorted(intent, snapshot)
    ignores = _ignores_affinity(intent, snapshot)
    judge = Judge(snapshot, policy, reservations, excluded=frozenset(intent.hosts), ignores_vm_affinity=ignores)
    units = units_of(
        sorted_.moving,
        snapshot,
        ignores_vm_affinity=ignores,
        destinations=intent.destinations,
        avoided=intent.avoided,
    )
    kinds = kinds_of(units, judge)
    writer = ItemMaker(intent, snapshot, policy, reservations, forecaster)
    maker = _Maker(intent, snapshot, sorted_, kinds, writer, began, at_once)
    made = greedy(kinds, judge)
    cost, bound = cost_of(made, kinds), simple_bound(kinds)
    first = PlanQuality(PlannedBy.GREEDY, cost, bound)
    is_enough = not intent.options.is_exact or cost <= bound + _GOOD_ENOUGH
    if on_first is not None and not is_enough:
        quick = replace(maker, items=ItemMaker(intent, snapshot, policy, reservations, no_forecast))
        on_first(quick.plan(made, judge, first))
    quality = first
    if not is_enough:
        made, quality = _improved(kinds, judge, made, intent)
    asides: dict[str, tuple[str, ...]] = {}
    if intent.options.most_other_moves:
        made, judge, asides = _with_room(intent, units, made, judge)
    return maker.plan(made, judge, quality, asides)


def checked(
    plan: DrainPlan,
    snapshot: ClusterSnapshot,
    policy: Policy = DEFAULT_POLICY,
    reservations: Sequence[Reservation] = (),
) -> tuple[PlanProblem, ...]:
    """What of a plan does not hold any more (a VM gone or come, a host that refuses now); empty if all holds."""
    problems: list[PlanProblem] = []
    judge = Judge(
        snapshot,
        policy,
        reservations,
        excluded=frozenset(plan.intent.hosts),
        ignores_vm_affinity=_ignores_affinity(plan.intent, snapshot),
    )
    mine: list[Reservation] = []
    for item in sorted(plan.moves, key=lambda item: item.wave):
        vm = snapshot.vms.get(item.vm_uuid)
        if vm is None or not vm.is_running_somewhere or vm.host != item.source:
            where = f"; it is on {vm.host}" if vm is not None and vm.is_running_somewhere else ""
            problems.append(PlanProblem(item.vm_uuid, f"{item.vm_name} does not run on {item.source} any more{where}."))
            continue
        why = why_not_movable(vm, snapshot)
        placed = None if why else judge.fits((vm,), item.destination or "", mine)
        if placed is None:
            sentence = why or f"{item.destination} does not take {item.vm_name} any more."
            problems.append(PlanProblem(item.vm_uuid, sentence))
            continue
        # as planned: another order of placing may leave no room for the last one
        kept = {} if item.placement is None else {vm.uuid: item.placement}
        mine += judge.promised((vm,), item.destination or "", kept)
        if item.is_other:
            judge = judge.after([vm.uuid])
    known = {item.vm_uuid for item in plan.items}
    for host in plan.intent.hosts:
        for vm in snapshot.vms_on(host):
            if vm.uuid not in known:
                problems.append(PlanProblem(vm.uuid, f"{vm.name} runs on {host} and is not in the plan."))
    return tuple(problems)


def _check(intent: DrainIntent, snapshot: ClusterSnapshot) -> None:
    if not intent.hosts:
        raise InvalidEdit("host", "No host was named.")
    for name in intent.hosts:
        if name not in snapshot.hosts:
            raise InvalidEdit("host", f"There is no host named {name}.", subject=name)
    for uuid, host in intent.destinations:
        vm = snapshot.vms.get(uuid)
        if host not in snapshot.hosts:
            raise InvalidEdit("destination", f"There is no host named {host}.", subject=host)
        if host in intent.hosts:
            name = vm.name if vm is not None else uuid
            raise InvalidEdit("destination", f"{name} cannot go to {host}: it is to be emptied too.", subject=host)


def _ignores_affinity(intent: DrainIntent, snapshot: ClusterSnapshot) -> bool:
    wanted = intent.options.ignores_vm_affinity
    return snapshot.settings.ignores_vm_affinity_for_maintenance if wanted is None else wanted


def _sorted(intent: DrainIntent, snapshot: ClusterSnapshot) -> _Sorted:
    moving: list[Vm] = []
    decided: list[DrainItem] = []
    blocked: list[DrainItem] = []
    notes: list[str] = []
    for host in dict.fromkeys(intent.hosts):
        for vm in sorted(snapshot.vms_on(host), key=lambda vm: vm.name):
            problem = why_not_movable(vm, snapshot)
            if vm.uuid in intent.left_out:
                why = "Left out by choice; the host stays in “preparing for maintenance” until it is gone."
                decided.append(_still(vm, host, DrainAction.LEAVE, f"{vm.name} stays on {host}.", why))
            elif vm.uuid in intent.shut_down:
                sentence = f"Shut down {vm.name} on {host}, once the others have left."
                decided.append(_still(vm, host, DrainAction.SHUT_DOWN, sentence, "By choice."))
            elif vm.uuid in intent.power_off:
                sentence = f"Switch {vm.name} on {host} off without asking its guest, once the others have left."
                decided.append(_still(vm, host, DrainAction.POWER_OFF, sentence, "By choice."))
            elif vm.is_migrating:
                notes.append(f"{vm.name} is being migrated already; {host} waits for it.")
            elif problem:
                blocked.append(
                    _still(vm, host, DrainAction.BLOCKED, f"{vm.name} keeps {host} from maintenance.", problem)
                )
            else:
                moving.append(vm)
    arriving = [
        vm.name
        for vm in snapshot.vms.values()
        if vm.is_migrating and vm.host not in intent.hosts and any(o.host in intent.hosts for o in vm.other_processes)
    ]
    if arriving:
        notes.append(f"Migrations to these hosts are cancelled: {', '.join(sorted(arriving))}.")
    return _Sorted(tuple(moving), tuple(decided), tuple(blocked), tuple(notes))


def _still(vm: Vm, host: str, action: DrainAction, sentence: str, why: str) -> DrainItem:
    choices = tuple(DrainChoice) if action is DrainAction.BLOCKED else ()
    special = vm.is_pinned_or_high_performance
    return DrainItem(vm.uuid, vm.name, host, action, is_special=special, sentence=sentence, why=why, choices=choices)


def _improved(
    kinds: Sequence[Kind], judge: Judge, start: Assignment, intent: DrainIntent
) -> tuple[Assignment, PlanQuality]:
    from hpconsole.core.planning.drain_exact import exact

    units = [unit for kind in kinds for unit in kind.units]
    apart = [] if judge.ignores_vm_affinity else enforced_apart(units, judge.snapshot)
    options = intent.options
    found = exact(
        kinds, judge, candidates=options.candidates, time_limit_s=options.time_limit_s, start=start, apart=apart
    )
    bound = found.bound
    sentence = f"The best {options.candidates} hosts of each VM and more were looked at." if found.is_cut_down else ""
    if found.is_timed_out:
        sentence = f"The exact planning was ended after {options.time_limit_s:g} s. {sentence}".strip()
    by = PlannedBy.EXACT if found.made is not start or not found.is_timed_out else PlannedBy.GREEDY
    return found.made, PlanQuality(by, cost_of(found.made, kinds), bound, sentence=sentence)


def _with_room(
    intent: DrainIntent, units: Sequence[Unit], made: Assignment, judge: Judge
) -> tuple[Assignment, Judge, dict[str, tuple[str, ...]]]:
    """Places for units that have none yet, by moves of other VMs; who stepped aside for whom, by UUID."""
    ends_at = time.monotonic() + intent.options.time_limit_s
    left = intent.options.most_other_moves
    asides: dict[str, tuple[str, ...]] = {}
    drained = {vm.uuid for host in intent.hosts for vm in judge.snapshot.vms_on(host)}
    for unit in units:
        if unit in made.host_of or left <= 0 or time.monotonic() > ends_at:
            continue
        untouchable = frozenset(drained | intent.left_out)
        found = make_room(unit, judge, made, most_moves=left, untouchable=untouchable, ends_at=ends_at)
        if found is not None:
            made, judge = found.made, found.judge
            left -= len(found.asides)
            asides |= {uuid: tuple(vm.uuid for vm in found.asides) for uuid in unit.uuids}
    return made, judge, asides


@dataclass(frozen=True, slots=True)
class _Maker:
    """Turns assignments into plans."""

    intent: DrainIntent
    snapshot: ClusterSnapshot
    sorted_vms: _Sorted
    kinds: Sequence[Kind]
    items: ItemMaker
    began: float
    at_once: AtOnce

    def plan(
        self,
        made: Assignment,
        judge: Judge,
        quality: PlanQuality,
        asides: dict[str, tuple[str, ...]] | None = None,
    ) -> DrainPlan:
        kind_of = {unit: kind for kind in self.kinds for unit in kind.units}
        items: list[DrainItem] = []
        for unit, kind in kind_of.items():
            host = made.host_of.get(unit)
            items += (
                self.items.nowhere(unit, made)
                if host is None
                else self.items.moves(unit, host, kind, made=made, judge=judge)
            )
        for unit, host in made.host_of.items():
            if unit not in kind_of:
                items += self.items.moves(unit, host, None, made=made, judge=judge)
        ordered, loads = arranged(
            [*items, *self.sorted_vms.decided, *self.sorted_vms.blocked],
            self.intent,
            self.snapshot,
            asides or {},
            self.at_once,
        )
        affected = [vm for host in self.intent.hosts for vm in self.snapshot.vms_on(host)]
        affected += [self.snapshot.vms[item.vm_uuid] for item in ordered if item.is_other]
        return DrainPlan(
            self.intent,
            ordered,
            self.snapshot.serial,
            replace(quality, took_ms=(time.monotonic() - self.began) * 1000),
            warnings=warnings_of(affected),
            notes=self.sorted_vms.notes,
            obstacles=_obstacles(self.intent, self.snapshot),
            loads=loads,
            at_once=self.at_once,
        )


def _obstacles(intent: DrainIntent, snapshot: ClusterSnapshot) -> tuple[str, ...]:
    """At least one host stays up where VMs run (behaviour.md E2)."""
    others: list[Host] = [h for h in snapshot.hosts.values() if h.name not in intent.hosts and h.is_candidate]
    staying = [
        vm
        for host in intent.hosts
        for vm in snapshot.vms_on(host)
        if vm.uuid not in intent.shut_down | intent.power_off
    ]
    if others or not staying:
        return ()
    names = ", ".join(intent.hosts)
    return (
        f"No other host would be up: {len(staying)} VMs run on {names}. Activate another host, leave one of these "
        "out, or shut the VMs down.",
    )
