"""Cases about pinning texts, virtual NUMA, migration checks, pending resources and CPU allocation."""

from __future__ import annotations

from typing import Any

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, NumaMode, VcpuTopology
from hpconsole.core.planning import (
    affinity_rules,
    migration_checks,
    migration_policy,
    numa_rules,
    vcpu_limits,
    virtual_numa,
)
from hpconsole.core.planning.pinning_text import format_pinning, parse, validate
from hpconsole.core.scheduler import exclusive_allocation as allocation
from hpconsole.core.scheduler.grouping import most_demanding_first, pinning_demand
from hpconsole.core.scheduler.needs import required_pages
from hpconsole.core.scheduler.numa_assignment import find_assignment
from hpconsole.core.scheduler.pending import NOTHING_PENDING
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT
from hpconsole.core.scheduler.weights_pinning import wishes_of
from tests.conformance.adapters_filters import Adapter
from tests.conformance.expectations import Answer
from tests.conformance.shapes import (
    MIB,
    Case,
    group_of,
    listed,
    name_of,
    node_account,
    page_size,
    pending_record,
    topology,
    virtual_node,
    vm_of,
)


def _valid(problem: Any) -> Answer:
    return {"valid": problem is None, "error_kind": problem.kind or None if problem is not None else None}


# CPU pinning texts


def cpu_pinning_validation(case: Case) -> Answer:
    vm = case.get("vm") or {}
    try:
        validate(
            case.get("cpu_pinning") or "",
            policy=CpuPinningPolicy(vm.get("cpu_pinning_policy") or "none"),
            vcpus=topology(vm).vcpus,
            chosen_hosts=vm.get("dedicated_host_count") or len(vm.get("dedicated_hosts") or ()),
        )
    except InvalidPinning as problem:
        return _valid(problem)
    return _valid(None)


def cpu_pinning_parse(case: Case) -> Answer:
    rules = parse(case.get("cpu_pinning") or "")
    return {
        "rules": [{"vcpu": rule.vcpu_id, "pcpus": list(rule.cpus)} for rule in rules],
        "all_pcpus": sorted({cpu for rule in rules for cpu in rule.cpus}),
    }


# Virtual NUMA


def find_numa_assignment(case: Case) -> Answer:
    wishes, names = [], []
    for given in listed(case, "vms"):
        vm = vm_of(given)
        pinned = case.get("consider_cpu_pinning")
        for i, (node, wish) in enumerate(zip(listed(given, "vnuma_nodes"), wishes_of(vm), strict=True)):
            wishes.append(wish if pinned else wish.without_cpus())
            names.append((vm.uuid, str(_number(node, i))))
    found = find_assignment(wishes, [node_account(node) for node in listed(case, "host_numa_nodes")])
    maps: dict[str, dict[str, int]] = {vm: {} for vm, _ in names}
    for position, host_node in (found or {}).items():
        vm_id, index = names[position]
        maps[vm_id][index] = host_node
    return {"assignment_found": found is not None, "assignment": maps if found is not None else None}


def resize_and_pin(case: Case) -> Answer:
    host = case.get("host") or {}
    pinning = virtual_numa.resize_and_pin(
        topology(case.get("vm") or {}).vcpus,
        sockets=host.get("cpu_sockets") or 0,
        cores=host.get("cpu_cores") or 0,
        threads=host.get("cpu_threads") or 0,
        nodes=[CpuSet.of(listed(node, "cpus")) for node in listed(host, "numa_nodes")],
    )
    # The reference lists CPUs one by one, hpconsole in ranges; they are compared as it writes them.
    text = "_".join(f"{vcpu}#{','.join(map(str, cpus))}" for vcpu, cpus in pinning)
    assert parse(text) == parse(format_pinning(pinning))
    return {"cpu_pinning": text or None}


def node_draft(node: Case, position: int = 0) -> numa_rules.NodeDraft:
    return numa_rules.NodeDraft(
        index=_number(node, position),
        memory_kib=int((node.get("memory_mb") or 0) * MIB),
        host_nodes=tuple(node.get("pinned_host_nodes") or ()),
        vcpus=tuple(node.get("vcpus") or ()),
        mode=NumaMode(node.get("tune_mode") or "interleave"),
        key=node.get("key"),
    )


def _drafts(case: Case, name: str) -> list[numa_rules.NodeDraft]:
    return [node_draft(node, i) for i, node in enumerate(listed(case, name))]


def _numa_vm(vm: Case) -> numa_rules.VmFacts:
    return numa_rules.VmFacts(
        vcpus=topology(vm).vcpus,
        memory_kib=int((vm.get("memory_mb") or 0) * MIB),
        policy=CpuPinningPolicy(vm.get("cpu_pinning_policy") or "none"),
        huge_page_kib=page_size(vm),
    )


def _numa_hosts(case: Case) -> dict[str, dict[int, int]]:
    return {
        name_of(host, i): {
            _number(node, k): int((node.get("total_memory_mb") or 0) * MIB)
            for k, node in enumerate(listed(host, "numa_nodes") if isinstance(host, dict) else ())
        }
        for i, host in enumerate(listed(case, "dedicated_hosts"))
    }


def numa_validation(case: Case) -> Answer:
    nodes, vm, hosts = _drafts(case, "vnuma_nodes"), _numa_vm(case.get("vm") or {}), _numa_hosts(case)
    if case.get("scope") == "host_compatibility_only":
        return _valid(numa_rules.check_hosts(nodes, vm, hosts))
    return _valid(numa_rules.check(nodes, vm, hosts))


def vnuma_edit(case: Case) -> Answer:
    given = case.get("vm")
    vm = _numa_vm(given) if given is not None and given.get("exists") is not False else None
    existing, requested = _drafts(case, "existing_vnuma_nodes"), _drafts(case, "requested_vnuma_nodes")
    return _valid(numa_rules.check_edit(case["operation"], existing, requested, vm, _numa_hosts(case)))


def vnuma_split(case: Case) -> Answer:
    shares = virtual_numa.split(
        case["node_count"],
        memory_kib=int((case.get("memory_mb") or 0) * MIB),
        vcpus=case.get("vcpus") or 0,
        threads_per_core=case.get("threads_per_core") or 1,
        huge_page_kib=case.get("huge_page_size_kib"),
        is_exclusive=bool(case.get("exclusive_pinning")),
    )
    return {
        "vcpus_per_node": {str(i): share.vcpus for i, share in enumerate(shares)},
        "memory_mb_per_node": {str(i): share.memory_kib // MIB for i, share in enumerate(shares)},
        "tune_mode": case.get("tune_mode"),
    }


def numa_derived(case: Case) -> Answer:
    nodes = [virtual_node(node, _number(node, i)) for i, node in enumerate(listed(case, "vnuma_nodes"))]
    if case["operation"] == "memory_tuning":
        return {"tuned_nodes": [tuned_node(node) for node in virtual_numa.tuned_nodes(nodes)]}
    host_nodes = {
        _number(node, i): CpuSet.of(listed(node, "cpus")) for i, node in enumerate(listed(case, "host_numa_nodes"))
    }
    pinning = virtual_numa.cpus_from_numa(nodes, host_nodes)
    return {
        "pinned_vcpu_count": len(pinning),
        "pcpu_ranges": {str(vcpu): cpus.format() for vcpu, cpus in pinning},
    }


def _number(node: Case, position: int) -> int:
    """A node without a number is the one of its place."""
    return position if node.get("index") is None else int(node["index"])


def tuned_node(node: Any) -> dict[str, Any]:
    nodeset = ",".join(map(str, node.host_nodes))
    return {
        "index": node.node_id,
        "vnuma_index": node.node_id,
        "mode": node.mode.value,
        "tune_mode": node.mode.value,
        "nodeset": nodeset,
        "host_nodes": list(node.host_nodes),
        "pinned_host_nodes": list(node.host_nodes),
    }


def max_vcpus(case: Case) -> Answer:
    """Cases without an architecture are about x86; only there CPU numbers are short, and not with q35."""
    shape = VcpuTopology(
        sockets=1, cores=max(1, case.get("cores_per_socket") or 1), threads=max(1, case.get("threads_per_core") or 1)
    )
    is_x86 = (case.get("architecture") or "x86").startswith("x86")
    most = vcpu_limits.most_vcpus(
        shape,
        max_vcpus=case.get("max_vcpus") or 0,
        max_sockets=case.get("max_sockets") or 0,
        is_legacy_x86=is_x86 and "q35" not in (case.get("bios_type") or ""),
    )
    return {"max_vcpus": most}


# Order, huge pages, migration


def pinning_demand_order(case: Case) -> Answer:
    if "vms" in case:
        return {"order": [vm.uuid for vm in most_demanding_first(vm_of(vm) for vm in listed(case, "vms"))]}
    first, second = (pinning_demand(vm_of(case.get(name) or {})) for name in ("vm1", "vm2"))
    return {"sign": (first > second) - (first < second)}


def huge_page_facts(case: Case) -> Answer:
    vm = vm_of(case.get("vm") or {})
    return {"backed_by_huge_pages": vm.huge_page_kib is not None, "required_pages": required_pages(vm)}


def convergence(case: Case) -> Answer:
    def action(item: Case) -> migration_policy.Action:
        return migration_policy.Action(item["action"], tuple(item.get("params") or ()))

    schedule = migration_policy.Schedule(
        initial=tuple(action(item) for item in listed(case, "initial_items")),
        stalling=tuple(migration_policy.StallStep(i["limit"], action(i)) for i in listed(case, "stalling_items")),
        last=tuple(action(item) for item in listed(case, "last_items")),
    )
    return schedule.as_map()


def policy_lookup(case: Case) -> Answer:
    policies = migration_policy.read_policies(case.get("configured_policies"))
    return {"policy": migration_policy.find(policies, case.get("requested_policy")).policy_id}


def migrate_one(case: Case) -> Answer:
    vm = case.get("vm") or {}
    return _valid(
        migration_checks.check_one(
            migration_checks.VmFacts(
                exists=vm.get("exists") is not False,
                is_in_backup=bool(vm.get("during_backup")),
                uses_scsi_reservation=bool(vm.get("scsi_reservation_disk_plugged")),
                migrate_error=vm.get("can_migrate_error"),
                has_possible_host=vm.get("has_possible_host") is not False,
            )
        )
    )


def migrate_several(case: Case) -> Answer:
    known = {name_of(vm): vm for vm in listed(case, "vms")}
    requested = [name_of(vm) for vm in listed(case, "requested_vms")]
    facts = [
        migration_checks.VmFacts(
            exists=uuid in known and known[uuid].get("exists") is not False,
            cluster=known.get(uuid, {}).get("cluster") or "",
            migrate_error=known.get(uuid, {}).get("can_migrate_error"),
            has_possible_host=known.get(uuid, {}).get("has_possible_host") is not False,
        )
        for uuid in requested
    ]
    return _valid(migration_checks.check_several(len(requested), facts, is_forced=bool(case.get("force"))))


def upgrade_readiness(case: Case) -> Answer:
    vm = case.get("vm") or {}
    problems = migration_checks.upgrade_problems(
        mode=MigrationMode(vm.get("migration_mode") or "automatic"),
        is_suspended=vm.get("status") == "suspended",
        has_cpu_pinning=bool(vm.get("cpu_pinning")),
        has_numa_pinning=any(node.get("pinned_host_nodes") for node in listed(vm, "vnuma_nodes")),
        needs_passthrough=bool(vm.get("needs_direct_passthrough")),
    )
    return {"problems": [problem.kind for problem in problems]}


def affinity_group(case: Case) -> Answer:
    draft = affinity_rules.Draft(
        group_of({**case, "vm_rule": case.get("vm_rule") or "positive"}, 0),
        tuple(listed(case, "vm_labels")),
        tuple(listed(case, "host_labels")),
    )
    around = affinity_rules.Surroundings(
        is_name_taken=bool(case.get("name_already_used")),
        cluster_exists=case.get("cluster_exists") is not False,
        known_vms=case.get("known_vms") or (),
        known_hosts=listed(case, "known_hosts", "hosts"),
        known_labels=case.get("known_labels") or (),
        vms_are_in_cluster=case.get("vm_in_cluster") is not False,
        hosts_are_in_cluster=case.get("host_in_cluster") is not False,
        group_exists=case.get("group_exists") is not False,
        cluster_changed=bool(case.get("cluster_changed")),
    )
    check = affinity_rules.check_edit if case.get("operation") == "edit" else affinity_rules.check_new
    return _valid(check(draft, around))


def policy_builder(_: Case) -> Answer:
    """About the built-in policies: exactly one is what counts where nothing was chosen."""
    return {"default_policy_count": sum(policy.name == DEFAULT for policy in BUILT_IN)}


# Pending resources and CPU allocation


def pending_resources(case: Case) -> Answer:
    ledger, seen = NOTHING_PENDING, []
    steps = listed(case, "operations")
    for step in steps:
        seen += [step["host"]] if step.get("host") else []
        if step["op"] == "add":
            ledger = ledger.add(pending_record(step))
        elif step["op"] == "clear_vm":
            ledger = ledger.clear_vm(step["vm"])
        elif step["op"] == "clear_host":
            ledger = ledger.clear_host(step["host"])
        else:
            raise ValueError(f"unknown operation {step['op']}")
    host = case.get("host") or (seen[0] if seen else "")
    vms = {step["vm"] for step in steps if step.get("vm")}
    return {
        "host": host,
        "pending_vms": ledger.vms_on(host),
        "pending_cpus": ledger.cpus_on(host),
        "pending_memory_mb": ledger.memory_on(host) // MIB,
        "scheduled_host": {vm: next(iter(ledger.hosts_of(vm)), None) for vm in vms},
    }


def _policy(item: Case) -> CpuPinningPolicy:
    names = ("policy", "pinning_policy", "cpu_pinning_policy", "pinned_policy")
    return CpuPinningPolicy(next((item[name] for name in names if item.get(name)), "none"))


def _cpu_ids(item: Case) -> list[int]:
    for name in ("cpus", "cpu_ids", "pcpus", "pinned_cpus"):
        if item.get(name):
            return [cpu["cpu"] if isinstance(cpu, dict) else cpu for cpu in item[name]]
    return [cpu for rule in parse(item.get("cpu_pinning") or "") for cpu in rule.cpus]


def exclusive_cpu_allocation(case: Case) -> Answer:
    vm = case.get("vm") or {}
    units = [
        allocation.CpuUnit(
            u.get("numa") or 0,
            u.get("socket") or 0,
            u.get("core") or 0,
            u.get("cpu") or 0,
            _policy(u),
            tuple(listed(u, "pinned_vms")),
        )
        for u in listed(case, "host_cpu_topology")
    ]
    for pending in listed(case, "pending_cpu_pinnings"):
        units = allocation.pin(units, pending.get("vm", "pending"), _policy(pending), _cpu_ids(pending))
    request = allocation.AllocationRequest(
        vm=vm.get("id", "vm"),
        topology=topology(vm),
        policy=_policy(vm),
        node_memory_kib=tuple(int((node.get("memory_mb") or 0) * MIB) for node in listed(vm, "vnuma_nodes")),
        pinned_cpus=tuple(dict.fromkeys(_cpu_ids(vm))) if vm.get("cpu_pinning") else (),
    )
    host_nodes = listed(case, "host_numa_nodes", "numa_nodes")
    free = {_number(node, i): int((node.get("free_memory_mb") or 0) * MIB) for i, node in enumerate(host_nodes)}
    found = allocation.allocate(request, units, free)
    taken = [units[position] for position in found.positions] if found is not None else []
    after = allocation.pin_positions(units, request, found) if found is not None else units
    per_socket: dict[int, int] = {}
    for unit in taken:
        per_socket[unit.socket_id] = per_socket.get(unit.socket_id, 0) + 1
    return {
        "possible": bool(taken),
        "ordered_cpus": [{"socket": u.socket_id, "core": u.core_id, "cpu": u.cpu_id} for u in taken],
        "cpu_count": len(taken),
        "cpu_count_per_socket": per_socket,
        "exclusive_cpus_on_host_after": allocation.unavailable_cpus(after, count_threads_as_cores=True),
    }


UNITS: dict[str, Adapter] = {
    "max_vcpus": max_vcpus,
    "policy_builder": policy_builder,
    "cpu_pinning_validation": cpu_pinning_validation,
    "cpu_pinning_parse": cpu_pinning_parse,
    "find_numa_assignment": find_numa_assignment,
    "resize_and_pin_cpu_string": resize_and_pin,
    "numa_validation": numa_validation,
    "vnuma_edit_validation": vnuma_edit,
    "vnuma_resource_split": vnuma_split,
    "numa_derived_settings": numa_derived,
    "pinning_demand_order": pinning_demand_order,
    "huge_page_facts": huge_page_facts,
    "convergence_schedule": convergence,
    "migration_policy_lookup": policy_lookup,
    "migrate_vm_validation": migrate_one,
    "migrate_multiple_vms_validation": migrate_several,
    "cluster_upgrade_vm_readiness": upgrade_readiness,
    "affinity_group_validation": affinity_group,
    "pending_resources": pending_resources,
    "exclusive_cpu_allocation": exclusive_cpu_allocation,
}
