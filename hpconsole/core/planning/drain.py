"""Emptying hosts for maintenance, as values: what is asked, where each VM goes and why, and the choices left.

Values and pure edits only: `drain_planner.plan_drain` makes plans, `execution.drain_run` carries them out.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.performance import Forecast
from hpconsole.core.scheduler.units import Refusal

if TYPE_CHECKING:
    from hpconsole.core.planning.plan import MigrateStep


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """How to plan.

    `ignores_vm_affinity` None = as the cluster is set (the reference ignores hard VM-to-VM affinity for maintenance).
    Host affinity and every other filter always hold.
    """

    ignores_vm_affinity: bool | None = None
    most_other_moves: int = 2  # VMs of other hosts that may be moved to make room
    candidates: int = 12  # best hosts kept for each VM in the exact planning
    time_limit_s: float = 2.0  # of the exact planning
    is_exact: bool = True  # False: the greedy plan only


@dataclass(frozen=True, slots=True)
class DrainIntent:
    """Which hosts to empty, and what the administrator decided about single VMs. VMs by UUID.

    A VM is in at most one of `destinations`, `left_out`, `shut_down` and `power_off`; use the edit functions below.
    """

    hosts: tuple[str, ...]
    reason: str = ""
    options: DrainOptions = DrainOptions()
    destinations: tuple[tuple[str, str], ...] = ()  # (VM, host) the administrator chose
    left_out: frozenset[str] = frozenset()  # stays; its host stays in "preparing"
    shut_down: frozenset[str] = frozenset()  # is shut down instead of moved
    power_off: frozenset[str] = frozenset()  # is switched off without asking the guest, instead of moved
    order: tuple[str, ...] = ()  # VMs that go first, in this order; the others after them
    avoided: tuple[tuple[str, str], ...] = ()  # (VM, host): the host failed it, another one is taken
    room_for: str = ""  # `make_room`: the name of the VM that needs a place; no host is emptied then

    def destination_of(self, vm_uuid: str) -> str | None:
        """The host that was chosen for this VM."""
        return next((host for uuid_, host in self.destinations if uuid_ == vm_uuid), None)


def with_destination(intent: DrainIntent, vm_uuid: str, host: str) -> DrainIntent:
    """The VM goes to this host."""
    clean = planned_freely(intent, vm_uuid)
    return replace(clean, destinations=(*clean.destinations, (vm_uuid, host)))


def leaving_out(intent: DrainIntent, vm_uuid: str) -> DrainIntent:
    """The VM stays where it is."""
    clean = planned_freely(intent, vm_uuid)
    return replace(clean, left_out=clean.left_out | {vm_uuid})


def shutting_down(intent: DrainIntent, vm_uuid: str) -> DrainIntent:
    """The VM is shut down instead of moved."""
    clean = planned_freely(intent, vm_uuid)
    return replace(clean, shut_down=clean.shut_down | {vm_uuid})


def powering_off(intent: DrainIntent, vm_uuid: str) -> DrainIntent:
    """The VM is switched off without asking its guest, instead of moved."""
    clean = planned_freely(intent, vm_uuid)
    return replace(clean, power_off=clean.power_off | {vm_uuid})


def planned_freely(intent: DrainIntent, vm_uuid: str) -> DrainIntent:
    """Every decision about this VM taken back."""
    return replace(
        intent,
        destinations=tuple(item for item in intent.destinations if item[0] != vm_uuid),
        left_out=intent.left_out - {vm_uuid},
        shut_down=intent.shut_down - {vm_uuid},
        power_off=intent.power_off - {vm_uuid},
    )


def in_order(intent: DrainIntent, vm_uuids: Iterable[str]) -> DrainIntent:
    """These VMs first, in this order."""
    return replace(intent, order=tuple(dict.fromkeys(vm_uuids)))


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many migrations may run at the same time (`execution.step_queue.Limits`, which decides in the end)."""

    outgoing: int = 2  # leaving one host
    incoming: int = 2  # arriving at one host
    total: int = 8


USUAL = AtOnce()


class DrainAction(StrEnum):
    """What happens to a VM."""

    MOVE = "move"
    SHUT_DOWN = "shut down"  # the administrator's choice
    POWER_OFF = "power off"  # the administrator's choice
    LEAVE = "leave"  # the administrator's choice: its host stays in "preparing"
    BLOCKED = "blocked"  # it may not be migrated at all; a choice is needed
    NO_HOST = "no host"  # every host refuses it; a choice is needed


class DrainChoice(StrEnum):
    """What the administrator can do about a VM that blocks."""

    SHUT_DOWN = "shut down"
    POWER_OFF = "power off"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class HostRefusal:
    """One host that does not take a VM: every reason, and the smallest change that would help."""

    host: str
    refusals: tuple[Refusal, ...]
    would_help: str = ""


@dataclass(frozen=True, slots=True)
class DrainItem:
    """One VM of the plan."""

    vm_uuid: str
    vm_name: str
    source: str
    action: DrainAction
    destination: str | None = None  # of MOVE
    placement: Placement | None = None  # of MOVE: its exact map there
    is_destination_chosen: bool = False  # by the administrator: never another one
    is_other: bool = False  # not on a host to be emptied: moved to make room
    is_special: bool = False  # high performance or pinned: its performance may change
    sentence: str = ""  # what happens, with the pinning it has and gets
    why: str = ""  # why there; or why it cannot move
    performance: Forecast | None = None  # against its present place: same, better, likely slower, and the causes
    forecast: Any = None  # duration and downtime (`planning.forecast`); None = not known
    refusals: tuple[HostRefusal, ...] = ()  # of NO_HOST, the nearest to acceptance first
    would_help: str = ""  # of NO_HOST: the smallest change anywhere that would help
    choices: tuple[DrainChoice, ...] = ()
    wave: int = 0  # those of one wave may run at the same time; 0 = nothing is done

    @property
    def needs_choice(self) -> bool:
        """Whether the administrator must say what becomes of it."""
        return self.action in (DrainAction.BLOCKED, DrainAction.NO_HOST)


class PlannedBy(StrEnum):
    """Which planner made it."""

    GREEDY = "greedy"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class PlanQuality:
    """Who planned it and how good it is. `cost` and `bound` in points: lower is better, 0 = each VM on its best host.

    `bound`: no plan costs less. `gap_pct` None = not known.
    """

    planned_by: PlannedBy = PlannedBy.GREEDY
    cost: float = 0.0
    bound: float | None = None
    took_ms: float = 0.0
    sentence: str = ""

    @property
    def gap_pct(self) -> float | None:
        """How far the plan can be from the optimum, in percent of its cost."""
        if self.bound is None:
            return None
        return 0.0 if self.cost <= 0 else max(0.0, 100.0 * (self.cost - self.bound) / self.cost)


@dataclass(frozen=True, slots=True)
class AffectedVm:
    """A high-performance or pinned VM that is affected, for the warning list that is always shown."""

    vm_uuid: str
    vm_name: str
    host: str
    sentence: str


@dataclass(frozen=True, slots=True)
class HostLoad:
    """A host at one moment of the plan. Percentages of the whole host; None = unknown."""

    host: str
    vms: int
    memory_pct: float | None  # promised to VMs
    cpu_pct: float | None
    own_cpus: int  # CPUs that VMs have for their own


@dataclass(frozen=True, slots=True)
class StepLoad:
    """What one item changes: the hosts it touches, before and after, in the plan's order."""

    vm_uuid: str
    before: tuple[HostLoad, ...]
    after: tuple[HostLoad, ...]


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """Where everything goes. `items` in the order of execution; those that nothing is done about come last.

    `obstacles`: sentences that forbid the whole (no host of the cluster would stay up); nothing can be run then.
    """

    intent: DrainIntent
    items: tuple[DrainItem, ...]
    based_on: int  # serial of the snapshot
    quality: PlanQuality = PlanQuality()
    warnings: tuple[AffectedVm, ...] = ()
    notes: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    loads: tuple[StepLoad, ...] = ()
    at_once: AtOnce = USUAL
    plan_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def title(self) -> str:
        """In a few words."""
        intent = self.intent
        return f"Maintenance of {', '.join(intent.hosts)}" if intent.hosts else f"Make room for {intent.room_for}"

    @property
    def moves(self) -> tuple[DrainItem, ...]:
        """What will be migrated."""
        return tuple(item for item in self.items if item.action is DrainAction.MOVE)

    @property
    def open_items(self) -> tuple[DrainItem, ...]:
        """The VMs about which the administrator must decide."""
        return tuple(item for item in self.items if item.needs_choice)

    @property
    def blockers(self) -> tuple[DrainItem, ...]:
        """The VMs that may not be migrated at all."""
        return tuple(item for item in self.items if item.action is DrainAction.BLOCKED)

    @property
    def is_complete(self) -> bool:
        """Whether the hosts will be empty: every VM moves or is shut down by choice."""
        kinds = {item.action for item in self.items if not item.is_other}
        return not self.obstacles and kinds <= {DrainAction.MOVE, DrainAction.SHUT_DOWN, DrainAction.POWER_OFF}

    @property
    def waves(self) -> tuple[tuple[DrainItem, ...], ...]:
        """The items by wave, the first first. VMs of a wave depend on nothing that is done in it or after it."""
        numbers = sorted({item.wave for item in self.items if item.wave})
        return tuple(tuple(item for item in self.items if item.wave == number) for number in numbers)

    def item(self, vm_uuid: str) -> DrainItem | None:
        """The item of this VM."""
        return next((item for item in self.items if item.vm_uuid == vm_uuid), None)


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """Something of a plan that is not true any more."""

    vm_uuid: str
    sentence: str


def step_of(item: DrainItem) -> MigrateStep:
    """The migration of an item that moves.

    Raises:
        ValueError: it does not move.
    """
    from hpconsole.core.planning.plan import MigrateStep

    if item.destination is None or item.placement is None:
        raise ValueError(item.vm_name)
    return MigrateStep(
        item.vm_uuid,
        item.vm_name,
        item.source,
        item.destination,
        item.placement,
        item.sentence,
        item.is_destination_chosen,
        forecast=item.forecast,
    )


def warnings_of(vms: Iterable[Vm]) -> tuple[AffectedVm, ...]:
    """The high-performance or pinned ones, with what to expect; always shown, whatever the clusters or modes are."""
    return tuple(
        AffectedVm(
            vm.uuid,
            vm.name,
            vm.host or "",
            f"{vm.name} on {vm.host} is a high-performance or pinned VM; it may run slower after it was migrated.",
        )
        for vm in sorted(vms, key=lambda vm: (vm.host or "", vm.name))
        if vm.is_pinned_or_high_performance
    )
