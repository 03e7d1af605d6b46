"""After maintenance: which VMs go back to the host they came from, with the pins they had there? Pure.

A VM's home is where the unbroken chain of its latest moves began. Its old place is taken again where it is still free;
else the scheduler gives it another one on the same host; where its home refuses it, it stays and the reason is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migrate import why_not_movable
from hpconsole.core.planning.placement_text import move_sentence
from hpconsole.core.planning.plan import MigrateStep, Plan
from hpconsole.core.planning.still_free import is_still_free
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation


@dataclass(frozen=True, slots=True)
class Move:
    """One finished move of a VM. `place`: its map on `source` before; None = not known."""

    vm_uuid: str
    source: str
    destination: str
    place: Placement | None = None


def homes(moves: Iterable[Move]) -> dict[str, Move]:
    """For each VM that is not where its latest chain of moves began: from there (`source`) to where it went last.

    Args:
        moves: newest first. A move that does not join on to the next newer one of its VM ends the chain.
    """
    found: dict[str, Move] = {}
    ended: set[str] = set()
    for move in moves:
        newer = found.get(move.vm_uuid)
        if move.vm_uuid in ended:
            continue
        if newer is None:
            found[move.vm_uuid] = move
        elif move.destination == newer.source:
            found[move.vm_uuid] = replace(move, destination=newer.destination)
        else:
            ended.add(move.vm_uuid)
    return {uuid: move for uuid, move in found.items() if move.source != move.destination}


def from_host(moves: Iterable[Move], host: str) -> dict[str, Move]:
    """As `homes`, for VMs that left this host: wherever the chain began, this host is where they go back to."""
    shortened: list[Move] = []
    past: set[str] = set()
    for move in moves:
        if move.vm_uuid not in past:
            shortened.append(move)
        if move.source == host:
            past.add(move.vm_uuid)
    return {uuid: move for uuid, move in homes(shortened).items() if move.source == host}


def return_home(
    snapshot: ClusterSnapshot, goals: Iterable[Move], policy: Policy, reservations: Sequence[Reservation] = ()
) -> Plan:
    """A plan that takes each VM back; it may be empty. What cannot go back is a warning of the plan."""
    promised, steps, warnings = list(reservations), [], []
    for goal in goals:
        vm = snapshot.vms.get(goal.vm_uuid)
        why = _why_not(vm, goal, snapshot)
        if vm is None or why is not None:
            warnings.append(why or "")
            continue
        step = _step(vm, goal, snapshot, policy, promised)
        if isinstance(step, str):
            warnings.append(step)
            continue
        steps.append(step)
        promised.append(Reservation(vm.uuid, step.destination, step.placement, vm, snapshot.loads.get(vm.uuid)))
    hosts = ", ".join(sorted({step.destination for step in steps}))
    title = f"Return home to {hosts}" if steps else "Return home"
    reason = "back to where they came from"
    return Plan(title, tuple(steps), snapshot.serial, reason=reason, warnings=tuple(filter(None, warnings)))


def _why_not(vm: Vm | None, goal: Move, snapshot: ClusterSnapshot) -> str | None:
    """A sentence; empty where there is nothing to say; None where it can go."""
    if vm is None or vm.host != goal.destination or not vm.state.is_active:
        return ""  # gone, shut down or moved by hand since: nothing to take back
    if goal.source not in snapshot.hosts:
        return f"{vm.name} stays on {vm.host}: its home {goal.source} is none of the hosts of this console."
    return why_not_movable(vm, snapshot) or None


def _step(
    vm: Vm, goal: Move, snapshot: ClusterSnapshot, policy: Policy, promised: Sequence[Reservation]
) -> MigrateStep | str:
    ranking = rank(Request((vm.uuid,)), snapshot, policy, promised)
    fresh = ranking.placement(goal.source, vm.uuid) if goal.source in ranking.accepted else None
    if fresh is None or isinstance(fresh, Misfit):
        reasons = [refusal.sentence for refusal in ranking.refusals(goal.source)]
        why = fresh.sentence if isinstance(fresh, Misfit) else " ".join(reasons)
        return f"{vm.name} stays on {vm.host}: {why}"
    placement, remark = fresh, ""
    if goal.place is not None and goal.place != fresh:
        if is_still_free(goal.place, vm, ranking.occupancy(goal.source)):
            placement = goal.place
        else:
            remark = " (Its old place is taken.)"
    sentence = move_sentence(vm, snapshot.hosts[goal.destination], snapshot.hosts[goal.source], placement)
    return MigrateStep(
        vm_uuid=vm.uuid,
        vm_name=vm.name,
        source=goal.destination,
        destination=goal.source,
        placement=placement,
        sentence=sentence + remark,
        is_destination_chosen=True,
    )
