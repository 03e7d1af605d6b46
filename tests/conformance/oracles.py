"""The formulas of the behaviour specification (part A), written down once more: short, slow, and apart from our code.

Each function takes the `input` of a case and gives its `expected`. Nothing of hpconsole may be imported here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

Case = Mapping[str, Any]
Expected = dict[str, Any]
WORST = 1000


def half_up(value: float) -> int:
    return math.floor(value + 0.5)


def stretch(raw: Mapping[str, float]) -> dict[str, float]:
    """A1.4."""
    if not raw:
        return {}
    low, high = min(raw.values()), max(raw.values())
    if low == high:
        return dict.fromkeys(raw, 1)
    return {host: half_up(1 + (value - low) / (high - low) * (WORST - 1)) for host, value in raw.items()}


def vcpus(vm: Case) -> int:
    return int(vm.get("vcpus") or vm["vcpu_sockets"] * vm["cores_per_socket"] * vm["threads_per_core"])


def pinned(text: str | None) -> dict[int, set[int]]:
    """`0#1-3,^2_1#4`."""
    rules: dict[int, set[int]] = {}
    for rule in (text or "").split("_") if text else []:
        vcpu, _, listed = rule.partition("#")
        yes: set[int] = set()
        no: set[int] = set()
        for item in listed.split(","):
            into = no if item.startswith("^") else yes
            first, _, last = item.removeprefix("^").partition("-")
            into.update(range(int(first), int(last or first) + 1))
        rules[int(vcpu)] = yes - no
    return rules


def filtered(hosts: Iterable[Case], passes: Callable[[Case], bool]) -> Expected:
    good = {host["id"]: passes(host) for host in hosts}
    return {
        "must_pass": [host for host, ok in good.items() if ok],
        "must_be_filtered": [host for host, ok in good.items() if not ok],
        "exact": True,
    }


def assignment(vm: Case, nodes: Sequence[Case], *, with_cpus: bool) -> bool:
    """A6.1: whether every pinned virtual node finds one host node, by trying everything."""
    have = {node["index"]: node for node in nodes}
    wanted = [node for node in vm["vnuma_nodes"] if node["pinned_host_nodes"]]
    if any(pin not in have for node in wanted for pin in node["pinned_host_nodes"]):
        return False
    rules = pinned(vm.get("cpu_pinning")) if with_cpus else {}
    page = vm.get("huge_page_size_kib")
    for chosen in product(*(node["pinned_host_nodes"] for node in wanted)):
        used: dict[int, int] = {}
        fits = True
        for node, index in zip(wanted, chosen, strict=True):
            host = have[index]
            for vcpu in node["vcpus"] or ():
                if vcpu in rules and not rules[vcpu] & set(host["cpus"]):
                    fits = False
            if page:
                free = sum(p["free"] for p in host["huge_pages"] if p["size_kib"] == page)
                need = node["memory_mb"] * 1024 // page
            else:
                free, need = host["free_memory_mb"], node["memory_mb"]
            used[index] = used.get(index, 0) + need
            fits = fits and used[index] <= free
        if fits:
            return True
    return False


def is_preferred(vm: Case) -> bool:
    return any(node["tune_mode"] == "preferred" for node in vm["vnuma_nodes"])


def numa_filter(case: Case) -> Expected:
    """A5.2."""
    vm = case["vm"]

    def passes(host: Case) -> bool:
        if not any(node["pinned_host_nodes"] for node in vm["vnuma_nodes"]) or vm["running_on"] == host["id"]:
            return True
        if not host["numa_supported"]:
            return False
        return bool(is_preferred(vm) or assignment(vm, host["numa_nodes"], with_cpus=False))

    return filtered(case["hosts"], passes)


def cpu_numa_pinning_weight(case: Case) -> Expected:
    """A5.3."""
    vm = case["vm"]
    asks = not is_preferred(vm) and any(node["pinned_host_nodes"] for node in vm["vnuma_nodes"])
    scores = {}
    for host in case["hosts"]:
        good = True
        if asks:
            good = host["numa_supported"] and (
                vm["running_on"] == host["id"] or assignment(vm, host["numa_nodes"], with_cpus=True)
            )
        scores[host["id"]] = 1 if good else WORST
    return {"scores": scores}


def high_performance_cpu_weight(case: Case) -> Expected:
    """A5.4 without exclusive CPUs."""
    vm = case["vm"]
    is_active = (
        vm["vm_type"] == "high_performance"
        or vm["cpu_passthrough"]
        or bool(vm["cpu_pinning"])
        or any(node["pinned_host_nodes"] for node in vm["vnuma_nodes"])
    )
    raw = {}
    for host in case["hosts"]:
        fits = (
            vm["vcpu_sockets"] <= host["cpu_sockets"]
            and vm["cores_per_socket"] <= host["cpu_cores"] // host["cpu_sockets"]
            and vm["threads_per_core"] <= host["cpu_threads"] // host["cpu_cores"]
        )
        raw[host["id"]] = 1 if fits or not is_active else WORST
    return {"scores": stretch(raw)}


def huge_pages_filter(case: Case) -> Expected:
    """A5.10."""
    vm = case["vm"]
    size = vm["huge_page_size_kib"]

    def passes(host: Case) -> bool:
        if not size or vm["running_on"] == host["id"]:
            return True
        free = sum(page["free"] for page in host["huge_pages"] if page["size_kib"] == size)
        gone = sum(p["count"] for p in case["pending"] if p["host"] == host["id"] and p["size_kib"] == size)
        return bool(max(0, free - gone) >= -(-vm["memory_mb"] * 1024 // size))

    return filtered(case["hosts"], passes)


def cpu_filter(case: Case) -> Expected:
    """A5.8 without exclusive CPUs."""
    vm = case["vm"]
    pending = {host["id"]: 0 for host in case["hosts"]}
    for record in case["pending"]:
        pending[record["host"]] = max(pending[record["host"]], record["cores"])

    def passes(host: Case) -> bool:
        total = host["cpu_threads"] if case["count_threads_as_cores"] else host["cpu_cores"]
        if not total:
            return False
        own = vm["vcpu_sockets"] * vm["cores_per_socket"]
        return bool(total >= max(1, host["max_running_shared_vm_cores"], pending[host["id"]], own))

    return filtered(case["hosts"], passes)


def single_numa_node_fit_weight(case: Case) -> Expected:
    """A5.5."""
    vm = case["vm"]
    scores = {}
    for host in case["hosts"]:
        alone = any(
            node["total_memory_mb"] >= vm["memory_mb"] and len(node["cpus"]) >= vcpus(vm) for node in host["numa_nodes"]
        )
        scores[host["id"]] = 1 if vm["vnuma_nodes"] or not host["numa_supported"] or alone else WORST
    return {"scores": scores}


def tsc_frequency_filter(case: Case) -> Expected:
    """A4."""
    source = case["source_host"]["tsc_frequency"]

    def passes(host: Case) -> bool:
        if not case["vm"]["running"] or not case["vm"]["use_tsc_frequency"] or source is None:
            return True
        if host["tsc_scaling_enabled"]:
            return True
        if host["tsc_frequency_integral"] is None:
            return False
        whole = int(float(source))
        return abs(int(host["tsc_frequency_integral"]) - whole) <= whole * 250 // 1_000_000

    return filtered(case["hosts"], passes)


def scheduling_mb(host: Case) -> float:
    """A3, end."""
    allowed = host["overcommit_percent"] * host["physical_memory_mb"] / 100
    left = max(0, allowed - host["committed_memory_mb"] - host["reserved_memory_mb"])
    return float(max(0, left - host["pending_overcommit_memory_mb"]))


def memory_admission(case: Case) -> Expected:
    """A5.9."""
    vm, host, dynamic = case["vm"], case["host"], case["dynamic_huge_page_memory_mb"]
    plain = 0 if vm["huge_page_size_kib"] else vm["memory_mb"]
    if case["check"] == "physical":
        if host["memory_free_mb"] is None:
            return {"fits": False}
        left = host["memory_free_mb"] - case["pending_physical_memory_mb"] - dynamic
        return {"fits": left >= 0 and plain + vm["static_overhead_mb"] <= left + (host["swap_free_mb"] or 0)}
    overhead = vm["static_overhead_mb"] + vm["possible_overhead_mb"]
    return {"fits": plain + overhead + dynamic <= scheduling_mb(host)}


def is_here(vm: Case, host: Case) -> bool:
    return bool(vm["running_on"] == host["id"])


def shared_load(case: Case, host: Case) -> tuple[float, int]:
    """A5.11 without CPU topology: (load, CPUs)."""
    cpus = host["cpu_threads"] if case["count_threads_as_cores"] else host["cpu_cores"]
    load = host["usage_cpu_percent"] * cpus
    if host["spm"]:
        load += case["config"]["spm_vcpu_consumption"] * case["config"]["vcpu_consumption_percentage"]
    return load, cpus


def load_raw(case: Case, host: Case) -> float | None:
    """A5.15."""
    vm = case["vm"]
    if host["usage_cpu_percent"] is None or not host["cpu_cores"]:
        return None
    load, cpus = shared_load(case, host)
    if not is_here(vm, host):
        busy = vm["usage_cpu_percent"] if vm["running_on"] else case["config"]["vcpu_consumption_percentage"]
        load += busy * vcpus(vm)
    return float(load) / float(cpus)


def even_distribution_cpu_weight(case: Case) -> Expected:
    """A5.15."""
    raw = {host["id"]: load_raw(case, host) for host in case["hosts"]}
    known = stretch({host: half_up(value) for host, value in raw.items() if value is not None})
    return {"scores": {host: known.get(host, WORST) for host in raw}}


def power_saving_cpu_weight(case: Case) -> Expected:
    """A5.17."""
    limit = (case.get("policy_parameters") or {}).get("high_utilization")
    raw = {}
    for host in case["hosts"]:
        value = load_raw(case, host)
        if value is None:
            continue
        load, cpus = shared_load(case, host)
        if limit is None or math.ceil(load / cpus) <= limit:
            raw[host["id"]] = -half_up(value)
    known = stretch(raw)
    return {"scores": {host["id"]: known.get(host["id"], WORST) for host in case["hosts"]}}


def free_after(case: Case, host: Case) -> float:
    vm = case["vm"]
    return scheduling_mb(host) - (0 if is_here(vm, host) else vm["memory_mb"] + case["vm_memory_overhead_mb"])


def even_distribution_memory_weight(case: Case) -> Expected:
    """A5.16."""
    most = max([2.0, *(scheduling_mb(host) for host in case["hosts"])])
    return {
        "scores": {
            host["id"]: WORST - half_up((free_after(case, host) - 1) * (WORST - 1) / (most - 1))
            for host in case["hosts"]
        }
    }


def power_saving_memory_weight(case: Case) -> Expected:
    """A5.18."""
    given = case["policy_parameters"]
    low = given.get("max_free_memory_for_over_utilized_mb") or 0
    high = given.get("min_free_memory_for_under_utilized_mb")
    most = 1.1 * max(scheduling_mb(host) for host in case["hosts"])
    scores = {}
    for host in case["hosts"] if most else ():  # where nothing may be promised anywhere, the formula has no value
        free = free_after(case, host)
        if free < low:
            free = min(most, (math.inf if high is None else high) + (low - free))
        scores[host["id"]] = int(free / most * (WORST - 1)) + 1
    return {"scores": scores}


def where(case: Case) -> dict[str, str]:
    return {vm["id"]: vm["running_on"] for vm in case["other_vms"] if vm["running_on"]}


def vm_affinity_filter(case: Case) -> Expected:
    """A5.13."""
    at, me = where(case), case["scheduled_vm"]
    good = set(case["hosts"])
    for group in case["affinity_groups"]:
        if not group["vm_enforcing"] or me not in group["vms"] or group["vm_rule"] == "disabled":
            continue
        others = {at[vm] for vm in group["vms"] if vm != me and vm in at}
        if group["vm_rule"] == "negative":
            good -= others
        elif others:
            good &= others
    return {
        "must_pass": [host for host in case["hosts"] if host in good],
        "must_be_filtered": [host for host in case["hosts"] if host not in good],
        "exact": True,
    }


def worse_hosts(keys: Mapping[str, tuple[Any, ...]]) -> dict[str, int]:
    """Score = 1 + number of hosts strictly better."""
    return {host: 1 + sum(other < key for other in keys.values()) for host, key in keys.items()}


def vm_affinity_weight(case: Case) -> Expected:
    """A5.13: broken priorities, then members that cannot move, then members."""
    at, me = where(case), case["scheduled_vm"]
    fixed = {vm["id"] for vm in case["other_vms"] if vm["hosted_engine"] or vm["migration_mode"] != "automatic"}
    groups = [g for g in case["affinity_groups"] if me in g["vms"] and g["vm_rule"] != "disabled"]
    keys: dict[str, tuple[Any, ...]] = {}
    for host in case["hosts"]:
        broken, members = [], set()
        for group in groups:
            others = [vm for vm in group["vms"] if vm != me and vm in at]
            here = [vm for vm in others if at[vm] == host]
            if group["vm_rule"] == "positive":
                members |= set(here)
            if (group["vm_rule"] == "positive" and others and not here) or (group["vm_rule"] == "negative" and here):
                broken.append(group["priority"])
        keys[host] = (sorted(broken, reverse=True), -len(members & fixed), -len(members))
    return {"scores": worse_hosts(keys)}


def host_breaks(group: Case, host: str) -> bool:
    return bool((group["host_rule"] == "positive") != (host in group["hosts"]))


def host_affinity_filter(case: Case) -> Expected:
    """A5.14."""
    groups = [g for g in case["affinity_groups"] if g["host_enforcing"] and g["host_rule"] != "disabled"]
    for label in case["labels"] if case["cluster_compatibility"] == "4.3" else ():
        if label["implicit_affinity_group"] and case["vm"] in label["vms"]:
            groups.append({"host_rule": "positive", "hosts": label["hosts"]})
    good = [host for host in case["hosts"] if not any(host_breaks(group, host) for group in groups)]
    return {"must_pass": good, "must_be_filtered": [h for h in case["hosts"] if h not in good], "exact": True}


def host_affinity_weight(case: Case) -> Expected:
    """A5.14."""
    groups = [g for g in case["affinity_groups"] if not g["host_enforcing"] and g["host_rule"] != "disabled"]
    keys: dict[str, tuple[Any, ...]] = {
        host: (sorted((g["priority"] for g in groups if host_breaks(g, host)), reverse=True),) for host in case["hosts"]
    }
    return {"scores": worse_hosts(keys)}


def rank_selector(case: Case) -> Expected:
    """A2; None where two hosts share the highest score."""
    units = {record["unit"] for record in case["records"]}
    total = dict.fromkeys(case["hosts"], 0)
    for unit in units:
        sums = dict.fromkeys(case["hosts"], 0)
        for record in case["records"]:
            if record["unit"] == unit:
                sums[record["host"]] += record["weight"]
        for host in sums:
            better = sum(other < sums[host] for other in sums.values())
            total[host] += case["factors"].get(unit, 1) * (len(sums) - 1 - better)
    return {"best_host": _only_best(total, largest=True)}


def basic_weight_selector(case: Case) -> Expected:
    """A2; None where two hosts share the lowest sum."""
    total: dict[str, float] = {}
    for record in case["records"]:
        factor = case["factors"].get(record["unit"], 1) if record["unit"] else 1
        total[record["host"]] = total.get(record["host"], 0) + factor * record["weight"]
    return {"best_host": _only_best(total, largest=False)}


def _only_best(total: Mapping[str, float], *, largest: bool) -> str | None:
    best = (max if largest else min)(total.values())
    hosts = [host for host, value in total.items() if value == best]
    return hosts[0] if len(hosts) == 1 else None
