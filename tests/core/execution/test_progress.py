"""Progress from job statistics: never backwards, and honest about what is not known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpconsole.core.execution.progress import ProgressMeter
from hpconsole.core.hypervisor.port import JobStats

MIB = 1024 * 1024


def stats(remaining_mib: float, iteration: int | None = 1, **more: int) -> JobStats:
    return JobStats(
        2,
        memory_total_bytes=1000 * MIB,
        memory_remaining_bytes=int(remaining_mib * MIB),
        iteration=iteration,
        **more,  # type: ignore[arg-type]  # each of them is an int field
    )


def test_the_first_pass_goes_to_three_quarters() -> None:
    meter = ProgressMeter()
    shares = [meter.read(stats(remaining)).share for remaining in (1000, 500, 0)]
    assert shares == [0.0, 0.375, 0.75]


def test_each_further_pass_is_half_of_what_is_left() -> None:
    meter = ProgressMeter()
    meter.read(stats(0))
    assert meter.read(stats(400, 2)).share == 0.75
    assert meter.read(stats(200, 2)).share == 0.8125
    assert meter.read(stats(0, 2)).share == 0.875
    assert meter.read(stats(100, 3)).share == 0.875


def test_it_is_never_done_before_it_was_verified() -> None:
    meter = ProgressMeter()
    assert max(meter.read(stats(0, number)).share for number in range(1, 60)) == 0.99


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(-5, 2**40)), st.one_of(st.none(), st.integers(-3, 50))), max_size=40
    )
)
def test_the_share_never_falls_whatever_the_host_says(readings: list[tuple[int | None, int | None]]) -> None:
    meter = ProgressMeter()
    last = 0.0
    for remaining, iteration in readings:
        total = None if remaining is None else 2**30
        progress = meter.read(
            JobStats(2, memory_total_bytes=total, memory_remaining_bytes=remaining, iteration=iteration)
        )
        assert last <= progress.share <= 1.0
        assert progress.pass_number >= 0
        last = progress.share


def test_the_rest_is_expected_from_what_is_gained_on_the_guest() -> None:
    meter = ProgressMeter()
    progress = meter.read(
        stats(300, 2, memory_bps=100 * MIB, dirty_rate_pages_s=40 * 256, page_size_bytes=4096, elapsed_ms=2500)
    )
    assert progress.throughput_mib_s == 100
    assert progress.dirty_rate_mib_s == 40
    assert progress.expected_rest_s is not None
    assert math.isclose(progress.expected_rest_s, 5.0)
    assert (progress.elapsed_s, progress.total_mib, progress.remaining_mib) == (2.5, 1000, 300)


def test_a_guest_that_writes_faster_than_the_link_has_no_expected_end() -> None:
    progress = ProgressMeter().read(stats(300, 2, memory_bps=10 * MIB, dirty_rate_pages_s=40 * 256))
    assert progress.expected_rest_s is None


def test_the_dirty_rate_of_the_first_pass_is_unknown_not_zero() -> None:
    meter = ProgressMeter()
    assert meter.read(stats(900, 1, dirty_rate_pages_s=0)).dirty_rate_mib_s is None
    assert meter.read(stats(10, 2, dirty_rate_pages_s=0)).dirty_rate_mib_s == 0


def test_throughput_is_measured_where_the_host_tells_none() -> None:
    meter = ProgressMeter()
    meter.read(stats(900, memory_processed_bytes=100 * MIB, elapsed_ms=1000))
    assert meter.read(stats(700, memory_processed_bytes=300 * MIB, elapsed_ms=2000)).throughput_mib_s == 200


def test_statistics_that_say_nothing_show_nothing() -> None:
    progress = ProgressMeter().read(JobStats(2))
    assert (progress.share, progress.pass_number, progress.expected_rest_s) == (0.0, 0, None)


def reading(
    total: int | None, remaining: int | None, iteration: int | None, bps: int | None = None, dirty: int | None = None
) -> JobStats:
    """MiB, MiB, pass, MiB/s, pages/s."""
    return JobStats(
        2,
        elapsed_ms=1000,
        memory_total_bytes=None if total is None else total * MIB,
        memory_remaining_bytes=None if remaining is None else remaining * MIB,
        memory_processed_bytes=None if total is None or remaining is None else (total - remaining) * MIB,
        memory_bps=None if bps is None else bps * MIB,
        iteration=iteration,
        dirty_rate_pages_s=dirty,
    )


HARD = {
    "the guest writes faster than the link": [
        (1000, 900, 1),
        (1000, 100, 1),
        (1000, 950, 2, 50, 99999),
        (1000, 999, 3),
    ],
    "passes begin again": [(1000, 100, 4, 50, 10), (1000, 900, 1, 50, 0), (1000, 500, 2), (1000, 990, 1)],
    "what is left grows within a pass": [(1000, 500, 1), (1000, 800, 1), (1000, 1400, 1), (1000, 300, 2)],
    "the total is not known, is, is not": [
        (None, None, None),
        (None, 500, 1),
        (1000, 400, 1),
        (None, None, 2),
        (0, 0, 0),
    ],
    "post-copy: no passes any more": [(1000, 300, 3, 50, 20), (1000, 600, 3, 50, 0), (1000, 200, 0), (1000, 0, None)],
    "several connections: the total changes": [(1000, 600, 1, 90), (1400, 900, 1, 90), (700, 650, 2, 90), (2000, 1, 2)],
    "more left than there is": [(100, 5000, 1), (100, 100, 1), (100, 5000, 2), (100, 0, 2)],
    "nonsense": [(-5, -7, -1, -9, -9), (1000, -400, 3, -50, -20), (1000, 10, 2**40), (1000, 900, 2**41, 1, 2**40)],
}


@pytest.mark.parametrize("readings", HARD.values(), ids=HARD)
def test_hard_cases_never_run_backwards_and_never_end_in_the_past(readings: list[tuple[int | None, ...]]) -> None:
    never_backwards([reading(*values) for values in readings])


SOME = st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**45), 2**45))


@given(st.lists(st.tuples(*[SOME] * 8), max_size=30))
def test_nothing_that_a_host_can_say_makes_it_run_backwards(told: list[tuple[int | None, ...]]) -> None:
    never_backwards(
        [
            JobStats(
                2,
                elapsed_ms=elapsed,
                memory_total_bytes=total,
                memory_processed_bytes=processed,
                memory_remaining_bytes=remaining,
                memory_bps=bps,
                dirty_rate_pages_s=dirty,
                page_size_bytes=page,
                iteration=iteration,
            )
            for elapsed, total, processed, remaining, bps, dirty, page, iteration in told
        ]
    )


def never_backwards(told: list[JobStats]) -> None:
    meter, last = ProgressMeter(), 0.0
    for one in told:
        progress = meter.read(one)
        assert last <= progress.share < 1.0, one
        last = progress.share
        assert progress.expected_rest_s is None or 0 <= progress.expected_rest_s < math.inf, one
        figures = (progress.remaining_mib, progress.total_mib, progress.throughput_mib_s, progress.elapsed_s)
        assert all(0 <= figure < math.inf for figure in (*figures, progress.dirty_rate_mib_s or 0.0)), one
