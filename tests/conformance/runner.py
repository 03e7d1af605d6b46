"""Runs files of published cases through the scheduler's own code and counts what agrees."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance import adapters_filters, adapters_planning, adapters_weights
from tests.conformance.expectations import problems
from tests.conformance.shapes import plain

ADAPTERS = {**adapters_filters.UNITS, **adapters_weights.UNITS, **adapters_planning.UNITS}
UNSUPPORTED = {
    "hosted_engine_spares_filter": "a hosted engine is part of the reference system, not of libvirt hosts",
    "lease_ready_filter": "leases on storage domains are the reference system's own",
}


@dataclass
class Report:
    """What came of a file."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)
    unsupported: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterable[str]:
        """As it is printed."""
        yield from self.failures
        yield f"{self.passed} passed, {len(self.failures)} failed, {sum(self.unsupported.values())} unsupported"
        for unit, count in sorted(self.unsupported.items()):
            yield f"  unsupported: {unit} ({count}): {UNSUPPORTED.get(unit, 'no such unit is known')}"


def load(path: Path) -> list[dict[str, Any]]:
    """The cases of a file.

    Raises:
        ValueError: it holds no cases.
    """
    document = json.loads(path.read_text())
    cases = document.get("cases") if isinstance(document, Mapping) else None
    if not isinstance(cases, list):
        raise ValueError(f"{path} holds no list of cases")
    return cases


def check(case: Mapping[str, Any]) -> list[str] | None:
    """What is not as expected; None where the unit is not supported."""
    adapter = ADAPTERS.get(case["unit"])
    if adapter is None:
        return None
    # Which host's numbers are asked for stands beside the answer in these cases; it is part of the question.
    asked = {"host": case["expected"]["host"]} if "host" in case["expected"] else {}
    return problems(case["expected"], adapter(plain({**case["input"], **asked})))


def run(cases: Iterable[Mapping[str, Any]]) -> Report:
    """Every case; one that raises counts as failed."""
    report = Report()
    for number, case in enumerate(cases, start=1):
        try:
            found = check(case)
        except Exception as error:  # noqa: BLE001 - a case that cannot be run must not hide the others
            found = [f"{type(error).__name__}: {error}"]
        if found is None:
            report.unsupported[case["unit"]] += 1
        elif found:
            name = case.get("id") if isinstance(case, Mapping) else None
            report.failures.append(f"{name or f'(case {number})'}: {'; '.join(found)}")
        else:
            report.passed += 1
    return report
