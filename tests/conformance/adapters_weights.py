"""Cases about weights, selectors, balancing and affinity enforcement."""

from __future__ import annotations

from typing import Any

from hpconsole.core.scheduler import selectors
from hpconsole.core.scheduler.affinity import scores
from hpconsole.core.scheduler.affinity_enforcement import Enforcement
from hpconsole.core.scheduler.balancers import BY_NAME as BALANCERS
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.weights import BY_NAME
from tests.conformance.adapters_filters import Adapter, affinity_question, host_affinity_question, label_groups
from tests.conformance.expectations import Answer
from tests.conformance.shapes import SOURCE, Case, group_of, load_of, question_of, vm_of


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
        given = case.get("vms") or [case["vm"]]
        loads = {vm.get("id", "vm"): load_of(vm) for vm in given}
        return weigh(name, question_of(case, [vm_of(vm) for vm in given], case["hosts"], loads=loads))

    return adapter


def in_cluster_upgrade(case: Case) -> Answer:
    vm = vm_of({"id": "vm", "running": case.get("vm_running")})
    whole = question_of(case, [vm], [*case["hosts"], {"id": SOURCE, "os": case.get("source_host_os")}])
    return weigh("InClusterUpgrade", _without_source(whole))


def _without_source(question: Question) -> Question:
    rows = (~question.columns.rows([SOURCE])).nonzero()[0]
    return question.narrowed(rows)


def _selector(selector: selectors.Selector) -> Adapter:
    def adapter(case: Case) -> Answer:
        records = [(record.get("unit"), record["host"], float(record["weight"])) for record in case["records"]]
        return {
            "best_host": selectors.best(
                selector,
                records,
                case["hosts"],
                {unit: factor for unit, factor in (case.get("factors") or {}).items() if factor is not None},
            )
        }

    return adapter


def ranking_helper(case: Case) -> Answer:
    if case["operation"] == "lexicographic_sort":
        lists = [tuple(value) for value in case["values"]]
        placed = sorted(zip(scores(lists), case["values"], strict=True), key=lambda pair: pair[0])
        return {"sorted": [value for _, value in placed]}
    values = case["values"]
    if "compare" in case["operation"]:
        first, second = scores([tuple(value) for value in values])
        return {"sign": (first > second) - (first < second)}
    if values and isinstance(values[0], list):
        values = [tuple(value) for value in values]
    better = sorted(values, reverse=case.get("order") == "descending")
    return {"ranks": [better.index(value) for value in values]}


def _balance(name: str) -> Adapter:
    def adapter(case: Case) -> Answer:
        vms = [vm_of(vm) for vm in case["vms"]]
        loads = {vm["id"]: load_of(vm) for vm in case["vms"]}
        question = question_of(case, vms, case["hosts"], loads=loads)
        found = BALANCERS[name].proposals(question)
        return {"ordered_results": [{"vm": item.vm_uuid, "candidate_hosts": list(item.hosts)} for item in found]}

    return adapter


def enforcement(case: Case) -> Answer:
    vms = {vm["id"]: vm_of(vm) for vm in case["vms"]}
    can_move = {vm["id"]: bool(vm.get("can_be_scheduled", True)) for vm in case["vms"]}
    numbers: dict[str, Any] = case.get("vm_sort_ids") or {}
    groups = [group_of(group, i) for i, group in enumerate(case.get("affinity_groups") or ())]
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
