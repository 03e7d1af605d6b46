"""Cases about weights, selectors, balancing and affinity enforcement."""

from __future__ import annotations

from typing import Any

from hpconsole.core.scheduler import selectors
from hpconsole.core.scheduler.affinity import scores
from hpconsole.core.scheduler.affinity_enforcement import Enforcement
from hpconsole.core.scheduler.balancers import BY_NAME as BALANCERS
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.weights import BY_NAME
from tests.conformance.adapters_filters import (
    Adapter,
    affinity_question,
    facts,
    given_vms,
    host_affinity_question,
    label_groups,
)
from tests.conformance.expectations import Answer
from tests.conformance.shapes import SOURCE, Case, group_of, listed, load_of, name_of, question_of, vm_of


def weigh(name: str, question: Question) -> Answer:
    """The weight of every host; no opinion gives no scores."""
    raw = BY_NAME[name].raw(question)
    if raw is None:
        return {"scores": {}, "best_host": None}
    values = {host: float(value) for host, value in zip(question.columns.names, raw, strict=True) if host != SOURCE}
    best = min(values, key=lambda host: values[host]) if values else None
    return {"scores": values, "best_host": best}


def of(name: str) -> Adapter:
    """A weight asked about one VM (or `vms`) and these hosts."""

    def adapter(case: Case) -> Answer:
        given = given_vms(case)
        loads = {vm.get("id") or "vm": load_of(vm) for vm in given}
        hosts = facts(listed(case, "hosts"))
        return weigh(name, question_of(case, [vm_of(vm) for vm in given], hosts, loads=loads))

    return adapter


def in_cluster_upgrade(case: Case) -> Answer:
    vm = vm_of({"id": "vm", "running": case.get("vm_running")})
    whole = question_of(case, [vm], [*facts(listed(case, "hosts")), {"id": SOURCE, "os": case.get("source_host_os")}])
    return weigh("InClusterUpgrade", _without_source(whole))


def _without_source(question: Question) -> Question:
    rows = (~question.columns.rows([SOURCE])).nonzero()[0]
    return question.narrowed(rows)


def _selector(selector: selectors.Selector) -> Adapter:
    def adapter(case: Case) -> Answer:
        records = [
            (record.get("unit"), name_of(record["host"]), float(record.get("weight") or 0))
            for record in listed(case, "records")
        ]
        hosts = [name_of(host) for host in listed(case, "hosts")] or list(dict.fromkeys(host for _, host, _ in records))
        return {
            "best_host": selectors.best(
                selector,
                records,
                hosts,
                {unit: factor for unit, factor in (case.get("factors") or {}).items() if factor is not None},
            )
        }

    return adapter


def ranking_helper(case: Case) -> Answer:
    values, operation = listed(case, "values"), case.get("operation") or ""
    is_descending = case.get("order") == "descending"
    if operation == "lexicographic_sort":
        places = scores([tuple(value) for value in values])
        placed = sorted(zip(places, values, strict=True), key=lambda pair: pair[0], reverse=is_descending)
        return {"sorted": [value for _, value in placed]}
    if "compare" in operation:
        first, second = scores([tuple(value) for value in values])
        return {"sign": (first > second) - (first < second)}
    if values and isinstance(values[0], list):
        values = [tuple(value) for value in values]
    better = sorted(values, reverse=is_descending)
    return {"ranks": [better.index(value) for value in values]}


def _balance(name: str) -> Adapter:
    def adapter(case: Case) -> Answer:
        given = listed(case, "vms")
        loads = {vm.get("id") or "vm": load_of(vm) for vm in given}
        question = question_of(case, [vm_of(vm) for vm in given], facts(listed(case, "hosts")), loads=loads)
        found = BALANCERS[name].proposals(question)
        return {"ordered_results": [{"vm": item.vm_uuid, "candidate_hosts": list(item.hosts)} for item in found]}

    return adapter


def enforcement(case: Case) -> Answer:
    given = listed(case, "vms")
    vms = {vm.uuid: vm for vm in map(vm_of, given)}
    can_move = {name_of(vm): vm.get("can_be_scheduled") is not False for vm in given}
    numbers: dict[str, Any] = case.get("vm_sort_ids") or {}
    groups = [group_of(group, i) for i, group in enumerate(listed(case, "affinity_groups"))]
    rules = Enforcement(
        vms=vms,
        groups=[*groups, *label_groups(case)],
        can_move=lambda uuid: can_move.get(uuid, False),
        order=(lambda uuid: f"{numbers.get(uuid) or 0:020d}") if numbers else str,
    )
    return {"ordered_candidate_groups": [list(tier) for tier in rules.tiers()]}


UNITS: dict[str, Adapter] = {
    "cpu_numa_pinning_weight": of("CPU and NUMA pinning compatibility"),
    "high_performance_cpu_weight": of("CPU for high performance VMs"),
    "single_numa_node_fit_weight": of("Fit VM to single host NUMA node"),
    "preferred_hosts_weight": of("PreferredHosts"),
    "even_distribution_cpu_weight": of("OptimalForCpuEvenDistribution"),
    "even_distribution_memory_weight": of("OptimalForMemoryEvenDistribution"),
    "power_saving_cpu_weight": of("OptimalForCpuPowerSaving"),
    "power_saving_memory_weight": of("OptimalForMemoryPowerSaving"),
    "in_cluster_upgrade_weight": in_cluster_upgrade,
    "vm_affinity_weight": lambda case: weigh("VmAffinityGroups", affinity_question(case)),
    "host_affinity_weight": lambda case: weigh("VmToHostsAffinityGroups", host_affinity_question(case)),
    "rank_selector": _selector(selectors.RANK),
    "basic_weight_selector": _selector(selectors.BASIC),
    "ranking_helper": ranking_helper,
    "even_distribution_balance": _balance("OptimalForEvenDistribution"),
    "power_saving_balance": _balance("OptimalForPowerSaving"),
    "affinity_enforcer_candidates": enforcement,
}
