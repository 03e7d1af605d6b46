"""Lost sight, lost hosts, killed consoles: the outcome is asked for, never guessed, and the journal stays honest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.events import Notice, PlanFinished, PlanSubmitted, StepFinished, StepOutcome, StepProgressed
from hpconsole.core.execution.console_identity import ConsoleIdentity, this_console
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.journal import MemoryJournal, MigrationRecord, Phase
from hpconsole.core.execution.step_queue import StepState
from hpconsole.core.model.vm import VmState
from hpconsole.core.planning.plan import Plan
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import FAST, a_cluster, a_guest, a_pinned_guest, uuid_of

DEAD = ConsoleIdentity("dead", "a machine that is gone", 1)


def killed(plan: Plan, phase: Phase, by: ConsoleIdentity = DEAD) -> MemoryJournal:
    """The journal as a console leaves it that was killed in this phase."""
    step = plan.steps[0]
    journal = MemoryJournal()
    journal.begin(
        MigrationRecord(
            "killed-1", plan.plan_id, 0, 1, step.vm_uuid, step.vm_name, step.source, f"sim://{step.source}",
            step.destination, f"sim://{step.destination}", step.placement, by,
        )
    )  # fmt: skip
    if phase is not Phase.PLANNED:
        journal.advance("killed-1", phase, "")
    return journal


class TestLostSight:
    def test_the_console_s_connection_breaks_and_the_hosts_go_on(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_pinned_guest(), link_mib_s=60))
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        one.pool.hypervisor("a").close()
        lost = one.log.wait(StepProgressed, lambda event: "lost sight" in event.progress.sentence)
        assert "the hosts go on" in lost.progress.sentence
        assert [status.state for status in one.executor.running()] == [StepState.WATCHING]
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.DONE
        assert "db-1 runs on b" in end.sentence
        assert "as planned" in end.sentence
        shares = [event.progress.share for event in one.log.of(StepProgressed)]
        assert shares == sorted(shares)

    def test_the_destination_crashes(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), link_mib_s=30))
        plan = one.submit("web-1", to="b")
        one.wait_for_progress()
        one.cluster.crash("b")
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.FAILED
        assert "web-1 still runs on a, unchanged. b does not answer" in end.sentence

    def test_the_source_crashes_and_nobody_knows_until_it_is_back(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), link_mib_s=30), identity=DEAD)
        plan = one.submit("web-1", to="b")
        one.wait_for_progress()
        one.cluster.crash("a")
        (end,) = one.end_of(plan)
        assert end.outcome is StepOutcome.UNKNOWN
        assert "a does not answer" in end.sentence
        assert "It is asked again as soon as the hosts answer." in end.sentence
        (record,) = one.journal.open_records()
        one.close()
        one.cluster.boot("a")
        two = console(one.cluster, one.journal)
        two.ready()
        two.executor.recover()
        after = two.log.wait(StepFinished)
        assert after.outcome is StepOutcome.FAILED
        assert "runs neither on a nor on b" in after.sentence
        assert "defined on a" in after.sentence
        assert one.journal.open_records() == ()
        assert one.journal.records()[0].migration_id == record.migration_id

    def test_the_same_run_asks_again_once_the_host_is_back(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), link_mib_s=30))
        plan = one.submit("web-1", to="b")
        one.wait_for_progress()
        one.cluster.crash("a")
        assert one.end_of(plan)[0].outcome is StepOutcome.UNKNOWN
        one.cluster.boot("a")
        after = one.log.wait(StepFinished, lambda event: event.outcome is not StepOutcome.UNKNOWN)
        assert after.outcome is StepOutcome.FAILED
        assert "runs neither on a nor on b" in after.sentence
        assert one.journal.open_records() == ()
        assert len(one.journal.records()) == 1

    def test_a_frozen_source_is_waited_for(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(), link_mib_s=60), timings=replace(FAST, patience_s=20.0, call_s=0.2))
        plan = one.submit("web-1", to="b")
        one.wait_for_progress()
        one.cluster.freeze("a")
        one.cluster.thaw("a")
        assert one.end_of(plan)[0].outcome is StepOutcome.DONE


class TestKilledConsole:
    def test_the_migration_goes_on_and_the_next_start_watches_it_to_its_end(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_pinned_guest(), link_mib_s=60)
        one = console(cluster)
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        two = console(cluster, killed(plan, Phase.MIGRATING))
        two.ready()
        two.executor.recover()
        two.log.wait(StepProgressed, lambda event: event.progress.pass_number >= 1)
        notice = two.log.wait(Notice)
        assert "was not finished when the console ended" in notice.sentence
        end = two.log.wait(StepFinished)
        assert end.outcome is StepOutcome.DONE
        assert "db-1 runs on b; nothing of it is left on a." in end.sentence
        assert "as planned" in end.sentence
        assert two.journal.open_records() == ()
        two.log.wait(PlanFinished)

    def test_its_place_is_promised_though_nothing_was_polled_when_it_was_found(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_pinned_guest("db-1"), a_pinned_guest("db-2", (3, 11)))
        cluster.stall_next_migration("db-1")
        one = console(cluster)
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        two = console(cluster, killed(plan, Phase.MIGRATING))
        two.executor.recover()
        two.log.wait(PlanSubmitted)
        wish = plan.steps[0].placement.pinning
        two.ready()
        other = two.plan("db-2", to="b").steps[0].placement.pinning
        assert other.all_vcpu_cpus.isdisjoint(wish.all_vcpu_cpus)
        one.executor.cancel(plan.plan_id)
        one.end_of(plan)

    @pytest.mark.parametrize("phase", [Phase.MIGRATING, Phase.WATCHING, Phase.VERIFYING])
    def test_one_that_ended_while_nobody_looked(self, console: ConsoleMaker, phase: Phase) -> None:
        one = console(a_cluster(a_guest()))
        plan = one.submit("web-1", to="b")
        one.end_of(plan)
        two = console(one.cluster, killed(plan, phase))
        two.executor.recover()  # before any host has answered
        end = two.log.wait(StepFinished)
        assert (end.outcome, end.step.destination) == (StepOutcome.DONE, "b")

    def test_one_that_libvirt_gave_up(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_guest())
        one = console(cluster)
        one.ready()
        two = console(cluster, killed(one.plan("web-1", to="b"), Phase.MIGRATING))
        two.executor.recover()
        end = two.log.wait(StepFinished)
        assert end.outcome is StepOutcome.FAILED
        assert "web-1 still runs on a, unchanged" in end.sentence
        assert one.vm_on("a", "web-1").state is VmState.RUNNING

    def test_it_can_be_cancelled_by_the_next_console(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_guest())
        cluster.stall_next_migration("web-1")
        one = console(cluster)
        plan = one.submit("web-1", to="b")
        one.wait_for_progress()
        two = console(cluster, killed(plan, Phase.MIGRATING))
        two.executor.recover()
        two.log.wait(StepProgressed, lambda event: event.progress.pass_number >= 1)
        (status,) = two.executor.running()
        two.executor.cancel(status.plan_id)
        assert two.log.wait(StepFinished).outcome is StepOutcome.CANCELLED
        assert one.end_of(plan)[0].outcome is StepOutcome.FAILED

    def test_one_that_was_never_begun_is_closed_without_asking(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_guest())
        one = console(cluster)
        one.ready()
        journal = killed(one.plan("web-1"), Phase.PLANNED)
        two = console(cluster, journal)
        two.executor.recover()
        two.executor.submit(Plan("marks that recovery is over", (), 0))
        two.run("web-1")
        record = next(record for record in journal.records() if record.migration_id == "killed-1")
        assert record.outcome is StepOutcome.SKIPPED
        assert "before its turn came" in record.sentence

    def test_one_whose_journal_could_not_be_written_any_more_is_asked_for(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        plan = one.submit("web-1", to="b")
        one.end_of(plan)
        two = console(one.cluster, killed(plan, Phase.STARTING))
        two.executor.recover()
        end = two.log.wait(StepFinished)
        assert (end.outcome, end.step.destination) == (StepOutcome.DONE, "b")

    def test_one_that_was_moved_on_to_a_third_host_is_told_from_one_that_is_lost(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        first = one.submit("web-1", to="b")
        one.end_of(first)
        one.wait_for(lambda snapshot: snapshot.vms[uuid_of("web-1")].host == "b")
        one.end_of(one.submit("web-1", to="c"))
        two = console(one.cluster, killed(first, Phase.MIGRATING))
        two.ready()
        two.executor.recover()
        end = two.log.wait(StepFinished)
        assert (end.outcome, end.end_state) == (StepOutcome.SKIPPED, EndState.ELSEWHERE.value)
        assert "web-1 runs on c: it was moved there since" in end.sentence
        assert two.journal.open_records() == ()

    def test_what_was_true_before_is_read_from_the_journal(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest(autostart=True)))
        hypervisor = one.cluster.open("sim://a")
        hypervisor.suspend(uuid_of("web-1"))
        plan = one.submit("web-1", to="b")
        assert one.end_of(plan)[0].outcome is StepOutcome.DONE
        facts = one.journal.records()[0].facts
        assert (facts["was_paused"], facts["is_persistent"], facts["autostart"]) == (True, True, True)
        journal = killed(plan, Phase.PLANNED)
        journal.advance("killed-1", Phase.MIGRATING, "", facts)
        two = console(one.cluster, journal)
        two.executor.recover()
        end = two.log.wait(StepFinished)
        assert end.outcome is StepOutcome.DONE  # not "paused on the destination", as it would be without the journal
        assert "is paused, as it was before, on b" in end.sentence

    def test_another_running_console_s_migrations_are_its_own(self, console: ConsoleMaker) -> None:
        cluster = a_cluster(a_guest())
        one = console(cluster)
        one.ready()
        journal = killed(one.plan("web-1"), Phase.MIGRATING, by=replace(this_console(), console_id="next window"))
        two = console(cluster, journal)
        two.executor.recover()
        two.run("web-1", to="b")
        assert [record.migration_id for record in journal.open_records()] == ["killed-1"]
        assert len(two.log.of(StepFinished)) == 1

    def test_hosts_that_this_run_does_not_have_are_named_and_the_entry_is_left_alone(
        self, console: ConsoleMaker
    ) -> None:
        cluster = a_cluster(a_guest())
        one = console(cluster)
        one.ready()
        plan = one.plan("web-1", to="b")
        step = replace(plan.steps[0], source="gone")
        journal = killed(replace(plan, steps=(step,)), Phase.MIGRATING)
        two = console(cluster, journal)
        two.executor.recover()
        assert "gone is none of the hosts of this run" in two.log.wait(Notice).sentence
        (record,) = journal.open_records()
        assert record.console == DEAD
        assert two.executor.running() == ()

    def test_a_host_that_has_another_name_by_now_is_found_by_its_uri(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(a_guest()))
        plan = one.submit("web-1", to="b")
        one.end_of(plan)
        journal = MemoryJournal()
        record = replace(killed(plan, Phase.MIGRATING).open_records()[0], source="formerly", destination="once")
        journal.begin(record)
        journal.advance(record.migration_id, Phase.MIGRATING, "")
        two = console(one.cluster, journal)
        two.executor.recover()
        end = two.log.wait(StepFinished)
        assert (end.outcome, end.step.source, end.step.destination) == (StepOutcome.DONE, "a", "b")
