"""Decisions about more than one VM: who goes where in one go, and which VM should move to balance or to keep rules.

Every single decision is a `rank`; what was decided counts for the next as a promise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import VmState
from hpconsole.core.scheduler.affinity import with_labelled
from hpconsole.core.scheduler.affinity_enforcement import Enforcement
from hpconsole.core.scheduler.balancers import BY_NAME as BALANCERS
from hpconsole.core.scheduler.engine import question_about, rank
from hpconsole.core.scheduler.grouping import groups
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation, reserve


@dataclass(frozen=True, slots=True)
class Decision:
    """One group of VMs and where it goes; `host` None = nowhere, the ranking says why."""

    vm_uuids: tuple[str, ...]
    host: str | None
    ranking: Ranking


@dataclass(frozen=True, slots=True)
class Move:
    """One VM that should move, and why."""

    vm_uuid: str
    source: str
    host: str
    reason: str
    ranking: Ranking


def schedule(
    vm_uuids: Iterable[str],
    snapshot: ClusterSnapshot,
    policy: Policy = DEFAULT_POLICY,
    reservations: Sequence[Reservation] = (),
    *,
    excluded_hosts: frozenset[str] = frozenset(),
    ignore_hard_vm_affinity: bool = False,
) -> tuple[Decision, ...]:
    """Hosts for several VMs: enforced groups together, the most demanding first, each promised its place at once.

    Raises:
        InvalidEdit: a VM is not in the snapshot.
    """
    wanted = tuple(dict.fromkeys(vm_uuids))
    known = [snapshot.vms[uuid] for uuid in wanted if uuid in snapshot.vms]
    if len(known) < len(wanted):
        rank(Request(wanted), snapshot, policy)  # says which one is gone
    rules = with_labelled(snapshot.affinity_groups, snapshot.vms, snapshot.hosts)
    promised = list(reservations)
    decisions: list[Decision] = []
    for group in groups(known, rules, ignore_hard_vm_affinity=ignore_hard_vm_affinity):
        request = Request(
            tuple(vm.uuid for vm in group),
            excluded_hosts=excluded_hosts,
            ignore_hard_vm_affinity=ignore_hard_vm_affinity,
        )
        ranking = rank(request, snapshot, policy, promised)
        host = ranking.best
        if host is not None:
            for vm in group:
                placed = ranking.placement(host, vm.uuid)
                promised.append(reserve(vm, host, None if isinstance(placed, Misfit) else placed))
        decisions.append(Decision(request.vm_uuids, host, ranking))
    return tuple(decisions)


def balancing_move(snapshot: ClusterSnapshot, policy: Policy, reservations: Sequence[Reservation] = ()) -> Move | None:
    """The first proposal of the policy's balancer whose best host is another than the present one."""
    balancer = BALANCERS.get(policy.balancer)
    running = tuple(vm for vm in snapshot.vms.values() if vm.is_running_somewhere)
    if balancer is None or not running:
        return None
    for proposal in balancer.proposals(question_about(running, snapshot, policy, reservations)):
        request = Request((proposal.vm_uuid,), only_hosts=frozenset(proposal.hosts), may_stay=True)
        move = _move(request, snapshot, policy, reservations, proposal.reason)
        if move is not None:
            return move
    return None


def enforcement_move(
    snapshot: ClusterSnapshot, policy: Policy = DEFAULT_POLICY, reservations: Sequence[Reservation] = ()
) -> Move | None:
    """The first VM whose move would keep an affinity group that is broken now."""
    if any(vm.is_migrating for vm in snapshot.vms.values()) or snapshot.settings.is_in_upgrade:
        return None
    rules = with_labelled(snapshot.affinity_groups, snapshot.vms, snapshot.hosts)
    found: dict[str, Move | None] = {}

    def can_move(uuid: str) -> bool:
        if uuid not in found:
            request = Request((uuid,))
            found[uuid] = _move(request, snapshot, policy, reservations, "An affinity group is broken.")
        return found[uuid] is not None

    movable = {uuid: vm for uuid, vm in snapshot.vms.items() if vm.state is VmState.RUNNING}
    for uuid in _in_turn(Enforcement(movable, rules, can_move).tiers()):
        move = found.get(uuid)
        if move is not None:
            return move
    return None


def _in_turn(tiers: Iterable[Sequence[str]]) -> Iterator[str]:
    for tier in tiers:
        yield from sorted(tier)


def _move(
    request: Request,
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation],
    reason: str,
) -> Move | None:
    ranking = rank(request, snapshot, policy, reservations)
    vm = snapshot.vms[request.vm_uuids[0]]
    host = ranking.best
    if host is None or vm.host is None or host == vm.host:
        return None
    return Move(vm.uuid, vm.host, host, reason, ranking)
