"""Where would the highly available VMs of a lost host start, all of them together? Pure; used by proof and restart.

Each VM is placed by the scheduler as a stopped VM with its pins computed anew; what one takes the next one sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.model.host import Host, HostLink, LinkState
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmState
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.grouping import pinning_demand
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation, reserve


@dataclass(frozen=True, slots=True)
class Restart:
    """One VM and the place it gets."""

    vm: Vm
    host: str
    placement: Placement


@dataclass(frozen=True, slots=True)
class RestartPlan:
    """`refused`: VMs that no host takes beside the others, each with the ranking that says why."""

    restarts: tuple[Restart, ...]
    refused: tuple[tuple[Vm, Ranking], ...] = ()


def without_hosts(snapshot: ClusterSnapshot, lost: Iterable[str]) -> ClusterSnapshot:
    """The cluster as it is once these hosts are gone: none of their VMs runs, nothing can be placed there.

    Their topologies stay known: the shape of a VM's pinning is read from the host it was made for.
    """
    gone = frozenset(lost)
    hosts: dict[str, Host] = dict(snapshot.hosts)
    for name in gone & hosts.keys():
        hosts[name] = replace(hosts[name], link=HostLink(LinkState.DISCONNECTED, problem="It is lost."))
    vms = {
        uuid: replace(vm, state=VmState.SHUT_OFF, is_migrating=False) if vm.host in gone and vm.state.is_active else vm
        for uuid, vm in snapshot.vms.items()
    }
    return replace(snapshot, hosts=hosts, vms=vms)


def plan_restarts(
    vm_uuids: Sequence[str],
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation] = (),
    *,
    tried: Mapping[str, frozenset[str]] | None = None,
) -> RestartPlan:
    """A place for each of these stopped VMs beside the others.

    Higher priorities first, and the most demanding first among equals; where that leaves somebody out, the most
    demanding first regardless of priority is tried too, and taken if it leaves nobody of higher priority out.

    Args:
        snapshot: The cluster without the lost hosts (`without_hosts`).
        tried: Hosts on which a VM could not be started before, by VM.
    """
    vms = [snapshot.vms[uuid] for uuid in dict.fromkeys(vm_uuids) if uuid in snapshot.vms]
    by_priority = sorted(vms, key=lambda vm: (-vm.intent.priority, _hardest_first(vm), vm.name))
    plan = _one_by_one(by_priority, snapshot, policy, reservations, tried or {})
    if len(plan.refused) and len(vms) > 1:
        by_demand = sorted(vms, key=lambda vm: (_hardest_first(vm), -vm.intent.priority, vm.name))
        other = _one_by_one(by_demand, snapshot, policy, reservations, tried or {})
        if _left_out(other) < _left_out(plan):
            return other
    return plan


def _hardest_first(vm: Vm) -> tuple[int, ...]:
    return tuple(-number for number in (*pinning_demand(vm), vm.memory_kib))


def _left_out(plan: RestartPlan) -> tuple[int, ...]:
    """Priorities that are left out, the highest first: what is compared."""
    return tuple(sorted((vm.intent.priority for vm, _ in plan.refused), reverse=True))


def _one_by_one(
    vms: Sequence[Vm],
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation],
    tried: Mapping[str, frozenset[str]],
) -> RestartPlan:
    promised = list(reservations)
    restarts: list[Restart] = []
    refused: list[tuple[Vm, Ranking]] = []
    for vm in vms:
        ranking = rank(Request((vm.uuid,), excluded_hosts=tried.get(vm.uuid, frozenset())), snapshot, policy, promised)
        host = ranking.best
        placement = ranking.placement(host, vm.uuid) if host is not None else None
        if host is None or placement is None or isinstance(placement, Misfit):
            refused.append((vm, ranking))
            continue
        restarts.append(Restart(vm, host, placement))
        promised.append(reserve(vm, host, placement, snapshot.loads.get(vm.uuid)))
    return RestartPlan(tuple(restarts), tuple(refused))
