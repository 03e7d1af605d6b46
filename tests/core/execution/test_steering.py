"""A running migration is changed by its user; the queue by its limits, priorities, pause and shared bandwidth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.errors import ExecutionError
from hpconsole.core.events import Notice, PlanFinished, StepOutcome, StepProgressed
from hpconsole.core.execution.foreign_jobs import cancel_job, running_job, steer_job
from hpconsole.core.execution.steering import JobChange, Steering
from hpconsole.core.execution.step_queue import Limits, QueuedStep, StepQueue, StepState
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter
from hpconsole.core.hypervisor.simulated.machines import GIB
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.plan import MigrateStep, Plan
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import Console, a_cluster, a_guest

SLOW = LoadCharacter(0.9, 0.1, 50, 0.5, resident_share=1.0)


def begin(one: Console, **wanted: object) -> Plan:
    one.ready()
    plan = one.plan("web-1", to="b")
    options = MigrationOptions(**wanted)  # type: ignore[arg-type]  # tests say what they mean
    plan = replace(plan, steps=tuple(replace(step, options=options) for step in plan.steps))
    one.executor.submit(plan)
    one.log.wait(StepProgressed, lambda event: event.progress.share > 0)
    return plan


class TestRunning:
    def test_it_is_switched_to_post_copy(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=8 * GIB, character=SLOW), link_mib_s=100))
        plan = begin(one, post_copy=True)
        one.executor.control.steer(plan.plan_id, 0, JobChange(post_copy=True))
        one.log.wait(Notice, lambda event: "switched to post-copy" in event.sentence)
        one.log.wait(PlanFinished)

    def test_one_that_was_begun_without_cannot_be_switched(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=8 * GIB, character=SLOW), link_mib_s=100))
        plan = begin(one)
        with pytest.raises(ExecutionError, match="begun without"):
            one.executor.control.steer(plan.plan_id, 0, JobChange(post_copy=True))
        one.executor.cancel(plan.plan_id)

    def test_bandwidth_and_pause(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=8 * GIB, character=SLOW), link_mib_s=100))
        plan = begin(one, bandwidth_mib_s=10)
        one.executor.control.steer(plan.plan_id, 0, JobChange(bandwidth_mib_s=90, downtime_ms=250))
        one.log.wait(StepProgressed, lambda event: event.progress.downtime_limit_ms == 250)
        one.log.wait(StepProgressed, lambda event: event.progress.throughput_mib_s > 80)
        assert any(isinstance(event, Notice) and "90 MiB/s" in event.sentence for event in one.log.events)
        one.executor.cancel(plan.plan_id)

    def test_nonsense_and_steps_that_do_not_run_are_refused(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        with pytest.raises(ExecutionError, match="at least 1 MiB/s"):
            one.executor.control.steer("none", 0, JobChange(bandwidth_mib_s=0))
        with pytest.raises(ExecutionError, match="does not run"):
            one.executor.control.steer("none", 0, JobChange(bandwidth_mib_s=5))
        assert not one.executor.control.steer_vm("none", JobChange(bandwidth_mib_s=5))

    def test_another_console_s_job_is_shown_changed_and_cancelled(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(memory_kib=8 * GIB, character=SLOW), link_mib_s=100))
        plan = begin(one, bandwidth_mib_s=10)
        uuid = plan.steps[0].vm_uuid
        snapshot = one.store.snapshot
        found = running_job(one.pool, snapshot, uuid)
        assert found is not None
        assert found.progress.remaining_mib > 0
        assert "20 MiB/s" in steer_job(one.pool, snapshot, uuid, JobChange(bandwidth_mib_s=20))
        assert "goes on running on a" in cancel_job(one.pool, snapshot, uuid)
        one.log.wait(PlanFinished)
        assert running_job(one.pool, snapshot, uuid) is None
        with pytest.raises(ExecutionError, match="not being migrated"):
            cancel_job(one.pool, snapshot, uuid)


def test_wishes_add_up_until_they_are_taken() -> None:
    steering = Steering()
    steering.ask(JobChange(bandwidth_mib_s=5))
    steering.ask(JobChange(downtime_ms=7))
    steering.ask(JobChange(bandwidth_mib_s=6, post_copy=True))
    assert steering.take() == JobChange(6, 7, post_copy=True)
    assert steering.take() == JobChange()


def queued(name: str, source: str, destination: str, **wanted: object) -> QueuedStep:
    options = MigrationOptions(**wanted)  # type: ignore[arg-type]  # tests say what they mean
    step = MigrateStep(name, name, source, destination, Placement(name, destination), "", options=options)
    return QueuedStep(Plan(name, (step,), 0), 0, step, None, name)


class TestQueue:
    def test_more_urgent_steps_pass_those_that_wait_but_not_those_that_run(self) -> None:
        queue = StepQueue(Limits(total=1))
        running = queued("running", "a", "b", priority=1)
        running.state = StepState.RUNNING
        for entry in (running, queued("late", "a", "b", priority=10), queued("soon", "c", "d", priority=90)):
            queue.add(entry)
        assert [status.step.vm_name for status in queue.statuses()] == ["running", "soon", "late"]
        queue.put_first(queue.of_plan(queue.statuses()[2].plan_id)[0])
        assert [status.step.vm_name for status in queue.statuses()] == ["running", "late", "soon"]

    def test_a_paused_queue_starts_nothing_and_says_so(self) -> None:
        queue = StepQueue(Limits())
        queue.add(queued("one", "a", "b"))
        queue.is_paused = True
        assert queue.startable() == []
        assert queue.statuses()[0].waiting_for == "The queue is paused."
        queue.is_paused = False
        assert len(queue.startable()) == 1

    def test_a_policy_s_own_limit_counts(self) -> None:
        queue = StepQueue(Limits())
        for name in ("one", "two"):
            entry = queued(name, "a", "b")
            entry.most = 1
            queue.add(entry)
        assert [entry.step.vm_name for entry in queue.startable()] == ["one"]

    def test_bandwidth_is_shared_evenly_and_again_when_one_ends(self) -> None:
        queue = StepQueue(Limits(bandwidth_mib_s=100))
        entries = [queued("one", "a", "b"), queued("two", "a", "c"), queued("three", "a", "d", bandwidth_mib_s=20)]
        for entry in entries:
            entry.state = StepState.RUNNING
            queue.add(entry)
        assert {entry.step.vm_name: share for entry, share in queue.new_shares()} == {"one": 33, "two": 33, "three": 20}
        assert queue.new_shares() == []
        entries[0].state = StepState.ENDED
        assert {entry.step.vm_name: share for entry, share in queue.new_shares()} == {"two": 50}


def test_the_queue_waits_while_it_is_paused(console: ConsoleMaker) -> None:
    one = console(a_cluster(a_guest()))
    one.executor.control.pause()
    one.ready()
    plan = one.plan("web-1", to="b")
    one.executor.submit(plan)
    assert one.executor.control.is_paused
    (status,) = one.executor.running()
    assert status.waiting_for == "The queue is paused."
    one.executor.control.resume()
    end = one.log.wait(PlanFinished)
    assert end.outcomes == (StepOutcome.DONE,)
