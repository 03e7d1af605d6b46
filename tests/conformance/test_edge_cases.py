"""Cases of the published form about what the published ones leave out, and shapes that leave something out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.runner import ADAPTERS, load, run
from tests.conformance.shapes import plain

HERE = Path(__file__).parent
CASES = load(HERE / "edge_cases.json")
PUBLISHED = load(HERE / "vectors.json")
UNITS = sorted({case["unit"] for case in CASES})
# Without these there is no question at all; such a case counts as failed, with the reason.
NEEDED = {"operation", "op", "type", "host", "action", "limit", "size_kib", "node_count", "values"}


@pytest.mark.parametrize("unit", UNITS)
def test_edge_cases(unit: str) -> None:
    report = run([case for case in CASES if case["unit"] == unit])
    assert report.failures == []
    assert report.passed


def test_every_unit_has_edge_cases() -> None:
    assert set(UNITS) == set(ADAPTERS)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every named value of a case; of lists the first item is looked into."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield (*path, name)
            yield from _places(item, (*path, name))
    elif isinstance(value, list) and value:
        yield from _places(value[0], (*path, 0))


def _changed(case: Any, path: tuple[str | int, ...], *, is_missing: bool) -> Any:
    changed = copy.deepcopy(case)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if is_missing:
        del inner[path[-1]]
    else:
        inner[path[-1]] = None
    return changed


@pytest.mark.parametrize("unit", sorted(ADAPTERS))
def test_what_a_case_does_not_tell_is_no_error(unit: str) -> None:
    """Every fact that can be unknown may be left out or null: there is an answer, right or wrong."""
    asked: set[tuple[str | int, ...]] = set()
    for case in (case["input"] for case in PUBLISHED if case["unit"] == unit):
        for path in _places(case):
            if path[-1] in NEEDED or path in asked:
                continue
            asked.add(path)
            for is_missing in (True, False):
                assert ADAPTERS[unit](plain(_changed(case, path, is_missing=is_missing))), path
    assert asked


def test_numbers_may_be_texts_and_unknown_names_are_ignored() -> None:
    case = {
        "id": "x",
        "unit": "memory_admission",
        "input": {
            "check": "physical",
            "host": {"memory_free_mb": "100", "swap_free_mb": "0", "colour": "red"},
            "vm": {"memory_mb": "99", "static_overhead_mb": " 1 ", "note": "7"},
        },
        "expected": {"fits": True},
    }
    assert run([case]).failures == []
    case["input"]["vm"]["memory_mb"] = "100"  # type: ignore[index]
    assert run([case]).failures != []


def test_a_case_that_cannot_be_run_hides_no_other() -> None:
    broken = {"id": "broken", "unit": "pending_resources", "input": {"operations": [{"op": "dance"}]}, "expected": {}}
    no_input = {"id": "no input", "unit": "numa_filter", "expected": {"must_pass": []}}
    no_unit = {"id": "no unit", "input": {}, "expected": {}}
    report = run([broken, no_input, no_unit, "no case at all", PUBLISHED[0]])  # type: ignore[list-item]
    assert report.passed == 1
    assert [line.split(":")[0] for line in report.failures] == ["broken", "no input", "no unit", "(case 4)"]
    assert "dance" in report.failures[0]
