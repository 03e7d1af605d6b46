"""Affinity groups as an editor and a list need them: may this one be kept, who breaks it now, who is in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.affinity_rules import (
    Draft,
    GroupProblem,
    Surroundings,
    check_edit,
    check_new,
    contradiction,
)
from hpconsole.core.scheduler.affinity import with_labelled


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group with everybody its labels bring in, and the names of the VMs that break it where they run now."""

    group: AffinityGroup
    members: tuple[str, ...]  # UUIDs
    hosts: tuple[str, ...]
    broken_by: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # members that no host has any more

    @property
    def is_kept(self) -> bool:
        """Whether nobody breaks it."""
        return not self.broken_by


def known_labels(snapshot: ClusterSnapshot) -> frozenset[str]:
    """Every label that some VM or host carries."""
    vms = (vm.intent.labels for vm in snapshot.vms.values())
    hosts = (host.labels for host in snapshot.hosts.values())
    return frozenset().union(*vms, *hosts)


def check_group(draft: Draft, snapshot: ClusterSnapshot, *, old_name: str | None = None) -> GroupProblem | None:
    """Whether this group can be kept beside the others; what is wrong otherwise.

    Args:
        old_name: The group that is edited; None for a new one.
    """
    others = [group for group in snapshot.affinity_groups if group.name != old_name]
    around = Surroundings(
        is_name_taken=any(group.name == draft.group.name for group in others),
        known_vms=snapshot.vms.keys(),
        known_hosts=snapshot.hosts.keys(),
        known_labels=known_labels(snapshot),
        group_exists=old_name is None or len(others) < len(snapshot.affinity_groups),
        others=with_labelled(others, snapshot.vms, snapshot.hosts),
    )
    problem = check_new(draft, around) if old_name is None else check_edit(draft, around)
    if problem is not None:
        return problem
    return contradiction((*around.others, *with_labelled((draft.group,), snapshot.vms, snapshot.hosts)))


def states(snapshot: ClusterSnapshot) -> tuple[GroupState, ...]:
    """Every group as it stands now."""
    full = with_labelled(snapshot.affinity_groups, snapshot.vms, snapshot.hosts)
    found: list[GroupState] = []
    for group, whole in zip(snapshot.affinity_groups, full, strict=True):
        running = [vm for uuid in whole.vms if (vm := snapshot.vms.get(uuid)) is not None and vm.is_running_somewhere]
        breaking = [vm.name for vm in running if broken_by(vm, vm.host or "", (whole,), snapshot)]
        unknown = tuple(uuid for uuid in whole.vms if uuid not in snapshot.vms)
        found.append(GroupState(group, whole.vms, whole.hosts, tuple(sorted(breaking)), unknown))
    return tuple(found)


def broken_by(vm: Vm, host: str, groups: Sequence[AffinityGroup], snapshot: ClusterSnapshot) -> dict[str, int]:
    """The groups this VM would break (alone or with others) if it ran on this host, and how badly.

    How badly: with how many of its members (together: those elsewhere; apart: those on this host), and 1 for the host.

    Args:
        groups: With everybody in them whom their labels bring in.
    """
    broken: dict[str, int] = {}
    for group in groups:
        if vm.uuid not in group.vms:
            continue
        count = 0
        has_host_rule = group.host_rule is not AffinityRule.DISABLED and bool(group.hosts)
        if has_host_rule and (host in group.hosts) != (group.host_rule is AffinityRule.POSITIVE):
            count += 1
        if group.vm_rule is not AffinityRule.DISABLED:
            others = [
                other.host
                for uuid in group.vms
                if uuid != vm.uuid and (other := snapshot.vms.get(uuid)) is not None and other.is_running_somewhere
            ]
            here = others.count(host)
            count += here if group.vm_rule is AffinityRule.NEGATIVE else len(others) - here
        if count:
            broken[group.name] = count
    return broken
