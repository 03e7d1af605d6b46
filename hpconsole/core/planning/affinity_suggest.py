"""Which VMs can never share a host, a NUMA node or a core, by what their pinning asks? Suggests groups, with reasons.

Judged on empty machines of the cluster's own kinds, so what is said holds whatever runs there now. Pure; any thread;
equal VMs and equal machines are judged once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.host import Host, HostTopology
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinningPolicy, Vm
from hpconsole.core.scheduler.affinity import with_labelled
from hpconsole.core.scheduler.demand import WHOLE, Demand
from hpconsole.core.scheduler.demand_reading import demand_of
from hpconsole.core.scheduler.group_placement import occupied
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placement import Misfit, place, place_group

MOST_PAIRS = 20_000  # of different kinds of VMs; more are not looked at, and that is said
_FIRST, _SECOND = "\x01", "\x02"  # stand for the names of two VMs in what is kept of a pair


class Scope(StrEnum):
    """What two VMs cannot share."""

    HOST = "host"
    NUMA_NODE = "NUMA node"
    CORE = "core"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A group that says what is so anyway: enforced for hosts, a preference for nodes and cores (a host has many).

    `is_covered`: a group that exists keeps these VMs apart already.
    """

    scope: Scope
    group: AffinityGroup
    reason: str
    is_covered: bool = False


def pinned_or_high_performance(vms: Iterable[Vm]) -> tuple[Vm, ...]:
    """The filter of the editor: only these VMs, by name."""
    return tuple(sorted((vm for vm in vms if vm.is_pinned_or_high_performance), key=lambda vm: vm.name))


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What was found. `unjudged`: kinds of pairs that would have taken too long; nothing is said of them."""

    found: tuple[Suggestion, ...]
    unjudged: int = 0


def suggest_groups(snapshot: ClusterSnapshot, *, budget_s: float = 3.0) -> Suggestions:
    """Groups for pinned and high-performance VMs: what cannot share a host first, then a node, then a core.

    Args:
        budget_s: For pairs that are hard to judge; the easy ones are judged in any case.
    """
    vms = pinned_or_high_performance(snapshot.vms.values())
    judge = _Judge(snapshot, budget_s)
    scopes: dict[Scope, dict[frozenset[str], str]] = {scope: {} for scope in Scope}
    for one, other in combinations(vms, 2):
        found = judge.conflict(one, other)
        if found is not None:
            scope, reason = found
            scopes[scope][frozenset({one.uuid, other.uuid})] = reason
    groups = with_labelled(snapshot.affinity_groups, snapshot.vms, snapshot.hosts)
    taken = {group.name for group in snapshot.affinity_groups}
    suggestions: list[Suggestion] = []
    for scope, pairs in scopes.items():
        for members in _cliques(vms, pairs):
            suggestions.append(_suggestion(scope, members, pairs, groups, taken))
    return Suggestions(tuple(suggestions), judge.unjudged)


def _suggestion(
    scope: Scope,
    members: Sequence[Vm],
    pairs: dict[frozenset[str], str],
    groups: Sequence[AffinityGroup],
    taken: set[str],
) -> Suggestion:
    reason = pairs[frozenset({members[0].uuid, members[1].uuid})]
    if len(members) > 2:
        reason += f" The same holds for every two of the {len(members)}."
    name = _free_name(f"apart-{scope.value.lower().replace(' ', '-')}-{members[0].name}", taken)
    group = AffinityGroup(
        name=name,
        vm_rule=AffinityRule.NEGATIVE,
        is_vm_rule_enforced=scope is Scope.HOST,
        vms=tuple(vm.uuid for vm in members),
        description=reason,
    )
    is_covered = any(
        known.vm_rule is AffinityRule.NEGATIVE
        and (known.is_vm_rule_enforced or scope is not Scope.HOST)
        and set(group.vms) <= set(known.vms)
        for known in groups
    )
    return Suggestion(scope, group, reason, is_covered)


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    taken.add(name)
    return name


def _cliques(vms: Sequence[Vm], pairs: dict[frozenset[str], str]) -> list[list[Vm]]:
    """Groups in which every two conflict, that together hold every pair; large ones first, none twice."""
    found: list[list[Vm]] = []
    left = set(pairs)
    busiest = sorted(vms, key=lambda vm: (-sum(vm.uuid in pair for pair in pairs), vm.name))
    for vm in busiest:
        while any(vm.uuid in pair for pair in left):
            members = [vm]
            fresh = [other for other in busiest if frozenset({vm.uuid, other.uuid}) in left]
            for other in (*fresh, *(known for known in busiest if known not in fresh)):
                if other not in members and all(frozenset({other.uuid, m.uuid}) in pairs for m in members):
                    members.append(other)
            left -= {frozenset({a.uuid, b.uuid}) for a, b in combinations(members, 2)}
            found.append(sorted(members, key=lambda member: member.name))
    return found


class _Judge:
    """What is known of pairs; equal kinds of VMs and machines are judged once."""

    def __init__(self, snapshot: ClusterSnapshot, budget_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.unjudged = 0
        self._snapshot = snapshot
        self._clock = clock
        self._until_s = clock() + budget_s
        machines: dict[HostTopology, Host] = {}
        for host in snapshot.hosts.values():
            if host.topology.cpus:
                machines.setdefault(host.topology, host)
        self._machines = [(_empty(host), host) for host in machines.values()]
        self._demands: dict[str, Demand] = {}
        self._kinds: dict[str, object] = {}
        self._together: dict[tuple[object, object], str] = {}
        self._alone: dict[object, frozenset[int]] = {}

    def conflict(self, one: Vm, other: Vm) -> tuple[Scope, str] | None:
        """What these two cannot share, the widest first; None = nothing stands against it."""
        reason = self._host_conflict(one, other)
        if reason:
            return Scope.HOST, reason.format(one=one.name, other=other.name)
        reason = self._core_conflict(one, other)
        if reason:
            return Scope.CORE, reason
        reason = self._node_conflict(one, other)
        return (Scope.NUMA_NODE, reason) if reason else None

    def _host_conflict(self, one: Vm, other: Vm) -> str:
        """Each fits somewhere on an empty machine, both together on none."""
        first, second = sorted((one, other), key=lambda vm: repr(self._kind(vm)))
        key = (self._kind(first), self._kind(second))
        if key not in self._together:
            if len(self._together) >= MOST_PAIRS:
                return ""
            self._together[key] = self._judge_hosts(replace(first, name=_FIRST), replace(second, name=_SECOND))
        return self._together[key].replace(_FIRST, first.name).replace(_SECOND, second.name)

    def _judge_hosts(self, one: Vm, other: Vm) -> str:
        both = self._fits(one) & self._fits(other)
        if not both:
            return ""  # they never meet, or need another machine: no group helps
        reason = ""
        for number in sorted(both, reverse=True):
            told = self._why_not_together(one, other, number)
            if not told:
                return ""
            reason = told
        host = self._machines[min(both)][1].name
        return f"{one.name} and {other.name} cannot share a host, not even an empty one like {host}: {reason}"

    def _why_not_together(self, one: Vm, other: Vm, number: int) -> str:
        """Why this kind of machine cannot have both; empty if it can, or if that would take too long to find out."""
        occupancy, host = self._machines[number]
        demands = [self._demand(vm) for vm in (one, other)]
        needed = [_own_cpus(demand) for demand in demands]
        threads = len(host.topology.all_cpus)
        if sum(needed) > threads:
            return (
                f"{one.name} takes {needed[0]} CPUs for itself and {other.name} {needed[1]}; "
                f"{host.name} has {threads} in all."
            )
        for first, second in ((one, other), (other, one)):
            source = self._sources(first).get(first.uuid)
            placed = place(first, occupancy, source=source)
            if isinstance(placed, Misfit):
                continue
            rest = occupied(occupancy, self._demand(first), placed)
            if not isinstance(place(second, rest, source=self._sources(second).get(second.uuid)), Misfit):
                return ""
        if self._clock() > self._until_s:
            self.unjudged += 1
            return ""
        together = place_group((one, other), occupancy, sources=self._sources(one, other))
        return together.sentence if isinstance(together, Misfit) else ""

    def _fits(self, vm: Vm) -> frozenset[int]:
        """The kinds of machines that take this VM when they are empty."""
        kind = self._kind(vm)
        if kind not in self._alone:
            source = self._sources(vm).get(vm.uuid)
            self._alone[kind] = frozenset(
                number
                for number, (occupancy, _) in enumerate(self._machines)
                if not isinstance(place(vm, occupancy, source=source), Misfit)
            )
        return self._alone[kind]

    def _core_conflict(self, one: Vm, other: Vm) -> str:
        """Both are tied to the same CPU numbers, on whatever host."""
        if {one.intent.cpu_pinning_policy, other.intent.cpu_pinning_policy} != {CpuPinningPolicy.MANUAL}:
            return ""
        common = _literal(one) & _literal(other)
        if not common:
            return ""
        numbers = ", ".join(str(number) for number in sorted(common)[:4])
        more = " and more" if len(common) > 4 else ""
        return f"{one.name} and {other.name} are both tied to CPU {numbers}{more}: on one host they would share cores."

    def _node_conflict(self, one: Vm, other: Vm) -> str:
        """Each needs so much of one node that no node of any machine has it twice."""
        needs = [self._demand(vm).node_needs for vm in (one, other)]
        if any(len(need) != 1 for need in needs):
            return ""
        first, second = needs[0][0], needs[1][0]
        takes = self._demand(one).is_exclusive and self._demand(other).is_exclusive
        cpus = first.cpus_needed + second.cpus_needed if takes else 0
        pages = dict(first.page_needs)
        for size, count in second.page_needs:
            pages[size] = pages.get(size, 0) + count
        memory = first.memory_kib + second.memory_kib
        for _, host in self._machines:
            for node in host.topology.nodes:
                totals = dict(node.page_totals)
                plain = node.memory_kib - sum(size * count for size, count in node.page_totals)
                has_pages = all(totals.get(size, 0) >= count for size, count in pages.items())
                if len(node.cpus) >= cpus and plain >= memory and has_pages:
                    return ""
        what = f" ({cpus} CPUs)" if cpus else ""
        return f"{one.name} and {other.name} cannot share a NUMA node: none has what both need together{what}."

    def _demand(self, vm: Vm) -> Demand:
        if vm.uuid not in self._demands:
            self._demands[vm.uuid] = demand_of(vm, self._sources(vm).get(vm.uuid))
        return self._demands[vm.uuid]

    def _kind(self, vm: Vm) -> object:
        """Equal for VMs that ask the same of a machine."""
        if vm.uuid not in self._kinds:
            demand = self._demand(vm)
            bare = replace(vm, uuid="", name="", host=None, other_hosts=(), devices=type(vm.devices)())
            self._kinds[vm.uuid] = replace(demand, vm=bare)
        return self._kinds[vm.uuid]

    def _sources(self, *vms: Vm) -> dict[str, HostTopology]:
        hosts = self._snapshot.hosts
        return {vm.uuid: hosts[vm.host].topology for vm in vms if vm.host is not None and vm.host in hosts}


def _own_cpus(demand: Demand) -> int:
    """CPUs a VM takes for itself on any machine, at least."""
    if not demand.is_exclusive:
        return 0
    blocks = [*(block for need in demand.node_needs for block in need.blocks), *sum(demand.sockets, ())]
    return sum(1 if block.size == WHOLE else block.size for block in blocks)


def _literal(vm: Vm) -> frozenset[int]:
    return frozenset(cpu for _, cpus in vm.intent.cpu_pinning for cpu in cpus)


def _empty(host: Host) -> Occupancy:
    """The machine with nothing on it: all its memory and huge pages free."""
    free = {
        node.node_id: node.memory_kib - sum(size * count for size, count in node.page_totals)
        for node in host.topology.nodes
    }
    pages = {node.node_id: dict(node.page_totals) for node in host.topology.nodes}
    return Occupancy(host, free, pages)
