"""Which VM should move to keep an affinity rule that is broken now, and where to. Pure (behaviour.md A9).

A move for a rule must break fewer rules than it mends, or two rules would send a VM to and fro for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hpconsole.core.balancing.resting import Rests
from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmState
from hpconsole.core.planning.affinity_groups import broken_by
from hpconsole.core.scheduler.affinity import with_labelled
from hpconsole.core.scheduler.affinity_enforcement import Enforcement
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation


@dataclass(frozen=True, slots=True)
class Mend:
    """A move that mends rules. `groups`: those that are kept afterwards and are broken now."""

    vm: Vm
    source: str
    destination: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enforced:
    """The first move found, or why there is none: a sentence for each VM that breaks a rule and stays."""

    mend: Mend | None
    why_nothing: tuple[str, ...] = ()


def find_mend(
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation],
    rests: Rests,
    now: datetime,
) -> Enforced:
    """The first VM, in the order of the reference, whose move mends more than it breaks."""
    if not snapshot.affinity_groups:
        return Enforced(None)
    if snapshot.settings.is_in_upgrade:
        return Enforced(None, ("The cluster is being upgraded: rules are not enforced meanwhile.",))
    if any(vm.is_migrating for vm in snapshot.vms.values()) or reservations:
        return Enforced(None, ("VMs are on their way: rules are looked at when they have arrived.",))
    groups = with_labelled(snapshot.affinity_groups, snapshot.vms, snapshot.hosts)
    search = _Search(snapshot, policy, reservations, groups, rests=rests, now=now)
    running = {uuid: vm for uuid, vm in snapshot.vms.items() if vm.state is VmState.RUNNING}
    for tier in Enforcement(running, groups, lambda uuid: search.mend(uuid) is not None).tiers():
        for uuid in sorted(tier):
            found = search.mend(uuid)
            if found is not None:
                return Enforced(found)
    return Enforced(None, tuple(search.reasons.values()))


class _Search:
    """What each VM that was asked about could do; asked once."""

    def __init__(
        self,
        snapshot: ClusterSnapshot,
        policy: Policy,
        reservations: Sequence[Reservation],
        groups: Sequence[AffinityGroup],
        *,
        rests: Rests,
        now: datetime,
    ) -> None:
        self._snapshot = snapshot
        self._policy = policy
        self._reservations = reservations
        self._rests = rests
        self._now = now
        self._groups = groups
        self._hard = frozenset(
            group.name for group in groups if group.is_vm_rule_enforced or group.is_host_rule_enforced
        )
        self._found: dict[str, Mend | None] = {}
        self.reasons: dict[str, str] = {}

    def mend(self, uuid: str) -> Mend | None:
        """The best move of this VM that mends something."""
        if uuid not in self._found:
            self._found[uuid] = self._look(self._snapshot.vms[uuid])
        return self._found[uuid]

    def _look(self, vm: Vm) -> Mend | None:
        source = vm.host or ""
        before = broken_by(vm, source, self._groups, self._snapshot)
        ranking = rank(Request((vm.uuid,)), self._snapshot, self._policy, self._reservations)
        for host in ranking.accepted:
            after = broken_by(vm, host, self._groups, self._snapshot)
            if self._rank_of(after) >= self._rank_of(before):
                continue
            mended = {name for name, count in before.items() if after.get(name, 0) < count}
            if not mended & self._hard and self._must_rest(vm, host):
                continue
            return Mend(vm, source, host, tuple(sorted(mended)))
        names = ", ".join(sorted(before))
        why = "no host takes it" if not ranking.accepted else "no host that takes it would keep more rules"
        self.reasons[vm.uuid] = f"{vm.name} breaks {names} on {source} and stays: {why}."
        return None

    def _must_rest(self, vm: Vm, host: str) -> bool:
        return self._rests.left_s(vm.uuid, self._now) > 0 or self._rests.is_return(vm.uuid, host, self._now)

    def _rank_of(self, broken: Mapping[str, int]) -> tuple[int, tuple[tuple[float, int], ...]]:
        """What is compared: hard rules first, then the soft ones, the highest priority first."""
        soft = [
            (group.priority, broken[group.name])
            for group in self._groups
            if group.name in broken and group.name not in self._hard
        ]
        return sum(broken[name] for name in broken.keys() & self._hard), tuple(sorted(soft, reverse=True))
