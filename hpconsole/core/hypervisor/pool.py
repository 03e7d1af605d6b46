"""One shared connection per host: opened in the background, kept, reopened when it breaks.

Knows neither libvirt nor what is asked of the hosts; a function that opens a URI is given to it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from hpconsole.core.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostUnreachable,
    HypervisorError,
    UriRefused,
)
from hpconsole.core.hypervisor.lane import Lane
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.hypervisor.uri import parse_uri
from hpconsole.core.model.host import HostLink, LinkState

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
# A connection that lived this long was a good one: the next attempt comes soon again.
_GOOD_AFTER_S = 10.0
# How often an idle lane looks whether keep-alive has closed its connection.
_LOOK_EVERY_S = 2.0


def _now() -> datetime:
    return datetime.now(UTC)


class _Session:
    """The connection to one host. `tend` runs on the lane; everything else on any thread."""

    def __init__(
        self,
        name: str,
        uri: str,
        opener: Callable[[str], Hypervisor],
        on_change: Callable[[str, HostLink], None],
        *,
        lane: Callable[[Callable[[], float | None]], Lane],
        clock: Callable[[], float],
        jitter: random.Random,
    ) -> None:
        self.name = name
        self.uri = uri
        self._opener = opener
        self._on_change = on_change
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._hypervisor: Hypervisor | None = None
        self._opened_at = 0.0
        self._opened_on: threading.Thread | None = None
        self._failures = 0
        self._try_at = clock()
        self._link = HostLink(LinkState.CONNECTING, since=_now(), is_encrypted=_is_encrypted(uri))
        self._is_closed = False
        self.lane = lane(self.tend)
        self.lane.wake()

    def hypervisor(self) -> Hypervisor:
        """The open connection.

        Raises:
            HostUnreachable: there is none; the sentence says why.
        """
        with self._lock:
            hypervisor, link = self._hypervisor, self._link
        if hypervisor is None:
            why = link.problem or f"The connection to host {self.name} is still being opened."
            raise HostUnreachable(why, subject=self.name)
        return hypervisor

    def link(self) -> HostLink:
        """How the connection stands now. A call past its deadline is noticed here, by whoever asks."""
        stuck_s = self.lane.stuck_s
        with self._lock:
            link = self._link
        if stuck_s is not None and link.state is LinkState.CONNECTED:
            self._set(
                LinkState.UNRESPONSIVE,
                f"Host {self.name} does not answer. What is shown of it is old; its VMs are not affected by that. "
                "If it stays silent, the connection is closed and opened again.",
                only_from=LinkState.CONNECTED,
            )
        elif stuck_s is None and link.state is LinkState.UNRESPONSIVE:
            self._set(LinkState.CONNECTED, only_from=LinkState.UNRESPONSIVE)
        elif stuck_s is not None and link.state is LinkState.CONNECTING:
            self._set(
                LinkState.DISCONNECTED,
                f"Host {self.name} does not answer the attempt to connect. hpconsole goes on trying by itself.",
                only_from=LinkState.CONNECTING,
            )
        with self._lock:
            return self._link

    def mark_answered(self, at: datetime) -> None:
        """A complete poll came in."""
        with self._lock:
            self._link = replace(self._link, answered_at=at)

    def retry(self) -> None:
        """Try to connect now."""
        with self._lock:
            if self._hypervisor is not None or self._is_closed:
                return
            self._failures = 0
            self._try_at = self._clock()
        self._set(LinkState.CONNECTING)
        self.lane.wake()

    def run(self, action: Callable[[Hypervisor], _T]) -> _T:
        """Run `action` on the connection. Lane only."""
        hypervisor = self.hypervisor()
        try:
            return action(hypervisor)
        except ConnectionLost as error:
            self._lost(hypervisor, error.sentence)
            raise

    def tend(self) -> float | None:
        """Look after the connection: open it when it is time, notice that it broke. Lane only."""
        with self._lock:
            if self._is_closed:
                return None
            hypervisor, state, wait_s = self._hypervisor, self._link.state, self._try_at - self._clock()
        if hypervisor is not None:
            if not hypervisor.is_alive():
                self._lost(hypervisor, f"The connection to host {self.name} broke: it stopped answering.")
            elif self._opened_on is not threading.current_thread():
                # the lane left its thread behind in a call that hangs: see LibvirtHost for why that spoils the rest
                self._lost(hypervisor, f"A request to host {self.name} hangs. hpconsole connects anew.")
            else:
                return _LOOK_EVERY_S
            return max(self._try_at - self._clock(), 0.0)
        if state is LinkState.REFUSED:
            return None
        if wait_s > 0:
            return wait_s
        self._open()
        return _LOOK_EVERY_S if self._hypervisor is not None else max(self._try_at - self._clock(), 0.0)

    def begin_close(self) -> None:
        """Close the connection on its lane, as soon as the call under way returns; do not wait for it."""
        with self._lock:
            self._is_closed = True
            hypervisor, self._hypervisor = self._hypervisor, None
        if hypervisor is not None:
            try:
                # closing says good-bye to the host, which may not answer: never on the caller's thread
                self.lane.submit(hypervisor.close, deadline_s=60.0).add_done_callback(lambda _: self.lane.begin_close())
            except HostUnreachable as error:
                _log.info("%s: left without closing: %s", self.name, error.sentence)
            else:
                return
        self.lane.begin_close()

    def _open(self) -> None:
        try:
            hypervisor = self._opener(self.uri)
        except (AuthenticationFailed, UriRefused) as error:
            if self.lane.is_mine():
                self._set(LinkState.REFUSED, error.sentence)
            _log.warning("%s: %s (%s)", self.name, error.sentence, error.detail)
            return
        except HypervisorError as error:
            if self.lane.is_mine():
                self._plan_retry()
                self._set(LinkState.DISCONNECTED, error.sentence)
            _log.info("%s: %s (%s)", self.name, error.sentence, error.detail)
            return
        with self._lock:
            is_wanted = not self._is_closed and self._hypervisor is None and self.lane.is_mine()
            if is_wanted:
                self._hypervisor = hypervisor
                self._opened_at = self._clock()
                self._opened_on = threading.current_thread()
        if is_wanted:
            self._set(LinkState.CONNECTED)
        else:
            hypervisor.close()

    def _lost(self, hypervisor: Hypervisor, sentence: str) -> None:
        with self._lock:
            if self._hypervisor is not hypervisor:
                return
            self._hypervisor = None
            if self._clock() - self._opened_at >= _GOOD_AFTER_S:
                self._failures = 0
        self._plan_retry()
        self._set(LinkState.DISCONNECTED, sentence)
        hypervisor.close()

    def _plan_retry(self) -> None:
        with self._lock:
            delay_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(self._failures, 16))
            self._failures += 1
            # half of it is chance, so that a hundred consoles do not knock at the same moment
            self._try_at = self._clock() + delay_s * self._jitter.uniform(0.5, 1.0)

    def _set(self, state: LinkState, problem: str = "", *, only_from: LinkState | None = None) -> None:
        with self._lock:
            if self._is_closed or (only_from is not None and self._link.state is not only_from):
                return
            if state is self._link.state and problem == self._link.problem:
                return
            since = self._link.since if state is self._link.state else _now()
            self._link = link = replace(self._link, state=state, since=since, problem=problem)
        self._on_change(self.name, link)


class ConnectionPool:
    """The connections to all hosts of the console.

    Args:
        opener: Opens a URI; blocks, raises HypervisorError. Called on the host's lane.
        on_change: Called with each new link state, on whatever thread noticed it; must return at once.

    Threads: any.
    """

    def __init__(
        self,
        opener: Callable[[str], Hypervisor],
        *,
        on_change: Callable[[str, HostLink], None] | None = None,
        open_deadline_s: float = 20.0,
        abandon_after_s: float = 25.0,
        clock: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self._opener = opener
        self._on_change = on_change or (lambda _name, _link: None)
        self._open_deadline_s = open_deadline_s
        self._abandon_after_s = abandon_after_s
        self._clock = clock
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads attempts, hides nothing
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._is_closed = False

    def add(self, name: str, uri: str) -> None:
        """Begin to connect to a host; returns at once. A URI that is not accepted shows as a refused link.

        Raises:
            ValueError: there is a host of this name.
        """

        def lane(tend: Callable[[], float | None]) -> Lane:
            return Lane(
                f"hpc-lane-{name}",
                subject=name,
                tend=tend,
                tend_deadline_s=self._open_deadline_s,
                abandon_after_s=self._abandon_after_s,
                clock=self._clock,
            )

        with self._lock:
            if name in self._sessions:
                raise ValueError(f"there is a host {name} already")
            if self._is_closed:
                return
            self._sessions[name] = _Session(
                name, uri, self._opener, self._on_change, lane=lane, clock=self._clock, jitter=self._jitter
            )

    def remove(self, name: str) -> None:
        """Close the connection in the background and forget the host."""
        with self._lock:
            session = self._sessions.pop(name, None)
        if session is not None:
            session.begin_close()

    def names(self) -> tuple[str, ...]:
        """Every host, in the order they were added."""
        with self._lock:
            return tuple(self._sessions)

    def uris(self) -> dict[str, str]:
        """Every host with the URI it was added with, at one moment: hosts may be removed between two questions."""
        with self._lock:
            return {name: session.uri for name, session in self._sessions.items()}

    def uri(self, name: str) -> str:
        """The URI a host was added with.

        Raises:
            HostUnreachable: there is no host of this name.
        """
        return self._session(name).uri

    def link(self, name: str) -> HostLink:
        """How the connection to a host stands.

        Raises:
            HostUnreachable: there is no host of this name.
        """
        return self._session(name).link()

    def call(self, name: str, action: Callable[[Hypervisor], _T], *, deadline_s: float) -> _T:
        """Run `action` on the host's lane and wait at most `deadline_s`. While a host is being connected, wait for it.

        Raises:
            HostUnreachable: not connected, or no answer in time.
            HypervisorError: whatever `action` raised.
        """
        session = self._session(name)
        self._refuse_unconnected(session)
        try:
            return session.lane.call(lambda: session.run(action), deadline_s=deadline_s)
        finally:
            session.link()  # a missed deadline shows at once

    def submit(self, name: str, action: Callable[[Hypervisor], _T], *, deadline_s: float) -> Future[_T]:
        """As `call`, without waiting for the result. A call whose turn never came is a cancelled future.

        Raises:
            HostUnreachable: not connected, or the lane is stuck.
        """
        session = self._session(name)
        self._refuse_unconnected(session)
        return session.lane.submit(lambda: session.run(action), deadline_s=deadline_s)

    def hypervisor(self, name: str) -> Hypervisor:
        """The open connection, for long calls (migrations) on the caller's own thread.

        Raises:
            HostUnreachable: there is none.
        """
        return self._session(name).hypervisor()

    def mark_answered(self, name: str, at: datetime | None = None) -> None:
        """Note that a complete poll of this host came in."""
        with self._lock:
            session = self._sessions.get(name)
        if session is not None:
            session.mark_answered(at or _now())

    def retry(self, name: str) -> None:
        """Try to connect now: the only way out of a refused link, and a way past the back-off.

        Raises:
            HostUnreachable: there is no host of this name.
        """
        self._session(name).retry()

    def close(self, timeout_s: float = 2.0) -> None:
        """Close every connection, all at the same time; after `timeout_s` those that do not answer are left."""
        with self._lock:
            self._is_closed = True
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.begin_close()
        until = self._clock() + timeout_s
        for session in sessions:
            session.lane.join(max(0.0, until - self._clock()))

    def _session(self, name: str) -> _Session:
        with self._lock:
            session = self._sessions.get(name)
        if session is None:
            raise HostUnreachable(f"There is no host named {name} in this console.", subject=name)
        return session

    @staticmethod
    def _refuse_unconnected(session: _Session) -> None:
        if session.link().state in (LinkState.DISCONNECTED, LinkState.REFUSED):
            session.hypervisor()


def _is_encrypted(uri: str) -> bool:
    try:
        return parse_uri(uri, allow_local_programs=True, allow_unverified=True).is_encrypted
    except UriRefused:
        return True  # never opened
