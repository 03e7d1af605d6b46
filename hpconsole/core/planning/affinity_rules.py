"""Is this affinity group one that can be kept? The reference's checks in its order, then contradictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.scheduler.affinity import unified


@dataclass(frozen=True, slots=True)
class GroupProblem:
    """What is wrong. `kind` is the reference's message key."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known where the group is to be kept."""

    is_name_taken: bool = False
    cluster_exists: bool = True
    known_vms: Collection[str] = ()
    known_hosts: Collection[str] = ()
    known_labels: Collection[str] = ()
    vms_are_in_cluster: bool = True
    hosts_are_in_cluster: bool = True
    group_exists: bool = True  # for an edit
    cluster_changed: bool = False  # by an edit
    others: Sequence[AffinityGroup] = field(default=())


@dataclass(frozen=True, slots=True)
class Draft:
    """A group as it is edited; members and labels may still occur twice."""

    group: AffinityGroup
    vm_labels: tuple[str, ...] = ()
    host_labels: tuple[str, ...] = ()


def check_new(draft: Draft, around: Surroundings) -> GroupProblem | None:
    """Whether this group can be added."""
    if around.is_name_taken:
        return _name_taken(draft)
    return _check_content(draft, around)


def check_edit(draft: Draft, around: Surroundings) -> GroupProblem | None:
    """Whether a group can be changed into this one."""
    if not around.group_exists:
        return GroupProblem("ACTION_TYPE_FAILED_INVALID_AFFINITY_GROUP_ID", "The group does not exist any more.")
    if around.cluster_changed:
        return GroupProblem("ACTION_TYPE_FAILED_CANNOT_CHANGE_CLUSTER_ID", "A group stays in its cluster.")
    if around.is_name_taken:
        return _name_taken(draft)
    return _check_content(draft, around)


def _name_taken(draft: Draft) -> GroupProblem:
    return GroupProblem(
        "ACTION_TYPE_FAILED_AFFINITY_GROUP_NAME_EXISTS", f"There is a group named {draft.group.name} already."
    )


def _check_content(draft: Draft, around: Surroundings) -> GroupProblem | None:
    if not around.cluster_exists:
        return GroupProblem("ACTION_TYPE_FAILED_INVALID_CLUSTER_FOR_AFFINITY_GROUP", "There is no such cluster.")
    return (
        _check_members(draft.group.vms, around.known_vms, "VM", is_in_cluster=around.vms_are_in_cluster)
        or _check_members(draft.group.hosts, around.known_hosts, "host", is_in_cluster=around.hosts_are_in_cluster)
        or _check_labels(draft, around)
        or contradiction((*around.others, draft.group))
    )


def _check_members(
    members: Sequence[str], known: Collection[str], word: str, *, is_in_cluster: bool
) -> GroupProblem | None:
    seen: set[str] = set()
    for member in members:
        if member not in known:
            return GroupProblem("ACTION_TYPE_FAILED_INVALID_ENTITY_FOR_AFFINITY_GROUP", f"There is no {word} {member}.")
        if not is_in_cluster:
            return GroupProblem(
                "ACTION_TYPE_FAILED_ENTITY_NOT_IN_AFFINITY_GROUP_CLUSTER", f"The {word} {member} is in another cluster."
            )
        if member in seen:
            return GroupProblem(
                "ACTION_TYPE_FAILED_DUPLICATE_ENTITY_IN_AFFINITY_GROUP", f"The {word} {member} is named twice."
            )
        seen.add(member)
    return None


def _check_labels(draft: Draft, around: Surroundings) -> GroupProblem | None:
    unknown = sorted({*draft.vm_labels, *draft.host_labels}.difference(around.known_labels))
    if unknown:
        return GroupProblem("ACTION_TYPE_FAILED_INVALID_LABEL_FOR_AFFINITY_GROUP", f"There is no label {unknown[0]}.")
    twice = [label for labels in (draft.vm_labels, draft.host_labels) for label, n in Counter(labels).items() if n > 1]
    if twice:
        return GroupProblem("ACTION_TYPE_FAILED_DUPLICATE_LABEL_IN_AFFINITY_GROUP", f"Label {twice[0]} is named twice.")
    return None


def contradiction(groups: Sequence[AffinityGroup]) -> GroupProblem | None:
    """Enforced groups that cannot be kept at the same time: together by some, apart by another."""
    enforced = [group for group in groups if group.is_vm_rule_enforced]
    together = unified(group for group in enforced if group.vm_rule is AffinityRule.POSITIVE)
    for group in enforced:
        if group.vm_rule is not AffinityRule.NEGATIVE:
            continue
        for members in together:
            if len(set(members).intersection(group.vms)) > 1:
                return GroupProblem(
                    "ACTION_TYPE_FAILED_AFFINITY_RULES_COLLISION",
                    f"Group {group.name} keeps VMs apart that other groups keep together.",
                )
    return None
