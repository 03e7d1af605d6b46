"""Who starts when: limits per host, nobody blocked by other hosts' queues, and a reason for who waits."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hpconsole.core.execution.step_queue import Limits, QueuedStep, StepQueue, StepState
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.plan import MigrateStep, Plan


def queue_of(*pairs: tuple[str, str], limits: Limits | None = None) -> tuple[StepQueue, list[QueuedStep]]:
    queue = StepQueue(limits or Limits())
    steps = tuple(
        MigrateStep(f"uuid-{i}", f"vm-{i}", source, destination, Placement(f"uuid-{i}", destination), "")
        for i, (source, destination) in enumerate(pairs)
    )
    plan = Plan("test", steps, 1)
    entries = [QueuedStep(plan, i, step, None, f"migration-{i}") for i, step in enumerate(steps)]
    for entry in entries:
        queue.add(entry)
    return queue, entries


def test_two_leave_a_host_and_the_third_waits_with_a_reason() -> None:
    queue, entries = queue_of(("a", "b"), ("a", "c"), ("a", "d"))
    assert queue.startable() == entries[:2]
    for entry in entries[:2]:
        entry.state = StepState.RUNNING
    assert queue.startable() == []
    assert [status.waiting_for for status in queue.statuses()] == ["", "", "2 migrations leave a already."]


def test_two_arrive_at_a_host() -> None:
    queue, entries = queue_of(("a", "z"), ("b", "z"), ("c", "z"))
    assert queue.startable() == entries[:2]


def test_those_behind_pass_when_their_hosts_are_free() -> None:
    queue, entries = queue_of(("a", "b"), ("a", "b"), ("a", "b"), ("c", "d"))
    assert queue.startable() == [entries[0], entries[1], entries[3]]


def test_a_watched_step_still_loads_its_hosts() -> None:
    queue, entries = queue_of(("a", "b"), ("a", "c"), ("a", "d"))
    entries[0].state = StepState.WATCHING
    entries[1].state = StepState.RUNNING
    assert queue.startable() == []
    entries[0].state = StepState.ENDED
    assert queue.startable() == [entries[2]]


def test_what_runs_on_the_hosts_already_is_looked_at_whatever_the_limits_say() -> None:
    queue, entries = queue_of(("a", "b"), ("a", "b"), ("a", "b"))
    entries[0].state = entries[1].state = StepState.RUNNING
    entries[2].is_recovered = True
    assert queue.startable() == [entries[2]]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), max_size=30), st.integers(1, 3))
def test_everything_runs_in_the_end_and_no_limit_is_ever_passed(pairs: list[tuple[str, str]], most: int) -> None:
    limits = Limits(outgoing=most, incoming=most, total=5)
    queue, entries = queue_of(*pairs, limits=limits)
    for _ in range(len(entries)):
        for entry in queue.startable():
            entry.state = StepState.RUNNING
        active = queue.active()
        assert len(active) <= limits.total
        assert all(count <= most for count in Counter(entry.step.source for entry in active).values())
        assert all(count <= most for count in Counter(entry.step.destination for entry in active).values())
        if active:
            active[0].state = StepState.ENDED
    assert not [entry for entry in entries if entry.state is StepState.WAITING]
