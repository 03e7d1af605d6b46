"""What ended badly is repaired only where it is provably safe: looked at first, refused with a sentence otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.core.errors import ExecutionError
from hpconsole.core.events import StepFinished, StepOutcome
from hpconsole.core.execution.end_states import EndAction, EndState
from hpconsole.core.execution.homeward import finished_moves
from hpconsole.core.execution.repairs import Repairs
from hpconsole.core.model.vm import VmState
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.return_home import from_host, homes, return_home
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import Console, a_cluster, a_guest, a_pinned_guest, uuid_of

WEB = uuid_of("web-1")


def moved(console: ConsoleMaker) -> tuple[Console, Repairs]:
    """web-1 was moved from a to b."""
    one = console(a_cluster(a_guest()))
    assert one.run("web-1", to="b").outcome is StepOutcome.DONE
    return one, Repairs(one.pool, one.journal, deadline_s=2)


def leave_definition(one: Console, host: str) -> None:
    """As a migration that could not tidy up leaves it."""
    there = one.cluster.open("sim://b")
    one.cluster.open(f"sim://{host}").define(there.domain_xml(WEB, inactive=True))


def test_nothing_is_repaired_where_all_is_well(console: ConsoleMaker) -> None:
    _, repairs = moved(console)
    assert repairs.situation(WEB).state is EndState.ON_DESTINATION
    assert repairs.situation(WEB).actions == ()
    with pytest.raises(ExecutionError, match=r"nothing to recover of web-1\. web-1 runs on b"):
        repairs.recover(WEB)


def test_a_vm_nobody_moved_is_said_to_be_unknown(console: ConsoleMaker) -> None:
    one = console(a_cluster(a_guest()))
    one.ready()
    with pytest.raises(ExecutionError, match="knows no migration"):
        Repairs(one.pool, one.journal).situation(WEB)


class TestCleaningUp:
    def test_a_definition_that_was_left_is_removed(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        leave_definition(one, "a")
        assert repairs.situation(WEB).actions == (EndAction.CLEAN_UP,)
        assert repairs.clean_up(WEB, "a") == "The definition of web-1 on a was removed. web-1 runs on b."
        assert "web-1" not in one.names_on("a")
        assert one.vm_on("b", "web-1").state is VmState.RUNNING

    def test_what_was_done_is_not_offered_again_by_the_journal(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        (record,) = one.journal.records()
        left = {**record.statistics, "end_state": EndState.LEFT_OVER_ON_SOURCE.value}
        one.journal.measure(record.migration_id, left)
        leave_definition(one, "a")
        repairs.clean_up(WEB, "a")
        assert one.journal.records()[0].statistics == {**left, "end_state": EndState.ON_DESTINATION.value}

    def test_the_live_one_is_never_removed(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        with pytest.raises(ExecutionError, match=r"web-1 runs on b: that is no left-over\. Nothing was changed"):
            repairs.clean_up(WEB, "b")
        one.cluster.open("sim://b").suspend(WEB)
        with pytest.raises(ExecutionError, match="No other host runs web-1, so what is on b may be all there is"):
            repairs.clean_up(WEB, "b")
        assert "web-1" in one.names_on("b")

    def test_what_may_be_the_last_definition_is_kept_while_a_host_is_silent(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        leave_definition(one, "a")
        one.cluster.crash("b")
        with pytest.raises(ExecutionError, match="b did not answer"):
            repairs.clean_up(WEB, "a")
        assert "web-1" in one.names_on("a")

    def test_nothing_there_and_no_such_host_are_said(self, console: ConsoleMaker) -> None:
        _, repairs = moved(console)
        with pytest.raises(ExecutionError, match="Nothing of web-1 is on c"):
            repairs.clean_up(WEB, "c")
        with pytest.raises(ExecutionError, match="no host named z"):
            repairs.clean_up(WEB, "z")


class TestLettingItGoOn:
    def test_a_vm_that_stands_still_on_its_destination_is_resumed(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        one.cluster.open("sim://b").suspend(WEB)
        assert repairs.situation(WEB).state is EndState.PAUSED_ON_DESTINATION
        assert repairs.recover(WEB).state is EndState.ON_DESTINATION
        assert one.vm_on("b", "web-1").state is VmState.RUNNING

    def test_memory_that_is_older_than_the_disks_does_not_run_again(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        there = one.cluster.open("sim://b")
        xml = there.domain_xml(WEB, inactive=True)
        there.force_off(WEB)
        there.undefine(WEB)
        here = one.cluster.open("sim://a")
        here.define(xml)
        here.start(WEB, paused=True)
        assert repairs.situation(WEB).state is EndState.PAUSED_ON_SOURCE
        with pytest.raises(ExecutionError, match="older than its disks and must not run again"):
            repairs.recover(WEB)
        assert one.vm_on("a", "web-1").state is VmState.PAUSED

    def test_a_later_look_does_not_forget_that_it_ran_there(self, console: ConsoleMaker) -> None:
        """Its destination fell silent in the second look and came back with the definition only."""
        one, repairs = moved(console)
        (record,) = one.journal.records()
        one.journal.measure(record.migration_id, {"end_state": EndState.UNKNOWN.value})
        self.stands_still_at_home(one)
        one.cluster.open("sim://b").undefine(WEB)
        with pytest.raises(ExecutionError, match="older than its disks and must not run again"):
            repairs.recover(WEB)

    def test_a_definition_that_was_not_there_before_may_mean_that_it_ran(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        (record,) = one.journal.records()
        one.journal.measure(record.migration_id, {"end_state": EndState.UNKNOWN.value})
        one.journal.advance(record.migration_id, record.phase, "", {"ran_there": False})
        self.stands_still_at_home(one)
        with pytest.raises(ExecutionError, match="may have run on b: its definition is there, and was not before"):
            repairs.recover(WEB)
        one.cluster.open("sim://b").undefine(WEB)
        assert repairs.recover(WEB).source.is_paused is False, "nothing says that it ran there"

    def stands_still_at_home(self, one: Console) -> None:
        """B has no process of it any more, a has one that is paused."""
        there, here = one.cluster.open("sim://b"), one.cluster.open("sim://a")
        here.define(there.domain_xml(WEB, inactive=True))
        there.force_off(WEB)
        here.start(WEB, paused=True)

    def test_that_it_ran_on_its_destination_is_never_forgotten(self, console: ConsoleMaker) -> None:
        one, repairs = moved(console)
        there = one.cluster.open("sim://b")
        there.force_off(WEB)
        there.undefine(WEB)
        with pytest.raises(ExecutionError, match="nothing to recover"):
            repairs.recover(WEB)
        assert one.journal.records()[0].statistics["end_state"] == EndState.ON_DESTINATION.value


def in_post_copy(console: ConsoleMaker) -> Console:
    """One whose VM runs on b already, while the rest of its memory is still on a."""
    one = console(a_cluster(a_guest(), link_mib_s=30))
    one.cluster.stall_next_migration("web-1")
    one.ready()
    plan = one.plan("web-1", to="b")
    options = MigrationOptions(post_copy=True)
    one.executor.submit(replace(plan, steps=(replace(plan.steps[0], options=options),)))
    one.wait_for_progress(lambda progress: progress.share > 0)  # before that, it is still being set up
    one.pool.hypervisor("a").start_post_copy(WEB)
    return one


class TestABrokenPostCopy:
    """Both halves are there, and the job was broken off (as libvirt does when it sees the link break)."""

    def broken(self, console: ConsoleMaker) -> tuple[Console, Repairs]:
        one = in_post_copy(console)
        one.pool.hypervisor("a").abort_job(WEB, post_copy=True)
        end = one.log.wait(StepFinished)
        assert end.end_state == EndState.BROKEN_POST_COPY.value, end
        return one, Repairs(one.pool, one.journal, deadline_s=2)

    def test_it_is_resumed_where_its_memory_is(self, console: ConsoleMaker) -> None:
        one, repairs = self.broken(console)
        assert one.vm_on("b", "web-1").state is VmState.PAUSED
        repairs.recover(WEB)
        one.wait_for(lambda _: repairs.situation(WEB).state is EndState.ON_DESTINATION)
        assert one.vm_on("b", "web-1").state is VmState.RUNNING
        assert "web-1" not in one.names_on("a")

    def test_not_while_the_hosts_do_not_reach_each_other(self, console: ConsoleMaker) -> None:
        one, repairs = self.broken(console)
        one.cluster.cut_between("a", "b")
        with pytest.raises(ExecutionError, match=r"could not be recovered yet.*Nothing is lost"):
            repairs.recover(WEB)
        assert repairs.situation(WEB).state is EndState.BROKEN_POST_COPY
        one.cluster.heal_between("a", "b")
        repairs.recover(WEB)
        one.wait_for(lambda _: repairs.situation(WEB).state is EndState.ON_DESTINATION)


class TestWhatIsLost:
    def lost(self, console: ConsoleMaker) -> tuple[Console, Repairs]:
        """A post-copy whose source crashed and came back: half of the memory is gone, both hosts have a definition."""
        one = in_post_copy(console)
        one.cluster.crash("a")
        one.log.wait(StepFinished)
        one.cluster.boot("a")
        end = one.log.wait(StepFinished, lambda event: event.outcome is not StepOutcome.UNKNOWN)
        assert end.end_state == EndState.LOST_POST_COPY.value
        return one, Repairs(one.pool, one.journal, deadline_s=2)

    def test_it_is_started_anew_only_when_that_is_said(self, console: ConsoleMaker) -> None:
        one, repairs = self.lost(console)
        with pytest.raises(
            ExecutionError, match=r"web-1 cannot go on: part of its memory was lost.*Nothing was changed"
        ):
            repairs.recover(WEB)
        situation = repairs.recover(WEB, may_start_anew=True)
        assert situation.sentence == "web-1 was started anew on a, from its disks."
        assert one.vm_on("a", "web-1").state is VmState.RUNNING
        assert "web-1" not in one.names_on("b")


class TestAfterMaintenance:
    def test_vms_go_back_with_the_pins_they_had(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest()))
        one.ready()
        before = one.vm_on("a", "db-1").pinning
        one.end_of(one.submit("db-1", to="b"))
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("db-1")].host == "b")
        one.end_of(one.submit("db-1", to="c"))
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("db-1")].host == "c" and not one.executor.reservations())
        goals = homes(finished_moves(one.journal.records()))
        assert {(goal.source, goal.destination) for goal in goals.values()} == {("a", "c")}
        plan = return_home(one.store.snapshot, goals.values(), DEFAULT_POLICY)
        assert plan.warnings == ()
        one.executor.submit(plan)
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.DONE
        assert one.vm_on("a", "db-1").pinning == before
        assert homes(finished_moves(one.journal.records())) == {}

    def test_its_old_place_that_is_taken_is_replaced_by_another_one(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest("db-1"), a_pinned_guest("db-2", (5, 13))))
        one.ready()
        before = one.vm_on("a", "db-1").pinning
        one.end_of(one.submit("db-1", to="b"))
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("db-1")].host == "b" and not one.executor.reservations())
        here = one.cluster.open("sim://a")
        for vcpu, cpus in before.vcpus:
            here.pin_vcpu(uuid_of("db-2"), vcpu, cpus.format(), live=True, config=True)
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("db-2")].pinning.vcpus == before.vcpus)
        goals = from_host(finished_moves(one.journal.records()), "a")
        plan = return_home(one.store.snapshot, goals.values(), DEFAULT_POLICY)
        (step,) = plan.steps
        assert step.placement.pinning.all_vcpu_cpus.isdisjoint(before.all_vcpu_cpus)
        assert "Its old place is taken" in step.sentence

    def test_a_home_that_refuses_is_said_and_a_vm_moved_by_hand_is_left_alone(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), a_guest("web-2")))
        for name in ("web-1", "web-2"):
            one.end_of(one.submit(name, to="b"))
        goals = homes(finished_moves(one.journal.records()))
        one.cluster.open("sim://b").force_off(uuid_of("web-2"))
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("web-1")].host == "b")
        one.wait_for(lambda snapshot: not snapshot.vms[uuid_of("web-2")].state.is_active)
        one.cluster.crash("a")
        one.wait_for(lambda snapshot: snapshot.hosts["a"].link.problem != "")
        plan = return_home(one.store.snapshot, goals.values(), DEFAULT_POLICY)
        assert plan.steps == ()
        (warning,) = plan.warnings
        assert warning.startswith("web-1 stays on b:")


def test_the_journal_of_a_run_is_enough(tmp_path: Path, console: ConsoleMaker) -> None:
    """What a VM's place was survives the way to the disk and back."""
    from hpconsole.core.database.database import Database

    database = Database.open(tmp_path / "db.sqlite3")
    one = console(a_cluster(a_pinned_guest()), database.journal)
    one.end_of(one.submit("db-1", to="b"))
    (move,) = homes(finished_moves(database.journal.records())).values()
    assert move.place is not None
    assert move.place.host == "a"
    assert len(move.place.pinning.vcpus) == 4
    one.close()
    database.close()
