"""Drains over the simulated cluster: hosts emptied, failures planned around, decisions kept, killed consoles gone on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.core.errors import ExecutionError, InvalidEdit
from hpconsole.core.events import DrainChanged, Event, HostStatusChanged, StepFinished, StepStarted
from hpconsole.core.execution.drain_record import DrainRecord, DrainState, record_from_json, record_to_json
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.model.host import HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.drain import DrainIntent, leaving_out, powering_off
from tests.core.execution.console import FAST, WAIT_S, a_cluster, a_guest, a_pinned_guest, uuid_of

AppMaker = Callable[[SimulatedCluster], App]


class Told:
    """An app's snapshots and events, to be waited for."""

    def __init__(self, app: App) -> None:
        self._changed = threading.Condition()
        self.app = app
        self.events: list[Event] = []
        app.store.subscribe_events(self._add)
        app.store.subscribe(lambda _snapshot: self._wake())

    def _add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def until(self, check: Callable[[], bool], what: str = "") -> None:
        with self._changed:
            assert self._changed.wait_for(check, WAIT_S), what or self.events

    def snapshot(self, check: Callable[[ClusterSnapshot], bool]) -> ClusterSnapshot:
        self.until(lambda: check(self.app.store.snapshot))
        return self.app.store.snapshot

    def drain(self, drain_id: str, state: DrainState) -> DrainRecord:
        def stands() -> bool:
            record = self.app.maintenance.get(drain_id)
            return record is not None and record.state is state

        self.until(stands, f"never {state}: {self.app.maintenance.get(drain_id)}")
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
                up = {
                    n for n, host in snapshot.hosts.items() if host.link.state is LinkState.CONNECTED and host.usage.at
                }
                return wanted <= up

            told.snapshot(is_ready)
            return told

        yield make


def the_guests() -> list[GuestModel]:
    return [a_guest("web-1"), a_guest("web-2"), a_guest("web-3"), a_pinned_guest("db-1")]


def names_on(cluster: SimulatedCluster, host: str) -> set[str]:
    hypervisor = cluster.open(cluster.uris()[host])
    names = {record.name for record in hypervisor.sample().domains if record.id is not None}
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
