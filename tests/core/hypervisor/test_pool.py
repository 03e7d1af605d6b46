"""The pool: connections opened in the background, kept, reopened with back-off; states that tell the truth."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import cast

import pytest

from hpconsole.core.errors import AuthenticationFailed, ConnectionLost, HostUnreachable, OperationRefused, UriRefused
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.model.host import HostLink, LinkState

LONG_S = 10.0
URI = "qemu+ssh://b/system"


class FakeHost:
    """One connection, as far as the pool looks at it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.is_up = True
        self.closed = threading.Event()

    def is_alive(self) -> bool:
        return self.is_up

    def close(self) -> None:
        self.closed.set()


class FakeNetwork:
    """Opens FakeHosts, or raises what the test wants, or blocks until the test lets go."""

    def __init__(self) -> None:
        self.hosts: list[FakeHost] = []
        self.attempts: list[float] = []
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.attempted = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)
        self.clock = 0.0
        self.links: list[HostLink] = []
        self.link_changed = threading.Condition()

    def open(self, uri: str) -> Hypervisor:
        self.attempts.append(self.clock)
        self.attempted.release()
        self.gate.wait(LONG_S)
        if self.error is not None:
            raise self.error
        self.hosts.append(FakeHost(uri))
        self.opened.release()
        return cast("Hypervisor", self.hosts[-1])

    def on_change(self, _name: str, link: HostLink) -> None:
        with self.link_changed:
            self.links.append(link)
            self.link_changed.notify_all()

    def wait_for(self, state: LinkState, *, after: int = 0) -> HostLink:
        """The first link in this state among those from number `after` on."""

        def found() -> list[HostLink]:
            return [link for link in self.links[after:] if link.state is state]

        with self.link_changed:
            assert self.link_changed.wait_for(found, LONG_S), f"never {state}: {self.links}"
            return found()[0]


@pytest.fixture
def network() -> Iterator[FakeNetwork]:
    network = FakeNetwork()
    yield network
    network.gate.set()


@pytest.fixture
def pool(network: FakeNetwork) -> Iterator[ConnectionPool]:
    pool = ConnectionPool(
        network.open, on_change=network.on_change, clock=lambda: network.clock, jitter=random.Random(1)
    )
    yield pool
    network.gate.set()
    pool.close()


def test_importing_the_pool_imports_no_libvirt() -> None:
    code = "import hpconsole.core.hypervisor.pool, sys; print('libvirt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_connects_in_the_background(pool: ConnectionPool, network: FakeNetwork) -> None:
    network.gate.clear()
    pool.add("b", URI)  # returns although nothing answers
    assert pool.link("b").state is LinkState.CONNECTING
    with pytest.raises(HostUnreachable, match="still being opened"):
        pool.hypervisor("b")
    network.gate.set()
    network.wait_for(LinkState.CONNECTED)
    assert pool.hypervisor("b").uri == URI
    assert (pool.names(), pool.uri("b")) == (("b",), URI)


def test_a_call_waits_for_the_first_connection(pool: ConnectionPool, network: FakeNetwork) -> None:
    pool.add("b", URI)
    assert pool.call("b", lambda host: host.uri, deadline_s=LONG_S) == URI


def test_an_action_error_reaches_the_caller_and_keeps_the_connection(
    pool: ConnectionPool, network: FakeNetwork
) -> None:
    pool.add("b", URI)

    def refuse(_host: Hypervisor) -> None:
        raise OperationRefused("No.", code=1)

    with pytest.raises(OperationRefused):
        pool.call("b", refuse, deadline_s=LONG_S)
    assert pool.link("b").state is LinkState.CONNECTED
    assert len(network.hosts) == 1


def test_tries_again_with_a_growing_delay_and_chance(pool: ConnectionPool, network: FakeNetwork) -> None:
    network.error = HostUnreachable("Host b refuses connections.")
    pool.add("b", URI)
    assert network.attempted.acquire(timeout=LONG_S)
    assert "refuses" in network.wait_for(LinkState.DISCONNECTED).problem
    waits: list[float] = []
    for _ in range(9):
        began = network.clock
        lane = pool._sessions["b"].lane
        while not network.attempted.acquire(timeout=0.001):
            network.clock += 0.25
            lane.wake()
            lane.call(lambda: None, deadline_s=LONG_S)  # the lane has looked at the clock
        waits.append(network.clock - began)
    for number, wait_s in enumerate(waits):
        longest = min(60.0, 2.0**number)
        assert longest / 2 <= wait_s <= longest + 0.75, waits
    assert len({wait / min(60.0, 2.0**n) for n, wait in enumerate(waits)}) > 3, "no jitter"


def test_refuses_calls_at_once_while_disconnected(pool: ConnectionPool, network: FakeNetwork) -> None:
    network.error = HostUnreachable("Host b refuses connections.")
    pool.add("b", URI)
    network.wait_for(LinkState.DISCONNECTED)
    with pytest.raises(HostUnreachable, match="refuses connections"):
        pool.call("b", lambda _: None, deadline_s=LONG_S)


@pytest.mark.parametrize("error", [AuthenticationFailed("Wrong key."), UriRefused("Odd URI.")])
def test_a_refusal_waits_for_the_user(pool: ConnectionPool, network: FakeNetwork, error: Exception) -> None:
    network.error = error
    pool.add("b", URI)
    assert network.wait_for(LinkState.REFUSED).problem == str(error)
    network.clock += 1000
    pool._sessions["b"].lane.wake()
    pool._sessions["b"].lane.call(lambda: None, deadline_s=LONG_S)
    assert len(network.attempts) == 1
    network.error = None
    pool.retry("b")
    network.wait_for(LinkState.CONNECTED)
    assert pool.link("b").problem == ""


def test_retry_does_not_wait_for_the_back_off(pool: ConnectionPool, network: FakeNetwork) -> None:
    network.error = HostUnreachable("no")
    pool.add("b", URI)
    network.wait_for(LinkState.DISCONNECTED)
    network.error = None
    pool.retry("b")  # the clock stands still
    network.wait_for(LinkState.CONNECTED)


def test_a_connection_that_breaks_in_a_call_is_opened_again(pool: ConnectionPool, network: FakeNetwork) -> None:
    pool.add("b", URI)
    pool.call("b", lambda _: None, deadline_s=LONG_S)

    def lose(_host: Hypervisor) -> None:
        raise ConnectionLost("The connection to host b broke.")

    with pytest.raises(ConnectionLost):
        pool.call("b", lose, deadline_s=LONG_S)
    assert network.wait_for(LinkState.DISCONNECTED).problem == "The connection to host b broke."
    assert network.hosts[0].closed.wait(LONG_S)
    before = len(network.links)
    network.clock += 100
    pool._sessions["b"].lane.wake()
    network.wait_for(LinkState.CONNECTED, after=before)
    assert len(network.hosts) == 2


def test_keep_alive_closing_an_idle_connection_is_noticed(pool: ConnectionPool, network: FakeNetwork) -> None:
    pool.add("b", URI)
    network.wait_for(LinkState.CONNECTED)
    network.hosts[0].is_up = False
    pool._sessions["b"].lane.wake()
    assert "stopped answering" in network.wait_for(LinkState.DISCONNECTED).problem


class Hang:
    """A call that does not return until released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, _host: Hypervisor) -> str:
        self.entered.set()
        self.released.wait(LONG_S)
        return "late"


def _hang(pool: ConnectionPool, name: str) -> tuple[Hang, Future[str]]:
    hang = Hang()
    future = pool.submit(name, hang, deadline_s=5)
    assert hang.entered.wait(LONG_S)
    return hang, future


def test_a_call_past_its_deadline_shows_and_the_host_recovers(pool: ConnectionPool, network: FakeNetwork) -> None:
    pool.add("b", URI)
    network.wait_for(LinkState.CONNECTED)
    hang, future = _hang(pool, "b")
    since = pool.link("b").since
    network.clock += 6
    link = pool.link("b")
    assert link.state is LinkState.UNRESPONSIVE
    assert "does not answer" in link.problem
    assert link.since != since
    with pytest.raises(HostUnreachable):
        pool.call("b", lambda _: None, deadline_s=LONG_S)
    hang.released.set()
    assert future.result(LONG_S) == "late"
    assert pool.link("b").state is LinkState.CONNECTED
    assert len(network.hosts) == 1  # the same connection


def test_one_frozen_host_delays_no_other(pool: ConnectionPool, network: FakeNetwork) -> None:
    for name in ("a", "b", "c"):
        pool.add(name, f"qemu+ssh://{name}/system")
    for name in ("a", "b", "c"):
        pool.call(name, lambda _: None, deadline_s=LONG_S)
    hang, _ = _hang(pool, "b")
    for _ in range(50):
        assert pool.call("a", lambda host: host.uri, deadline_s=LONG_S).endswith("a/system")
        assert pool.call("c", lambda host: host.uri, deadline_s=LONG_S).endswith("c/system")
    hang.released.set()


def test_a_call_that_hangs_for_ever_is_left_behind_with_its_connection(
    pool: ConnectionPool, network: FakeNetwork
) -> None:
    """As when one guest's QEMU hangs, but the host's daemon answers keep-alive."""
    pool.add("b", URI)
    network.wait_for(LinkState.CONNECTED)
    hang, _ = _hang(pool, "b")
    before = len(network.links)
    network.clock += 26
    pool.link("b")
    pool._sessions["b"].lane.wake()
    assert "hangs" in network.wait_for(LinkState.DISCONNECTED, after=before).problem
    network.clock += 2
    pool._sessions["b"].lane.wake()
    network.wait_for(LinkState.CONNECTED, after=before)
    assert pool.call("b", lambda host: host.uri, deadline_s=LONG_S) == URI
    assert len(network.hosts) == 2
    hang.released.set()


def test_an_attempt_that_hangs_is_replaced_once_and_closed_if_it_ever_succeeds(
    pool: ConnectionPool, network: FakeNetwork
) -> None:
    network.gate.clear()
    pool.add("b", URI)
    assert network.attempted.acquire(timeout=LONG_S)
    network.clock = 21
    assert pool.link("b").state is LinkState.DISCONNECTED  # past the deadline of an attempt
    network.clock = 26
    pool.link("b")
    assert network.attempted.acquire(timeout=LONG_S)  # a second attempt on a new thread
    network.clock = 200
    pool.link("b")
    assert not network.attempted.acquire(timeout=0.05)  # and no third
    network.gate.set()
    network.wait_for(LinkState.CONNECTED)
    assert network.opened.acquire(timeout=LONG_S)
    assert network.opened.acquire(timeout=LONG_S)
    in_use = cast("FakeHost", pool.call("b", lambda host: host, deadline_s=LONG_S))
    assert not in_use.closed.is_set()
    (other,) = [host for host in network.hosts if host is not in_use]
    assert other.closed.wait(LONG_S)


def test_mark_answered_dates_the_link(pool: ConnectionPool, network: FakeNetwork) -> None:
    pool.add("b", URI)
    assert pool.link("b").answered_at is None
    pool.mark_answered("b")
    assert pool.link("b").answered_at is not None
    pool.mark_answered("nobody")


def test_an_unencrypted_link_is_marked(pool: ConnectionPool) -> None:
    pool.add("b", "qemu+tcp://b/system")
    pool.add("c", URI)
    assert not pool.link("b").is_encrypted
    assert pool.link("c").is_encrypted


def test_remove_closes_in_the_background(pool: ConnectionPool, network: FakeNetwork) -> None:
    pool.add("b", URI)
    network.wait_for(LinkState.CONNECTED)
    pool.remove("b")
    assert network.hosts[0].closed.wait(LONG_S)
    assert pool.names() == ()
    for ask in cast("list[Callable[[str], object]]", [pool.link, pool.uri, pool.hypervisor, pool.retry]):
        with pytest.raises(HostUnreachable, match="no host named b"):
            ask("b")
    pool.add("b", URI)  # and again


def test_close_has_a_time_limit(network: FakeNetwork) -> None:
    pool = ConnectionPool(network.open, on_change=network.on_change)
    pool.add("a", URI)
    pool.call("a", lambda _: None, deadline_s=LONG_S)
    pool.add("b", URI)
    pool.call("b", lambda _: None, deadline_s=LONG_S)
    hang, _ = _hang(pool, "b")
    pool.close(timeout_s=0.1)
    assert network.hosts[0].closed.is_set()
    assert not network.hosts[1].closed.is_set()
    hang.released.set()
    assert network.hosts[1].closed.wait(LONG_S)  # when it comes back
    pool.close()
    pool.add("c", URI)
    assert pool.names() == ()
