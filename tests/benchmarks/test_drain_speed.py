"""How fast a host with 50 VMs is planned empty among 1,000 hosts: the first legal plan, and one within 1 % of the best.

`make bench` runs these; plain test runs skip them.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import pytest

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.drain import DrainIntent, DrainPlan
from hpconsole.core.planning.drain_planner import checked, plan_drain
from hpconsole.core.planning.drain_program import Program
from hpconsole.core.scheduler.column_cache import columns_of
from tests.benchmarks.drain_cases import a_drain_case

HOSTS = 1000
ROUNDS = 9
Benchmark = Any  # pytest-benchmark's fixture; half of it is untyped


@dataclass(frozen=True)
class Timed:
    """Milliseconds until the first plan and until the final one."""

    first: DrainPlan
    final: DrainPlan
    first_ms: float
    final_ms: float


def timed(snapshot: ClusterSnapshot, host: str) -> Timed:
    seen: list[tuple[float, DrainPlan]] = []
    began = time.perf_counter()
    final = plan_drain(
        DrainIntent((host,)), snapshot, on_first=lambda plan: seen.append((time.perf_counter() - began, plan))
    )
    final_ms = (time.perf_counter() - began) * 1000
    first_s, first = seen[0] if seen else (final_ms / 1000, final)
    return Timed(first, final, first_s * 1000, final_ms)


def test_drain_1_of_1000_hosts_with_50_vms(benchmark: Benchmark) -> None:
    """A console that runs: the columns of the cluster are there, HiGHS has been loaded."""
    snapshot, host = a_drain_case(HOSTS)
    columns_of(snapshot)
    Program().solve(0.1, 0.01)
    timed(snapshot, host)
    rounds = [timed(snapshot, host) for _ in range(ROUNDS)]
    last = rounds[-1]
    first_ms = statistics.median(one.first_ms for one in rounds)
    final_ms = statistics.median(one.final_ms for one in rounds)
    assert last.first.is_complete
    assert last.final.is_complete
    assert len(last.final.moves) == 50
    assert sum(item.is_special for item in last.final.moves) == 20
    assert not checked(last.final, snapshot)
    assert not checked(last.first, snapshot)
    gap = last.final.quality.gap_pct
    assert gap is not None
    assert gap <= 1.0
    print(f"\nfirst legal plan {first_ms:.1f} ms, within {gap:.2f} % of the best {final_ms:.1f} ms ({HOSTS} hosts)")
    benchmark.extra_info.update(first_ms=first_ms, final_ms=final_ms, gap_pct=gap)
    benchmark.pedantic(timed, (snapshot, host), rounds=3)


@pytest.mark.parametrize("tight", [40, 100])
def test_drain_in_a_smaller_cluster(benchmark: Benchmark, tight: int) -> None:
    snapshot, host = a_drain_case(tight)
    timed(snapshot, host)
    result = timed(snapshot, host)
    assert result.final.is_complete
    print(f"\n{tight} hosts: first {result.first_ms:.1f} ms, final {result.final_ms:.1f} ms, "
          f"gap {result.final.quality.gap_pct:.2f} %")  # fmt: skip
    benchmark.pedantic(timed, (snapshot, host), rounds=3)
