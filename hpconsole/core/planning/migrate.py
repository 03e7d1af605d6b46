"""Where can these VMs go, and what exactly is done to move them? Pure: asks no host and changes nothing.

The rules are the reference's (behaviour.md D1, D2); every host is answered for, with its reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode, Vm, VmState
from hpconsole.core.planning.placement_text import move_sentence
from hpconsole.core.planning.plan import MigrateStep, Plan
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation, reserve
from hpconsole.core.scheduler.units import Refusal, WeightPart

_MIGRATABLE = (VmState.RUNNING, VmState.PAUSED)
# Words of `Vm.state_reason`: paused by a user is fine, paused because something is wrong or under way is not.
_TROUBLE = ("error", "crashed", "post-copy", "being", "shutting down", "watchdog")


@dataclass(frozen=True, slots=True)
class MigrationIntent:
    """What the user asks for. `destination` None = automatically choose host, for each VM its own."""

    vm_uuids: tuple[str, ...]
    destination: str | None = None
    excluded_hosts: frozenset[str] = frozenset()  # tried before, or about to enter maintenance


@dataclass(frozen=True, slots=True)
class HostChoice:
    """One host as the dialog lists it. For several VMs: whether all of them can go there together."""

    name: str
    is_suitable: bool
    score: float = 0.0  # summed over the VMs that would move
    parts: tuple[WeightPart, ...] = ()  # likewise
    refusals: tuple[Refusal, ...] = ()
    will_help: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """Every host, suitable ones first in rank order.

    `per_vm` ranks each VM as if it moved alone; `together` with those before it already promised their places.
    `problems` has a sentence for each VM that cannot be moved at all (it is in neither mapping).
    """

    hosts: tuple[HostChoice, ...]
    per_vm: Mapping[str, Ranking]
    together: Mapping[str, Ranking]
    problems: tuple[str, ...] = ()

    def placement(self, host: str, vm_uuid: str) -> Placement | Misfit | None:
        """The exact map this VM would get there, beside the others; None for a VM that stays or cannot move."""
        ranking = self.together.get(vm_uuid)
        return ranking.placement(host, vm_uuid) if ranking is not None else None


@dataclass(slots=True)
class _Draft:
    """A plan while it is made: what is promised so far."""

    snapshot: ClusterSnapshot
    policy: Policy
    reservations: list[Reservation]
    steps: list[MigrateStep] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def rank(self, vm: Vm, excluded: frozenset[str]) -> Ranking:
        return rank(Request((vm.uuid,), excluded_hosts=excluded), self.snapshot, self.policy, self.reservations)

    def add(self, vm: Vm, host: str, placement: Placement, *, is_chosen: bool) -> None:
        hosts = self.snapshot.hosts
        source = vm.host or ""
        sentence = move_sentence(vm, hosts[source], hosts[host], placement)
        self.steps.append(MigrateStep(vm.uuid, vm.name, source, host, placement, sentence, is_chosen))
        self.reservations.append(reserve(vm, host, placement, self.snapshot.loads.get(vm.uuid)))


def choices(
    intent: MigrationIntent, snapshot: ClusterSnapshot, policy: Policy, reservations: Sequence[Reservation] = ()
) -> Choices:
    """Ask about every host. `intent.destination` does not matter here.

    Threads: any; takes some milliseconds per VM and thousand hosts, so windows call it off their own thread.
    """
    vms, problems = _movable(intent, snapshot)
    per_vm: dict[str, Ranking] = {}
    together: dict[str, Ranking] = {}
    promised = list(reservations)
    for vm in vms:
        request = Request((vm.uuid,), excluded_hosts=intent.excluded_hosts)
        per_vm[vm.uuid] = alone = rank(request, snapshot, policy, reservations)
        is_first = len(promised) == len(reservations)
        together[vm.uuid] = joint = alone if is_first else rank(request, snapshot, policy, promised)
        if len(vms) > 1:
            # One promise on every host that could take it: hosts do not touch each other, so one call asks them all.
            promised += _promises(vm, joint, snapshot)
    accepted = {uuid: frozenset(ranking.accepted) for uuid, ranking in together.items()}
    hosts = tuple(_choice(name, vms, per_vm, together, accepted) for name in snapshot.hosts) if vms else ()
    return Choices(
        hosts=_in_order(hosts, vms, per_vm),
        per_vm=MappingProxyType(per_vm),
        together=MappingProxyType(together),
        problems=tuple(problems),
    )


def plan_migration(
    intent: MigrationIntent, snapshot: ClusterSnapshot, policy: Policy, reservations: Sequence[Reservation] = ()
) -> Plan:
    """One step for each VM that moves, each with the place it gets beside the others.

    Several VMs, automatically: those that no host takes are left out with a warning, as in the reference.

    Raises:
        InvalidEdit: none of the VMs can be moved at all (not running, do not migrate ...), or no such host.
        NoSuitableHost: no host takes any of them, or the chosen one refuses one of them.
    """
    vms, problems = _movable(intent, snapshot)
    if not vms:
        raise InvalidEdit("vm", " ".join(problems) or "No VM was named.", subject=", ".join(intent.vm_uuids))
    draft = _Draft(snapshot, policy, list(reservations), warnings=problems)
    if intent.destination is None:
        _plan_automatically(draft, vms, intent.excluded_hosts)
    else:
        _plan_chosen(draft, vms, intent.destination)
    return Plan(_title(draft.steps), tuple(draft.steps), snapshot.serial, warnings=tuple(draft.warnings))


def why_not_movable(vm: Vm, snapshot: ClusterSnapshot) -> str:
    """Why this VM cannot be moved to any host, in a sentence; empty if nothing stands against it."""
    source = snapshot.hosts.get(vm.host) if vm.host is not None else None
    if vm.intent.migration_mode is MigrationMode.DO_NOT_MIGRATE:
        return f"{vm.name} is set to “Do not allow migration”; change its migration mode first."
    if source is None or vm.state not in _MIGRATABLE:
        return f"{vm.name} is not running ({vm.state.value}); only a running VM can be migrated live."
    if vm.is_migrating:
        return f"{vm.name} is being migrated already; wait for its end or cancel it."
    if vm.also_running_on:
        where = ", ".join((source.name, *vm.also_running_on))
        return f"{vm.name} runs on several hosts at once ({where}): stop the wrong one before anything else."
    if vm.state is VmState.PAUSED and any(word in vm.state_reason for word in _TROUBLE):
        return f"{vm.name} stands still on {source.name} ({vm.state_reason}); resume it before it is migrated."
    if source.link.state is not LinkState.CONNECTED:
        problem = source.link.problem or "It can be migrated when the host answers again."
        return f"{vm.name} runs on {source.name}, which is {source.link.state.value}. {problem}"
    return ""


def _movable(intent: MigrationIntent, snapshot: ClusterSnapshot) -> tuple[list[Vm], list[str]]:
    """The VMs that may be moved, those that are hardest to place first, and what is wrong with the others."""
    vms: list[Vm] = []
    problems: list[str] = []
    for uuid in dict.fromkeys(intent.vm_uuids):
        vm = snapshot.vms.get(uuid)
        problem = why_not_movable(vm, snapshot) if vm is not None else f"There is no VM {uuid} any more."
        if vm is None or problem:
            problems.append(problem)
        else:
            vms.append(vm)
    return sorted(vms, key=_demand), problems


def _demand(vm: Vm) -> tuple[int, int, int, int, str]:
    """Pinned CPUs, virtual nodes, priority, memory: the more of each, the earlier."""
    bound = sum(1 for node in vm.virtual_nodes if node.host_nodes)
    pinned = len(vm.pinning.vcpus) or (vm.vcpus if vm.is_pinned_or_high_performance else 0)
    return -pinned, -bound, -vm.intent.priority, -vm.memory_kib, vm.name


def _promises(vm: Vm, ranking: Ranking, snapshot: ClusterSnapshot) -> list[Reservation]:
    promises: list[Reservation] = []
    for host in ranking.accepted:
        placement = ranking.placement(host, vm.uuid)
        if not isinstance(placement, Misfit):
            promises.append(reserve(vm, host, placement, snapshot.loads.get(vm.uuid)))
    return promises


def _choice(
    name: str,
    vms: list[Vm],
    per_vm: Mapping[str, Ranking],
    together: Mapping[str, Ranking],
    accepted: Mapping[str, frozenset[str]],
) -> HostChoice:
    """A VM that is on the host already stays there; a host where all of them are is refused as the present one."""
    movers = [vm for vm in vms if vm.host != name] or vms
    refusals: list[Refusal] = []
    helps: list[str] = []
    for vm in movers:
        if name in accepted[vm.uuid]:
            continue
        ranking = together[vm.uuid]
        ending = " (with the other VMs there as well)" if not per_vm[vm.uuid].refusals(name) else ""
        for refusal in ranking.refusals(name):
            refusals.append(_of_vm(refusal, vm.name, ending) if len(vms) > 1 else refusal)
        if help_text := ranking.would_help(name):
            helps.append(f"{vm.name}: {help_text}" if len(vms) > 1 else help_text)
    if refusals:
        return HostChoice(name, is_suitable=False, refusals=tuple(refusals), will_help=" ".join(helps))
    rankings = [per_vm[vm.uuid] for vm in movers]
    return HostChoice(name, True, sum(ranking.score(name) for ranking in rankings), _summed(name, rankings))


def _of_vm(refusal: Refusal, vm_name: str, ending: str) -> Refusal:
    return Refusal(refusal.unit, f"{vm_name}: {refusal.sentence}{ending}", refusal.kind, refusal.shortages)


def _summed(name: str, rankings: Sequence[Ranking]) -> tuple[WeightPart, ...]:
    """The weights of several VMs added up, so that the parts still make the score."""
    if len(rankings) == 1:
        return rankings[0].parts(name)
    sums: dict[str, WeightPart] = {}
    for ranking in rankings:
        for part in ranking.parts(name):
            before = sums.get(part.unit)
            sums[part.unit] = (
                part
                if before is None
                else WeightPart(part.unit, before.raw + part.raw, before.rank + part.rank, part.factor, part.told)
            )
    return tuple(sums.values())


def _in_order(
    hosts: tuple[HostChoice, ...], vms: Sequence[Vm], per_vm: Mapping[str, Ranking]
) -> tuple[HostChoice, ...]:
    suitable = [host for host in hosts if host.is_suitable]
    if len(vms) == 1:
        place = {name: position for position, name in enumerate(per_vm[vms[0].uuid].accepted)}
        suitable.sort(key=lambda host: place[host.name])
    else:
        suitable.sort(key=lambda host: (-host.score, host.name))
    return (*suitable, *sorted((host for host in hosts if not host.is_suitable), key=lambda host: host.name))


def _plan_automatically(draft: _Draft, vms: Sequence[Vm], excluded: frozenset[str]) -> None:
    hopeless: NoSuitableHost | None = None
    for vm in vms:
        ranking = draft.rank(vm, excluded)
        for host in ranking.accepted:
            placement = ranking.placement(host, vm.uuid)
            if not isinstance(placement, Misfit):
                draft.add(vm, host, placement, is_chosen=False)
                break
        else:
            sentence = f"No host can take {vm.name}; it stays on {vm.host}."
            hopeless = hopeless or NoSuitableHost(sentence, ranking=ranking, subject=vm.name)
            draft.warnings.append(sentence)
    if hopeless is not None and not draft.steps:
        raise hopeless


def _plan_chosen(draft: _Draft, vms: Sequence[Vm], destination: str) -> None:
    if destination not in draft.snapshot.hosts:
        known = ", ".join(sorted(draft.snapshot.hosts)) or "none"
        raise InvalidEdit(
            "destination", f"There is no host named {destination}. The hosts are: {known}.", subject=destination
        )
    for vm in vms:
        if vm.host == destination and len(vms) > 1:
            draft.warnings.append(f"{vm.name} is on {destination} already.")
            continue
        ranking = draft.rank(vm, frozenset())
        placement = ranking.placement(destination, vm.uuid) if destination in ranking.accepted else None
        if placement is None or isinstance(placement, Misfit):
            reasons = [refusal.sentence for refusal in ranking.refusals(destination)]
            if isinstance(placement, Misfit):
                reasons = [placement.sentence]
            sentence = f"{vm.name} cannot move to {destination}: {' '.join(reasons)}"
            raise NoSuitableHost(sentence, ranking=ranking, subject=vm.name)
        draft.add(vm, destination, placement, is_chosen=True)
    if not draft.steps:
        raise InvalidEdit("destination", " ".join(draft.warnings), subject=destination)


def _title(steps: Sequence[MigrateStep]) -> str:
    if len(steps) == 1:
        return f"Migrate {steps[0].vm_name} from {steps[0].source} to {steps[0].destination}"
    destinations = sorted({step.destination for step in steps})
    return f"Migrate {len(steps)} VMs to {', '.join(destinations)}"
