"""The engine against brute force: same verdict, and no better placement exists."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.scheduler.placement import place
from tests.core.scheduler.comparing import compare, difference
from tests.core.scheduler.random_cases import random_case
from tests.core.scheduler.validity import violations

CASES = int(os.environ.get("HPCONSOLE_BRUTE_FORCE_CASES", "3000"))


def test_the_engine_agrees_with_brute_force() -> None:
    summary = compare(range(CASES))
    assert not summary.differences, summary.differences[0]
    assert summary.fitting > CASES // 4
    assert summary.misfits > CASES // 8


@pytest.mark.parametrize("seed", [9825, 19841, 28279, 28400, 54941, 96224, 103222])
def test_cases_that_once_were_wrong(seed: int) -> None:
    assert difference(random_case(seed)) is None


def test_no_placement_of_a_random_case_breaks_a_rule() -> None:
    for seed in range(5000, 5600):
        case = random_case(seed)
        answer = place(case.vm, case.taken, source=case.source)
        if isinstance(answer, Placement):
            assert violations(case.vm, case.taken, answer) == [], seed


def test_brute_force_sees_a_placement_that_is_not_the_best() -> None:
    """The comparison itself must be able to fail: a worse map is measured as worse."""
    seen = 0
    for seed in range(400):
        case = random_case(seed)
        answer = place(case.vm, case.taken, source=case.source)
        best = case.best()
        if isinstance(answer, Placement) and best is not None and answer.pinning.vcpus and case.policy.is_exclusive:
            vcpu = answer.pinning.vcpus[0][0]
            elsewhere = sorted(case.free - set(answer.pinning.all_vcpu_cpus))
            if not elsewhere:
                continue
            moved = ((vcpu, CpuSet.of([elsewhere[-1]])), *answer.pinning.vcpus[1:])
            other = replace(answer, pinning=replace(answer.pinning, vcpus=moved))
            seen += case.measure(other) > best
    assert seen > 10
