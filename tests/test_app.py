"""The composition root over the simulated cluster: it starts, says what happens to hosts, remembers, and ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.cli.options import hosts_from_arguments
from hpconsole.core.errors import HpconsoleError, UriRefused
from hpconsole.core.events import Notice
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.model.host import LinkState
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration, why_not_movable
from tests.changes import Changes


class Console:
    """An app over a simulated cluster, and ways to wait for it."""

    def __init__(self, data: Path | None, hosts: dict[str, str] | None = None) -> None:
        self.cluster = SimulatedCluster.demo()
        self.app = App(self.cluster.uris() if hosts is None else hosts, opener=self.cluster.open, data=data)
        self._changes = Changes(self.app.store)
        self.app.start()
        assert self.app.wait_ready(20)

    @property
    def notices(self) -> list[str]:
        return [event.sentence for event in self._changes.events if isinstance(event, Notice)]

    def wait(self, is_wanted: Callable[[], bool]) -> None:
        self._changes.until(is_wanted)

    def link(self, name: str) -> LinkState | None:
        host = self.app.store.snapshot.hosts.get(name)
        return host.link.state if host else None

    def close(self) -> None:
        self.app.close()
        self.cluster.close()


@pytest.fixture
def console() -> Iterator[Callable[..., Console]]:
    made: list[Console] = []

    def make(data: Path | None = None, hosts: dict[str, str] | None = None) -> Console:
        made.append(Console(data, hosts))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_lost_host_is_said_and_so_is_its_return(console: Callable[..., Console]) -> None:
    one = console()
    one.wait(lambda: one.link("host-03") is LinkState.CONNECTED)
    one.cluster.crash("host-03")
    one.wait(lambda: any(sentence.startswith("host-03 is ") for sentence in one.notices))
    one.cluster.boot("host-03")
    one.app.poller.refresh("host-03")
    one.wait(lambda: "host-03 answers again." in one.notices)
    assert not any("host-04" in sentence for sentence in one.notices)


def test_hosts_are_remembered_until_they_are_removed(console: Callable[..., Console], tmp_path: Path) -> None:
    first = console(tmp_path, {})
    with pytest.raises(UriRefused):
        first.app.add_host("x", "qemu+ext://kvm1/system?command=/bin/evil")
    first.app.add_host("kvm1", "qemu+ssh://root@192.0.2.1/system")
    with pytest.raises(HpconsoleError, match="already"):
        first.app.add_host("kvm1", "qemu+ssh://root@192.0.2.2/system")
    first.close()
    second = console(tmp_path, {})
    assert dict(second.app.hosts) == {"kvm1": "qemu+ssh://root@192.0.2.1/system"}
    second.app.remove_host("kvm1")
    second.close()
    assert dict(console(tmp_path, {}).app.hosts) == {}


def test_it_works_without_a_database_and_says_so(console: Callable[..., Console], tmp_path: Path) -> None:
    (tmp_path / "hpconsole.sqlite3").write_bytes(b"no database at all" * 100)
    one = console(tmp_path)
    one.wait(lambda: bool(one.notices))
    assert one.app.database is None
    one.wait(lambda: one.link("host-01") is LinkState.CONNECTED)
    assert one.app.executor is not None


def test_closing_twice_or_at_once_is_harmless() -> None:
    cluster = SimulatedCluster.demo()
    app = App(cluster.uris(), opener=cluster.open)
    app.start()
    app.close()
    app.close()
    cluster.close()


@pytest.mark.parametrize(
    ("words", "hosts"),
    [
        (["qemu+ssh://root@kvm1/system"], {"kvm1": "qemu+ssh://root@kvm1/system"}),
        (["a=qemu+tls://kvm1/system"], {"a": "qemu+tls://kvm1/system"}),
        (["qemu:///system"], {"localhost": "qemu:///system"}),
        (
            ["qemu+tls://kvm1/system?pkipath=/etc/own"],
            {"kvm1": "qemu+tls://kvm1/system?pkipath=/etc/own"},
        ),
    ],
)
def test_hosts_of_the_command_line(words: list[str], hosts: dict[str, str]) -> None:
    assert hosts_from_arguments(words) == hosts


def test_two_hosts_of_one_name_are_refused() -> None:
    with pytest.raises(HpconsoleError, match="Two hosts"):
        hosts_from_arguments(["qemu+ssh://root@kvm1/system", "qemu+tls://kvm1/system"])


def test_given_hosts_are_shown_before_the_database_is_loaded(
    console: Callable[..., Console], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpconsole.core.database.database import Database

    vms_then: list[int] = []
    made: list[App] = []
    open_ = Database.open
    start = App.start

    def remember(app: App) -> None:
        made.append(app)
        start(app)

    def open_noting(path: Path) -> Database:
        vms_then.append(len(made[0].store.snapshot.vms))
        return open_(path)

    monkeypatch.setattr(App, "start", remember)
    monkeypatch.setattr(Database, "open", open_noting)
    console(tmp_path)
    assert vms_then
    assert vms_then[0] > 0


def test_the_chosen_policy_counts_and_one_that_cannot_be_read_is_told(
    console: Callable[..., Console], tmp_path: Path
) -> None:
    first = console(tmp_path, {})
    assert first.app.policy.name == "none"
    first.app.policies.copy("evenly_distributed", "mine")
    first.app.policies.choose("mine")
    assert first.app.policy.name == "mine"
    assert first.app.database is not None
    first.app.database.policies.save("broken", {"weights": 1})
    first.close()
    second = console(tmp_path, {})
    assert second.app.policy.balancer == "OptimalForEvenDistribution"
    second.wait(lambda: any("policy broken cannot be used" in sentence for sentence in second.notices))


def test_a_host_that_a_vm_is_on_its_way_from_or_to_stays(console: Callable[..., Console]) -> None:
    one = console()
    names = set(one.cluster.uris())

    def is_measured(name: str) -> bool:
        host = one.app.store.snapshot.hosts.get(name)
        return host is not None and host.usage.cpu_pct is not None

    one.wait(lambda: all(is_measured(name) for name in names))
    movable = [vm for vm in one.app.store.snapshot.vms.values() if not why_not_movable(vm, one.app.store.snapshot)]
    plan = plan_migration(MigrationIntent((movable[0].uuid,)), one.app.store.snapshot, one.app.policy)
    step = plan.steps[0]
    one.cluster.stall_next_migration(step.vm_name)
    one.app.submit(plan)
    for name in (step.source, step.destination):
        with pytest.raises(HpconsoleError, match=f"{name} stays: {step.vm_name} is being moved from or to it"):
            one.app.remove_host(name)
        assert name in one.app.hosts
    assert one.app.executor is not None
    one.app.executor.cancel(plan.plan_id)
    one.wait(lambda: one.app.executor is not None and one.app.executor.running() == ())
    one.app.remove_host(step.destination)
    assert step.destination not in one.app.hosts


def test_what_is_saved_while_the_console_starts_is_not_lost(tmp_path: Path) -> None:
    cluster = SimulatedCluster.demo()
    app = App(cluster.uris(), opener=cluster.open, data=tmp_path)
    asked = threading.Event()

    def save() -> None:
        asked.set()
        app.documents.save("template", "early", {"name": "early"})

    saver = threading.Thread(target=save)
    saver.start()
    assert asked.wait(20)
    app.start()
    saver.join(20)
    assert not saver.is_alive()
    assert app.database is not None
    assert app.database.documents.get("template", "early") == {"name": "early"}, "kept, not in this run's memory"
    app.close()
    cluster.close()
