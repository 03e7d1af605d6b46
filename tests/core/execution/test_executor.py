"""Plans that run: one VM moved and proven, refused, retried, cancelled, queued."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hpconsole.core.errors import ExecutionError, OperationRefused, PlanOutOfDate, StorageError
from hpconsole.core.events import (
    Notice,
    PlanFinished,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.journal import MemoryJournal, MigrationRecord, Phase
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.step_queue import Limits, StepState
from hpconsole.core.hypervisor.domain_xml import read_vm
from hpconsole.core.hypervisor.lent_mark import has_mark, with_mark
from hpconsole.core.hypervisor.port import Hypervisor, MigrationRequest, MigrationTransport
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.machines import HostModel
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import NO_PINNING, VmState
from hpconsole.core.planning.placement_json import placement_to_json
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.occupancy import occupancy
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.request import Request
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import (
    FOUR_NODES,
    SIX_CPUS,
    TWO_NODES,
    Console,
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


class TestMigrationThreads:
    """A guest of four pinned vCPUs whose emulator is not pinned."""

    def guest(self) -> GuestModel:
        return replace(a_pinned_guest(), emulator_pin=CpuSet())

    def emulator(self, one: Console, host: str) -> CpuSet | None:
        """Where its threads really run, whatever is meant."""
        hypervisor = one.cluster.open(one.cluster.uris()[host])
        record = next(record for record in hypervisor.sample().domains if record.name == "db-1")
        return read_vm(record, with_mark(hypervisor.domain_xml(record.uuid), None), host=host).pinning.emulator

    def marked(self, one: Console, host: str) -> bool:
        return has_mark(one.cluster.open(one.cluster.uris()[host]).domain_xml(uuid_of("db-1")))

    def test_they_are_off_its_cpus_meanwhile_and_back_after_a_cancelled_one(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(self.guest(), link_mib_s=20))
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        known = KnownBefore.from_json(one.journal.open_records()[0].facts)
        assert known.emulator_here == "0-31", "whoever looks after it next knows what to give back"
        meanwhile = self.emulator(one, "a")
        assert meanwhile is not None
        assert meanwhile.isdisjoint(CpuSet.parse("1-2,9-10"))
        assert "Meanwhile its migration threads run on CPUs" in one.log.of(StepStarted)[0].step.sentence
        one.executor.cancel(plan.plan_id)
        assert one.end_of(plan)[0].outcome is StepOutcome.CANCELLED
        assert self.emulator(one, "a") == CpuSet.parse("0-31")
        assert not self.marked(one, "a")
        assert not one.store.lent.of("a"), "from now on the host is believed"

    def test_once_there_it_is_as_planned(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(self.guest()))
        end = one.run("db-1", to="b")
        assert end.outcome is StepOutcome.DONE
        assert "Its pinning there is as planned." in end.sentence
        there = self.emulator(one, "b")
        assert there is None or len(there) == 32
        assert not self.marked(one, "b")
        assert one.vm_on("b", "db-1", inactive=True).pinning.emulator is None

    def cluster(self) -> SimulatedCluster:
        """The guest is on a, another with CPUs of its own on b."""
        return SimulatedCluster(
            clock=lambda: time.monotonic() * 10,
            hosts=[HostModel("a", TWO_NODES, link_mib_s=20), HostModel("b", TWO_NODES), HostModel("c", FOUR_NODES)],
            guests={"a": [self.guest()], "b": [a_guest("web-1", vcpu_pins=(CpuSet.of([3]), CpuSet.of([4])))]},
        )

    def test_plans_made_meanwhile_and_afterwards_count_with_what_is_meant(self, console: ConsoleMaker) -> None:
        one = console(self.cluster())
        places = self.places(one.ready())
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        for host in "ab":
            lent = self.emulator(one, host)
            assert lent is not None, "the host itself, asked past the console, tells of lent CPUs"
            assert len(lent) < 32
        snapshot = self.read_again(one)
        vm = snapshot.vms[uuid_of("db-1")]
        assert vm.pinning.emulator is None
        assert [(process.host, process.pinning.emulator) for process in vm.other_processes] == [("b", None)]
        assert self.places(snapshot) == places, "a plan for the VM itself"
        taken = occupancy(snapshot.hosts["a"], snapshot.vms.values())
        assert (taken.exclusive, taken.shared) == (CpuSet.parse("1-2,9-10"), CpuSet()), "a plan for another VM"
        assert one.end_of(plan)[0].outcome is StepOutcome.DONE
        arrived = self.read_again(one)
        assert self.emulator(one, "b") == CpuSet.parse("0-31"), "all CPUs: an element, but no pin"
        assert arrived.vms[uuid_of("db-1")].pinning == plan.steps[0].placement.pinning
        assert occupancy(arrived.hosts["b"], arrived.vms.values()).shared == CpuSet()
        assert not one.store.lent.of("a")
        assert not one.store.lent.of("b")

    def test_another_console_plans_with_what_is_meant_too(self, console: ConsoleMaker) -> None:
        """Whose own memory knows of no lent CPUs: the VM itself tells it."""
        cluster = self.cluster()
        one = console(cluster)
        places = self.places(one.ready())
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        two = console(cluster)
        snapshot = two.ready()
        for host in "ab":
            assert self.marked(two, host)
            assert len(self.emulator(two, host) or ()) < 32
            assert not two.store.lent.of(host)
        vm = snapshot.vms[uuid_of("db-1")]
        assert vm.pinning.emulator is None
        assert [(process.host, process.pinning.emulator) for process in vm.other_processes] == [("b", None)]
        assert occupancy(snapshot.hosts["a"], snapshot.vms.values()).shared == CpuSet()
        assert self.places(snapshot) == places
        assert one.end_of(plan)[0].outcome is StepOutcome.DONE
        assert not self.marked(one, "b")

    @pytest.mark.parametrize("is_cancelled", [False, True])
    def test_the_next_console_gives_back_what_a_killed_one_lent(
        self, console: ConsoleMaker, is_cancelled: bool
    ) -> None:
        cluster = a_cluster(self.guest(), link_mib_s=20)
        one = console(cluster, identity=ConsoleIdentity("dead", "a machine that is gone", 1))
        one.submit("db-1", to="b")
        one.wait_for_progress()
        left = MemoryJournal()
        for record in one.journal.open_records():
            left.begin(record)
            left.advance(record.migration_id, Phase.MIGRATING, "", dict(record.facts))
        two = console(cluster, left)
        one.executor.close(0)
        two.ready()
        two.executor.recover()
        if is_cancelled:
            adopted = two.log.wait(PlanSubmitted)
            two.executor.cancel(adopted.plan.plan_id)
        end = two.log.wait(StepFinished)
        host = "a" if is_cancelled else "b"
        assert end.outcome is (StepOutcome.CANCELLED if is_cancelled else StepOutcome.DONE), end.sentence
        assert self.emulator(two, host) in (None, CpuSet.parse("0-31"))
        assert not self.marked(two, host)

    def places(self, snapshot: ClusterSnapshot) -> list[Placement | Misfit | None]:
        ranking = rank(Request((uuid_of("db-1"),)), snapshot, DEFAULT_POLICY, ())
        return [ranking.placement(host, uuid_of("db-1")) for host in "bc"]

    def read_again(self, one: Console) -> ClusterSnapshot:
        """A snapshot after every VM's XML was read once more: the first round to end may have begun before."""
        one.poller.refresh()
        self.next_round(one)
        return self.next_round(one)

    def next_round(self, one: Console) -> ClusterSnapshot:
        known = {name: host.usage.at for name, host in one.store.snapshot.hosts.items()}
        return one.wait_for(lambda new: all(host.usage.at != known[name] for name, host in new.hosts.items()))


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
        one = console(a_cluster(a_guest("web-1"), a_guest("web-2"), link_mib_s=30), limits=Limits(outgoing=1))
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
        one = console(a_cluster(a_guest(), link_mib_s=30))
        one.submit("web-1", to="b")
        one.wait_for_progress()
        one.cluster.freeze("a")
        began = time.monotonic()
        one.executor.close(0.3)
        assert time.monotonic() - began < 2
        assert one.log.of(StepFinished) == []
        assert len(one.journal.open_records()) == 1


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
