"""If a host failed now, which highly available VMs would not come back, and for want of what? Pure, for every host.

The same placing as at the real restart (`restart_plan`), so what is promised here is what happens.
Threads: any; some milliseconds per highly available VM, so windows call it off their own thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpconsole.core.availability.report import HostProof, Proof, Unprotected
from hpconsole.core.availability.restart_plan import plan_restarts, without_hosts
from hpconsole.core.availability.settings import FenceDevice
from hpconsole.core.model.host import HostStatus
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.core.scheduler.units import Refusal
from hpconsole.core.scheduler.wording import named


def prove(
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation] = (),
    devices: Mapping[str, FenceDevice] | None = None,
) -> Proof:
    """Every host that runs highly available VMs, in the order of the snapshot."""
    known = devices or {}
    found = [
        prove_host(name, vms, snapshot, policy, reservations, has_device=name in known)
        for name in snapshot.hosts
        if (vms := highly_available_on(snapshot, name))
    ]
    return Proof(tuple(found), snapshot.serial, snapshot.taken_at)


def highly_available_on(snapshot: ClusterSnapshot, host: str) -> tuple[Vm, ...]:
    """The highly available VMs that run there, as far as is known."""
    return tuple(vm for vm in snapshot.vms_on(host) if vm.intent.high_availability)


def why_not_restarted(vm: Vm) -> str:
    """Why this VM may not be started elsewhere although its host is off; empty if nothing stands against it.

    A VM that its old host would start by itself at boot could run twice: nobody can stop that from outside.
    """
    if vm.autostart:
        return (
            f"{vm.name} is set to start with its host: the old host would start a second copy when it boots. "
            f"Switch that off (virsh autostart --disable) so that high availability can take care of it."
        )
    if not vm.is_persistent:
        return f"{vm.name} has no persistent definition, so there is nothing it could be started from."
    if vm.problem:
        return f"The definition of {vm.name} cannot be used: {vm.problem}"
    return ""


def prove_host(
    host: str,
    vms: Sequence[Vm],
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation] = (),
    *,
    has_device: bool = False,
) -> HostProof:
    """One host with its highly available VMs."""
    barred = {vm.uuid: reason for vm in vms if (reason := why_not_restarted(vm))}
    unprotected = [Unprotected(vm.uuid, vm.name, "definition", barred[vm.uuid]) for vm in vms if vm.uuid in barred]
    left = without_hosts(snapshot, [host])
    still = [promise for promise in reservations if promise.host != host]
    plan = plan_restarts([vm.uuid for vm in vms if vm.uuid not in barred], left, policy, still)
    unprotected += [unprotected_of(vm, ranking, lost=host) for vm, ranking in plan.refused]
    return HostProof(
        host,
        tuple((restart.vm.uuid, restart.vm.name, restart.host) for restart in plan.restarts),
        tuple(unprotected),
        _warnings(host, snapshot, has_device=has_device),
    )


def _warnings(host: str, snapshot: ClusterSnapshot, *, has_device: bool) -> tuple[str, ...]:
    if has_device or snapshot.hosts[host].status is HostStatus.MAINTENANCE:
        return ()
    return (
        f"{host} has no fence device: its VMs are only restarted once an administrator confirms that it is off "
        f"(hpconsole confirm-off {host}).",
    )


def unprotected_of(vm: Vm, ranking: Ranking, *, lost: str) -> Unprotected:
    """What a refused VM lacks: each host's first reason, and the one that is nearest to being met."""
    reasons: list[tuple[str, Refusal]] = []
    for name in ranking.refused:
        refusals = ranking.refusals(name) if name != lost else ()
        if refusals:
            reasons.append((name, min(refusals, key=_distance)))
    if not reasons:
        return Unprotected(vm.uuid, vm.name, "hosts", f"No other host is left for {vm.name}.")
    name, nearest = min(reasons, key=lambda reason: _distance(reason[1]))
    resource = nearest.shortages[0].what if nearest.shortages else nearest.unit
    sentence = f"{vm.name} would not come back. Nearest to taking it: {named(name, nearest.sentence)}"
    hosts = tuple((host, refusal.sentence) for host, refusal in reasons)
    return Unprotected(vm.uuid, vm.name, resource, sentence, nearest.shortages, hosts)


def _distance(refusal: Refusal) -> tuple[bool, float]:
    """How far from being met; what has no number comes last."""
    shares = [short.missing / short.needed for short in refusal.shortages if short.needed > 0]
    return not shares, max(shares, default=0.0)
