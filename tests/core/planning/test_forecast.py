"""The forecast: the write curve, the course of a migration against what QEMU did in the lab, verdicts, remedies."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hpconsole.core.planning.dirtying import IDLE, DirtySample, WriteCurve, fit
from hpconsole.core.planning.forecast import Forecast, GuestWork, Path, Verdict
from hpconsole.core.planning.forecast_reckoning import forecast
from hpconsole.core.planning.migration_path import PastMigration, path_between, read_past, to_move_mib
from hpconsole.core.planning.migration_policy import (
    BUILT_IN,
    MINIMAL_DOWNTIME,
    POST_COPY_POLICY,
    SUSPEND_IF_NEEDED,
    Schedule,
    downtime,
)
from hpconsole.core.planning.precopy_model import Conditions, Ending, foresee

ONLY_300_MS = Schedule((downtime(300),))


def samples(*pairs: tuple[float, float]) -> tuple[DirtySample, ...]:
    return tuple(DirtySample(period_s, mib) for period_s, mib in pairs)


class TestCurve:
    def test_a_guest_that_goes_on_to_new_memory_has_the_mean_rate(self) -> None:
        curve = fit(samples((1, 20), (2, 41), (4, 79)), memory_mib=4096)
        assert curve is not None
        assert curve.written_mib(2) == pytest.approx(40, rel=0.02)
        assert curve.working_set_mib == 4096

    def test_a_knee_is_told_from_a_bend(self) -> None:
        walker = fit(samples((1, 40), (2, 64), (4, 64)), memory_mib=256)
        assert walker is not None
        assert not walker.is_scattered
        assert walker.rate_mib_s == pytest.approx(40, rel=0.15)
        assert walker.working_set_mib == pytest.approx(64, rel=0.1)
        rate, most = 60.0, 70.0
        bent = tuple(DirtySample(t, most * (1 - math.exp(-rate * t / most))) for t in (1.0, 2.0, 4.0))
        scattered = fit(bent, memory_mib=256)
        assert scattered is not None
        assert scattered.is_scattered
        for sample in bent:
            assert scattered.written_mib(sample.period_s) == pytest.approx(sample.mib, rel=0.1)

    def test_one_that_is_flat_from_the_start_may_write_any_amount_faster(self) -> None:
        curve = fit(samples((1, 62), (2, 64), (4, 64)), memory_mib=256)
        assert curve is not None
        assert curve.written_mib(0.01) == 64

    def test_nothing_measured_is_not_nothing_written(self) -> None:
        assert fit((), memory_mib=256) is None
        idle = fit(samples((1, 0), (2, 0), (4, 0)), memory_mib=256)
        assert idle is not None
        assert idle.written_mib(1000) == 0


class TestCourse:
    """Against migrations of the lab: QEMU 7.2, limits of 16 and 50 MiB/s, 300 ms."""

    @pytest.mark.parametrize(
        ("to_move", "writes", "bandwidth", "seconds"),
        [(65, WriteCurve(40, 64), 50, 5.1), (9, WriteCurve(math.inf, 8), 50, 0.15), (0, WriteCurve(0, 0), 16, 0.15)],
    )
    def test_those_that_ended(self, to_move: float, writes: WriteCurve, bandwidth: float, seconds: float) -> None:
        run = foresee(Conditions(to_move, writes, bandwidth, 500, ONLY_300_MS))
        assert run.ending is Ending.CONVERGED
        assert run.seconds == pytest.approx(seconds, rel=0.15, abs=0.1)

    @pytest.mark.parametrize(
        ("writes", "bandwidth"), [(WriteCurve(40, 64), 16), (WriteCurve(math.inf, 64), 50), (WriteCurve(100, 8), 16)]
    )
    def test_those_that_did_not(self, writes: WriteCurve, bandwidth: float) -> None:
        run = foresee(Conditions(writes.working_set_mib, writes, bandwidth, 500, ONLY_300_MS))
        assert run.ending is Ending.NEVER

    @pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: policy.policy_id)
    def test_each_preset_comes_to_its_last_resort(self, policy: object) -> None:
        stubborn = Conditions(4096, WriteCurve(math.inf, 4000), 50, 60, policy.schedule, may_post_copy=True)  # type: ignore[attr-defined]  # a policy
        expected = Ending.POST_COPY if policy is POST_COPY_POLICY else Ending.ABORTED
        assert foresee(stubborn).ending is expected

    def test_a_long_pause_is_the_last_resort_where_it_is_enough(self) -> None:
        given = Conditions(65, WriteCurve(math.inf, 64), 50, 500, SUSPEND_IF_NEEDED.schedule)
        run = foresee(given)
        assert (run.ending, run.downtime_limit_ms) == (Ending.CONVERGED, 5000)


def a_forecast(rate: float = 40, bandwidth: float = 200, **changes: object) -> Forecast:
    facts: dict[str, object] = {"policy": MINIMAL_DOWNTIME, "may_post_copy": False} | changes
    work = GuestWork("db-1", 256, 65, WriteCurve(rate, 64))
    path = Path("a", "b", bandwidth, 300, 0.5, is_limited=True)
    return forecast(work, path, **facts)  # type: ignore[arg-type]  # tests say what they mean


class TestVerdict:
    def test_it_converges_with_time_passes_and_pause(self) -> None:
        found = a_forecast()
        assert found.verdict is Verdict.CONVERGES
        assert found.total_low_s <= found.total_s <= found.total_high_s
        assert found.remedies == ()
        assert "65 MiB to move at 200 MiB/s, it writes to 40 MiB of its memory in a second: about" in found.sentence

    def test_just_so_is_no_promise(self) -> None:
        assert a_forecast(bandwidth=44).verdict is Verdict.MAY_CONVERGE

    def test_what_was_measured_without_cpu_to_spare_is_no_promise(self) -> None:
        path = Path("a", "b", 100, 300, 0.5)

        def seen(rate: float, *, is_held_back: bool) -> Forecast:
            curve = WriteCurve(rate, 64, is_held_back=is_held_back)
            return forecast(GuestWork("db-1", 256, 65, curve), path, MINIMAL_DOWNTIME)

        assert seen(40, is_held_back=False).verdict is Verdict.CONVERGES
        assert seen(40, is_held_back=True).verdict is Verdict.MAY_CONVERGE
        assert seen(40, is_held_back=True).total_s == seen(40, is_held_back=False).total_s
        assert seen(5, is_held_back=True).verdict is Verdict.CONVERGES, "four times as fast, it would end as well"

    def test_one_that_cannot_end_says_what_would_help_and_what_it_costs(self) -> None:
        found = a_forecast(bandwidth=12)
        assert found.verdict is Verdict.DOES_NOT_CONVERGE
        kinds = {remedy.kind: remedy for remedy in found.remedies}
        assert {"bandwidth", "downtime", "post_copy", "pause"} <= set(kinds)
        assert "MiB/s instead of 12" in kinds["bandwidth"].sentence
        assert "may cost the VM" in kinds["post_copy"].sentence
        assert "stands still" in kinds["pause"].sentence
        wider = a_forecast(bandwidth=kinds["bandwidth"].bandwidth_mib_s or 0)
        assert wider.verdict is Verdict.CONVERGES

    def test_post_copy_ends_it_where_it_may(self) -> None:
        assert a_forecast(bandwidth=12, policy=POST_COPY_POLICY, may_post_copy=True).verdict is Verdict.POST_COPY
        assert a_forecast(bandwidth=12, policy=POST_COPY_POLICY).verdict is Verdict.DOES_NOT_CONVERGE

    def test_a_guest_that_was_not_measured_is_promised_nothing(self) -> None:
        path = Path("a", "b", 50, 300, 0.5)
        found = forecast(GuestWork("db-1", 256, 65, None), path, MINIMAL_DOWNTIME)
        assert found.verdict is Verdict.UNKNOWN
        assert "about 1.8 s if it hardly writes" in found.sentence


def past(source: str, destination: str, throughput: float, **changes: object) -> PastMigration:
    facts: dict[str, object] = {"vm_uuid": "u", "sent_mib": 500.0, "overhead_s": 0.4} | changes
    return PastMigration(source, destination, throughput_mib_s=throughput, **facts)  # type: ignore[arg-type]  # tests say


class TestPath:
    def test_its_start_takes_between_the_shortest_and_the_longest_of_those_before(self) -> None:
        known = [past("a", "b", 200, overhead_s=seconds) for seconds in (0.4, 0.3, 0.9, 0.5, 0.4)]
        assert path_between("a", "b", known).overhead_range_s == (0.3, 0.9)
        assert path_between("a", "b", known[:1]).overhead_range_s == (0.2, 0.8)
        work = GuestWork("db-1", 256, 65, IDLE)
        found = forecast(work, path_between("a", "b", known), MINIMAL_DOWNTIME)
        exact = forecast(work, replace(path_between("a", "b", known), overhead_range_s=None), MINIMAL_DOWNTIME)
        assert found.total_s == exact.total_s
        assert exact.total_low_s - found.total_low_s == pytest.approx(0.1)
        assert found.total_high_s - exact.total_high_s == pytest.approx(0.5)

    def test_what_was_reached_on_this_path_counts_most(self) -> None:
        known = [past("a", "c", 900), past("a", "b", 300), past("a", "b", 500), past("a", "b", 400)]
        path = path_between("a", "b", known)
        assert path.bandwidth_mib_s == 400
        assert "3 earlier migrations from a to b reached 400 MiB/s" in path.basis

    def test_limited_and_tiny_ones_say_nothing_of_the_path(self) -> None:
        known = [past("a", "b", 16, limit_mib_s=16), past("a", "b", 3, sent_mib=1.0)]
        path = path_between("a", "b", known, source_card_mib_s=1192, destination_card_mib_s=119)
        assert path.bandwidth_mib_s == pytest.approx(111, abs=1)
        assert path.overhead_s == 0.4

    def test_with_nothing_known_it_says_so(self) -> None:
        path = path_between("a", "b", [])
        assert path.is_assumed
        assert "nothing is known" in path.basis

    def test_a_limit_and_sharing(self) -> None:
        known = [past("a", "b", 400)]
        assert path_between("a", "b", known, shared_by=4).bandwidth_mib_s == 100
        limited = path_between("a", "b", known, limit_mib_s=50)
        assert (limited.bandwidth_mib_s, limited.link_mib_s, limited.is_limited) == (50, 400, True)
        assert not path_between("a", "b", known, limit_mib_s=500).is_limited

    def test_hostile_statistics_are_no_statistics(self) -> None:
        good = {"sent_mib": 100, "throughput_mib_s": 50.0, "overhead_s": 0.5}
        assert read_past("a", "b", "u", good) is not None
        for bad in ({}, good | {"sent_mib": "many"}, good | {"throughput_mib_s": -1}, good | {"overhead_s": True}):
            assert read_past("a", "b", "u", bad) is None

    def test_memory_to_move(self) -> None:
        assert to_move_mib("u", 256, 110, [], is_locked=False)[0] == 65
        assert to_move_mib("u", 256, 110, [], is_locked=True)[0] == 256
        known = [past("a", "b", 1, to_move_mib=70.0, memory_mib=256)]
        assert to_move_mib("u", 256, 110, known, is_locked=True)[0] == 70
        assert to_move_mib("u", 512, None, known, is_locked=False)[0] == 512
