"""A lane: callers wait no longer than their deadline, and one stuck call holds up nothing but its lane."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from hpconsole.core.errors import HostUnreachable, OperationRefused
from hpconsole.core.hypervisor.lane import Lane

LONG_S = 10.0  # never reached by a test that passes


class HangingHost:
    """Calls that do not return until the host is released. Each takes the next number when it begins."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.entered = threading.Semaphore(0)
        self.calls: list[str] = []

    def ask(self) -> str:
        self.calls.append(threading.current_thread().name)
        self.entered.release()
        self.released.wait(LONG_S)
        return "answer"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def host() -> Iterator[HangingHost]:
    host = HangingHost()
    yield host
    host.released.set()


@pytest.fixture
def a_lane() -> Iterator[Callable[..., Lane]]:
    lanes: list[Lane] = []

    def make(**arguments: object) -> Lane:
        lanes.append(Lane("hpc-lane-b", subject="b", **arguments))  # type: ignore[arg-type]
        return lanes[-1]

    yield make
    for lane in lanes:
        lane.begin_close()


def test_calls_run_in_order_on_one_daemon_thread(a_lane: Callable[..., Lane]) -> None:
    lane = a_lane()
    order: list[int] = []
    threads: set[threading.Thread] = set()

    def note(number: int) -> None:
        order.append(number)
        threads.add(threading.current_thread())

    futures = [lane.submit(lambda n=n: note(n), deadline_s=LONG_S) for n in range(20)]  # type: ignore[misc]
    for future in futures:
        future.result(LONG_S)
    assert order == list(range(20))
    (thread,) = threads
    assert thread.daemon
    assert thread.name == "hpc-lane-b"


def test_an_error_is_raised_where_the_call_is_awaited(a_lane: Callable[..., Lane]) -> None:
    lane = a_lane()

    def refuse() -> None:
        raise OperationRefused("The host said no.", code=55)

    def fault() -> None:
        raise ZeroDivisionError

    with pytest.raises(OperationRefused, match="said no"):
        lane.call(refuse, deadline_s=LONG_S)
    with pytest.raises(ZeroDivisionError):
        lane.call(fault, deadline_s=LONG_S)
    assert lane.call(lambda: 7, deadline_s=LONG_S) == 7  # the worker survived both


def test_a_caller_waits_no_longer_than_its_deadline(a_lane: Callable[..., Lane], host: HangingHost) -> None:
    lane = a_lane()
    with pytest.raises(HostUnreachable) as late:
        lane.call(host.ask, deadline_s=0.05)
    assert "Host b has not answered for" in late.value.sentence
    assert "may still happen" in late.value.sentence
    assert lane.stuck_s is not None


def test_behind_a_stuck_call_everything_fails_at_once_and_nothing_is_asked(
    a_lane: Callable[..., Lane], host: HangingHost
) -> None:
    clock = Clock()
    lane = a_lane(clock=clock)
    stuck = lane.submit(host.ask, deadline_s=5)
    host.entered.acquire()
    waiting = lane.submit(host.ask, deadline_s=60)
    clock.now = 5.1
    lane.fail_what_waits()
    assert waiting.cancelled()
    with pytest.raises(HostUnreachable, match="Nothing was asked"):
        lane.call(host.ask, deadline_s=60)
    host.released.set()
    assert stuck.result(LONG_S) == "answer"
    assert len(host.calls) == 1


def test_the_first_caller_that_gives_up_spares_the_others_their_wait(
    a_lane: Callable[..., Lane], host: HangingHost
) -> None:
    lane = a_lane()
    others: list[Future[str]] = []

    def ask() -> str:
        others.append(lane.submit(host.ask, deadline_s=LONG_S))
        return host.ask()

    with pytest.raises(HostUnreachable):
        lane.call(ask, deadline_s=0.05)
    assert [other.cancelled() for other in others] == [True]


def test_the_lane_recovers_when_the_call_returns(a_lane: Callable[..., Lane], host: HangingHost) -> None:
    clock = Clock()
    lane = a_lane(clock=clock)
    stuck = lane.submit(host.ask, deadline_s=5)
    host.entered.acquire()
    clock.now = 6
    assert lane.stuck_s == 6
    host.released.set()
    stuck.result(LONG_S)
    assert lane.stuck_s is None
    assert lane.call(lambda: 7, deadline_s=LONG_S) == 7


def test_the_queue_is_bounded(a_lane: Callable[..., Lane], host: HangingHost) -> None:
    lane = a_lane(capacity=3)
    lane.submit(host.ask, deadline_s=LONG_S)
    host.entered.acquire()
    for _ in range(3):
        lane.submit(host.ask, deadline_s=LONG_S)
    with pytest.raises(HostUnreachable, match="3 calls wait"):
        lane.submit(host.ask, deadline_s=LONG_S)


def test_a_call_whose_turn_comes_after_its_deadline_is_not_made(a_lane: Callable[..., Lane], host: HangingHost) -> None:
    clock = Clock()
    lane = a_lane(clock=clock)
    lane.submit(host.ask, deadline_s=60)
    host.entered.acquire()
    late = lane.submit(host.ask, deadline_s=5)
    clock.now = 6
    host.released.set()
    lane.call(lambda: None, deadline_s=LONG_S)  # comes after it
    assert late.cancelled()
    assert len(host.calls) == 1


def test_one_stuck_thread_is_left_behind_and_only_one(a_lane: Callable[..., Lane], host: HangingHost) -> None:
    clock = Clock()
    lane = a_lane(clock=clock, abandon_after_s=25)
    lane.submit(host.ask, deadline_s=5)
    host.entered.acquire()
    clock.now = 24
    assert lane.stuck_s == 24
    clock.now = 26
    assert lane.stuck_s is None  # a new thread took over
    lane.submit(host.ask, deadline_s=5)
    host.entered.acquire()
    assert len(set(host.calls)) == 2
    clock.now = 100
    assert lane.stuck_s == 74  # the second one has to wait for the first
    with pytest.raises(HostUnreachable):
        lane.submit(host.ask, deadline_s=5)
    assert len(host.calls) == 2


def test_an_abandoned_thread_ends_without_touching_the_lane(a_lane: Callable[..., Lane], host: HangingHost) -> None:
    clock = Clock()
    tended_by: list[str] = []
    lane = a_lane(clock=clock, abandon_after_s=25, tend=lambda: tended_by.append(threading.current_thread().name))
    future = lane.submit(host.ask, deadline_s=5)
    host.entered.acquire()
    (old,) = [t for t in threading.enumerate() if t.name == "hpc-lane-b"]
    clock.now = 26
    assert lane.call(lane.is_mine, deadline_s=LONG_S)
    tended_before = tended_by.count("hpc-lane-b")
    host.released.set()
    old.join(LONG_S)
    assert not old.is_alive()
    assert future.result(0) == "answer"
    assert tended_by.count("hpc-lane-b") == tended_before


def test_tending_happens_when_woken_and_after_calls(a_lane: Callable[..., Lane]) -> None:
    tended = threading.Semaphore(0)
    lane = a_lane(tend=tended.release)
    assert not [t for t in threading.enumerate() if t.name == "hpc-lane-b"]  # nothing to do yet
    lane.wake()
    assert tended.acquire(timeout=LONG_S)
    lane.call(lambda: None, deadline_s=LONG_S)
    assert tended.acquire(timeout=LONG_S)
    lane.wake()
    assert tended.acquire(timeout=LONG_S)


def test_tending_returns_when_it_wants_to_be_called_again(a_lane: Callable[..., Lane]) -> None:
    tended = threading.Semaphore(0)

    def tend() -> float:
        tended.release()
        return 0.01

    a_lane(tend=tend).wake()
    for _ in range(3):
        assert tended.acquire(timeout=LONG_S)


def test_a_fault_in_tending_does_not_end_the_lane(
    a_lane: Callable[..., Lane], caplog: pytest.LogCaptureFixture
) -> None:
    def tend() -> float:
        raise ZeroDivisionError

    lane = a_lane(tend=tend)
    lane.wake()
    assert lane.call(lambda: 7, deadline_s=LONG_S) == 7
    assert "could not look after" in caplog.text


def test_close_ends_the_thread_and_fails_what_waits(a_lane: Callable[..., Lane], host: HangingHost) -> None:
    lane = a_lane()
    lane.submit(host.ask, deadline_s=LONG_S)
    host.entered.acquire()
    waiting = lane.submit(host.ask, deadline_s=LONG_S)
    lane.begin_close()
    assert not lane.join(0.01)  # a call is under way
    assert waiting.cancelled()
    with pytest.raises(HostUnreachable, match="closed"):
        lane.call(host.ask, deadline_s=LONG_S)
    host.released.set()
    assert lane.join(LONG_S)
