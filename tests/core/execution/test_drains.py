"""Drains over the simulated cluster: hosts emptied, failures planned around, decisions kept, ended consoles gone on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.core.errors import ExecutionError, PlanRefused
from hpconsole.core.events import DrainChanged, HostStatusChanged, StepFinished, StepStarted
from hpconsole.core.execution.drain_record import DrainRecord, DrainState, record_from_json, record_to_json
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.machines import GIB, HostModel
from hpconsole.core.model.host import HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import VmState
from hpconsole.core.planning.drain import DrainIntent, leaving_out, powering_off, shutting_down
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from tests.changes import Changes
from tests.core.execution.console import FAST, TWO_NODES, WAIT_S, a_cluster, a_guest, a_pinned_guest, uuid_of

DO_NOT_MIGRATE = "<hpc:vm xmlns:hpc='urn:hpconsole:vm:1'><hpc:migration mode='do_not_migrate' chosen='yes'/></hpc:vm>"


class Told(Changes):
    """What an app tells of its drains."""

    def __init__(self, app: App) -> None:
        super().__init__(app.store)
        self.app = app

    def snapshot(self, check: Callable[[ClusterSnapshot], bool]) -> ClusterSnapshot:
        self.until(lambda: check(self.app.store.snapshot))
        return self.app.store.snapshot

    def drain(self, drain_id: str, state: DrainState) -> DrainRecord:
        def stands() -> bool:
            record = self.app.maintenance.get(drain_id)
            return record is not None and record.state is state

        self.until(stands, lambda: f"never {state}: {self.app.maintenance.get(drain_id)}")
        record = self.app.maintenance.get(drain_id)
        assert record is not None
        return record


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Callable[[SimulatedCluster], Told]]:
    """Started apps over a cluster, all with one database."""
    with ExitStack() as stack:

        def make(cluster: SimulatedCluster) -> Told:
            app = App(cluster.uris(), opener=cluster.open, data=tmp_path, interval_s=0.1, timings=FAST)
            stack.callback(app.close)
            told = Told(app)
            app.start()
            assert app.wait_ready(WAIT_S)
            wanted = set(cluster.uris())

            def is_ready(snapshot: ClusterSnapshot) -> bool:
                hosts = snapshot.hosts.values()
                up = {h.name for h in hosts if h.link.state is LinkState.CONNECTED and h.usage.cpu_pct is not None}
                return wanted <= up

            told.snapshot(is_ready)
            return told

        yield make


def the_guests() -> list[GuestModel]:
    return [a_guest("web-1"), a_guest("web-2"), a_guest("web-3"), a_pinned_guest("db-1")]


def names_on(cluster: SimulatedCluster, host: str) -> set[str]:
    hypervisor = cluster.open(cluster.uris()[host])
    names = {record.name for record in hypervisor.sample().domains if record.state == 1}
    hypervisor.close()
    return names


def test_a_host_is_emptied_and_goes_to_maintenance(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(*the_guests())
    told = console(cluster)
    told.snapshot(lambda seen: len(seen.vms_on("a")) == 4)
    plan = told.app.maintenance.plan(DrainIntent(("a",), reason="new disks"))
    assert plan.is_complete
    record = told.app.maintenance.start(plan)

    record = told.drain(record.drain_id, DrainState.DONE)
    assert names_on(cluster, "a") == set()
    assert {one.vm_name for one in record.done} == {"web-1", "web-2", "web-3", "db-1"}
    decision = told.app.statuses.of("a")
    assert (decision.status, decision.reason) == (HostStatus.MAINTENANCE, "new disks")
    changes = [event.status for event in told.events if isinstance(event, HostStatusChanged)]
    assert changes == [HostStatus.PREPARING_FOR_MAINTENANCE, HostStatus.MAINTENANCE]
    told.snapshot(lambda seen: seen.hosts["a"].status is HostStatus.MAINTENANCE)
    told.app.maintenance.activate("a")
    told.snapshot(lambda seen: seen.hosts["a"].status is HostStatus.UP)
    cluster.close()


def begun(told: Told, *hosts: str, intent: DrainIntent | None = None) -> str:
    """A drain that was begun; its id."""
    told.snapshot(lambda seen: all(seen.vms_on(host) for host in hosts))
    plan = told.app.maintenance.plan(intent or DrainIntent(hosts))
    assert not plan.open_items, [(item.vm_name, item.why, item.refusals) for item in plan.open_items]
    return told.app.maintenance.start(plan).drain_id


def outcomes(told: Told) -> list[tuple[str, str, str]]:
    return [
        (event.step.vm_name, event.step.destination, event.outcome.value)
        for event in told.events
        if isinstance(event, StepFinished)
    ]


def test_a_failure_is_planned_around_with_the_completed_steps_kept(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(*the_guests())
    cluster.fail_next_migration("web-2", "the cable was pulled")
    told = console(cluster)
    record = told.drain(begun(told, "a"), DrainState.DONE)

    tries = [(where, how) for name, where, how in outcomes(told) if name == "web-2"]
    assert [how for _, how in tries] == ["failed", "done"]
    assert tries[0][0] != tries[1][0], "another host"
    assert len(outcomes(told)) == 5, "nobody else was moved twice"
    assert any("Planning again" in line.sentence for line in record.lines)
    assert told.app.statuses.of("a").status is HostStatus.MAINTENANCE
    cluster.close()


def test_a_destination_that_is_lost_is_planned_around(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(*the_guests(), link_mib_s=300)
    told = console(cluster)
    told.snapshot(lambda seen: len(seen.vms_on("a")) == 4)
    plan = told.app.maintenance.plan(DrainIntent(("a",)))
    lost = plan.moves[-1].destination or ""
    record = told.app.maintenance.start(plan)
    told.until(lambda: any(isinstance(event, StepStarted) for event in told.events))
    cluster.crash(lost)

    end = told.drain(record.drain_id, DrainState.DONE)
    other = {"b": "c", "c": "b"}[lost]
    survivors = {one.vm_name for one in end.done if one.destination == other}
    assert survivors <= names_on(cluster, other)
    assert plan.moves[-1].vm_name in survivors, "it was to go to the host that was lost"
    assert names_on(cluster, "a") == set()
    cluster.close()


def test_a_vm_that_may_not_move_blocks_until_it_is_decided_about(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(a_guest("web-1"), a_guest("stuck", metadata=DO_NOT_MIGRATE))
    told = console(cluster)
    told.snapshot(lambda seen: len(seen.vms_on("a")) == 2)
    plan = told.app.maintenance.plan(DrainIntent(("a",)))
    with pytest.raises(PlanRefused, match="stuck"):
        told.app.maintenance.start(plan)
    assert told.app.statuses.of("a").status is HostStatus.UP, "nothing was changed"

    intent = leaving_out(plan.intent, uuid_of("stuck"))
    drain_id = told.app.maintenance.start(told.app.maintenance.plan(intent)).drain_id
    record = told.drain(drain_id, DrainState.WAITING)
    assert [(one.vm_name, one.is_chosen) for one in record.stuck] == [("stuck", True)]
    assert told.app.statuses.of("a").status is HostStatus.PREPARING_FOR_MAINTENANCE
    assert names_on(cluster, "a") == {"stuck"}

    told.app.maintenance.resume(drain_id, powering_off(intent, uuid_of("stuck")))
    told.drain(drain_id, DrainState.DONE)
    assert names_on(cluster, "a") == set()
    assert told.app.statuses.of("a").status is HostStatus.MAINTENANCE
    cluster.close()


def test_a_paused_drain_begins_nothing_and_a_stopped_one_cancels(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(*the_guests(), link_mib_s=60)
    told = console(cluster)
    drain_id = begun(told, "a")
    told.until(lambda: sum(isinstance(event, StepStarted) for event in told.events) == 2, lambda: "two at once")
    told.app.maintenance.pause(drain_id)
    told.until(lambda: len(outcomes(told)) == 2)
    told.drain(drain_id, DrainState.PAUSED)
    assert len(names_on(cluster, "a")) == 2
    with pytest.raises(ExecutionError, match="being emptied already"):
        begun(told, "a")

    told.app.maintenance.resume(drain_id)
    told.until(lambda: sum(isinstance(event, StepStarted) for event in told.events) > 2)
    told.app.maintenance.stop(drain_id)
    told.until(lambda: len(outcomes(told)) >= 3)
    told.drain(drain_id, DrainState.STOPPED)
    assert names_on(cluster, "a"), "cancelled, so something is left"
    assert told.app.statuses.of("a").status is HostStatus.PREPARING_FOR_MAINTENANCE
    told.app.maintenance.activate("a")
    assert told.app.statuses.of("a").status is HostStatus.UP
    cluster.close()


def test_what_an_ended_console_began_goes_on(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(*the_guests(), link_mib_s=60)
    first = console(cluster)
    drain_id = begun(first, "a")
    first.until(lambda: bool(first.app.maintenance.all()[0].done))
    first.app.close()

    later = console(cluster)
    _as_of_an_ended_process(later.app, drain_id)
    later.app.maintenance.recover()
    paused = later.drain(drain_id, DrainState.PAUSED)
    assert "The console ended in the middle" in paused.lines[-1].sentence
    assert paused.done, "what was done is known"
    assert later.app.statuses.of("a").status is HostStatus.PREPARING_FOR_MAINTENANCE
    later.app.maintenance.resume(drain_id)
    later.drain(drain_id, DrainState.DONE)
    assert names_on(cluster, "a") == set()
    cluster.close()


def test_incoming_migrations_are_cancelled(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(a_guest("web-1"), a_guest("web-2"), link_mib_s=60)
    told = console(cluster)
    told.snapshot(lambda seen: len(seen.vms_on("a")) == 2)
    snapshot = told.app.store.snapshot
    told.app.submit(plan_migration(MigrationIntent((uuid_of("web-1"),), "b"), snapshot, told.app.policy))
    told.until(lambda: any(isinstance(event, StepStarted) for event in told.events))
    plan = told.app.maintenance.plan(DrainIntent(("b",)))
    drain_id = told.app.maintenance.start(plan).drain_id
    told.until(lambda: ("web-1", "b", "cancelled") in outcomes(told))
    told.drain(drain_id, DrainState.DONE)
    assert names_on(cluster, "a") == {"web-1", "web-2"}
    cluster.close()


def test_a_record_survives_its_own_json(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(a_guest("web-1"))
    told = console(cluster)
    record = told.drain(begun(told, "a"), DrainState.DONE)
    assert record_from_json(record_to_json(record)) == record
    assert record_from_json({"drain_id": 7}) is None
    told.until(lambda: any(isinstance(event, DrainChanged) and event.state == "done" for event in told.events))
    cluster.close()


def _as_of_an_ended_process(app: App, drain_id: str) -> None:
    """The first console of this test is the same process: give its record the number of one that is no more."""
    assert app.database is not None
    body = dict(app.database.documents.get("drain", drain_id) or {})
    body["pid"], body["process_started"], body["console_id"] = 2**22 + 1, "", "gone"
    app.database.documents.save("drain", drain_id, body)
    app.maintenance._others.pop(drain_id, None)


def test_a_migration_that_somebody_else_began_is_cancelled_too(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(a_guest("web-1"), a_guest("web-2"), link_mib_s=20)
    told, other = console(cluster), console(cluster)
    other.snapshot(lambda seen: len(seen.vms_on("a")) == 2)
    snapshot = other.app.store.snapshot
    other.app.submit(plan_migration(MigrationIntent((uuid_of("web-1"),), "b"), snapshot, other.app.policy))
    told.snapshot(lambda seen: any(vm.is_migrating and vm.other_processes for vm in seen.vms.values()))
    plan = told.app.maintenance.plan(DrainIntent(("b",)))
    assert any("are cancelled: web-1" in note for note in plan.notes)
    drain_id = told.app.maintenance.start(plan).drain_id
    told.drain(drain_id, DrainState.DONE)
    assert names_on(cluster, "a") == {"web-1", "web-2"}
    assert names_on(cluster, "b") == set()
    cluster.close()


def test_a_vm_that_appears_meanwhile_is_moved_as_well(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(a_guest("web-1"), a_guest("late", is_running=False), link_mib_s=100)
    told = console(cluster)
    drain_id = begun(told, "a")
    told.until(lambda: any(isinstance(event, StepStarted) for event in told.events))
    hypervisor = cluster.open(cluster.uris()["a"])
    hypervisor.start(uuid_of("late"))
    hypervisor.close()
    record = told.drain(drain_id, DrainState.DONE)
    assert {one.vm_name for one in record.done} == {"web-1", "late"}
    assert names_on(cluster, "a") == set()
    cluster.close()


def with_room_for(gib: int, **elsewhere: GuestModel) -> SimulatedCluster:
    """A guest of this size on host a of 32 GiB, and one guest on each of the others, b and c."""
    return SimulatedCluster(
        clock=lambda: time.monotonic() * 10,
        hosts=[HostModel(name, TWO_NODES) for name in "abc"],
        guests={"a": [a_guest("web-1", memory_kib=gib * GIB), a_guest("late", memory_kib=20 * GIB, is_running=False)]}
        | {host: [guest] for host, guest in elsewhere.items()},
    )


def test_a_step_whose_place_is_gone_at_its_turn_is_planned_once_more(
    console: Callable[[SimulatedCluster], Told],
) -> None:
    idle = [a_guest(f"filler-{host}", memory_kib=20 * GIB, is_running=False) for host in "bc"]
    cluster = with_room_for(12, b=idle[0], c=idle[1])
    told = console(cluster)
    assert told.app.executor is not None
    told.app.executor.control.pause()
    drain_id = begun(told, "a")
    told.until(lambda: bool(told.app.executor and told.app.executor.running()))
    planned = told.app.executor.running()[0].step.destination
    filler = uuid_of(f"filler-{planned}")
    hypervisor = cluster.open(cluster.uris()[planned])
    hypervisor.start(filler)
    hypervisor.close()
    told.snapshot(lambda seen: seen.vms[filler].state is VmState.RUNNING)
    told.app.executor.control.resume()

    record = told.drain(drain_id, DrainState.DONE)
    other = {"b": "c", "c": "b"}[planned]
    assert outcomes(told) == [("web-1", planned, "skipped"), ("web-1", other, "done")]
    assert [line.sentence for line in record.lines if line.sentence.startswith("Planned again:")] == [
        f"Planned again: web-1 to {other}."
    ]
    assert record.intent.avoided == (), "the host did not fail it: it was only full by then"
    cluster.close()


def test_who_found_no_place_while_another_was_on_its_way_is_planned_once_more(
    console: Callable[[SimulatedCluster], Told],
) -> None:
    big = [a_guest(f"big-{host}", memory_kib=20 * GIB) for host in "bc"]
    cluster = with_room_for(1, b=big[0], c=big[1])
    told = console(cluster)
    assert told.app.executor is not None
    told.app.executor.control.pause()
    drain_id = begun(told, "a")
    told.until(lambda: bool(told.app.executor and told.app.executor.running()))
    hypervisor = cluster.open(cluster.uris()["a"])
    hypervisor.start(uuid_of("late"))
    hypervisor.close()

    def lines() -> list[str]:
        record = told.app.maintenance.get(drain_id)
        return [line.sentence for line in record.lines] if record is not None else []

    told.until(lambda: "Planned again: nothing more can be moved." in lines())
    free = {"b": "c", "c": "b"}[told.app.executor.running()[0].step.destination]
    hypervisor = cluster.open(cluster.uris()[free])
    hypervisor.force_off(uuid_of(f"big-{free}"))
    hypervisor.close()
    told.snapshot(lambda seen: seen.vms[uuid_of(f"big-{free}")].state is VmState.SHUT_OFF)
    told.app.executor.control.resume()

    record = told.drain(drain_id, DrainState.DONE)
    assert {(one.vm_name, one.destination) for one in record.done} >= {("late", free)}
    assert f"Planned again: late to {free}." in lines()
    cluster.close()


def test_a_vm_is_shut_down_only_by_choice_and_last(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(a_guest("web-1"), a_guest("batch"))
    told = console(cluster)
    told.snapshot(lambda seen: len(seen.vms_on("a")) == 2)
    drain_id = begun(told, "a", intent=shutting_down(DrainIntent(("a",)), uuid_of("batch")))
    record = told.drain(drain_id, DrainState.DONE)
    assert [(one.vm_name, bool(one.destination)) for one in record.done] == [("web-1", True), ("batch", False)]
    assert told.snapshot(lambda seen: not seen.vms_on("a")).vms[uuid_of("batch")].state is VmState.SHUT_OFF
    cluster.close()


def test_room_is_made_and_the_vm_moves_in(console: Callable[[SimulatedCluster], Told]) -> None:
    cluster = a_cluster(a_guest("web-1"), a_pinned_guest("db-1"))
    told = console(cluster)
    told.snapshot(lambda seen: len(seen.vms_on("a")) == 2)
    plan = told.app.maintenance.plan_room(uuid_of("db-1"))
    assert [item.vm_name for item in plan.moves] == ["db-1"]
    record = told.drain(told.app.maintenance.start(plan).drain_id, DrainState.DONE)
    assert record.title == "Make room for db-1"
    assert names_on(cluster, plan.moves[0].destination or "") == {"db-1"}
    assert not told.app.statuses.all(), "no host is in maintenance for that"
    cluster.close()


def test_a_host_that_does_not_answer_goes_to_maintenance_when_it_is_seen_empty(
    console: Callable[[SimulatedCluster], Told],
) -> None:
    cluster = a_cluster(a_guest("web-1"))
    told = console(cluster)
    cluster.crash("c")
    told.snapshot(lambda seen: seen.hosts["c"].link.state is not LinkState.CONNECTED)
    drain_id = told.app.maintenance.start(told.app.maintenance.plan(DrainIntent(("c",)))).drain_id
    record = told.drain(drain_id, DrainState.WAITING)
    assert "c does not answer" in record.sentence
    assert told.app.statuses.of("c").status is HostStatus.PREPARING_FOR_MAINTENANCE
    cluster.boot("c")
    told.drain(drain_id, DrainState.DONE)
    cluster.close()
