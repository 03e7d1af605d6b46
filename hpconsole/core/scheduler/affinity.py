"""What affinity groups mean: who belongs to them, and what they say of every host. Knows no policy.

Filters use the enforced groups, weights the others (VM groups: all), enforcement both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.host import Host
from hpconsole.core.model.vm import Vm

IMPLICIT_GROUPS_UNTIL = (4, 4)  # cluster levels below this one treat flagged labels as enforced host groups


@dataclass(frozen=True, slots=True)
class AffinityLabel:
    """A label on VMs and hosts. In old clusters a flagged one ties its VMs to its hosts."""

    name: str
    vms: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    is_implicit_group: bool = False


def groups_of_labels(labels: Iterable[AffinityLabel], level: tuple[int, ...] | None) -> tuple[AffinityGroup, ...]:
    """The groups that flagged labels stand for. `level` is the cluster's compatibility level; None = the latest."""
    if level is None or level >= IMPLICIT_GROUPS_UNTIL:
        return ()
    return tuple(
        AffinityGroup(
            name=label.name,
            host_rule=AffinityRule.POSITIVE,
            is_host_rule_enforced=True,
            vms=label.vms,
            hosts=label.hosts,
        )
        for label in labels
        if label.is_implicit_group
    )


def with_labelled(
    groups: Iterable[AffinityGroup], vms: Mapping[str, Vm], hosts: Mapping[str, Host]
) -> tuple[AffinityGroup, ...]:
    """The groups with everybody in them who carries one of their labels."""
    return tuple(_with_labelled(group, vms, hosts) for group in groups)


def _with_labelled(group: AffinityGroup, vms: Mapping[str, Vm], hosts: Mapping[str, Host]) -> AffinityGroup:
    if not group.vm_labels and not group.host_labels:
        return group
    more_vms = [vm.uuid for vm in vms.values() if vm.intent.labels & group.vm_labels]
    more_hosts = [host.name for host in hosts.values() if host.labels & group.host_labels]
    return replace(
        group,
        vms=tuple(dict.fromkeys((*group.vms, *more_vms))),
        hosts=tuple(dict.fromkeys((*group.hosts, *more_hosts))),
    )


def unified(groups: Iterable[AffinityGroup]) -> list[tuple[str, ...]]:
    """The VM sets of these groups, joined wherever they share a VM; each sorted, in order of their first VM."""
    sets: list[set[str]] = []
    for group in groups:
        members = set(group.vms)
        touching = [known for known in sets if known & members]
        sets = [known for known in sets if not known & members]
        sets.append(members.union(*touching))
    return sorted(tuple(sorted(members)) for members in sets if members)


def of_vms(groups: Iterable[AffinityGroup], uuids: Iterable[str]) -> tuple[AffinityGroup, ...]:
    """The groups any of these VMs is in."""
    wanted = set(uuids)
    return tuple(group for group in groups if wanted.intersection(group.vms))


def members_by_host(members: Iterable[str], where: Mapping[str, Sequence[str]]) -> Counter[str]:
    """How many of these VMs are on (or on their way to) each host."""
    count: Counter[str] = Counter()
    for uuid in members:
        count.update(where.get(uuid, ()))
    return count


def worst_first(broken: Iterable[float]) -> tuple[float, ...]:
    """Priorities of broken groups as they are compared: the most important one first."""
    return tuple(sorted(broken, reverse=True))


def scores(lists: Sequence[tuple[Any, ...]]) -> list[int]:
    """1 + the number of strictly better ones, by lexicographic comparison; smaller is better.

    >>> scores([(1.5,), (), (1.0,)])
    [3, 1, 2]
    """
    ordered = sorted(lists)
    first: dict[tuple[Any, ...], int] = {}
    for position, item in enumerate(ordered):
        first.setdefault(item, position)
    return [1 + first[item] for item in lists]
