"""Plans that run: one VM moved and proven, refused, retried."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hpconsole.core.errors import HypervisorError, OperationRefused, StorageError
from hpconsole.core.events import (
    Notice,
    PlanFinished,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.execution.journal import MemoryJournal, MigrationRecord, Phase
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.hypervisor.port import Hypervisor, MigrationRequest, MigrationTransport
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import NO_PINNING, VmState
from hpconsole.core.planning.placement_json import placement_to_json
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import (
    SIX_CPUS,
    a_cluster,
    a_guest,
    a_pinned_guest,
    uuid_of,
)


class TestSuccess:
    def test_a_pinned_vm_moves_and_both_maps_there_are_the_plan_s(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest()))
        plan = one.submit("db-1", to="b")
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.DONE, end
        placement = plan.steps[0].placement
        for inactive in (False, True):
            there = one.vm_on("b", "db-1", inactive=inactive)
            assert there.pinning == placement.pinning
            assert {n.node_id: n.host_nodes for n in there.virtual_nodes} == {
                b.node_id: b.host_nodes for b in placement.bindings
            }
        assert "db-1" not in one.names_on("a")
        assert "db-1 runs on b; nothing of it is left on a." in end.sentence
        assert "as planned" in end.sentence

    def test_the_events_come_in_order_and_the_share_never_falls(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), link_mib_s=200))
        one.run("web-1")
        kinds = [type(event) for event in one.log.events if not isinstance(event, StepProgressed | Notice)]
        assert kinds == [PlanSubmitted, StepStarted, StepFinished, PlanFinished]
        shares = [event.progress.share for event in one.log.of(StepProgressed)]
        assert shares == sorted(shares)
        assert shares[-1] > 0

    def test_each_step_is_in_the_journal(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        plan = one.submit("web-1")
        one.end_of(plan)
        (record,) = one.journal.records()
        assert (record.outcome, record.phase, record.plan_id) == (StepOutcome.DONE, Phase.FINISHED, plan.plan_id)
        assert (record.source_uri, record.placement) == ("sim://a", plan.steps[0].placement)
        assert [line.phase for line in one.journal.lines(record.migration_id)] == [
            Phase.PLANNED,
            Phase.STARTING,
            Phase.MIGRATING,
            Phase.VERIFYING,
            Phase.VERIFYING,  # that it was seen to run there
            Phase.FINISHED,
        ]

    def test_what_was_asked_back_is_kept_per_vcpu_and_node_beside_the_plan(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest(), a_guest()))
        plan = one.submit("db-1", to="b")
        one.end_of(plan)
        (record,) = one.journal.records()
        proof = record.statistics["proof"]
        there = one.vm_on("b", "db-1")
        assert proof["live"]["vcpus"] == {str(vcpu): cpus.format() for vcpu, cpus in there.pinning.vcpus} != {}
        assert proof["live"]["nodes"] == placement_to_json(plan.steps[0].placement)["nodes"] != {}
        assert proof["planned"] == proof["live"] == proof["next_start"]
        one.run("web-1", to="b")
        assert "proof" not in one.journal.records()[0].statistics, "nothing of it is pinned"

    def test_a_paused_vm_arrives_paused(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.cluster.open("sim://a").suspend(uuid_of("web-1"))
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("web-1")].state is VmState.PAUSED if snapshot.vms else False)
        assert one.run("web-1", to="b").outcome is StepOutcome.DONE
        assert one.vm_on("b", "web-1").state is VmState.PAUSED

    def test_pins_to_every_cpu_of_a_bind_nothing_and_stay_behind(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(vcpu_pins=(CpuSet.of(range(32)),) * 2), b=SIX_CPUS))
        end = one.run("web-1", to="b")
        assert end.outcome is StepOutcome.DONE, end
        for inactive in (False, True):
            assert one.vm_on("b", "web-1", inactive=inactive).pinning == NO_PINNING

    def test_a_transient_vm_stays_one(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest()))
        one.ready()
        one.cluster.open("sim://a").undefine(uuid_of("db-1"))
        one.wait_for(lambda snapshot: not snapshot.vms[uuid_of("db-1")].is_persistent)
        assert one.run("db-1", to="b").outcome is StepOutcome.DONE
        assert not one.vm_on("b", "db-1").is_persistent


class TestCheckedOnceMore:
    def test_a_vm_that_stopped_meanwhile_is_left_alone(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.ready()
        plan = one.plan("web-1")
        one.cluster.open("sim://a").force_off(uuid_of("web-1"))
        one.executor.submit(plan)
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.SKIPPED
        assert "does not run on a any more" in end.sentence
        assert "Nothing was changed" in end.sentence

    def test_a_place_that_was_taken_meanwhile_is_chosen_again(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest("db-1"), a_pinned_guest("db-2", (3, 11))))
        one.ready()
        plans = [one.plan("db-1", to="b"), one.plan("db-2", to="b")]
        wishes = [plan.steps[0].placement.pinning.all_vcpu_cpus for plan in plans]
        assert not wishes[0].isdisjoint(wishes[1])
        for plan in plans:
            one.executor.submit(plan)
        ends = [one.end_of(plan)[0] for plan in plans]
        assert [end.outcome for end in ends] == [StepOutcome.DONE, StepOutcome.DONE]
        maps = [one.vm_on("b", name).pinning.all_vcpu_cpus for name in ("db-1", "db-2")]
        assert maps[0].isdisjoint(maps[1])
        assert any("taken meanwhile" in event.step.sentence for event in one.log.of(StepStarted))

    def test_a_vm_that_was_pinned_after_it_was_planned_gets_that_pinning(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest()))
        one.ready()
        plan = one.plan("db-1", to="b")
        one.cluster.open("sim://a").pin_vcpu(uuid_of("db-1"), 3, "10-11", live=True, config=True)
        one.executor.submit(plan)
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.DONE, end
        assert [len(cpus) for _, cpus in one.vm_on("b", "db-1").pinning.vcpus] == [1, 1, 1, 2]
        assert "It was changed after it was planned." in one.log.of(StepStarted)[0].step.sentence

    def test_a_chosen_host_that_is_full_by_now_is_a_sentence(self, console: ConsoleMaker) -> None:
        pins = [tuple(CpuSet.of([first + i]) for i in range(4)) for first in (1, 9)]
        guests = [a_guest(f"web-{i + 1}", vcpus=4, vcpu_pins=pins[i]) for i in range(2)]
        one = console(a_cluster(*guests, b=SIX_CPUS))
        one.ready()
        plans = [one.plan("web-1", to="b"), one.plan("web-2", to="b")]
        for plan in plans:
            one.executor.submit(plan)
        ends = [one.end_of(plan)[0] for plan in plans]
        assert [end.outcome for end in ends] == [StepOutcome.DONE, StepOutcome.SKIPPED]
        assert "web-2 can no longer move to b" in ends[1].sentence
        assert "stays on a, unchanged" in ends[1].sentence
        assert one.vm_on("a", "web-2").state is VmState.RUNNING

    def test_a_vm_with_another_job_is_left_alone(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_guest())
        one, two = console(cluster), console(cluster)
        two.ready()
        second = two.plan("web-1", to="c")
        cluster.stall_next_migration("web-1")
        first = one.submit("web-1", to="b")
        one.wait_for_progress()
        two.executor.submit(second)
        (end,) = two.end_of(second)
        assert end.outcome is StepOutcome.SKIPPED
        assert "busy with another job" in end.sentence
        one.executor.cancel(first.plan_id)
        assert one.end_of(first)[0].outcome is StepOutcome.CANCELLED


class TestFailure:
    def test_another_host_is_tried_and_every_attempt_is_kept(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.cluster.fail_next_migration("web-1", "operation failed: the destination's QEMU ended")
        plan = one.submit("web-1")
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.DONE
        first, second = [event.step.destination for event in one.log.of(StepStarted)]
        assert {first, second} == {"b", "c"}
        assert end.step.destination == second
        assert "web-1" in one.names_on(second)
        assert [record.outcome for record in reversed(one.journal.records())] == [StepOutcome.FAILED, StepOutcome.DONE]
        assert [record.attempt for record in reversed(one.journal.records())] == [1, 2]
        notice = one.log.wait(Notice, lambda event: "Trying" in event.sentence)
        assert f"could not be moved to {first}" in notice.sentence
        assert f"Trying {second} next" in notice.sentence

    def test_a_host_the_user_chose_is_not_replaced(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.cluster.fail_next_migration("web-1", "operation failed: no reason")
        end = one.run("web-1", to="b")
        assert end.outcome is StepOutcome.FAILED
        assert "web-1 could not be moved to b" in end.sentence
        assert "still runs on a, unchanged" in end.sentence
        assert "no reason" in end.detail
        assert len(one.log.of(StepStarted)) == 1
        assert one.vm_on("a", "web-1").state is VmState.RUNNING

    def test_three_hosts_and_no_more(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), hosts="abcde"))
        one.cluster.fail_next_migration("web-1", "no")
        one.store.subscribe_events(
            lambda event: one.cluster.fail_next_migration("web-1", "no") if isinstance(event, StepStarted) else None
        )
        end = one.run("web-1")
        assert end.outcome is StepOutcome.FAILED
        assert "3 hosts were tried" in end.sentence
        assert len({event.step.destination for event in one.log.of(StepStarted)}) == 3

    def test_a_cut_between_the_hosts_makes_the_console_carry_it(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.cluster.cut_between("a", "b")
        end = one.run("web-1", to="b")
        assert end.outcome is StepOutcome.DONE
        assert "a could not reach b by itself; this console carried the migration" in end.sentence
        assert "managed by this console" in "".join(
            line.sentence for line in one.journal.lines(one.journal.records()[0].migration_id)
        )

    def test_an_answer_that_was_lost_after_the_move_begins_no_second_one(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.ready()
        source = one.pool.hypervisor("a")
        migrate, asked = source.migrate, []

        def lost(uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
            asked.append(request.transport)
            migrate(uuid, request, destination)
            raise OperationRefused("b hung up.", code=39, detail="End of file while reading data")

        source.migrate = lost  # type: ignore[method-assign]  # the move is made, its answer is not heard
        end = one.run("web-1", to="b")
        assert end.outcome is StepOutcome.DONE
        assert asked == [MigrationTransport.PEER_TO_PEER]
        assert end.sentence == "web-1 runs on b; nothing of it is left on a."

    def test_what_is_not_as_planned_there_is_no_plain_success(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest()))
        one.ready()
        source = one.pool.hypervisor("a")
        migrate = source.migrate

        def meddled(uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
            migrate(uuid, request, destination)
            one.cluster.open("sim://b").pin_vcpu(uuid, 2, "0-1", live=True, config=False)

        source.migrate = meddled  # type: ignore[method-assign]  # another hand is quicker than the proof
        end = one.run("db-1", to="b")
        assert (end.outcome, end.is_as_planned) == (StepOutcome.DONE, False)
        assert "But not all is as planned: vCPU 2 is pinned to 0-1" in end.sentence
        assert one.journal.records()[0].statistics["is_as_planned"] is False

    def test_a_definition_left_at_the_source_is_removed_and_the_journal_says_so(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        one.ready()
        source = one.pool.hypervisor("a")
        migrate = source.migrate

        def forgetful(uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
            migrate(uuid, replace(request, undefine_source=False), destination)

        source.migrate = forgetful  # type: ignore[method-assign]  # as a libvirt that was killed in its last phase
        end = one.run("web-1", to="b")
        assert (end.outcome, end.is_as_planned) == (StepOutcome.DONE, True)
        assert not one.names_on("a")
        assert one.journal.records()[0].statistics["end_state"] == end.end_state == "running on the destination"

    def test_the_only_definition_is_never_removed(self, console: ConsoleMaker) -> None:
        """The destination could not write its own (its disk is full), and still cannot."""
        one = console(a_cluster(a_guest()))
        one.ready()
        source, there = one.pool.hypervisor("a"), one.pool.hypervisor("b")
        migrate = source.migrate

        def half_done(uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
            migrate(uuid, replace(request, undefine_source=False), destination)
            one.cluster.open("sim://b").undefine(uuid)

        def full(xml: str) -> str:
            raise HypervisorError("No space left on device.", subject="b")

        source.migrate = half_done  # type: ignore[method-assign]  # as libvirt does where the disk is full
        there.define = full  # type: ignore[method-assign]
        end = one.run("web-1", to="b")
        assert "It is not defined persistently on b" in end.sentence
        assert not end.is_as_planned
        assert "web-1" in one.names_on("a")

    def test_an_error_of_our_own_ends_the_step_and_not_the_executor(
        self, console: ConsoleMaker, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = threading.Event()
        broken.set()

        def policy() -> Policy:
            if broken.is_set():
                raise RuntimeError("a bug")
            return DEFAULT_POLICY

        one = console(a_cluster(a_guest()), policy=policy)
        end = one.run("web-1")
        assert end.outcome is StepOutcome.UNKNOWN
        assert "an error of the console itself (a bug)" in end.sentence
        assert "RuntimeError" in caplog.text
        broken.clear()
        assert one.run("web-1").outcome is StepOutcome.DONE


class BrokenJournal(MemoryJournal):
    """A disk that is full from the start."""

    def begin(self, record: MigrationRecord) -> None:
        raise StorageError("The disk is full.")

    def advance(self, migration_id: str, phase: Phase, sentence: str, facts: Mapping[str, Any] | None = None) -> None:
        raise StorageError("The disk is full.")

    def finish(self, migration_id: str, outcome: StepOutcome, sentence: str, detail: str = "") -> None:
        raise StorageError("The disk is full.")


def test_a_journal_that_cannot_be_written_stops_no_migration_and_is_told_once(console: ConsoleMaker) -> None:
    one = console(a_cluster(a_guest()), BrokenJournal())
    assert one.run("web-1").outcome is StepOutcome.DONE
    (notice,) = one.log.of(Notice)
    assert notice.severity == "warning"
    assert "journal of migrations cannot be written" in notice.sentence
    assert "The disk is full." in notice.sentence


def test_pins_that_are_not_the_plan_s_are_named(console: ConsoleMaker) -> None:
    from hpconsole.core.execution.verification import asked_back, differences, look

    one = console(a_cluster(a_pinned_guest()))
    plan = one.submit("db-1", to="b")
    one.end_of(plan)
    placement = plan.steps[0].placement
    assert differences(look(one.pool, "b", uuid_of("db-1"), deadline_s=5), placement, KnownBefore()) == ()
    one.cluster.open("sim://b").pin_vcpu(uuid_of("db-1"), 2, "0-1", live=True, config=False)
    planned = placement.pinning.of_vcpu(2) or CpuSet()
    assert differences(look(one.pool, "b", uuid_of("db-1"), deadline_s=5), placement, KnownBefore()) == (
        f"vCPU 2 is pinned to 0-1, not {planned.format()} as planned.",
    )
    proof = asked_back(look(one.pool, "b", uuid_of("db-1"), deadline_s=5), placement)
    seen = [proof[which]["vcpus"]["2"] for which in ("planned", "live", "next_start")]
    assert seen == [planned.format(), "0-1", planned.format()]


def test_what_libvirt_forgets_is_carried_over_and_what_was_measured_is_kept(console: ConsoleMaker) -> None:
    one = console(a_cluster(a_guest(autostart=True)))
    end = one.run("web-1", to="b")
    assert end.outcome is StepOutcome.DONE
    assert one.vm_on("b", "web-1").autostart
    (record,) = one.journal.records()
    assert record.statistics["end_state"] == "running on the destination"
    assert record.statistics["total_s"] > 0
    assert record.statistics["downtime_ms"] > 0
    assert record.statistics["passes"] >= 1
    assert record.statistics["sent_mib"] > 0
    assert record.facts["home"]["host"] == "a"


def test_a_definition_that_lost_its_metadata_is_named(console: ConsoleMaker) -> None:
    from hpconsole.core.execution.verification import differences, look

    one = console(a_cluster(a_guest()))
    plan = one.submit("web-1", to="b")
    one.end_of(plan)
    known = KnownBefore(metadata="the digest of something else")
    found = differences(look(one.pool, "b", uuid_of("web-1"), deadline_s=5), plan.steps[0].placement, known)
    assert found == ("What its definition says of it (<metadata>) is not on b as it was before.",)
