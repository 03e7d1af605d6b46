"""Progress from job statistics: never backwards, and honest about what is not known."""

from __future__ import annotations

import math

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
