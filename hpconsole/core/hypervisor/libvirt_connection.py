"""One libvirt connection: how it is opened without asking on a terminal, used by one thread, and closed safely."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import libvirt

from hpconsole.core.errors import HostUnreachable
from hpconsole.core.hypervisor.libvirt_errors import UNSUPPORTED, calling_error, clean, opening_error, words_of
from hpconsole.core.hypervisor.libvirt_events import LOOP, EventFeed
from hpconsole.core.hypervisor.uri import HostUri

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# A host that is silent for 5 * (3 + 1) seconds is given up by libvirt, and every call to it returns with an error.
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3
_PROBE_S = 5.0
# For a connection that another thread is in; by then keep-alive has thrown that one out if the host is silent.
_TURN_WITHIN_S = float(KEEPALIVE_INTERVAL_S * (KEEPALIVE_COUNT + 2))

_CREDENTIALS = [
    libvirt.VIR_CRED_USERNAME,
    libvirt.VIR_CRED_AUTHNAME,
    libvirt.VIR_CRED_LANGUAGE,
    libvirt.VIR_CRED_CNONCE,
    libvirt.VIR_CRED_PASSPHRASE,
    libvirt.VIR_CRED_ECHOPROMPT,
    libvirt.VIR_CRED_NOECHOPROMPT,
    libvirt.VIR_CRED_REALM,
    libvirt.VIR_CRED_EXTERNAL,
]


def connect(uri: HostUri) -> Connection:
    """Open a connection. Blocks until the host answers or is known not to; never asks on a terminal.

    Raises:
        AuthenticationFailed: the host, or we, do not accept the other; trying again by itself is pointless.
        HostUnreachable: it cannot be reached now.

    Threads: any.
    """
    host = uri.host or "this machine"
    LOOP.start()
    _probe(uri)
    try:
        raw = libvirt.openAuth(uri.opening_text, [_CREDENTIALS, _give_nothing, None], 0)
    except libvirt.libvirtError as error:
        raise opening_error(words_of(error), host, code=error.get_error_code() or 0) from error
    return Connection(raw, host)


def _give_nothing(_credentials: object, _data: object) -> int:
    """No password is ever asked for: keys, certificates and the system's own rules decide."""
    return -1


def _probe(uri: HostUri) -> None:
    """See whether something listens: libvirt's own attempt cannot be interrupted and may take minutes."""
    address = uri.probe_address
    if address is None:
        return
    try:
        socket.create_connection(address, timeout=_PROBE_S).close()
    except TimeoutError as error:
        raise HostUnreachable(
            f"Host {uri.host} cannot be reached: it did not answer within {_PROBE_S:.0f} s. Check that it is on and no "
            "firewall is in the way.",
            detail=str(error),
            subject=uri.host,
        ) from error
    except OSError as error:
        raise opening_error(clean(str(error)), uri.host) from error


@contextmanager
def freed(domain: libvirt.virDomain) -> Iterator[libvirt.virDomain]:
    """Use a domain, and free it at the end, on this thread, whatever happened.

    A libvirt error keeps the frames it came through, and so the domain, until the garbage collector runs: on any
    thread, the window's too. The domain keeps its connection; the last one of a closed connection says good-bye to the
    host and waits for the answer.
    """
    try:
        yield domain
    finally:
        domain.__del__()  # the binding has no other word for it; what is freed is not freed again


class Connection:
    """A virConnect for any thread, one at a time, that stays open until that one has left.

    Two threads inside one connection crash the process once keep-alive gives up a silent host (libvirt before 10.4.0,
    CVE-2024-4418). The first waits for the socket with a watch that points into its stack; the second's call wakes it
    and leaves that watch behind; keep-alive sends the first home and has the second wait, on the first's watch, too.
    """

    def __init__(self, raw: libvirt.virConnect, host: str) -> None:
        self.host = host
        self._raw = raw
        self._changed = threading.Condition()
        self._inside: int | None = None  # the thread
        self._depth = 0  # how many times it entered
        self._is_closed = False
        self._is_lost = False
        self._registrations: list[int] = []
        self.optional(lambda: raw.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT))
        self.optional(lambda: raw.registerCloseCallback(self._on_lost, None))

    @contextmanager
    def use(self, vm_uuid: str = "", *, turn_within_s: float = _TURN_WITHIN_S) -> Iterator[libvirt.virConnect]:
        """Call libvirt: its errors become hpconsole's. Waits while another thread is inside; who is inside may again.

        Raises:
            HostUnreachable: it was closed before, or the other thread does not come out.
            HypervisorError: whatever libvirt raised meanwhile.
        """
        with self._turn(turn_within_s):
            try:
                yield self._raw
            except libvirt.libvirtError as error:
                raise calling_error(error, self.host, is_alive=self.is_alive(), vm_uuid=vm_uuid) from error

    def optional(self, call: Callable[[], _T]) -> _T | None:
        """What not every driver and build can do; None where it cannot, or where it failed.

        Raises:
            HostUnreachable: as `use`.
        """
        with self._turn(_TURN_WITHIN_S):
            return self._attempt(call)

    @property
    def is_taken(self) -> bool:
        """Whether another thread is inside."""
        return self._inside not in (None, threading.get_ident())

    @property
    def is_closed(self) -> bool:
        """Whether it was closed from here; the last call under way may still be."""
        return self._is_closed

    def register(self, feed: EventFeed) -> None:
        """Deliver this connection's events to `feed`, until it is closed."""
        with self.use() as raw:
            if not self._registrations:
                self._registrations = feed.register(raw)

    def is_alive(self) -> bool:
        """Whether it still works, as far as keep-alive knows. Asks nobody."""
        with self._changed:
            if self._is_closed or self._is_lost:
                return False
            try:
                return self._raw.isAlive() == 1
            except libvirt.libvirtError:
                return False

    def close(self) -> None:
        """Close it, or have the call under way close it. Says good-bye to the host, so it may block."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify_all()
            is_free = self._inside is None
        if is_free:
            self._let_go()

    @contextmanager
    def _turn(self, within_s: float) -> Iterator[None]:
        """Nobody else is inside meanwhile."""
        me = threading.get_ident()
        with self._changed:
            if self._inside != me:
                is_mine = self._changed.wait_for(lambda: self._is_closed or self._inside is None, within_s)
                if self._is_closed:
                    raise HostUnreachable(f"The connection to host {self.host} is closed.", subject=self.host)
                if not is_mine:
                    raise HostUnreachable(
                        f"Host {self.host} has not answered an earlier request yet. Nothing was asked of it; try again "
                        "when it answers.",
                        subject=self.host,
                    )
            self._inside = me
            self._depth += 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if self._depth == 0:
                    self._inside = None
                    self._changed.notify_all()
                is_last = self._is_closed and self._depth == 0
            if is_last:
                self._let_go()

    def _let_go(self) -> None:
        """Nobody is inside, and being closed, nobody comes in."""
        for number in self._registrations:  # while there are any, libvirt keeps the connection open
            self._attempt(lambda: self._raw.domainEventDeregisterAny(number))  # noqa: B023 - called at once
        self._attempt(self._raw.unregisterCloseCallback)
        self._attempt(self._raw.close)

    def _attempt(self, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except libvirt.libvirtError as error:
            if error.get_error_code() not in UNSUPPORTED:
                _log.debug("%s: %s", self.host, words_of(error))
            return None

    def _on_lost(self, _connection: object, reason: int, _opaque: object) -> None:
        self._is_lost = True
        _log.info("connection to %s lost, reason %d", self.host, reason)
