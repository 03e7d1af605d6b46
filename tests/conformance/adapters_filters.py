"""Cases about filters, run through the filters themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.model.vm import Vm, VmDevices
from hpconsole.core.scheduler import admission
from hpconsole.core.scheduler.affinity import AffinityLabel, groups_of_labels
from hpconsole.core.scheduler.filters import BY_NAME
from hpconsole.core.scheduler.question import Question
from tests.conformance.expectations import Answer
from tests.conformance.shapes import (
    MIB,
    SOURCE,
    Case,
    account_of,
    group_of,
    kib,
    level,
    listed,
    load_of,
    name_of,
    question_of,
    vm_of,
    wherever_preferred,
)

Adapter = Callable[[Case], Answer]


def verdict(name: str, question: Question, asked: Sequence[str]) -> Answer:
    """Who passes, and how many get a reason."""
    unit = BY_NAME[name]
    accepts = unit.accepts(question)
    wanted = set(asked)
    names = question.columns.names
    reasons = [
        unit.because(question, row).sentence
        for row, accepted in enumerate(accepts.tolist())
        if not accepted and names[row] in wanted
    ]
    passed = [host for host, accepted in zip(names, accepts.tolist(), strict=True) if accepted and host in wanted]
    return {"passed": passed, "hosts_with_messages": sum(1 for reason in reasons if reason)}


def _ids(case: Case) -> list[str]:
    return [name_of(host) for host in listed(case, "hosts")]


def given_vms(case: Case) -> Sequence[Case]:
    """The VMs a case is about: one, or several together."""
    return listed(case, "vms") or [case.get("vm") or {}]


def facts(hosts: Sequence[Any]) -> list[Case]:
    """Hosts with their facts, where a case may give their names alone."""
    return [host if isinstance(host, dict) else {"id": name_of(host)} for host in hosts]


def of(name: str) -> Adapter:
    """A filter asked about one VM (or `vms`) and these hosts."""

    def adapter(case: Case) -> Answer:
        given = given_vms(case)
        vms = [wherever_preferred(vm_of(vm)) for vm in given]
        loads = {vm["id"]: load_of(vm) for vm in given if "id" in vm}
        return verdict(name, question_of(case, vms, facts(listed(case, "hosts")), loads=loads), _ids(case))

    return adapter


def _with_source(case: Case, source: Case, vm: Vm, name: str) -> Answer:
    hosts = [*facts(listed(case, "hosts")), {**source, "id": SOURCE}]
    return verdict(name, question_of(case, [vm], hosts), _ids(case))


def tsc_frequency(case: Case) -> Answer:
    return _with_source(case, case.get("source_host") or {}, vm_of(case.get("vm") or {}), "Migration-Tsc-Frequency")


def in_cluster_upgrade(case: Case) -> Answer:
    vm = vm_of({"id": "vm", "running": case.get("vm_running")})
    return _with_source(case, {"os": case.get("source_host_os")}, vm, "InClusterUpgrade")


def mediated_device(case: Case) -> Answer:
    vm = Vm(uuid="vm", name="vm", devices=VmDevices(mediated_types=tuple(listed(case, "requested_mdev_types"))))
    return verdict("MDevice", question_of(case, [vm], facts(listed(case, "hosts"))), _ids(case))


def affinity_question(case: Case) -> Question:
    scheduled = listed(case, "scheduled_vms") or [case.get("scheduled_vm") or case.get("vm") or "vm"]
    vms = [vm_of(vm if isinstance(vm, dict) else {"id": vm}) for vm in scheduled]
    others = [vm_of(vm) for vm in listed(case, "other_vms")]
    groups = [group_of(group, i) for i, group in enumerate(listed(case, "affinity_groups"))]
    return question_of(case, vms, [{"id": host} for host in _ids(case)], known=others, groups=groups)


def vm_affinity(case: Case) -> Answer:
    return verdict("VmAffinityGroups", affinity_question(case), _ids(case))


def label_groups(case: Case) -> tuple[AffinityGroup, ...]:
    labels = [
        AffinityLabel(
            name=label.get("name") or f"label {i}",
            vms=tuple(name_of(vm) for vm in listed(label, "vms")),
            hosts=tuple(name_of(host) for host in listed(label, "hosts")),
            is_implicit_group=bool(label.get("implicit_affinity_group")),
        )
        for i, label in enumerate(listed(case, "labels"))
    ]
    return groups_of_labels(labels, level(case.get("cluster_compatibility")))


def host_affinity_question(case: Case) -> Question:
    given = case.get("vm") or "vm"
    vm = vm_of(
        {"id": name_of(given), "running_on": case.get("running_on")} | (given if isinstance(given, dict) else {})
    )
    groups = [group_of(group, i, [vm.uuid]) for i, group in enumerate(listed(case, "affinity_groups"))]
    hosts = [{"id": host} for host in _ids(case)]
    return question_of(case, [vm], hosts, groups=[*groups, *label_groups(case)])


def host_affinity(case: Case) -> Answer:
    return verdict("VmToHostsAffinityGroups", host_affinity_question(case), _ids(case))


def memory_admission(case: Case) -> Answer:
    vm, host = case.get("vm") or {}, account_of({**(case.get("host") or {}), "id": "host"})
    memory = 0 if vm.get("huge_page_size_kib") else vm.get("memory_mb") or 0
    static, possible = vm.get("static_overhead_mb") or 0, vm.get("possible_overhead_mb") or 0
    dynamic = kib(case.get("dynamic_huge_page_memory_mb") or 0) or 0
    if (case.get("check") or "physical") == "physical":
        free = host.memory_free_kib
        fits: Any = admission.fits_physically(
            (memory + static) * MIB,
            free_kib=float("nan") if free is None else free,
            swap_free_kib=host.swap_free_kib or 0,
            pending_kib=kib(case.get("pending_physical_memory_mb") or 0) or 0,
            dynamic_pages_kib=dynamic,
        )
    else:
        columns = question_of(case, [vm_of({"id": "vm"})], [{**(case.get("host") or {}), "id": "host"}]).columns
        fits = admission.fits_promises(
            (memory + static + possible) * MIB,
            scheduling_kib=float(columns.scheduling_kib[0]),
            dynamic_pages_kib=dynamic,
        )
    return {"fits": bool(fits)}


UNITS: dict[str, Adapter] = {
    "numa_filter": of("NUMA"),
    "cpu_pinning_filter": of("CpuPinning"),
    "huge_pages_filter": of("HugePages"),
    "cpu_filter": of("CPU"),
    "cluster_in_maintenance_filter": of("ClusterInMaintenance"),
    "tsc_frequency_filter": tsc_frequency,
    "in_cluster_upgrade_filter": in_cluster_upgrade,
    "mediated_device_filter": mediated_device,
    "vm_affinity_filter": vm_affinity,
    "host_affinity_filter": host_affinity,
    "memory_admission": memory_admission,
}
