"""Room for a VM that fits nowhere: the fewest moves of others that free what it needs, a plan like any other. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode, Vm
from hpconsole.core.planning.drain import DrainIntent, DrainItem, DrainOptions, DrainPlan, PlanQuality, warnings_of
from hpconsole.core.planning.drain_greedy import Assignment
from hpconsole.core.planning.drain_items import Forecaster, ItemMaker, no_forecast
from hpconsole.core.planning.drain_judge import Judge, Standing
from hpconsole.core.planning.drain_order import arranged
from hpconsole.core.planning.drain_room import make_room
from hpconsole.core.planning.drain_units import Kind, Unit, units_of
from hpconsole.core.planning.placement_text import bound_nodes, cpus_on_nodes
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation

_MOST_MOVES = 3
_TIME_LIMIT_S = 10.0


def plan_room(
    vm_uuid: str,
    snapshot: ClusterSnapshot,
    policy: Policy = DEFAULT_POLICY,
    reservations: Sequence[Reservation] = (),
    *,
    on: str | None = None,
    most_moves: int = _MOST_MOVES,
    forecaster: Forecaster = no_forecast,
) -> DrainPlan:
    """The fewest moves after which this VM has a place, on any host or on one.

    A running VM is moved there as the last step; one that does not run can be started there afterwards.

    Raises:
        InvalidEdit: no such VM or host, or the VM may not be moved.
        NoSuitableHost: no set of so many moves makes room; `ranking` says what each host lacks.
    """
    began = time.monotonic()
    vm = _checked(vm_uuid, on, snapshot)
    judge = Judge(snapshot, policy, reservations)
    (unit,) = units_of([vm], snapshot, ignores_vm_affinity=False)
    only = frozenset({on}) if on is not None else frozenset()
    made, judge, asides = _room(unit, judge, only, most_moves)
    host = made.host_of.get(unit)
    if host is None:
        request = Request((vm.uuid,), only_hosts=only)
        sentence = f"No {most_moves} moves of other VMs make room for {vm.name}{f' on {on}' if on else ''}."
        raise NoSuitableHost(sentence, ranking=rank(request, snapshot, policy, reservations), subject=vm.name)
    intent = DrainIntent((), options=DrainOptions(most_other_moves=most_moves), room_for=vm.name)
    writer = ItemMaker(intent, snapshot, policy, reservations, forecaster)
    items: list[DrainItem] = []
    for other, place in made.host_of.items():
        if other is not unit:
            items += writer.moves(other, place, None, made=made, judge=judge)
        elif vm.is_running_somewhere:
            items += writer.moves(unit, place, Kind([unit], Standing((), ())), made=made, judge=judge)
    ordered, loads = arranged(items, intent, snapshot, {vm.uuid: asides})
    return DrainPlan(
        intent,
        ordered,
        snapshot.serial,
        PlanQuality(took_ms=(time.monotonic() - began) * 1000),
        warnings=warnings_of(snapshot.vms[item.vm_uuid] for item in ordered),
        notes=(_note(vm, host, made, snapshot, len(asides)),),
        loads=loads,
    )


def _checked(vm_uuid: str, on: str | None, snapshot: ClusterSnapshot) -> Vm:
    vm = snapshot.vms.get(vm_uuid)
    if vm is None:
        raise InvalidEdit("vm", f"There is no VM {vm_uuid} any more.")
    if on is not None and on not in snapshot.hosts:
        raise InvalidEdit("destination", f"There is no host named {on}.", subject=on)
    if vm.is_running_somewhere and vm.intent.migration_mode is MigrationMode.DO_NOT_MIGRATE:
        raise InvalidEdit("vm", f"{vm.name} is set to “Do not allow migration”; change its migration mode first.")
    if on is not None and vm.is_running_somewhere and vm.host == on:
        raise InvalidEdit("destination", f"{vm.name} runs on {on} already.", subject=on)
    return vm


def _room(unit: Unit, judge: Judge, only: frozenset[str], most_moves: int) -> tuple[Assignment, Judge, tuple[str, ...]]:
    made = Assignment()
    for host in judge.standing(unit.vms).hosts:
        if only and host not in only:
            continue
        placed = judge.fits(unit.vms, host)
        if placed is not None:
            made.put(unit, host, placed, judge)
            return made, judge, ()
    found = make_room(
        unit,
        judge,
        made,
        most_moves=most_moves,
        only_hosts=only,
        untouchable=frozenset(unit.uuids),
        ends_at=time.monotonic() + _TIME_LIMIT_S,
    )
    if found is None:
        return made, judge, ()
    return found.made, found.judge, tuple(vm.uuid for vm in found.asides)


def _note(vm: Vm, host: str, made: Assignment, snapshot: ClusterSnapshot, moves: int) -> str:
    placement = made.placements[vm.uuid]
    topology = snapshot.hosts[host].topology
    cpus, nodes = placement.pinning.all_vcpu_cpus, bound_nodes(placement)
    where = f": {cpus_on_nodes(cpus, topology)}" if cpus else f": memory on nodes {nodes.format()}" if nodes else ""
    how = "without any move" if not moves else "after one move" if moves == 1 else f"after {moves} moves"
    verb = "moves to" if vm.is_running_somewhere else "can be started on"
    return f"{vm.name} {verb} {host} {how}{where}."
