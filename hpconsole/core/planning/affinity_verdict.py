"""What is to be said of an affinity group while it is edited: what forbids it, what it cannot do, whom it would move.

`affinity_rules` says what may be kept; this names the place in the editor, and what people would find out later.
Pure; any thread; takes some milliseconds in large clusters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from hpconsole.core.amounts import count, names
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode
from hpconsole.core.planning.affinity_groups import broken_by, check_group, known_labels
from hpconsole.core.planning.affinity_rules import Draft
from hpconsole.core.scheduler.affinity import unified, with_labelled


class Place(StrEnum):
    """Where in the editor a sentence belongs."""

    NAME = "name"
    VMS = "vms"
    HOSTS = "hosts"


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence at its place. `is_problem`: the group cannot be kept with it."""

    place: Place
    sentence: str
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that is to be said. `consequence`: what happens once it is kept; empty where it cannot be."""

    remarks: tuple[Remark, ...] = ()
    consequence: str = ""

    @property
    def problem(self) -> str:
        """Why it cannot be kept; empty where it can."""
        return next((remark.sentence for remark in self.remarks if remark.is_problem), "")

    def at(self, place: Place) -> tuple[Remark, ...]:
        """What belongs there."""
        return tuple(remark for remark in self.remarks if remark.place is place)


_PLACES = {
    "ACTION_TYPE_FAILED_AFFINITY_GROUP_NAME_EXISTS": Place.NAME,
    "ACTION_TYPE_FAILED_INVALID_AFFINITY_GROUP_ID": Place.NAME,
}


def judge(group: AffinityGroup, snapshot: ClusterSnapshot, *, old_name: str | None = None) -> Verdict:
    """Judge a group that is being edited.

    Args:
        snapshot: With the groups that count now.
        old_name: The group that is edited; None for a new one.
    """
    others = [known for known in snapshot.affinity_groups if known.name != old_name]
    found = _forbidden(group, others, snapshot, old_name)
    (whole,) = with_labelled((group,), snapshot.vms, snapshot.hosts)
    full = with_labelled(others, snapshot.vms, snapshot.hosts)
    if not found:
        found = collisions(whole, full, snapshot)
    remarks = (*found, *_without_effect(whole), *_dead_ends(whole, full, snapshot))
    problem = any(remark.is_problem for remark in remarks)
    return Verdict(remarks, "" if problem else _consequence(whole, snapshot))


def _forbidden(
    group: AffinityGroup, others: Sequence[AffinityGroup], snapshot: ClusterSnapshot, old_name: str | None
) -> tuple[Remark, ...]:
    """The reference's checks, except the contradiction, which is said better by `collisions`."""
    if not group.name.strip():
        return (Remark(Place.NAME, "Give the group a name.", is_problem=True),)
    draft = Draft(group, tuple(sorted(group.vm_labels)), tuple(sorted(group.host_labels)))
    problem = check_group(draft, snapshot, old_name=old_name)
    if problem is None or problem.kind == "ACTION_TYPE_FAILED_AFFINITY_RULES_COLLISION":
        return ()
    if problem.kind in _PLACES:
        return (Remark(_PLACES[problem.kind], problem.sentence, is_problem=True),)
    known_vms = all(uuid in snapshot.vms for uuid in group.vms)
    if known_vms and not all(host in snapshot.hosts for host in group.hosts):
        return (Remark(Place.HOSTS, f"{problem.sentence} Take it out of the group.", is_problem=True),)
    if not known_vms:
        return (Remark(Place.VMS, "No host has one of these VMs any more: take it out of the group.", is_problem=True),)
    place = Place.VMS if group.vm_labels - known_labels(snapshot) else Place.HOSTS
    return (Remark(place, f"{problem.sentence} Give it to a VM or a host first.", is_problem=True),)


def collisions(group: AffinityGroup, others: Sequence[AffinityGroup], snapshot: ClusterSnapshot) -> tuple[Remark, ...]:
    """Hard VM rules that cannot be kept at the same time, with the names of groups and VMs. Labels are resolved."""
    if not group.is_vm_rule_enforced or group.vm_rule is AffinityRule.DISABLED:
        return ()
    hard = [known for known in (*others, group) if known.is_vm_rule_enforced]
    together = [known for known in hard if known.vm_rule is AffinityRule.POSITIVE]
    for apart in hard:
        if apart.vm_rule is not AffinityRule.NEGATIVE:
            continue
        for members in unified(together):
            both = [uuid for uuid in members if uuid in apart.vms]
            if len(both) < 2:
                continue
            binding = [known.name for known in together if set(known.vms) & set(members)]
            if group.name not in (apart.name, *binding):
                continue
            who = names(tuple(sorted(_name(uuid, snapshot) for uuid in both)))
            verb = "keeps" if len(binding) == 1 else "keep"
            sentence = (
                f"{apart.name} keeps {who} apart, and {names(tuple(binding))} {verb} them together: "
                "hard rules cannot contradict each other. Make one of them soft, or take a VM out."
            )
            return (Remark(Place.VMS, sentence, is_problem=True),)
    return ()


def _without_effect(group: AffinityGroup) -> tuple[Remark, ...]:
    found: list[Remark] = []
    has_vm_rule = group.vm_rule is not AffinityRule.DISABLED
    has_host_rule = group.host_rule is not AffinityRule.DISABLED
    if has_vm_rule and len(group.vms) < 2:
        found.append(Remark(Place.VMS, "With fewer than two VMs this rule has no effect."))
    if has_host_rule and not group.vms:
        found.append(Remark(Place.VMS, "Without VMs the rule about hosts has no effect."))
    if has_host_rule and not group.hosts:
        found.append(Remark(Place.HOSTS, "Without hosts this rule has no effect."))
    if not has_vm_rule and not has_host_rule:
        found.append(Remark(Place.VMS, "Neither rule is on, so the group has no effect."))
    return tuple(found)


def _dead_ends(group: AffinityGroup, others: Sequence[AffinityGroup], snapshot: ClusterSnapshot) -> tuple[Remark, ...]:
    """Hard rules that leave a VM no host: kept all the same, as in the reference, but said."""
    found: list[Remark] = []
    hosts = len(snapshot.hosts)
    is_hard_apart = group.vm_rule is AffinityRule.NEGATIVE and group.is_vm_rule_enforced
    if is_hard_apart and len(group.vms) > hosts > 0:
        sentence = f"{count(len(group.vms), 'VM')} cannot be on a host each: there are only {hosts}."
        found.append(Remark(Place.VMS, sentence))
    everybody = (*others, group)
    allowed = {uuid: _allowed(uuid, everybody, snapshot) for uuid in group.vms}
    nowhere = sorted(_name(uuid, snapshot) for uuid, left in allowed.items() if not left)
    if nowhere and hosts:
        sentence = f"All hard rules about hosts together leave no host to {names(tuple(nowhere))}."
        found.append(Remark(Place.HOSTS, sentence))
    elif group.vm_rule is AffinityRule.POSITIVE and group.is_vm_rule_enforced and hosts:
        for one, other in combinations(group.vms, 2):
            if not allowed[one] & allowed[other]:
                who = f"{_name(one, snapshot)} and {_name(other, snapshot)}"
                found.append(Remark(Place.HOSTS, f"{who} must be together, but no host may run both."))
                break
    return tuple(found)


def _allowed(uuid: str, groups: Iterable[AffinityGroup], snapshot: ClusterSnapshot) -> frozenset[str]:
    """The hosts that the hard rules about hosts leave to this VM."""
    left = set(snapshot.hosts)
    for group in groups:
        if uuid not in group.vms or not group.is_host_rule_enforced or not group.hosts:
            continue
        if group.host_rule is AffinityRule.POSITIVE:
            left &= set(group.hosts)
        elif group.host_rule is AffinityRule.NEGATIVE:
            left -= set(group.hosts)
    return frozenset(left)


def _consequence(group: AffinityGroup, snapshot: ClusterSnapshot) -> str:
    """Who breaks it where they run now, and what becomes of them."""
    running = [vm for uuid in group.vms if (vm := snapshot.vms.get(uuid)) is not None and vm.is_running_somewhere]
    breaking = [vm for vm in running if broken_by(vm, vm.host or "", (group,), snapshot)]
    if not breaking:
        return "Nobody breaks it where the VMs run now." if running else ""
    who = names(tuple(sorted(vm.name for vm in breaking)))
    verb, where = ("breaks", "it runs") if len(breaking) == 1 else ("break", "they run")
    still = sorted(vm.name for vm in breaking if vm.intent.migration_mode is not MigrationMode.AUTOMATIC)
    sentence = f"{who} {verb} it where {where} now; at most one VM a minute is moved to mend it."
    if still:
        sentence += f" {names(tuple(still))} will not be moved by itself: migrate by hand."
    return sentence


def _name(uuid: str, snapshot: ClusterSnapshot) -> str:
    vm = snapshot.vms.get(uuid)
    return vm.name if vm is not None else uuid
