"""The poller over real lanes and fake hosts: pace, isolation, identity of what did not change, events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from hpconsole.core.cluster_rules import Rules
from hpconsole.core.errors import AuthenticationFailed, ConnectionLost, HostUnreachable, HypervisorError
from hpconsole.core.events import Event, Notice
from hpconsole.core.host_status import HostDecision
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DomainEvent, DomainEventKind, Hypervisor
from hpconsole.core.model.affinity import AffinityGroup, ClusterSettings
from hpconsole.core.model.host import HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.polling import Poller
from hpconsole.core.rounds import RoundSettings
from hpconsole.core.store import Store
from tests.core.fake_hypervisor import FakeHypervisor, domain_xml, record, uuid_of

LONG_S = 10.0
DECIDED = {LinkState.CONNECTED, LinkState.REFUSED}


class Cluster:
    """Fake hosts, a pool and a poller over them, and a way to wait for a snapshot."""

    def __init__(self, *names: str, deadline_s: float = 5.0) -> None:
        self.hosts = {name: FakeHypervisor(f"qemu+ssh://{name}/system") for name in names}
        self.errors: dict[str, HypervisorError] = {}  # by host, at opening
        self.statuses: dict[str, HostDecision] = {}
        self.rules = Rules()
        self.snapshots: list[ClusterSnapshot] = []
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self.store = Store()
        self.store.subscribe(self._on_snapshot)
        self.store.subscribe_events(self.events.append)
        self.pool = ConnectionPool(self._open)
        self.poller = Poller(
            self.pool,
            self.store,
            interval_s=0.02,
            statuses=lambda: self.statuses,
            rules=lambda: self.rules,
            deadline_s=deadline_s,
            publish_gap_s=0.0,
            settings=RoundSettings(),
        )
        for name in names:
            self.pool.add(name, f"qemu+ssh://{name}/system")

    def _open(self, uri: str) -> Hypervisor:
        name = uri.removeprefix("qemu+ssh://").removesuffix("/system")
        if name in self.errors:
            raise self.errors[name]
        return cast("Hypervisor", self.hosts[name])

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        with self._changed:
            self.snapshots.append(snapshot)
            self._changed.notify_all()

    def wait(self, is_wanted: Callable[[ClusterSnapshot], bool]) -> ClusterSnapshot:
        """The newest snapshot, as soon as it is as wanted."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.snapshots and is_wanted(self.snapshots[-1]), LONG_S)
            return self.snapshots[-1]

    def wait_answered(self) -> ClusterSnapshot:
        """The first snapshot in which every host has answered."""
        return self.wait(
            lambda seen: (
                seen.hosts.keys() == self.hosts.keys()
                and all(host.link.state is LinkState.CONNECTED for host in seen.hosts.values())
            )
        )

    def wait_polled_twice(self) -> ClusterSnapshot:
        """A snapshot that holds two more polls of every host than now."""
        for _ in range(2):
            before = {name: host.usage.at for name, host in self.store.snapshot.hosts.items()}
            self.wait(lambda seen: all(host.usage.at != before.get(name) for name, host in seen.hosts.items()))  # noqa: B023
        return self.store.snapshot

    def close(self) -> None:
        self.poller.close()
        self.pool.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Cluster]]:
    clusters: list[Cluster] = []

    def make(*names: str, deadline_s: float = 5.0) -> Cluster:
        clusters.append(Cluster(*names, deadline_s=deadline_s))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.close()


def test_hosts_and_vms_appear(make: Callable[..., Cluster]) -> None:
    cluster = make("a", "b")
    cluster.hosts["a"].run("one")
    cluster.poller.start()
    seen = cluster.wait_answered()
    assert seen.hosts["a"].uri == "qemu+ssh://a/system"
    assert seen.hosts["a"].link.answered_at is not None
    assert seen.hosts["a"].is_candidate
    assert {vm.name: vm.host for vm in seen.vms.values()} == {"one": "a"}
    assert seen.taken_at is not None


def test_serials_rise(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    cluster.poller.start()
    cluster.wait_polled_twice()
    serials = [seen.serial for seen in cluster.snapshots]
    assert serials == sorted(set(serials))


def test_hosts_are_shown_before_they_answer(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    gate = threading.Event()
    cluster.hosts["a"].on_sample = lambda: cast("None", gate.wait(LONG_S))
    cluster.poller.start()
    seen = cluster.wait(lambda seen: "a" in seen.hosts)
    assert seen.hosts["a"].link.state is LinkState.CONNECTING
    assert not seen.hosts["a"].is_candidate
    gate.set()
    cluster.wait_answered()


def test_what_did_not_change_is_the_same_object(make: Callable[..., Cluster]) -> None:
    cluster = make("a", "b")
    cluster.hosts["a"].run("one", "two")
    cluster.hosts["b"].records = [record("two", state=5)]
    cluster.hosts["b"].xml[uuid_of("two")] = domain_xml("two", uuid_of("two"))
    cluster.poller.start()
    cluster.wait_answered()
    first = cluster.wait_polled_twice()
    second = cluster.wait_polled_twice()
    assert first is not second
    assert all(second.vms[uuid] is vm for uuid, vm in first.vms.items())
    assert second.vms[uuid_of("two")].other_hosts == ("b",)
    assert second.hosts["a"].topology is first.hosts["b"].topology


def test_a_silent_host_delays_no_other_and_keeps_what_is_known(make: Callable[..., Cluster]) -> None:
    cluster = make("a", "b", deadline_s=0.1)
    cluster.hosts["b"].run("one")
    cluster.poller.start()
    cluster.wait_answered()
    gate = threading.Event()
    cluster.hosts["b"].on_sample = lambda: cast("None", gate.wait(LONG_S))
    seen = cluster.wait(lambda seen: seen.hosts["b"].link.state is LinkState.UNRESPONSIVE)
    silent = seen.hosts["b"]
    assert "does not answer" in silent.link.problem
    assert seen.vms[uuid_of("one")].host == "b"
    before = seen.hosts["a"].usage.at
    for _ in range(5):
        seen = cluster.wait(lambda seen: seen.hosts["a"].usage.at != before)  # noqa: B023
        before = seen.hosts["a"].usage.at
    assert seen.hosts["b"] is silent  # nothing new of it
    gate.set()
    cluster.wait(lambda seen: seen.hosts["b"].link.state is LinkState.CONNECTED)


def test_an_event_has_its_vm_read_at_once(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    host = cluster.hosts["a"]
    host.run("one", "two")
    cluster.poller._interval_s = 3600  # events alone
    cluster.poller.start()
    cluster.wait_answered()
    host.read.clear()
    host.xml[uuid_of("one")] = domain_xml("one", uuid_of("one"), vcpus=7)
    host.handlers[0](DomainEvent(DomainEventKind.TUNED, uuid_of("one"), "one"))
    cluster.wait(lambda seen: seen.vms[uuid_of("one")].vcpus == 7)
    assert host.read == ["one"]


def test_migration_passes_cause_no_polls(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    cluster.poller._interval_s = 3600
    cluster.poller.start()
    cluster.wait_answered()
    asked = cluster.hosts["a"].asked["sample"]
    for number in range(100):
        cluster.hosts["a"].handlers[0](DomainEvent(DomainEventKind.MIGRATION_PASS, "x", "x", str(number)))
    assert all(feed.due_at_s > cluster.poller._clock() + 60 for feed in cluster.poller._feeds.values())
    assert cluster.hosts["a"].asked["sample"] == asked


def test_refresh_reads_everything_of_one_host(make: Callable[..., Cluster]) -> None:
    cluster = make("a", "b")
    for name in ("a", "b"):
        cluster.hosts[name].run(f"on-{name}")
    cluster.poller._interval_s = 3600
    cluster.poller.start()
    cluster.wait_answered()
    at = cluster.store.snapshot.hosts["a"].usage.at
    cluster.poller.refresh("a")
    cluster.wait(lambda seen: seen.hosts["a"].usage.at != at)
    assert cluster.hosts["a"].read == ["on-a", "on-a"]
    assert cluster.hosts["b"].read == ["on-b"]


def test_a_lost_connection_is_opened_again_and_listened_to(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    old = cluster.hosts["a"]
    old.run("one")
    cluster.poller.start()
    cluster.wait_answered()
    cluster.hosts["a"] = new = FakeHypervisor("qemu+ssh://a/system")
    new.run("one", "two")
    old.errors["sample"] = ConnectionLost("The connection to host a broke.")
    seen = cluster.wait(lambda seen: seen.hosts["a"].link.state is LinkState.DISCONNECTED)
    assert "broke" in seen.hosts["a"].link.problem
    assert len(seen.vms) == 1
    seen = cluster.wait(lambda seen: len(seen.vms) == 2)
    assert seen.hosts["a"].link.state is LinkState.CONNECTED
    assert len(new.handlers) == 1
    assert not old.handlers


def test_a_refused_host_says_why(make: Callable[..., Cluster]) -> None:
    cluster = make("a", "b")
    cluster.errors["b"] = AuthenticationFailed("Host b accepts none of your keys.")
    cluster.poller.start()
    seen = cluster.wait(lambda seen: "b" in seen.hosts and seen.hosts["b"].link.state is LinkState.REFUSED)
    assert seen.hosts["b"].link.problem == "Host b accepts none of your keys."
    cluster.wait(lambda seen: seen.hosts["a"].is_candidate)


def test_refresh_is_the_way_out_of_a_refused_link(make: Callable[..., Cluster]) -> None:
    cluster = make("b")
    cluster.errors["b"] = AuthenticationFailed("b refuses this key.")
    cluster.poller.start()
    cluster.wait(lambda seen: "b" in seen.hosts and seen.hosts["b"].link.state is LinkState.REFUSED)
    del cluster.errors["b"]
    cluster.poller.refresh()
    cluster.wait_answered()


def test_a_host_with_unreadable_capabilities_takes_no_vms(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    cluster.hosts["a"].capabilities = "<nothing/>"
    cluster.poller.start()
    seen = cluster.wait(lambda seen: "a" in seen.hosts and bool(seen.hosts["a"].link.problem))
    assert not seen.hosts["a"].is_candidate
    assert "capabilities" in seen.hosts["a"].link.problem


def test_a_fault_of_ours_hides_one_host_and_is_told_once(
    make: Callable[..., Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = make("a", "b")

    def fault() -> None:
        raise ZeroDivisionError

    cluster.hosts["b"].on_sample = fault
    cluster.poller.start()
    cluster.wait(lambda seen: "b" in seen.hosts and bool(seen.hosts["b"].link.problem))
    for _ in range(5):
        at = cluster.store.snapshot.hosts["a"].usage.at
        cluster.wait(lambda seen: seen.hosts["a"].usage.at != at)  # noqa: B023
    notices = [event for event in cluster.events if isinstance(event, Notice)]
    assert [(notice.severity, notice.subject) for notice in notices] == [("error", "b")]
    assert caplog.text.count("host b could not be read") == 1


def test_rules_reach_the_snapshot_and_only_changes_publish(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    cluster.poller.start()
    cluster.wait_answered()
    group = AffinityGroup("apart")
    cluster.rules = Rules(ClusterSettings(overcommit_pct=150), (group,))
    seen = cluster.wait(lambda seen: bool(seen.affinity_groups))
    assert seen.affinity_groups == (group,)
    assert seen.settings.overcommit_pct == 150
    cluster.rules = Rules()
    assert cluster.wait(lambda seen: not seen.affinity_groups).settings == ClusterSettings()


def test_statuses_are_the_administrators(make: Callable[..., Cluster]) -> None:
    cluster = make("a", "b")
    cluster.statuses["a"] = HostDecision(HostStatus.MAINTENANCE, "new disks")
    cluster.poller.start()
    seen = cluster.wait_answered()
    assert (seen.hosts["a"].status, seen.hosts["a"].status_reason) == (HostStatus.MAINTENANCE, "new disks")
    assert seen.hosts["b"].status is HostStatus.UP


def test_hosts_come_and_go(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    cluster.hosts["a"].run("one")
    cluster.poller.start()
    cluster.wait_answered()
    cluster.hosts["late"] = FakeHypervisor("qemu+ssh://late/system")
    cluster.pool.add("late", "qemu+ssh://late/system")
    cluster.wait_answered()
    cluster.pool.remove("a")
    seen = cluster.wait(lambda seen: "a" not in seen.hosts)
    assert not seen.vms
    assert not cluster.hosts["a"].handlers


def test_publishing_is_limited() -> None:
    cluster = Cluster("a", "b", "c")
    cluster.poller._publish_gap_s = 3600
    cluster.poller.start()
    for name in ("a", "b", "c"):
        for _ in range(5):
            assert cluster.hosts[name].sampled.acquire(timeout=LONG_S)
    cluster.close()
    assert len(cluster.snapshots) <= 1


def test_a_round_left_behind_in_a_stuck_lane_does_not_end_the_polling() -> None:
    cluster = Cluster("a", deadline_s=0.2)
    cluster.pool.close()
    cluster.pool = ConnectionPool(cluster._open, abandon_after_s=0.4)
    cluster.poller = Poller(cluster.pool, cluster.store, interval_s=0.02, publish_gap_s=0.01, deadline_s=0.2)
    gate = threading.Event()
    entered = threading.Event()
    first = cluster.hosts["a"]

    def hang() -> None:
        entered.set()
        gate.wait(10 * LONG_S)  # longer than the test

    first.on_sample = hang
    cluster.pool.add("a", "qemu+ssh://a/system")
    cluster.poller.start()
    try:
        assert entered.wait(LONG_S)
        second = cluster.hosts["a"] = FakeHypervisor("qemu+ssh://a/system")
        assert second.sampled.acquire(timeout=3 * LONG_S)
        assert second.sampled.acquire(timeout=3 * LONG_S), "polled once and then forgotten"
    finally:
        gate.set()
        cluster.close()


def test_close_is_idempotent_and_ends_the_thread(make: Callable[..., Cluster]) -> None:
    cluster = make("a")
    cluster.poller.start()
    cluster.wait_answered()
    cluster.poller.close()
    cluster.poller.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "hpc-poller"]
    assert not cluster.hosts["a"].handlers


def test_a_host_whose_deadline_passes_while_opening_is_polled_later(make: Callable[..., Cluster]) -> None:
    cluster = make("a", deadline_s=0.05)
    cluster.errors["a"] = HostUnreachable("Host a cannot be reached.")
    cluster.poller.start()
    cluster.wait(lambda seen: "a" in seen.hosts and seen.hosts["a"].link.state is LinkState.DISCONNECTED)
    del cluster.errors["a"]
    cluster.pool.retry("a")
    cluster.wait_answered()


def test_one_machine_under_two_names_has_its_vms_once_and_no_alarm(make: Callable[..., Cluster]) -> None:
    cluster = make("z", "viatcp")
    cluster.hosts["viatcp"].capabilities = cluster.hosts["z"].capabilities
    for host in cluster.hosts.values():
        host.run("one")
    cluster.poller.start()
    seen = cluster.wait(
        lambda seen: (
            bool(seen.hosts) and {host.link.state for host in seen.hosts.values()} <= DECIDED and bool(seen.vms)
        )
    )
    assert (seen.hosts["z"].link.state, seen.hosts["viatcp"].link.state) == (LinkState.CONNECTED, LinkState.REFUSED)
    assert "viatcp is the same machine as z; remove one of them" in seen.hosts["viatcp"].link.problem
    assert [host.name for host in seen.hosts.values() if host.is_candidate] == ["z"]
    before = seen.hosts["z"].usage.at
    seen = cluster.wait(lambda seen: seen.hosts["z"].usage.at != before)
    (vm,) = seen.vms.values()
    assert (vm.host, vm.other_hosts, vm.also_running_on) == ("z", (), ())
    assert not any(vm.also_running_on for snapshot in cluster.snapshots for vm in snapshot.vms.values())
    cluster.pool.remove("z")
    seen = cluster.wait(lambda seen: seen.hosts.keys() == {"viatcp"} and seen.hosts["viatcp"].is_candidate)
    assert [vm.host for vm in seen.vms.values()] == ["viatcp"]
