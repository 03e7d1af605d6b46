"""VmAffinityGroups and VmToHostsAffinityGroups as filters: enforced groups that a host would break."""

from __future__ import annotations

from collections.abc import Iterator

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.scheduler.affinity import of_vms
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Refusal
from hpconsole.core.scheduler.wording import listed

# VM to VM


def _enforced(question: Question) -> tuple[AffinityGroup, ...]:
    if question.ignore_hard_vm_affinity:
        return ()
    mine = of_vms(question.affinity_groups, (vm.uuid for vm in question.vms))
    return tuple(group for group in mine if group.is_vm_rule_enforced and group.vm_rule is not AffinityRule.DISABLED)


def others_on(question: Question, group: AffinityGroup) -> dict[str, list[str]]:
    """Host name -> members of the group that run there or are about to, the VMs of the question left out."""
    own = {vm.uuid for vm in question.vms}
    places: dict[str, list[str]] = {}
    for uuid in group.vms:
        if uuid not in own:
            for host in dict.fromkeys(question.hosts_of(uuid)):
                places.setdefault(host, []).append(uuid)
    return places


def _allowed(question: Question, group: AffinityGroup) -> Bools:
    places = others_on(question, group)
    columns = question.columns
    if group.vm_rule is AffinityRule.POSITIVE:
        return columns.rows(places) if places else columns.all()
    if sum(1 for vm in question.vms if vm.uuid in group.vms) > 1:
        return columns.all(False)
    return ~columns.rows(places)


def _accepts_vms(question: Question) -> Bools:
    accepted = question.columns.all()
    for group in _enforced(question):
        accepted &= _allowed(question, group)
    return accepted


def _because_vms(question: Question, row: int) -> Refusal:
    """Every group that the host would break; the reason key is that of the first."""
    broken = [_break(question, row, group) for group in _enforced(question) if not _allowed(question, group)[row]]
    return Refusal("VmAffinityGroups", " ".join(sentence for _, sentence in broken), broken[0][0])


def _break(question: Question, row: int, group: AffinityGroup) -> tuple[str, str]:
    """(reason key, sentence)."""
    host = question.account(row).name
    places = others_on(question, group)
    if group.vm_rule is AffinityRule.POSITIVE:
        where = listed(sorted(places))
        return "AFFINITY_FAILED_POSITIVE", f"Affinity group {group.name} keeps its VMs together; they are on {where}."
    if sum(1 for vm in question.vms if vm.uuid in group.vms) > 1:
        what = "several of them cannot share a host"
    else:
        what = f"{listed(_names(question, places.get(host, [])))} is on {host}"
    return "AFFINITY_FAILED_NEGATIVE", f"Affinity group {group.name} keeps its VMs apart; {what}."


def _names(question: Question, uuids: list[str]) -> Iterator[str]:
    for uuid in uuids:
        vm = question.known_vms.get(uuid)
        yield vm.name if vm is not None else uuid


# VM to hosts


def host_groups(question: Question, *, is_enforced: bool) -> tuple[AffinityGroup, ...]:
    """The groups with a host rule that any VM of the question is in."""
    mine = of_vms(question.affinity_groups, (vm.uuid for vm in question.vms))
    return tuple(
        group
        for group in mine
        if group.host_rule is not AffinityRule.DISABLED and group.is_host_rule_enforced == is_enforced
    )


def keeps(question: Question, group: AffinityGroup) -> Bools:
    """The hosts on which this group's host rule is kept."""
    inside = question.columns.rows(group.hosts)
    return inside if group.host_rule is AffinityRule.POSITIVE else ~inside


def _accepts_hosts(question: Question) -> Bools:
    accepted = question.columns.all()
    for group in host_groups(question, is_enforced=True):
        accepted &= keeps(question, group)
    return accepted


def _because_hosts(question: Question, row: int) -> Refusal:
    host = question.account(row).name
    sentences: list[str] = []
    kinds: list[str] = []
    for group in host_groups(question, is_enforced=True):
        if keeps(question, group)[row]:
            continue
        if group.host_rule is AffinityRule.POSITIVE:
            kinds.append("AFFINITY_FAILED_POSITIVE")
            where = listed(group.hosts) or "no host"
            sentences.append(f"Affinity group {group.name} ties the VM to {where}, not to {host}.")
        else:
            kinds.append("AFFINITY_FAILED_NEGATIVE")
            sentences.append(f"Affinity group {group.name} keeps the VM away from {host}.")
    return Refusal("VmToHostsAffinityGroups", " ".join(sentences), kinds[0])


VM_AFFINITY = Filter("VmAffinityGroups", _accepts_vms, _because_vms, "Enforced groups that keep VMs together or apart.")
HOST_AFFINITY = Filter(
    "VmToHostsAffinityGroups", _accepts_hosts, _because_hosts, "Enforced groups that tie VMs to hosts or keep them off."
)
