"""Real guests between real libvirt hosts: moved, proven by virsh and not by hpconsole; the console killed midway."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.core.events import Event, PlanFinished, StepFinished, StepOutcome, StepProgressed
from hpconsole.core.execution.journal import Phase
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.plan import Plan
from tests.lab.commands import wait_until
from tests.lab.guests import Guest
from tests.lab.lab import Lab
from tests.lab.proof import check_is_on, check_is_pinned, vcpu_pins
from tests.lab.typed import kill_while_sending

CELL_OF_VCPU = {0: 0, 1: 0, 2: 1, 3: 1}
WAIT_S = 90.0


class Watch:
    """The events of an app, to be waited for."""

    def __init__(self, app: App) -> None:
        self._changed = threading.Condition()
        self.events: list[Event] = []
        self._stop = app.store.subscribe_events(self._add)

    def _add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, check: Callable[[Event], bool], *, seconds: float = WAIT_S) -> Event:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(check, self.events)), seconds), self.events
            return next(event for event in self.events if check(event))

    def wait_for_memory(self) -> None:
        """Until memory is on its way."""
        self.wait(lambda event: isinstance(event, StepProgressed) and event.progress.share > 0)

    def end(self) -> StepFinished:
        """How the only step ended."""
        self.wait(lambda event: isinstance(event, PlanFinished))
        (end,) = (event for event in self.events if isinstance(event, StepFinished))
        return end


@contextmanager
def running_app(uris: Mapping[str, str], data: Path) -> Iterator[App]:
    """A started console whose hosts have all answered."""
    app = App(uris, data=data)
    app.start()
    try:
        assert app.wait_ready(20)
        wait_for_snapshot(app, lambda snapshot: all(_is_polled(snapshot, name) for name in uris))
        yield app
    finally:
        app.close()


def _is_polled(snapshot: ClusterSnapshot, name: str) -> bool:
    host = snapshot.hosts.get(name)
    # the load of CPUs is known from the second round on
    return host is not None and host.link.state is LinkState.CONNECTED and host.usage.cpu_pct is not None


def wait_for_snapshot(app: App, check: Callable[[ClusterSnapshot], bool]) -> ClusterSnapshot:
    event = threading.Event()
    stop = app.store.subscribe(lambda snapshot: event.set() if check(snapshot) else None)
    deadline = time.monotonic() + WAIT_S
    while not check(app.store.snapshot):
        assert time.monotonic() < deadline, app.store.snapshot
        event.wait(0.2)
    stop()
    return app.store.snapshot


def plan_for(app: App, guest: Guest, to: str | None = None) -> Plan:
    snapshot = wait_for_snapshot(app, lambda found: guest.uuid in found.vms and found.vms[guest.uuid].host is not None)
    return plan_migration(MigrationIntent((guest.uuid,), to), snapshot, app.policy, app.reservations())


@pytest.fixture
def pinned(lab: Lab) -> Guest:
    """4 vCPUs, 2 virtual nodes strictly on a's nodes 0 and 1, memory being dirtied."""
    return lab.guest("a", "db-1", vcpus=4, cells=2, memory_mib=192, dirty_mib=48, dirty_mib_s=12, pin=True)


def test_a_pinned_guest_gets_the_destination_s_map_while_it_works(lab: Lab, pinned: Guest, tmp_path: Path) -> None:
    before = vcpu_pins(lab, "a", pinned, "--live")
    ticks = lab.heartbeat("a", pinned)
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        plan = plan_for(app, pinned, to="b")
        app.submit(plan)
        end = watch.end()
        assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
        assert "its pinning there is as planned" in end.sentence.lower()
        assert app.database is not None
        (record,) = app.database.journal.records()
        assert (record.outcome, record.destination_uri) == (StepOutcome.DONE, lab.host("b").uri)
        assert {"total_s", "downtime_ms", "passes", "sent_mib", "end_state"} <= record.statistics.keys()
    check_is_on(lab, "b", pinned, not_on="a")
    check_is_pinned(lab, "b", pinned, cells=CELL_OF_VCPU)
    planned = {vcpu: cpus.format() for vcpu, cpus in plan.steps[0].placement.pinning.vcpus}
    assert vcpu_pins(lab, "b", pinned, "--live") == planned
    assert before != planned
    first = lab.heartbeat("b", pinned)
    assert first > ticks
    wait_until(lambda: lab.heartbeat("b", pinned) > first, within_s=10, complaint="the guest stands still on b")


def test_a_guest_without_pinning_keeps_every_line_of_its_definition(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "web-1", memory_mib=64, dirty_mib=4, metadata="<x:y xmlns:x='urn:other'>kept</x:y>")
    before = lab.virsh("a", "dumpxml", guest.uuid, "--inactive").splitlines()
    lab.virsh("a", "autostart", guest.uuid)
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        app.submit(plan_for(app, guest, to="c"))
        assert watch.end().outcome is StepOutcome.DONE
    check_is_on(lab, "c", guest, not_on="a")
    assert re.search(r"Autostart:\s+enable", lab.virsh("c", "dominfo", guest.uuid)), "libvirt forgets it, hpconsole not"
    after = lab.virsh("c", "dumpxml", guest.uuid, "--inactive").splitlines()
    assert sorted(after) == sorted(before)  # libvirt itself sorts some devices anew


def test_passwords_in_the_definition_arrive_with_a_pinned_guest(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "db-1", vcpus=4, cells=2, memory_mib=64, dirty_mib=4, pin=True, start=False)
    xml = lab.virsh("a", "dumpxml", guest.uuid, "--inactive")
    definition = tmp_path / "with-password.xml"
    definition.write_text(
        xml.replace("<memballoon", "<graphics type='vnc' autoport='yes' passwd='s3cret'/><memballoon")
    )
    lab.virsh("a", "define", str(definition))
    lab.virsh("a", "start", guest.uuid)
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        app.submit(plan_for(app, guest, to="b"))
        end = watch.end()
        assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
    for which in ((), ("--inactive",)):
        assert "passwd='s3cret'" in lab.virsh("b", "dumpxml", guest.uuid, "--security-info", *which)
    for file in tmp_path.glob("hpconsole.sqlite3*"):
        assert b"s3cret" not in file.read_bytes()


def test_hosts_that_cannot_reach_each_other_s_daemon(lab: Lab, pinned: Guest, tmp_path: Path) -> None:
    lab.fault.block_management("a", "b")
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        app.submit(plan_for(app, pinned, to="b"))
        end = watch.end()
    assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
    assert "a could not reach b by itself; this console carried the migration" in end.sentence
    check_is_on(lab, "b", pinned, not_on="a")
    check_is_pinned(lab, "b", pinned, cells=CELL_OF_VCPU)


def test_cancelled_midway_it_goes_on_at_home(lab: Lab, pinned: Guest, tmp_path: Path) -> None:
    lab.fault.shape("b", "20mbit")
    before = vcpu_pins(lab, "a", pinned, "--live")
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        plan = plan_for(app, pinned, to="b")
        app.submit(plan)
        watch.wait_for_memory()
        assert app.executor is not None
        app.executor.cancel(plan.plan_id)
        end = watch.end()
    assert end.outcome is StepOutcome.CANCELLED, (end.sentence, end.detail)
    assert "db-1 still runs on a, unchanged" in end.sentence
    check_is_on(lab, "a", pinned, not_on="b")
    assert vcpu_pins(lab, "a", pinned, "--live") == before


def test_a_killed_console_changes_nothing_and_the_next_one_tells_the_truth(lab: Lab, tmp_path: Path) -> None:
    pinned = lab.guest("a", "db-1", vcpus=4, cells=2, memory_mib=192, dirty_mib=64, dirty_mib_s=3, pin=True)
    lab.fault.shape("b", "80mbit")
    kill_while_sending(lab, pinned, tmp_path, "migrate", pinned.name, "--to", "b")
    with running_app(lab.uris(), tmp_path) as app:
        assert app.database is not None
        watch = Watch(app)
        (record,) = app.database.journal.records()
        assert record.phase in (Phase.MIGRATING, Phase.WATCHING, Phase.FINISHED)
        wait_until(
            lambda: not app.database.journal.open_records(),  # type: ignore[union-attr]  # it was asserted above
            within_s=WAIT_S,
            complaint="the journal stayed open",
        )
        (record,) = app.database.journal.records()
        assert record.outcome is StepOutcome.DONE, (record.sentence, record.detail)
        assert "db-1 runs on b; nothing of it is left on a." in record.sentence
        assert all(event.outcome is StepOutcome.DONE for event in watch.events if isinstance(event, StepFinished))
    check_is_on(lab, "b", pinned, not_on="a")
    check_is_pinned(lab, "b", pinned, cells=CELL_OF_VCPU)


def test_a_destination_that_dies_midway_leaves_the_guest_at_home(lab: Lab, pinned: Guest, tmp_path: Path) -> None:
    lab.fault.shape("b", "20mbit")
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        app.submit(plan_for(app, pinned, to="b"))
        watch.wait_for_memory()
        lab.fault.kill_qemu("b", pinned.uuid)
        end = watch.end()
    assert end.outcome is StepOutcome.FAILED, (end.sentence, end.detail)
    assert "db-1 still runs on a" in end.sentence
    check_is_on(lab, "a", pinned, not_on="b")
    assert len(vcpu_pins(lab, "a", pinned, "--live")) == 4
