"""Steps that wait, are cancelled, or are there when the console closes."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from hpconsole.core.errors import ExecutionError, PlanOutOfDate
from hpconsole.core.events import (
    PlanFinished,
    StepFinished,
    StepOutcome,
    StepStarted,
)
from hpconsole.core.execution.step_queue import Limits, StepState
from hpconsole.core.hypervisor.port import Hypervisor, MigrationRequest
from hpconsole.core.model.vm import VmState
from hpconsole.core.planning.plan import Plan
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import (
    a_cluster,
    a_guest,
    a_pinned_guest,
    uuid_of,
)


class TestCancel:
    def test_a_running_migration(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.cluster.stall_next_migration("web-1")
        plan = one.submit("web-1", to="b")
        one.wait_for_progress()
        one.executor.cancel(plan.plan_id, 0)
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.CANCELLED
        assert end.sentence == "The migration of web-1 to b was cancelled. web-1 still runs on a, unchanged."
        assert one.vm_on("a", "web-1").state is VmState.RUNNING
        assert one.names_on("b") == set()

    def test_another_console_s_migration_is_not_ours_to_cancel(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_guest())
        cluster.stall_next_migration("web-1")
        one, two = console(cluster), console(cluster)
        two.ready()
        plan = two.plan("web-1", to="c")
        source = two.pool.hypervisor("a")
        migrate = source.migrate

        def late(uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
            one.submit("web-1", to="b")  # after our check, before our call
            one.wait_for_progress()
            try:
                migrate(uuid, request, destination)
            finally:
                two.executor.cancel(plan.plan_id)

        source.migrate = late  # type: ignore[method-assign]  # another console is a moment faster
        two.executor.submit(plan)
        (end,) = two.end_of(plan)
        assert "somebody else is migrating it" in end.sentence
        assert len(one.executor.running()) == 1
        assert one.log.of(StepFinished) == []
        one.executor.cancel(one.executor.running()[0].plan_id)
        assert one.log.wait(StepFinished).outcome is StepOutcome.CANCELLED

    def test_a_waiting_step_and_not_its_neighbour(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest("web-1"), a_guest("web-2")), limits=Limits(outgoing=1))
        one.cluster.stall_next_migration("web-1")
        plan = one.submit("web-1", "web-2", to="b")
        first = next(step.index for step in one.executor.running() if step.step.vm_name == "web-1")
        assert {step.plan_id for step in one.executor.running()} == {plan.plan_id}
        one.wait_for_progress()
        one.executor.cancel(plan.plan_id, 1 - first)
        waiting = one.log.wait(StepFinished)
        assert (waiting.step.vm_name, waiting.outcome) == ("web-2", StepOutcome.CANCELLED)
        assert "before it began" in waiting.sentence
        one.executor.cancel(plan.plan_id)
        assert {end.outcome for end in one.end_of(plan)} == {StepOutcome.CANCELLED}

    def test_one_that_is_over_stays_as_it_ended(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        plan = one.submit("web-1")
        one.end_of(plan)
        one.executor.cancel(plan.plan_id)
        one.executor.cancel("no such plan")
        assert [end.outcome for end in one.log.of(StepFinished)] == [StepOutcome.DONE]


class TestQueue:
    def test_no_more_than_two_leave_a_host_at_a_time(self, console: ConsoleMaker) -> None:
        names = [f"web-{i}" for i in range(5)]
        one = console(a_cluster(*(a_guest(name) for name in names), link_mib_s=400))
        most = 0
        under_way: set[int] = set()

        def count(event: object) -> None:
            nonlocal most
            if isinstance(event, StepStarted):
                under_way.add(event.index)
            elif isinstance(event, StepFinished):
                under_way.discard(event.index)
            most = max(most, len(under_way))

        one.store.subscribe_events(count)
        ends = one.end_of(one.submit(*names))
        assert [end.outcome for end in ends] == [StepOutcome.DONE] * 5
        assert most == 2

    def test_a_vm_that_is_on_its_way_is_not_taken_twice(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.cluster.stall_next_migration("web-1")
        plan = one.submit("web-1", to="b")
        with pytest.raises(PlanOutOfDate, match="another plan already"):
            one.executor.submit(replace(plan, plan_id="again"))
        one.executor.cancel(plan.plan_id)
        one.end_of(plan)

    def test_its_place_is_promised_until_a_poll_shows_it_there(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest()))
        one.cluster.stall_next_migration("db-1")
        plan = one.submit("db-1", to="b")
        (promise,) = one.executor.reservations()
        assert (promise.host, promise.placement) == ("b", plan.steps[0].placement)
        one.wait_for_progress()
        one.executor.cancel(plan.plan_id)
        one.end_of(plan)
        assert one.executor.reservations() == ()
        one.run("db-1", to="b")
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("db-1")].host == "b")
        assert one.executor.reservations() == ()

    def test_what_waits_says_what_for(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest("web-1"), a_guest("web-2")), limits=Limits(outgoing=1))
        one.cluster.stall_next_migration("web-1")
        first = one.submit("web-1", to="b")
        one.wait_for_progress()
        second = one.submit("web-2", to="c")
        states = {status.step.vm_name: status for status in one.executor.running()}
        assert states["web-1"].state is StepState.RUNNING
        assert states["web-1"].progress is not None
        assert (states["web-2"].state, states["web-2"].waiting_for) == (
            StepState.WAITING,
            "1 migrations leave a already.",
        )
        one.executor.cancel(first.plan_id)
        assert one.end_of(second)[0].outcome is StepOutcome.DONE

    def test_a_host_removed_at_the_wrong_moment_stops_no_later_plan(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.ready()
        plan = one.plan("web-1", to="b")
        names = one.pool.names
        one.pool.names = lambda: (*names(), "removed")  # type: ignore[method-assign]  # gone before it is asked for
        one.executor.submit(plan)
        assert one.end_of(plan)[0].outcome is StepOutcome.DONE

    def test_an_empty_plan_ends_at_once(self, console: ConsoleMaker) -> None:
        one = console(a_cluster())
        one.executor.submit(Plan("nothing", (), 0))
        assert one.log.wait(PlanFinished).outcomes == ()


class TestClose:
    def test_waiting_steps_are_given_up_and_running_ones_left_to_the_hosts(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest("web-1"), a_guest("web-2"), link_mib_s=5), limits=Limits(outgoing=1))
        plan = one.submit("web-1", "web-2", to="b")
        one.wait_for_progress()
        running = one.log.of(StepStarted)[0].step.vm_name
        one.pool.hypervisor("a").close()  # what the process's end does
        one.executor.close(2)
        with pytest.raises(ExecutionError, match="closing"):
            one.executor.submit(plan)
        (end,) = one.log.of(StepFinished)
        assert (end.step.vm_name != running, end.outcome) == (True, StepOutcome.CANCELLED)
        (record,) = one.journal.open_records()
        assert record.vm_name == running
        count = len(one.log.events)
        one.executor.close(0.1)
        assert len(one.log.events) == count

    def test_it_does_not_wait_for_a_host_that_hangs(self, console: ConsoleMaker) -> None:
        others = set(threading.enumerate())
        one = console(a_cluster(a_guest(), link_mib_s=5))
        one.submit("web-1", to="b")
        one.wait_for_progress()
        one.cluster.freeze("a")
        one.executor.close(0.3)
        left = {thread.name for thread in threading.enumerate() if thread not in others}
        assert "hpc-migrate-web-1" in left, "it is still in its call to the host"
        assert one.log.of(StepFinished) == []
        assert len(one.journal.open_records()) == 1
