"""More of the specification's formulas, apart from our code: allocation, assignment, splitting, upgrade, pinning texts.

As `oracles`: the `input` of a case in, its `expected` out; nothing of hpconsole may be imported here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from tests.conformance.oracles import Case, Expected, filtered, pinned, vcpus


def find_numa_assignment(case: Case) -> Expected:
    """A6.1: depth first in order, candidates of a pin list from its end."""
    have = {node["index"]: node for node in case["host_numa_nodes"]}
    every = [(vm, node) for vm in case["vms"] for node in vm["vnuma_nodes"]]
    if not every or any(pin not in have for _, node in every for pin in node["pinned_host_nodes"]):
        return {"assignment_found": False, "assignment": None}
    wanted = [(vm, node) for vm, node in every if node["pinned_host_nodes"]]
    free = {index: node["free_memory_mb"] for index, node in have.items()}
    found: list[int] = []

    def place(position: int) -> bool:
        if position == len(wanted):
            return True
        vm, node = wanted[position]
        rules = pinned(vm.get("cpu_pinning")) if case["consider_cpu_pinning"] else {}
        for index in reversed(node["pinned_host_nodes"]):
            cpus = set(have[index]["cpus"])
            near = all(rules[v] & cpus for v in node["vcpus"] or () if v in rules)
            if near and free[index] >= node["memory_mb"]:
                free[index] -= node["memory_mb"]
                found.append(index)
                if place(position + 1):
                    return True
                found.pop()
                free[index] += node["memory_mb"]
        return False

    if not place(0):
        return {"assignment_found": False, "assignment": None}
    maps: dict[str, dict[str, int]] = {vm["id"]: {} for vm in case["vms"]}
    for (vm, node), index in zip(wanted, found, strict=True):
        maps[vm["id"]][str(node["index"])] = index
    return {"assignment_found": True, "assignment": maps}


def cpu_pinning_filter(case: Case) -> Expected:
    """A5.6 for shared pinning without CPU topology."""
    vm = case["vm"]
    wanted = set().union(*pinned(vm["cpu_pinning"]).values()) if vm["cpu_pinning"] else set()
    if vm["cpu_pinning_policy"] == "none":
        return filtered(case["hosts"], lambda _: True)
    return filtered(case["hosts"], lambda host: wanted <= set(host["online_cpus"] or ()))


def operating_system(text: str | None) -> tuple[str, int] | None:
    match = re.fullmatch(r"(\w+) - (\d+)(\.\d+)* - .+", text or "")
    return (match[1], int(match[2])) if match else None


def in_cluster_upgrade_filter(case: Case) -> Expected:
    """A4."""
    source = operating_system(case["source_host_os"])

    def passes(host: Case) -> bool:
        if not case["vm_running"] or source is None:
            return True
        system = operating_system(host["os"])
        return system is not None and system[0] == source[0] and system[1] >= source[1]

    return filtered(case["hosts"], passes)


def in_cluster_upgrade_weight(case: Case) -> Expected:
    """A4, for a running VM whose host tells its system."""
    source = operating_system(case["source_host_os"])
    assert source is not None
    scores = {}
    for host in case["hosts"]:
        system = operating_system(host["os"])
        if system is None or system[0] != source[0] or system[1] < source[1]:
            scores[host["id"]] = 1_000_000
        else:
            scores[host["id"]] = 100_000 if system[1] == source[1] else 0
    return {"scores": scores}


def mediated_device_filter(case: Case) -> Expected:
    """A4."""

    def passes(host: Case) -> bool:
        return all(any(device.get(kind, 0) > 0 for device in host["devices"]) for kind in case["requested_mdev_types"])

    return filtered(case["hosts"], passes)


def preferred_hosts_weight(case: Case) -> Expected:
    """A4, for a VM that is down."""
    chosen = case["vm"]["dedicated_hosts"]
    return {"scores": {h["id"]: 0 if not chosen or h["id"] in chosen else 10_000 for h in case["hosts"]}}


def resize_and_pin_cpu_string(case: Case) -> Expected:
    """A6.5."""
    vm, host = case["vm"], case["host"]
    total = vm["current_sockets"] * vm["current_cores_per_socket"] * vm["current_threads_per_core"]
    threads = host["cpu_threads"] // host["cpu_cores"]
    per_thread = total // host["cpu_sockets"] // threads
    if per_thread == 0:
        return {"cpu_pinning": None}
    rules, vcpu = [], 0
    for node in host["numa_nodes"]:
        cpus = node["cpus"]
        cores = len(cpus) // threads
        for i in range(1, min(per_thread, cores - 1) + 1):
            siblings = [cpus[i]] if threads == 1 else [cpus[i], cpus[i + cores]]
            for _ in range(threads):
                rules.append(f"{vcpu}#{','.join(map(str, siblings))}")
                vcpu += 1
    return {"cpu_pinning": "_".join(rules)}


def vnuma_resource_split(case: Case) -> Expected:
    """A6.5: how many vCPUs, and how much memory where it does not follow the vCPUs."""
    count, total, threads = case["node_count"], case["vcpus"], case["threads_per_core"]
    block_mb = math.lcm(case["huge_page_size_kib"] or 1024, 1024) // 1024
    blocks = case["memory_mb"] // block_mb
    split = vnuma_vcpus(total, count, threads)
    if blocks % total == 0 and not case["exclusive_pinning"]:
        memory = {str(i): own * (blocks // total) * block_mb for i, own in enumerate(split)}
    else:
        each, more = divmod(blocks, count)
        memory = {str(i): (each + (i < more)) * block_mb for i in range(count)}
    return {"vcpus_per_node": {str(i): own for i, own in enumerate(split)}, "memory_mb_per_node": memory}


def vnuma_vcpus(total: int, count: int, threads: int) -> list[int]:
    """As even as possible, whole cores but for the last node."""
    split, left = [], total
    for i in range(count):
        share = math.ceil(left / (count - i))
        whole = -(-share // threads) * threads
        split.append(left if i == count - 1 else min(left, whole))
        left -= split[-1]
    return split


def pinning_demand_order(case: Case) -> Expected:
    """A1.3: -1 where the first is the more demanding."""
    order = ["none", "dedicated", "isolate_threads", "resize_and_pin_numa", "manual"]

    def key(vm: Case) -> tuple[int, ...]:
        shape = (vm["threads_per_core"], vm["cores_per_socket"], vm["vcpu_sockets"])
        return (order.index(vm["cpu_pinning_policy"]), vcpus(vm), *shape)

    first, second = key(case["vm1"]), key(case["vm2"])
    return {"sign": (first > second) - (first < second)}


def cpu_pinning_parse(case: Case) -> Expected:
    """A range that runs backwards holds nothing."""
    rules = pinned(case["cpu_pinning"])
    return {"rules": [{"vcpu": vcpu, "pcpus": sorted(cpus)} for vcpu, cpus in rules.items()]}


def exclusive_cpu_allocation(case: Case) -> Expected:
    """A6.3 for a VM without virtual nodes: greedy, socket by socket, whole virtual sockets only."""
    vm = case["vm"]
    free = [u for u in case["host_cpu_topology"] if u["pinned_policy"] == "none" and not u["pinned_vms"]]
    sockets = list(dict.fromkeys(unit["socket"] for unit in case["host_cpu_topology"]))
    taken: list[Mapping[str, Any]] = []
    missing = vm["vcpu_sockets"]
    while missing and sockets:
        best = max(sockets, key=lambda s: sum(unit["socket"] == s for unit in free))  # the first of equals
        sockets.remove(best)
        here = [unit for unit in case["host_cpu_topology"] if unit["socket"] == best]
        cores = _virtual_cores(vm, here, free)
        whole = min(missing, len(cores) // vm["cores_per_socket"])
        for core in cores[: whole * vm["cores_per_socket"]]:
            taken += core
        missing -= whole
    if missing:
        return {"possible": False}
    cpus = [{"socket": u["socket"], "core": u["core"], "cpu": u["cpu"]} for u in taken]
    return {"possible": True, "cpu_count": len(cpus), "ordered_cpus": cpus}


def _virtual_cores(vm: Case, here: list[Any], free: list[Any]) -> list[list[Any]]:
    """What each virtual core would take, in the order of the cores of one socket."""
    threads = vm["threads_per_core"]
    by_core: dict[int, list[Any]] = {}
    for unit in here:
        by_core.setdefault(unit["core"], []).append(unit)
    virtual: list[list[Any]] = []
    whole: list[list[Any]] = []
    for units in by_core.values():
        left = [unit for unit in units if unit in free]
        if vm["cpu_pinning_policy"] == "dedicated":
            while len(left) >= threads:
                virtual.append(left[:threads])
                left = left[threads:]
        elif len(left) == len(units):
            whole.append(units)
    while len(whole) >= threads:
        virtual.append([unit for core in whole[:threads] for unit in core])
        whole = whole[threads:]
    return virtual
