"""Migrations that make no headway: the schedule step by step, and over the simulated cluster to its end."""

from __future__ import annotations

import pytest

from hpconsole.core.events import MigrationProgress, StepOutcome, StepProgressed, StepStarted
from hpconsole.core.execution.convergence import ScheduleFollower
from hpconsole.core.execution.migration import Timings
from hpconsole.core.hypervisor.port import JobStats
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter
from hpconsole.core.hypervisor.simulated.machines import GIB
from hpconsole.core.model.vm import VmState
from hpconsole.core.planning.migration_policy import MINIMAL_DOWNTIME, POST_COPY_POLICY, SUSPEND_IF_NEEDED
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import a_cluster, a_guest

MIB = 1024 * 1024
# Writes all its memory over in every pass: not even slowed down to a crawl does it end.
FURIOUS = LoadCharacter(0.9, 0.1, 800_000, 0.9, resident_share=1.0)
BUSY = LoadCharacter(0.9, 0.1, 260, 0.9, resident_share=1.0)


def a_follower(policy: object = MINIMAL_DOWNTIME, **changes: object) -> ScheduleFollower:
    facts: dict[str, object] = {"silence_s": 240.0} | changes
    return ScheduleFollower(policy.schedule, "web-1", **facts)  # type: ignore[attr-defined, arg-type]


def look(follower: ScheduleFollower, number: int, left_mib: int, *, at_ms: int = 0, dirty: float = 180.0) -> None:
    stats = JobStats(
        1,
        iteration=number,
        memory_remaining_bytes=left_mib * MIB,
        memory_processed_bytes=number * MIB,
        elapsed_ms=at_ms or 1000 * number,
    )
    follower.look(stats, MigrationProgress(0.5, number, left_mib, 1024, 120.0, dirty, number, None))


class TestSchedule:
    def test_the_first_pause_is_the_policy_s_and_no_libvirt_default(self) -> None:
        assert a_follower().downtime_ms == 100

    def test_passes_that_leave_less_and_less_change_nothing(self) -> None:
        follower = a_follower()
        for number in range(1, 500):
            look(follower, number, 1000 - number)
        assert (follower.downtime_ms, follower.given_up, follower.sentence) == (100, None, "")

    def test_each_stall_may_lead_to_the_next_pause_and_the_last_to_the_end(self) -> None:
        follower = a_follower()
        allowed = []
        for number in range(1, 9):
            look(follower, number, 600)
            look(follower, number, 100)  # inside a pass it falls: that is no headway
            allowed.append(follower.downtime_ms)
        #                  first two passes, then stalls 1 to 6
        assert allowed == [100, 100, 150, 200, 300, 400, 400, 500]
        assert follower.given_up is None
        look(follower, 9, 600)
        assert follower.given_up is not None
        assert "web-1 writes 180 MiB/s of memory, the link carries 120 MiB/s" in follower.given_up.reason
        assert not follower.given_up.is_link_silent

    def test_stalls_are_counted_against_the_best_pass_and_headway_is_silent_again(self) -> None:
        follower = a_follower()
        for number, left in enumerate((1024, 500, 600, 550, 500), start=1):
            look(follower, number, left)
        assert follower.downtime_ms == 300
        assert (
            follower.sentence
            == "web-1 writes 180 MiB/s of memory, the link carries 120 MiB/s; allowing a pause of 300 ms."
        )
        look(follower, 6, 499)
        assert (follower.downtime_ms, follower.sentence) == (300, "")

    def test_rates_that_do_not_say_it_are_not_quoted(self) -> None:
        follower = a_follower()
        for number in (1, 2, 3):
            look(follower, number, 500, dirty=20)
        assert "as fast as the link carries it (120 MiB/s)" in follower.sentence

    def test_the_last_of_several_ends_it(self) -> None:
        follower = a_follower(SUSPEND_IF_NEEDED)
        for number in range(1, 10):
            look(follower, number, 500)
        assert (follower.downtime_ms, follower.given_up) == (5000, None)
        look(follower, 10, 500)
        assert follower.given_up is not None

    def test_a_schedule_that_ends_in_post_copy_wants_it_and_then_nothing_more(self) -> None:
        follower = a_follower(POST_COPY_POLICY)
        for number in range(1, 9):
            look(follower, number, 500)
        assert follower.wants_post_copy
        assert follower.given_up is None
        assert "runs on its new host while the rest" in follower.sentence

    def test_what_the_user_allows_is_not_taken_back_by_the_schedule(self) -> None:
        follower = a_follower()
        follower.allow(350)
        allowed = []
        for number in range(1, 8):
            look(follower, number, 600)
            allowed.append(follower.downtime_ms)
        assert allowed == [350, 350, 350, 350, 350, 400, 400]

    @pytest.mark.parametrize(("seconds", "is_over"), [(239, False), (240, True)])
    def test_a_silent_link_is_not_waited_for_for_ever(self, seconds: int, is_over: bool) -> None:
        follower = a_follower()
        look(follower, 1, 500, at_ms=5000)
        look(follower, 1, 500, at_ms=5000 + 1000 * seconds)
        assert (follower.given_up is not None) is is_over

    def test_advice_on_a_limit_only_where_there_is_one(self) -> None:
        for limit, words in ((None, "no other migration share the link"), (100, "more bandwidth")):
            follower = a_follower(bandwidth_mib_s=limit)
            for number in range(1, 10):
                look(follower, number, 500)
            assert follower.given_up is not None
            assert words in follower.given_up.advice


class TestOverTheCluster:
    def test_one_that_cannot_converge_is_given_up_with_the_reason(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=2 * GIB, character=FURIOUS), link_mib_s=1_000))
        end = one.run("web-1")
        assert end.outcome is StepOutcome.FAILED, end
        assert "MiB/s of memory, the link carries 1000 MiB/s" in end.sentence
        assert "still runs on a" in end.sentence
        assert "Try again when web-1 is less busy" in end.sentence
        assert one.vm_on("a", "web-1").state is VmState.RUNNING
        assert len(one.log.of(StepStarted)) == 1  # the next host hangs on the same link
        steps = [event.progress for event in one.log.of(StepProgressed)]
        assert {100, 150, 200, 300, 400, 500} <= {progress.downtime_limit_ms for progress in steps}
        assert any("allowing a pause of 300 ms" in progress.sentence for progress in steps)

    def test_one_that_is_helped_arrives(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=GIB // 2, character=BUSY), link_mib_s=200))
        end = one.run("web-1", to="b")
        assert end.outcome is StepOutcome.DONE, end
        assert one.vm_on("b", "web-1").state is VmState.RUNNING

    def test_a_link_that_goes_silent_is_given_up_and_another_host_tried(self, console: ConsoleMaker) -> None:
        timings = Timings(poll_s=0.02, call_s=1.0, settle_s=0.3, patience_s=1.0, silence_s=5.0)
        one = console(a_cluster(a_guest()), timings=timings)
        one.cluster.stall_next_migration("web-1")
        end = one.run("web-1")
        assert end.outcome is StepOutcome.DONE, end
        first, second = [event.step.destination for event in one.log.of(StepStarted)]
        assert first != second
