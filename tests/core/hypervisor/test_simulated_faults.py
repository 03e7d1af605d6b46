"""Frozen, crashed and closed: who waits, who is told what, and that nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from hpconsole.core.errors import ConnectionLost, HostUnreachable, HypervisorError, OperationRefused
from hpconsole.core.hypervisor.port import MigrationRequest, MigrationTransport
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Paused, State
from tests.core.hypervisor.simulated_clock import EventLog, FakeClock, Move, follow, uuid_of


class Call:
    """One call on a thread of its own."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.error: HypervisorError | None = None
        self._action = action
        self._entered = threading.Event()
        self._thread = threading.Thread(target=self._run, name="call", daemon=True)
        self._thread.start()
        assert self._entered.wait(5)

    def _run(self) -> None:
        self._entered.set()
        try:
            self._action()
        except HypervisorError as error:
            self.error = error

    def returned(self, seconds: float = 5) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cluster(clock: FakeClock) -> Iterator[SimulatedCluster]:
    made = SimulatedCluster.demo(clock=clock)
    yield made
    made.close()


def test_frozen_host_blocks_its_own_calls_only(cluster: SimulatedCluster) -> None:
    frozen, other = cluster.open("sim://host-01"), cluster.open("sim://host-02")
    cluster.freeze("host-01")
    call = Call(frozen.sample)
    assert not call.returned(0.1)
    assert other.sample().domains
    assert not call.returned(0.05)
    assert frozen.is_alive()
    cluster.thaw("host-01")
    assert call.returned()
    assert call.error is None


def test_closing_releases_a_blocked_call_and_no_other_connection(cluster: SimulatedCluster) -> None:
    first, second = cluster.open("sim://host-01"), cluster.open("sim://host-01")
    cluster.freeze("host-01")
    one, two = Call(first.sample), Call(second.sample)
    first.close()
    assert one.returned()
    assert isinstance(one.error, HostUnreachable)
    assert not two.returned(0.1)
    cluster.close()
    assert two.returned()
    assert isinstance(two.error, HostUnreachable)


def test_opening_a_frozen_host_blocks(cluster: SimulatedCluster) -> None:
    cluster.freeze("host-03")
    call = Call(lambda: cluster.open("sim://host-03"))
    assert not call.returned(0.1)
    cluster.thaw("host-03")
    assert call.returned()


def test_frozen_host_tells_its_events_when_it_is_thawed(cluster: SimulatedCluster, clock: FakeClock) -> None:
    host = cluster.open("sim://host-02")
    log = EventLog(host)
    host.shut_down(uuid_of(host, "kafka-1"))
    cluster.freeze("host-02")
    clock.advance(5)
    cluster.open("sim://host-01").sample()  # brings the time forward
    assert not log.wait_for("lifecycle", seconds=0.1)
    cluster.thaw("host-02")
    assert log.wait_for("lifecycle", "5:0")
    log.close()


def test_migration_goes_on_while_the_source_is_frozen_but_ends_only_then(
    cluster: SimulatedCluster, clock: FakeClock
) -> None:
    source, destination = cluster.open("sim://host-02"), cluster.open("sim://host-10")
    uuid, log = uuid_of(source, "trade-engine-1"), EventLog(destination)
    move = Move(source, uuid, MigrationRequest("sim://host-10"))
    assert log.wait_for("lifecycle", "2:1")
    clock.advance(1)
    assert source.job_stats(uuid).iteration == 1
    cluster.freeze("host-02")
    clock.advance(60)
    record = next(record for record in destination.sample().domains if record.uuid == uuid)
    assert record.state == State.PAUSED  # all is sent; the source's daemon does not let it go
    assert move.is_blocked
    cluster.thaw("host-02")
    assert move.end() is None
    completed = destination.job_stats(uuid, completed=True)
    assert (completed.downtime_ms or 0) > 10_000  # and the guest stood still all the while
    log.close()


def test_crash_loses_connections_and_vms(cluster: SimulatedCluster) -> None:
    host, other = cluster.open("sim://host-01"), cluster.open("sim://host-02")
    uuid = uuid_of(host, "db-pg-01")
    cluster.freeze("host-01")
    blocked = Call(host.sample)
    cluster.crash("host-01")
    assert blocked.returned()
    assert isinstance(blocked.error, ConnectionLost)
    assert not host.is_alive()
    with pytest.raises(ConnectionLost):
        host.sample()
    with pytest.raises(HostUnreachable):
        cluster.open("sim://host-01")
    assert other.is_alive()
    cluster.boot("host-01")
    with pytest.raises(ConnectionLost):
        host.sample()
    again = cluster.open("sim://host-01")
    assert next(record for record in again.sample().domains if record.uuid == uuid).state == State.SHUTOFF
    assert any(record.state == State.RUNNING and record.autostart for record in again.sample().domains)
    assert max(again.sample().cpu_time_ns.values()) > 0


def begun(cluster: SimulatedCluster, request: MigrationRequest) -> tuple[Move, str, EventLog]:
    source, destination = cluster.open("sim://host-02"), cluster.open("sim://host-10")
    log = EventLog(source, destination)
    uuid = uuid_of(source, "trade-engine-1")
    is_ours = request.transport is MigrationTransport.CLIENT_MANAGED
    move = Move(source, uuid, request, destination if is_ours else None)
    assert log.wait_for("lifecycle", "2:1")
    return move, uuid, log


def test_destination_that_crashes_leaves_the_vm_on_the_source(cluster: SimulatedCluster, clock: FakeClock) -> None:
    move, uuid, log = begun(cluster, MigrationRequest("sim://host-10"))
    clock.advance(2)
    cluster.crash("host-10")
    error = move.end()
    assert isinstance(error, OperationRefused)
    assert "Lost connection" in error.detail
    source = cluster.open("sim://host-02")
    assert next(record for record in source.sample().domains if record.uuid == uuid).state == State.RUNNING
    log.close()


def test_source_that_crashes_takes_the_vm_with_it(cluster: SimulatedCluster, clock: FakeClock) -> None:
    destination = cluster.open("sim://host-10")
    before = destination.sample().free_pages
    move, uuid, log = begun(cluster, MigrationRequest("sim://host-10"))
    clock.advance(2)
    cluster.crash("host-02")
    assert isinstance(move.end(), ConnectionLost)
    assert not any(record.uuid == uuid for record in destination.sample().domains)
    assert destination.sample().free_pages == before
    log.close()


def test_source_that_crashes_in_post_copy_leaves_half_a_vm(cluster: SimulatedCluster, clock: FakeClock) -> None:
    move, uuid, log = begun(cluster, MigrationRequest("sim://host-10", post_copy=True))
    clock.advance(2)
    cluster.open("sim://host-02").start_post_copy(uuid)
    cluster.crash("host-02")
    assert isinstance(move.end(), ConnectionLost)
    record = next(r for r in cluster.open("sim://host-10").sample().domains if r.uuid == uuid)
    assert (record.state, record.reason) == (State.PAUSED, Paused.POSTCOPY_FAILED)
    log.close()


@pytest.mark.parametrize("transport", list(MigrationTransport))
def test_console_that_goes_away_ends_only_what_it_carries(
    cluster: SimulatedCluster, clock: FakeClock, transport: MigrationTransport
) -> None:
    source, watching = cluster.open("sim://host-02"), cluster.open("sim://host-02")
    destination = cluster.open("sim://host-10")
    uuid, log = uuid_of(source, "trade-engine-1"), EventLog(destination)
    move = Move(source, uuid, MigrationRequest("sim://host-10", transport=transport), destination)
    assert log.wait_for("lifecycle", "2:1")
    clock.advance(1)
    source.close()
    assert isinstance(move.end(), HypervisorError)
    follow(clock, watching, uuid, 1)
    has_moved = any(r.uuid == uuid and r.state == State.RUNNING for r in destination.sample().domains)
    assert has_moved is (transport is MigrationTransport.PEER_TO_PEER)
    assert any(record.uuid == uuid for record in watching.sample().domains) is not has_moved
    log.close()


class WatchedClock(FakeClock):
    """Says when it was looked at too often."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.too_often = threading.Event()

    def __call__(self) -> float:
        self.looks += 1
        if self.looks > 100:
            self.too_often.set()
        return super().__call__()


def test_waiting_migration_does_not_keep_the_processor_busy() -> None:
    clock = WatchedClock()
    cluster = SimulatedCluster.demo(clock=clock)
    move, uuid, log = begun(cluster, MigrationRequest("sim://host-10"))
    clock.looks = 0
    assert not clock.too_often.wait(0.5)  # 50 looks a second; a busy loop makes 100,000
    assert clock.looks > 3
    cluster.open("sim://host-02").abort_job(uuid)
    move.end()
    log.close()
    cluster.close()


def test_unknown_and_malformed_uris(cluster: SimulatedCluster) -> None:
    for uri in ("sim://host-99", "sim://", "qemu:///system", "sim://host-01/session", "host-01"):
        with pytest.raises(HostUnreachable):
            cluster.open(uri)
    assert cluster.open("sim://host-01/system").facts().hostname == "host-01"


def test_closed_cluster_and_closed_twice(cluster: SimulatedCluster) -> None:
    host = cluster.open("sim://host-01")
    host.close()
    host.close()
    with pytest.raises(HostUnreachable):
        host.facts()
    assert not host.is_alive()
    cluster.close()
    cluster.close()
    with pytest.raises(HostUnreachable):
        cluster.open("sim://host-02")


def test_event_thread_lives_while_somebody_listens(cluster: SimulatedCluster) -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "simulated-events"]

    first, second = cluster.open("sim://host-01"), cluster.open("sim://host-02")
    logs = EventLog(first), EventLog(second)
    assert len(names()) == 1
    logs[0].close()
    second.suspend(uuid_of(second, "kafka-1"))
    assert logs[1].wait_for("lifecycle", "3:0")
    thread = next(thread for thread in threading.enumerate() if thread.name == "simulated-events")
    second.close()
    thread.join(5)
    assert not names()
