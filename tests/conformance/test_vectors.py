"""The published cases of the behaviour reference, one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.runner import UNSUPPORTED, check, load, run

CASES = load(Path(__file__).with_name("vectors.json"))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    found = check(case)
    if found is None:
        assert case["unit"] in UNSUPPORTED
    else:
        assert not found, found


def test_only_these_units_are_left_out() -> None:
    assert set(run(CASES).unsupported) == set(UNSUPPORTED)


def test_a_wrong_expectation_is_seen() -> None:
    """The comparison must be able to fail: every supported case with a spoilt expectation does."""
    spoilt = [{**case, "expected": {"no such form": 1}} for case in CASES]
    report = run(spoilt)
    assert report.passed == 0
    assert "fits" not in report.failures[0]
