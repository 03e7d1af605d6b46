"""One thread through which calls to one host go, in order, each with a deadline.

libvirt's calls cannot be interrupted. So a caller stops waiting at its deadline, and only the lane stays behind with
the call. Knows nothing of connections.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from hpconsole.core.errors import HostUnreachable

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Outcome(Generic[_T]):
    """Carries whatever an action raises over to the thread that waits for it. Nothing is swallowed."""

    def __init__(self, future: Future[_T]) -> None:
        self._future = future

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True


@dataclass(frozen=True, slots=True)
class _Call(Generic[_T]):
    action: Callable[[], _T]
    future: Future[_T]
    deadline_at: float  # on the lane's clock

    def run(self) -> None:
        if self.future.set_running_or_notify_cancel():
            with _Outcome(self.future):
                self.future.set_result(self.action())


@dataclass(frozen=True, slots=True)
class _Running:
    since: float
    deadline_at: float
    future: Future[Any]

    def is_late(self, now: float) -> bool:
        """Past its deadline and not returned: done futures count as returned before the worker goes on."""
        return now > self.deadline_at and not self.future.done()


class Lane:
    """A FIFO of calls with one worker thread.

    A call past its deadline makes the lane *stuck*: everything queued behind it fails, and new calls are refused at
    once, until it returns. A call that stays for `abandon_after_s` is abandoned: its thread is left to end by itself
    and a new one takes over. There is never more than one abandoned thread; while it lives, the next stuck call stays.

    Args:
        name: The thread's name.
        subject: The host, for sentences.
        tend: Called on the worker between calls; returns the seconds until it wants to be called again (None: after
            the next call). It may block for up to `tend_deadline_s`, and must ask `is_mine` after blocking.

    Threads: any, except `tend`, which runs on the worker.
    """

    def __init__(
        self,
        name: str,
        *,
        subject: str,
        tend: Callable[[], float | None] | None = None,
        tend_deadline_s: float = 20.0,
        abandon_after_s: float = 25.0,
        capacity: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._subject = subject
        self._tend = tend
        self._tend_deadline_s = tend_deadline_s
        self._abandon_after_s = abandon_after_s
        self._capacity = capacity
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[_Call[Any]] = deque()
        self._running: _Running | None = None
        self._is_woken = False
        self._is_closed = False
        self._abandoned: threading.Thread | None = None
        self._numbers = itertools.count()
        self._worker: threading.Thread | None = None  # started when there is something to do

    def submit(self, action: Callable[[], _T], *, deadline_s: float) -> Future[_T]:
        """Queue a call. The deadline counts from now; a call whose turn comes later is not made at all.

        Raises:
            HostUnreachable: the lane is stuck, full or closed.
        """
        future: Future[_T] = Future()
        with self._changed:
            now = self._clock()
            self._give_up_on_stuck_worker(now)
            if self._is_closed:
                raise self._closed()
            if (stuck_s := self._stuck_s(now)) is not None:
                raise self._no_answer(stuck_s, was_asked=False)
            if len(self._queue) >= self._capacity:
                raise HostUnreachable(
                    f"Host {self._subject} answers too slowly: {len(self._queue)} calls wait for it. Try again later.",
                    subject=self._subject,
                )
            self._queue.append(_Call(action, future, now + deadline_s))
            self._rouse()
        return future

    def call(self, action: Callable[[], _T], *, deadline_s: float) -> _T:
        """Run `action` on the lane and wait for its result, at most `deadline_s`.

        Raises:
            HostUnreachable: no answer within the deadline, or the lane is stuck, full or closed.
        """
        began = self._clock()
        future = self.submit(action, deadline_s=deadline_s)
        try:
            return future.result(deadline_s)
        except (TimeoutError, CancelledError) as error:
            if future.done() and not future.cancelled():
                raise  # the action's own
            was_asked = not future.cancel()
            self.fail_what_waits()
            if self._is_closed:
                raise self._closed() from error
            raise self._no_answer(self._clock() - began, was_asked=was_asked) from error

    @property
    def stuck_s(self) -> float | None:
        """For how many seconds the present call has been running, if it is past its deadline; else None."""
        with self._changed:
            now = self._clock()
            self._give_up_on_stuck_worker(now)
            return self._stuck_s(now)

    def fail_what_waits(self) -> None:
        """If the lane is stuck, fail everything that waits behind the stuck call now."""
        with self._changed:
            waiting = list(self._queue) if self._stuck_s(self._clock()) is not None else []
            if waiting:
                self._queue.clear()
        for call in waiting:
            call.future.cancel()

    def is_mine(self) -> bool:
        """Whether the calling thread is the lane's present worker, and not one that was abandoned."""
        return threading.current_thread() is self._worker

    def wake(self) -> None:
        """Have `tend` called before the next call. A lane does nothing before the first `submit` or `wake`."""
        with self._changed:
            self._is_woken = True
            self._rouse()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread of a closing lane to end; returns whether it did."""
        worker = self._worker
        if worker is None or worker is threading.current_thread():
            return worker is None
        worker.join(timeout_s)
        return not worker.is_alive()

    def begin_close(self) -> None:
        """Stop after the present call; what waits is cancelled. Returns at once."""
        with self._changed:
            self._is_closed = True
            waiting = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        for call in waiting:
            call.future.cancel()

    def _rouse(self) -> None:
        if self._worker is None and not self._is_closed:
            self._start_worker()
        self._changed.notify_all()

    def _start_worker(self) -> None:
        number = next(self._numbers)
        name = f"{self._name}-{number}" if number else self._name
        self._worker = threading.Thread(target=self._work, name=name, daemon=True)
        self._worker.start()

    def _work(self) -> None:
        # Before any call: who takes over from a thread left behind must not follow it into the same hung connection.
        wait_s = self._tended()
        while self.is_mine():
            call = self._next_call(wait_s)
            if self._is_closed:
                return
            if call is not None:
                call.run()
            # a call may have changed what `tend` looks after, so it is asked after each
            wait_s = self._tended()

    def _next_call(self, wait_s: float | None) -> _Call[Any] | None:
        """Wait for a call; None when it is time to tend. Calls whose deadline has passed are dropped."""
        with self._changed:
            if not self.is_mine():
                return None
            self._running = None
            self._changed.wait_for(self._has_work, wait_s)
            if self._is_woken:  # what `tend` opens, the calls in the queue may wait for
                self._is_woken = False
                return None
            now = self._clock()
            while self._queue and self.is_mine() and not self._is_closed:
                call = self._queue.popleft()
                if call.deadline_at > now:
                    self._running = _Running(now, call.deadline_at, call.future)
                    return call
                call.future.cancel()
            return None

    def _tended(self) -> float | None:
        if self._tend is None:
            return None
        call = _Call(self._tend, Future(), deadline_at=0.0)
        with self._changed:
            if not self.is_mine():
                return None
            now = self._clock()
            self._running = _Running(now, now + self._tend_deadline_s, call.future)
        call.run()
        if (error := call.future.exception()) is not None:
            _log.error("%s: could not look after the connection", self._name, exc_info=error)
            return 1.0
        return call.future.result()

    def _has_work(self) -> bool:
        return bool(self._queue) or self._is_woken or self._is_closed or not self.is_mine()

    def _stuck_s(self, now: float) -> float | None:
        running = self._running
        return now - running.since if running is not None and running.is_late(now) else None

    def _give_up_on_stuck_worker(self, now: float) -> None:
        stuck_s = self._stuck_s(now)
        if stuck_s is None or stuck_s < self._abandon_after_s or self._is_closed:
            return
        if self._abandoned is not None and self._abandoned.is_alive():
            return  # one blocked thread is left behind already; this one has to wait
        _log.warning("%s: a call has not returned for %.0f s; going on without it", self._name, stuck_s)
        self._abandoned = self._worker
        self._running = None
        self._start_worker()
        self._changed.notify_all()

    def _no_answer(self, seconds: float, *, was_asked: bool) -> HostUnreachable:
        rest = "What was asked of it may still happen" if was_asked else "Nothing was asked of it"
        return HostUnreachable(
            f"Host {self._subject} has not answered for {seconds:.0f} s. {rest}; try again when it answers.",
            subject=self._subject,
        )

    def _closed(self) -> HostUnreachable:
        return HostUnreachable(f"The connection to host {self._subject} is closed.", subject=self._subject)
