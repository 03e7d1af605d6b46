"""Does an answer meet what a case expects? One rule for each form of expectation (vectors-README.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

Answer = Mapping[str, Any]
Expected = Mapping[str, Any]


def problems(expected: Expected, answer: Answer) -> list[str]:
    """What is not as expected; an expectation that nobody knows is a problem too."""
    found: list[str] = []
    for form, value in expected.items():
        rule = RULES.get(form)
        if rule is None:
            found.append(f"unknown expectation {form!r}")
        elif not rule(value, answer, expected):
            found.append(f"{form}: expected {value!r}, got {_shown(form, answer)!r}")
    return found


def _shown(form: str, answer: Answer) -> Any:
    return answer.get(form, dict(answer))


def _passed(answer: Answer) -> set[str]:
    return set(answer["passed"])


def _must_pass(value: list[str], answer: Answer, expected: Expected) -> bool:
    return _passed(answer) == set(value) if expected.get("exact") else set(value) <= _passed(answer)


def _tiers(value: list[list[str]], answer: Answer, _: Expected) -> bool:
    scores = answer["scores"]
    levels = [{scores[host] for host in tier} for tier in value]
    return all(len(level) == 1 for level in levels) and all(max(a) < min(b) for a, b in pairwise(levels))


def _results(value: list[Any], answer: Answer, expected: Expected) -> bool:
    wanted = [(item["vm"], frozenset(item["candidate_hosts"])) for item in value]
    got = [(item["vm"], frozenset(item["candidate_hosts"])) for item in answer["ordered_results"]]
    return wanted == got if expected.get("order_significant", True) else Counter(wanted) == Counter(got)


def _groups(value: list[list[str]], answer: Answer, _: Expected) -> bool:
    """The concatenation of groups; order inside one is free."""
    flat = [vm for group in answer["ordered_candidate_groups"] for vm in group]
    position = 0
    for group in value:
        if Counter(flat[position : position + len(group)]) != Counter(group):
            return False
        position += len(group)
    return position == len(flat)


def _placed(assignment: Mapping[str, Mapping[str, Any]] | None) -> Any:
    """A VM without a placed node may be named or not."""
    return {vm: nodes for vm, nodes in assignment.items() if nodes} if assignment is not None else None


def _subset(form: str) -> Callable[[Any, Answer, Expected], bool]:
    def rule(value: Mapping[str, Any], answer: Answer, _: Expected) -> bool:
        got = {str(key): item for key, item in answer[form].items()}
        return all(key in got and got[key] == item for key, item in value.items())

    return rule


def _equal(form: str) -> Callable[[Any, Answer, Expected], bool]:
    return lambda value, answer, _: answer.get(form) == value


def _as_set(form: str) -> Callable[[Any, Answer, Expected], bool]:
    return lambda value, answer, _: set(answer[form]) == set(value)


def _count_per_socket(value: Any, answer: Answer, _: Expected) -> bool:
    got = {str(key): count for key, count in answer["cpu_count_per_socket"].items()}
    if isinstance(value, Mapping):
        return {key: count for key, count in value.items() if count} == got
    if isinstance(value, list):
        return sorted(count for count in value if count) == sorted(got.values())
    return set(got.values()) == {value}


def _rules(value: list[Any], answer: Answer, _: Expected) -> bool:
    got = [(rule["vcpu"], frozenset(rule["pcpus"])) for rule in answer["rules"]]
    return got == [(rule["vcpu"], frozenset(rule["pcpus"])) for rule in value]


def _tuned(value: list[Any], answer: Answer, _: Expected) -> bool:
    got = answer["tuned_nodes"]
    if len(value) != len(got):
        return False
    return all(
        wanted == node["index"] if not isinstance(wanted, Mapping) else _covers(node, wanted)
        for wanted, node in zip(value, got, strict=True)
    )


def _covers(node: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(node.get(key) == item for key, item in wanted.items())


def _error_kind(value: str | None, answer: Answer, expected: Expected) -> bool:
    if value is None:
        return True  # valid, or only the failure is asserted; `valid` says which
    del expected
    return bool(answer["error_kind"] == value)


RULES: dict[str, Callable[[Any, Answer, Expected], bool]] = {
    "must_pass": _must_pass,
    "must_be_filtered": lambda value, answer, _: not _passed(answer) & set(value),
    "exact": lambda *_: True,  # read by must_pass and passed_count
    "passed_count": lambda value, answer, _: len(_passed(answer)) == value,
    "hosts_with_messages": _equal("hosts_with_messages"),
    "scores": _subset("scores"),
    "nonzero_scores": lambda value, answer, _: all(answer["scores"][host] != 0 for host in value),
    "score_tiers_best_first": _tiers,
    "best_host": _equal("best_host"),
    "assignment_found": _equal("assignment_found"),
    "assignment": lambda value, answer, _: _placed(answer["assignment"]) == _placed(value),
    "valid": _equal("valid"),
    "error_kind": _error_kind,
    "fits": _equal("fits"),
    "ordered_results": _results,
    "order_significant": lambda *_: True,  # read by ordered_results
    "possible": _equal("possible"),
    "ordered_cpus": _equal("ordered_cpus"),
    "cpu_count": _equal("cpu_count"),
    "cpu_count_per_socket": _count_per_socket,
    "exclusive_cpus_on_host_after": _equal("exclusive_cpus_on_host_after"),
    "ordered_candidate_groups": _groups,
    "ranks": _equal("ranks"),
    "sorted": _equal("sorted"),
    "sign": _equal("sign"),
    "order": _equal("order"),
    "cpu_pinning": _equal("cpu_pinning"),
    "rules": _rules,
    "all_pcpus": _as_set("all_pcpus"),
    "required_pages": lambda value, answer, _: {str(k): v for k, v in answer["required_pages"].items()} == value,
    "backed_by_huge_pages": _equal("backed_by_huge_pages"),
    "vcpus_per_node": _subset("vcpus_per_node"),
    "memory_mb_per_node": _subset("memory_mb_per_node"),
    "tune_mode": _equal("tune_mode"),
    "tuned_nodes": _tuned,
    "pinned_vcpu_count": _equal("pinned_vcpu_count"),
    "pcpu_ranges": _subset("pcpu_ranges"),
    "init": _equal("init"),
    "stalling": _equal("stalling"),
    "policy": _equal("policy"),
    "problems": _as_set("problems"),
    "problems_include": lambda value, answer, _: set(value) <= set(answer["problems"]),
    "host": _equal("host"),
    "pending_vms": _as_set("pending_vms"),
    "pending_cpus": _equal("pending_cpus"),
    "pending_memory_mb": _equal("pending_memory_mb"),
    "scheduled_host": _subset("scheduled_host"),
    "max_vcpus": _equal("max_vcpus"),
    "default_policy_count": _equal("default_policy_count"),
}
