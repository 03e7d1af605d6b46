"""What the plan says of each VM: where and why there, what changes for it, or why it cannot move; what would help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.drain import DrainAction, DrainChoice, DrainIntent, DrainItem, HostRefusal
from hpconsole.core.planning.drain_greedy import Assignment
from hpconsole.core.planning.drain_judge import Judge
from hpconsole.core.planning.drain_units import Kind, Unit
from hpconsole.core.planning.placement_text import move_sentence
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.performance import Setting, forecast
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation

# (VM, source, destination) -> duration and downtime, or None
Forecaster = Callable[[Vm, str, str], Any]
_MOST_REFUSALS = 100  # hosts whose reasons are written out


def no_forecast(_vm: Vm, _source: str, _destination: str) -> None:
    """Where nothing is known of durations."""
    return


class ItemMaker:
    """Makes the items of one plan."""

    def __init__(
        self,
        intent: DrainIntent,
        snapshot: ClusterSnapshot,
        policy: Policy,
        reservations: Sequence[Reservation],
        forecaster: Forecaster,
    ) -> None:
        self._intent = intent
        self._snapshot = snapshot
        self._policy = policy
        self._reservations = tuple(reservations)
        self._forecaster = forecaster
        self._now: dict[str, Setting] = {}

    def moves(self, unit: Unit, host: str, kind: Kind | None, *, made: Assignment, judge: Judge) -> list[DrainItem]:
        """The VMs of a unit that has a host."""
        items: list[DrainItem] = []
        for vm in unit.vms:
            others = [promise for promise in made.promises if promise.vm_uuid != vm.uuid]
            taken = judge.occupancy(host, others)
            there = Setting(self._snapshot.hosts[host], taken.exclusive.bits | taken.shared.bits)
            items.append(self._move(vm, made.placements[vm.uuid], there, unit, kind))
        return items

    def nowhere(self, unit: Unit, made: Assignment) -> list[DrainItem]:
        """The VMs of a unit that no host takes, with every host's reasons beside what the plan promises others."""
        excluded = frozenset(self._intent.hosts) | unit.avoided
        only = frozenset({unit.only_host}) if unit.only_host is not None else frozenset()
        request = Request(unit.uuids, excluded_hosts=excluded, only_hosts=only)
        ranking = rank(request, self._snapshot, self._policy, (*self._reservations, *made.promises))
        refusals = self._refusals(ranking, excluded, only)
        nearest = next((refusal for refusal in refusals if refusal.would_help), None)
        helps = f"{nearest.host}: {nearest.would_help}" if nearest is not None else ""
        choices = tuple(DrainChoice)
        return [
            DrainItem(
                vm.uuid,
                vm.name,
                vm.host or "",
                DrainAction.NO_HOST,
                is_destination_chosen=unit.only_host is not None,
                is_special=vm.is_pinned_or_high_performance,
                sentence=f"{vm.name} keeps {vm.host} from maintenance: {_whom(unit)}",
                why=refusals[0].refusals[0].sentence if refusals and refusals[0].refusals else "",
                refusals=tuple(refusals),
                would_help=helps,
                choices=choices,
            )
            for vm in unit.vms
        ]

    def _move(self, vm: Vm, placement: Placement, there: Setting, unit: Unit, kind: Kind | None) -> DrainItem:
        hosts, source, host = self._snapshot.hosts, vm.host or "", there.host.name
        return DrainItem(
            vm.uuid,
            vm.name,
            source,
            DrainAction.MOVE,
            host,
            placement,
            is_destination_chosen=unit.only_host is not None,
            is_other=kind is None,
            is_special=vm.is_pinned_or_high_performance,
            sentence=move_sentence(vm, hosts[source], hosts[host], placement),
            why=_why(unit, host, kind),
            performance=forecast(vm, placement, there, self._setting(source, vm)),
            forecast=self._forecaster(vm, source, host),
        )

    def _setting(self, host: str, vm: Vm) -> Setting:
        """The host as the VM has it now: all other VMs' pinned CPUs."""
        known = self._now.get(host)
        if known is None:
            bits = 0
            for other in self._snapshot.vms_on(host):
                bits |= other.pinning.all_vcpu_cpus.bits
            known = self._now[host] = Setting(self._snapshot.hosts[host], bits)
        return Setting(known.host, known.taken_bits & ~vm.pinning.all_vcpu_cpus.bits)

    def _refusals(self, ranking: Ranking, excluded: frozenset[str], only: frozenset[str]) -> list[HostRefusal]:
        names = [name for name in self._snapshot.hosts if name not in excluded and (not only or name in only)]
        found: list[HostRefusal] = []
        for name in names[:_MOST_REFUSALS]:
            reasons = ranking.refusals(name)
            if reasons:
                found.append(HostRefusal(name, reasons, ranking.would_help(name)))
        return sorted(found, key=lambda one: (not one.would_help, len(one.refusals), _shortage(one), one.host))


def _whom(unit: Unit) -> str:
    if unit.only_host is not None:
        return f"{unit.only_host}, which was chosen for it, does not take it."
    return "no other host takes it."


def _shortage(refusal: HostRefusal) -> float:
    """How far from acceptance, relative to what is needed."""
    return sum(s.missing / s.needed for r in refusal.refusals for s in r.shortages if s.needed > 0)


def _why(unit: Unit, host: str, kind: Kind | None) -> str:
    if unit.only_host is not None:
        return "Chosen by the administrator."
    if kind is None:
        return "Steps aside to make room; the best host that takes it."
    standing = kind.standing
    position, count = kind.position.get(host), len(standing.hosts)
    if position is None:
        return "Room is made for it there by other moves."
    if count == 1:
        return "The only host that takes it."
    better = sum(1 for score in standing.scores if score > standing.scores[position])
    if not better:
        return f"None of the {count} hosts that take it is better."
    return f"Number {better + 1} of the {count} hosts that take it; the better ones are left to other VMs of the plan."
