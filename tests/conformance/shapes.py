"""From the vocabulary of the cases to the scheduler's own values. Names and units only; nothing is decided here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule, ClusterSettings
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    NumaMode,
    NumaPin,
    OptimizedFor,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmCpu,
    VmIntent,
    VmLoad,
    VmState,
)
from hpconsole.core.planning.pinning_text import as_map, parse
from hpconsole.core.scheduler.account import HostAccount, NodeAccount, pages_left
from hpconsole.core.scheduler.columns import HostColumns
from hpconsole.core.scheduler.needs import Overheads, page_kib_from_property
from hpconsole.core.scheduler.pending import NOTHING_PENDING, PendingKind, PendingRecord, PendingResources
from hpconsole.core.scheduler.question import DEFAULT_CONFIGURATION, Configuration, Question

Case = Mapping[str, Any]
MIB = 1024
SOURCE = "(source host)"
_STATES = {"down": VmState.SHUT_OFF, "paused": VmState.PAUSED, "suspended": VmState.SHUT_OFF}
_RUNNING = ("up", "running", "powering_up", "paused", "migrating_from", "migrating_to", "reboot_in_progress")
NO_OVERHEADS = Overheads(0, 0, 0)
PARAMETERS = {
    "high_utilization": "HighUtilization",
    "low_utilization": "LowUtilization",
    "cpu_overcommit_duration_minutes": "CpuOverCommitDurationMinutes",
    "max_free_memory_for_over_utilized_mb": "MaxFreeMemoryForOverUtilized",
    "min_free_memory_for_under_utilized_mb": "MinFreeMemoryForUnderUtilized",
    "vcpu_to_physical_cpu_ratio": "VCpuToPhysicalCpuRatio",
    "high_vm_count": "HighVmCount",
    "migration_threshold": "MigrationThreshold",
    "spm_vm_grace": "SpmVmGrace",
    "scale_down": "ScaleDown",
    "maximum_allowed_swap_usage": "MaximumAllowedSwapUsage",
}


_NUMBERS = ("_mb", "_kib", "_percent", "index", "_cores", "_threads", "_sockets", "_per_socket", "_per_core", "_count")
_COUNTS = ("vcpus", "free", "weight", "priority", "limit", "numa", "socket", "core", "cpu", "cpus", "cores", "count")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def plain(value: Any, key: str = "") -> Any:
    """The input with numbers as numbers, where a file gives them as text ("1024") in a place for numbers."""
    if isinstance(value, Mapping):
        return {name: plain(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    is_number = key.endswith(_NUMBERS) or key in _COUNTS
    if is_number and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value) if "." in value else int(value)
    return value


def listed(case: Case, *names: str) -> Sequence[Any]:
    """The first of these lists that is there; missing and null are empty, and so is null inside."""
    found = next((case[name] for name in names if case.get(name) is not None), ())
    return [item for item in found if item is not None]


def name_of(item: Any, position: int = 0) -> str:
    """What a VM or host is called: cases give its name alone, or its facts with an `id`."""
    if isinstance(item, Mapping):
        return str(item.get("id") or item.get("name") or f"({position})")
    return str(item)


def kib(megabytes: float | None) -> float | None:
    return None if megabytes is None else megabytes * MIB


def seconds(text: str | None) -> float | None:
    if text is None:
        return None
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()


def topology(vm: Case) -> VcpuTopology:
    if "vcpu_sockets" not in vm and "vcpus" in vm:
        return VcpuTopology(sockets=1, cores=vm["vcpus"] or 1, threads=1)
    return VcpuTopology(
        sockets=vm.get("vcpu_sockets") or vm.get("current_sockets") or 1,
        cores=vm.get("cores_per_socket") or vm.get("current_cores_per_socket") or 1,
        threads=vm.get("threads_per_core") or vm.get("current_threads_per_core") or 1,
    )


def virtual_node(node: Case, position: int, page_kib: int | None = None) -> VirtualNumaNode:
    """Numbered by position: upstream fixtures repeat indexes and mean different nodes."""
    return VirtualNumaNode(
        node_id=position,
        vcpus=CpuSet.of(listed(node, "vcpus")),
        memory_kib=int((node.get("memory_mb") or 0) * MIB),
        host_nodes=tuple(listed(node, "pinned_host_nodes")),
        mode=NumaMode(node.get("tune_mode") or "interleave"),
        page_kib=page_kib,
    )


def numa_pins(vm: Case) -> tuple[NumaPin, ...]:
    """A pin list says where a virtual node may go, not where it is: to one of these host nodes, wholly.

    The reference places interleaved nodes as strict ones (A5.2), so that is what the word means in its cases; and where
    one node of a VM is preferred, none is bound.
    """
    nodes = listed(vm, "vnuma_nodes")
    is_preferred = any(node.get("tune_mode") == "preferred" for node in nodes)
    mode = NumaMode.PREFERRED if is_preferred else NumaMode.STRICT
    return tuple(
        NumaPin(i, tuple(listed(node, "pinned_host_nodes")), mode)
        for i, node in enumerate(nodes)
        if node.get("pinned_host_nodes")
    )


def wherever_preferred(vm: Vm) -> Vm:
    """The VM with its preferred nodes not named: the reference takes any layout for them, ours asks that they exist."""
    pins = tuple(replace(pin, host_nodes=()) if pin.mode is NumaMode.PREFERRED else pin for pin in vm.intent.numa_pins)
    return replace(vm, intent=replace(vm.intent, numa_pins=pins))


def page_size(vm: Case) -> int | None:
    if vm.get("huge_page_size_kib") is not None:
        return int(vm["huge_page_size_kib"])
    return page_kib_from_property(vm.get("custom_properties") or "")


def vm_of(vm: Case) -> Vm:
    host = vm.get("running_on")
    if host is None and (vm.get("running") or vm.get("status") in _RUNNING):
        host = SOURCE
    policy = CpuPinningPolicy(vm.get("cpu_pinning_policy") or "none")
    pinning = as_map(parse(vm.get("cpu_pinning") or ""))
    if pinning and not vm.keys() & {"vcpus", "vcpu_sockets", "current_sockets"}:
        vm = {**vm, "vcpus": max(vcpu for vcpu, _ in pinning) + 1}  # as many as the pinning names: the case says none
    shape = topology(vm)
    pages = page_size(vm)
    mode = MigrationMode(vm.get("migration_mode") or "automatic")
    if vm.get("hosted_engine"):
        mode = MigrationMode.DO_NOT_MIGRATE  # what the reference makes of it wherever these cases look
    return Vm(
        uuid=vm.get("id") or "vm",
        name=vm.get("id") or "vm",
        host=host,
        state=_STATES.get(vm.get("status") or "", VmState.RUNNING) if host is not None else VmState.SHUT_OFF,
        vcpus=vm.get("vcpus") or shape.vcpus,
        topology=shape,
        memory_kib=int((vm.get("memory_mb") or 0) * MIB),
        virtual_nodes=tuple(
            virtual_node({**node, "pinned_host_nodes": ()}, i, pages)
            for i, node in enumerate(listed(vm, "vnuma_nodes"))
        ),
        huge_page_kib=pages,
        pinning=CpuPinning(vcpus=() if policy is CpuPinningPolicy.MANUAL else pinning),
        cpu=VmCpu(mode="host-passthrough" if vm.get("cpu_passthrough") else ""),
        intent=VmIntent(
            optimized_for=OptimizedFor(vm.get("vm_type") or "server"),
            migration_mode=mode,
            allowed_hosts=tuple(name_of(host) for host in listed(vm, "dedicated_hosts")),
            cpu_pinning_policy=policy,
            cpu_pinning=pinning if policy is CpuPinningPolicy.MANUAL else (),
            high_availability=bool(vm.get("high_availability")),
            needs_tsc_frequency=bool(vm.get("use_tsc_frequency")),
            numa_pins=numa_pins(vm),
        ),
    )


def node_account(node: Case) -> NodeAccount:
    return NodeAccount(
        node_id=node.get("index") or 0,
        free_kib=int((node.get("free_memory_mb") or 0) * MIB),
        total_kib=int((node.get("total_memory_mb") or 0) * MIB),
        cpu_bits=CpuSet.of(listed(node, "cpus")).bits,
        pages=tuple((page["size_kib"], page.get("free") or 0) for page in listed(node, "huge_pages")),
    )


def account_of(host: Case, pending: PendingResources = NOTHING_PENDING) -> HostAccount:
    name = name_of(host)
    online = CpuSet.of(listed(host, "online_cpus")).bits
    free_pages = {page["size_kib"]: page.get("free") or 0 for page in listed(host, "huge_pages")}
    frequency = host.get("tsc_frequency_integral") or host.get("tsc_frequency") or None
    devices = [(kind, free or 0) for device in listed(host, "devices") for kind, free in device.items()]
    return HostAccount(
        name=name,
        os_release=host.get("os"),
        tsc_frequency_hz=None if frequency is None else float(frequency),
        has_tsc_scaling=bool(host.get("tsc_scaling_enabled")),
        mediated=frozenset(devices),
        sockets=host.get("cpu_sockets"),
        cores=host.get("cpu_cores"),
        threads=host.get("cpu_threads"),
        online_bits=online,
        cpu_pct=host.get("usage_cpu_percent"),
        overloaded_since_s=seconds(host.get("cpu_overloaded_since")),
        shared_vm_cores=host.get("max_running_shared_vm_cores") or 0,
        shared_vcpus=host.get("shared_vcpus") or 0,
        pending_shared_cores=pending.shared_cores_on(name),
        pending_load_pct=pending.load_on(name),
        memory_kib=kib(host.get("physical_memory_mb")),
        reserved_kib=kib(host.get("reserved_memory_mb") or 0) or 0,
        committed_kib=kib(host.get("committed_memory_mb") or 0) or 0,
        pending_overcommit_kib=kib(host.get("pending_overcommit_memory_mb") or 0) or 0,
        pending_static_kib=pending.memory_on(name),
        overcommit_pct=100 if host.get("overcommit_percent") is None else host["overcommit_percent"],
        memory_free_kib=kib(host.get("memory_free_mb")),
        swap_free_kib=kib(host.get("swap_free_mb")),
        pages=pages_left(free_pages, pending.pages_on(name)),
        supports_numa=bool(host.get("numa_supported", host.get("numa_nodes"))),
        nodes=tuple(node_account(node) for node in listed(host, "numa_nodes")),
        vm_count=host.get("vm_count") or 0,
        pending_vm_count=len(pending.vms_on(name)),
        is_manager=bool(host.get("spm")),
    )


def pending_record(record: Case) -> PendingRecord:
    return PendingRecord(
        kind=PendingKind(record["type"]),
        host=record["host"],
        vm_uuid=record.get("vm") or "(some VM)",
        cpus=record.get("cpus") or 0 if not isinstance(record.get("cpus"), list) else 0,
        cores=record.get("cores") or 0,
        memory_kib=int((record.get("memory_mb") or 0) * MIB),
        load_pct=record.get("load_percent") or 0,
        page_kib=record.get("size_kib"),
        pages=record.get("count") or 0,
        node_id=record.get("node"),
        policy=CpuPinningPolicy(record.get("cpu_pinning_policy") or "none"),
    )


def configuration(case: Case, *, overheads: Overheads = NO_OVERHEADS) -> Configuration:
    given = {name: value for name, value in (case.get("config") or {}).items() if value is not None}
    usual = DEFAULT_CONFIGURATION
    return Configuration(
        max_weight=case.get("max_scheduler_weight") or usual.max_weight,
        starting_vcpu_load_pct=given.get("vcpu_consumption_percentage", usual.starting_vcpu_load_pct),
        manager_vcpus=given.get("spm_vcpu_consumption", usual.manager_vcpus),
        overload_duration_min=given.get("cpu_overcommit_duration_minutes", usual.overload_duration_min),
        utilization_threshold_pct=given.get("utilization_threshold_percent", usual.utilization_threshold_pct),
        low_utilization_pct=given.get("low_utilization", usual.low_utilization_pct),
        balance_high_pct=given.get("high_utilization", usual.balance_high_pct),
        overheads=overheads,
    )


def question_of(
    case: Case,
    vms: Sequence[Vm],
    hosts: Iterable[Case],
    *,
    known: Iterable[Vm] = (),
    groups: Sequence[AffinityGroup] = (),
    loads: Mapping[str, VmLoad] | None = None,
) -> Question:
    """A question about these VMs and hosts. Hosts keep their order."""
    pending = NOTHING_PENDING.add(*(pending_record(record) for record in listed(case, "pending")))
    columns = HostColumns([account_of(_with_guests(host, case), pending) for host in hosts])
    overhead_mb = case.get("vm_memory_overhead_mb") or 0
    parameters = {
        PARAMETERS[name]: value
        for name, value in (case.get("policy_parameters") or {}).items()
        if name in PARAMETERS and value is not None
    }
    return Question(
        vms=tuple(vms),
        columns=columns,
        parameters=parameters,
        loads=loads or {},
        settings=ClusterSettings(count_threads_as_cores=bool(case.get("count_threads_as_cores"))),
        affinity_groups=tuple(groups),
        known_vms={vm.uuid: vm for vm in (*known, *vms)},
        now_s=seconds(case.get("now")) or 0.0,
        config=configuration(case, overheads=Overheads(0, int(overhead_mb * MIB), 0)),
        may_stay=True,
    )


def _with_guests(host: Case, case: Case) -> Case:
    """A host with the vCPUs of its shared VMs, where the case lists all VMs and not the sum."""
    guests = [vm for vm in listed(case, "vms") if vm.get("running_on") == name_of(host)]
    shared = [vm for vm in guests if not CpuPinningPolicy(vm.get("cpu_pinning_policy") or "none").is_exclusive]
    return {"shared_vcpus": sum(vm.get("vcpus") or topology(vm).vcpus for vm in shared), **host}


def load_of(vm: Case) -> VmLoad:
    return VmLoad(cpu_pct=(vm.get("usage_cpu_percent") or 0) * (vm.get("vcpus") or topology(vm).vcpus))


def group_of(group: Case, index: int, vms: Sequence[str] = ()) -> AffinityGroup:
    return AffinityGroup(
        name=group.get("name") or f"group {index}",
        priority=group.get("priority") or 1.0,
        vm_rule=AffinityRule(group.get("vm_rule") or "disabled"),
        is_vm_rule_enforced=bool(group.get("vm_enforcing")),
        host_rule=AffinityRule(group.get("host_rule") or "disabled"),
        is_host_rule_enforced=bool(group.get("host_enforcing")),
        vms=tuple(name_of(vm) for vm in listed(group, "vms")) or tuple(vms),
        hosts=tuple(name_of(host) for host in listed(group, "hosts")),
    )


def level(text: str | None) -> tuple[int, ...] | None:
    if text is None or text == "latest":
        return None
    return tuple(int(part) for part in text.split("."))
