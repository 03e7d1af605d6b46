"""Weights of rules: preferred hosts, highly available VMs apart, affinity groups, cluster upgrade. Lower is better."""

from __future__ import annotations

import numpy as np

from hpconsole.core.model.affinity import AffinityRule
from hpconsole.core.model.vm import MigrationMode
from hpconsole.core.scheduler.affinity import of_vms, scores, worst_first
from hpconsole.core.scheduler.columns import Floats
from hpconsole.core.scheduler.filters_affinity import host_groups, keeps, others_on
from hpconsole.core.scheduler.filters_rules import operating_system
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Parameter, Weight
from hpconsole.core.scheduler.weights_load import rounded
from hpconsole.core.scheduler.wording import counted

NOT_PREFERRED = 10_000
UPGRADE_BACKWARDS = 1_000_000
UPGRADE_SIDEWAYS = 100_000
SCALE_DOWN = Parameter("ScaleDown", 1, 1, 100, "", "How much less the spread of highly available VMs counts.")


def _preferred(question: Question) -> Floats | None:
    """Where the VM is wanted to start; says nothing of a running VM."""
    weights = question.zeros()
    if any(vm.is_running_somewhere for vm in question.vms):
        return None
    for vm in question.vms:
        if vm.intent.allowed_hosts:
            weights += np.where(question.columns.rows(vm.intent.allowed_hosts), 0, NOT_PREFERRED)
    return weights


def _ha_reservation(question: Question) -> Floats:
    weights = question.zeros()
    if not question.settings.has_ha_reservation:
        return weights
    count = question.columns.number("ha_vm_count")
    most = float(count.max(initial=0))
    scale = question.parameter(SCALE_DOWN.name) or SCALE_DOWN.default
    for vm in question.vms:
        if vm.intent.high_availability and most > 0:
            weights += np.ceil(rounded(count * 100 / most) / scale)
    return weights


def _vm_affinity(question: Question) -> Floats:
    """All groups, enforced or not: broken priorities first, then more (immovable) members already there."""
    mine = of_vms(question.affinity_groups, (vm.uuid for vm in question.vms))
    groups = [group for group in mine if group.vm_rule is not AffinityRule.DISABLED]
    if not groups:
        return np.ones(question.size)
    names = question.columns.names
    broken: dict[str, list[float]] = {name: [] for name in names}
    members = dict.fromkeys(names, 0)
    immovable = dict.fromkeys(names, 0)
    for group in groups:
        places = others_on(question, group)
        is_positive = group.vm_rule is AffinityRule.POSITIVE
        for name in names:
            if (name in places) != is_positive:
                broken[name].append(group.priority)
        if is_positive:
            for name in places.keys() & members.keys():
                members[name] += len(places[name])
                immovable[name] += sum(1 for uuid in places[name] if _is_immovable(question, uuid))
    order = [(worst_first(broken[name]), -immovable[name], -members[name]) for name in names]
    return np.array(scores(order), np.float64)


def _is_immovable(question: Question, uuid: str) -> bool:
    vm = question.known_vms.get(uuid)
    return vm is not None and vm.intent.migration_mode is not MigrationMode.AUTOMATIC


def _host_affinity(question: Question) -> Floats:
    groups = host_groups(question, is_enforced=False)
    if not groups:
        return np.ones(question.size)
    kept = [(group.priority, keeps(question, group)) for group in groups]
    order = [worst_first(priority for priority, rows in kept if not rows[row]) for row in range(question.size)]
    return np.array(scores(order), np.float64)


def _upgrade(question: Question) -> Floats:
    weights = question.zeros()
    systems = [operating_system(account.os_release) for account in question.columns.accounts]
    for vm in question.vms:
        source = question.source_of(vm)
        if vm.is_running_somewhere:
            known = operating_system(source.os_release) if source is not None else None
            same = UPGRADE_SIDEWAYS
        else:
            known = _newest(systems)
            same = 0
        if known is None:
            continue
        weights += np.array([_upgrade_weight(known, system, same) for system in systems], np.float64)
    return weights


def _newest(systems: list[tuple[str, int] | None]) -> tuple[str, int] | None:
    return max((system for system in systems if system is not None), key=lambda system: system[1], default=None)


def _upgrade_weight(source: tuple[str, int], target: tuple[str, int] | None, same: int) -> int:
    if target is None or target[0] != source[0] or target[1] < source[1]:
        return UPGRADE_BACKWARDS
    return same if target[1] == source[1] else 0


def _tell_ha(question: Question, row: int) -> str:
    account = question.account(row)
    return f"{account.ha_vm_count:,} of {counted(account.vm_count, 'VM')} highly available"


PREFERRED_HOSTS = Weight("PreferredHosts", _preferred, "The VM's own hosts when it starts.")
HA_RESERVATION = Weight(
    "OptimalForHaReservation", _ha_reservation, "Highly available VMs spread over hosts.", (SCALE_DOWN,), _tell_ha
)
VM_AFFINITY_WEIGHT = Weight("VmAffinityGroups", _vm_affinity, "Groups that keep VMs together or apart.")
HOST_AFFINITY_WEIGHT = Weight("VmToHostsAffinityGroups", _host_affinity, "Groups that prefer or avoid hosts.")
IN_CLUSTER_UPGRADE_WEIGHT = Weight("InClusterUpgrade", _upgrade, "Newer operating systems while a cluster is upgraded.")
