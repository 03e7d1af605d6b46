"""The scheduler against the specification's formulas, written down a second time: random cases of the published form.

`python -m tests.conformance.test_oracles N` compares N cases of each unit.
"""

from __future__ import annotations

import sys
from random import Random

import pytest

from tests.conformance import oracles, oracles_planning
from tests.conformance.random_inputs import MAKERS
from tests.conformance.runner import check

CASES = 40


def differences(unit: str, seeds: range) -> list[str]:
    """What differs, with the number of the case."""
    found: list[str] = []
    oracle = getattr(oracles, unit, None) or getattr(oracles_planning, unit)
    for seed in seeds:
        case = MAKERS[unit](Random(seed))
        expected = oracle(case)
        if expected.get("best_host", "") is None:
            continue  # equals: any of them may win
        wrong = check({"unit": unit, "input": case, "expected": expected})
        found += [f"{seed}: {'; '.join(wrong)}"] if wrong else []
    return found


@pytest.mark.parametrize("unit", list(MAKERS))
def test_every_formula_is_the_specifications(unit: str) -> None:
    assert differences(unit, range(CASES)) == []


def main() -> None:
    """Many cases of each unit."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for unit in MAKERS:
        found = differences(unit, range(count))
        sys.stdout.write(f"{unit}: {count} cases, {len(found)} differences\n")
        sys.stdout.writelines(f"  {line}\n" for line in found[:5])


if __name__ == "__main__":
    main()
