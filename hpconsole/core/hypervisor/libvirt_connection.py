"""One libvirt connection: how it is opened without asking on a terminal, shared by threads, and closed safely."""

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
    """A virConnect that several threads may use, and that stays open until the last of them has left.

    libvirt frees a connection that is closed while another thread is inside a call on it.
    """

    def __init__(self, raw: libvirt.virConnect, host: str) -> None:
        self.host = host
        self._raw = raw
        self._lock = threading.Lock()
        self._users = 0
        self._is_closed = False
        self._is_lost = False
        self._registrations: list[int] = []
        self.optional(lambda: raw.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT))
        self.optional(lambda: raw.registerCloseCallback(self._on_lost, None))

    @contextmanager
    def use(self, vm_uuid: str = "") -> Iterator[libvirt.virConnect]:
        """Call libvirt: its errors become hpconsole's.

        Raises:
            HostUnreachable: it was closed before.
            HypervisorError: whatever libvirt raised meanwhile.
        """
        with self._lock:
            if self._is_closed:
                raise HostUnreachable(f"The connection to host {self.host} is closed.", subject=self.host)
            self._users += 1
        try:
            yield self._raw
        except libvirt.libvirtError as error:
            raise calling_error(error, self.host, is_alive=self.is_alive(), vm_uuid=vm_uuid) from error
        finally:
            with self._lock:
                self._users -= 1
                is_last = self._is_closed and self._users == 0
            if is_last:
                self._let_go()

    def optional(self, call: Callable[[], _T]) -> _T | None:
        """What not every driver and build can do; None where it cannot, or where it failed."""
        try:
            return call()
        except libvirt.libvirtError as error:
            if error.get_error_code() not in UNSUPPORTED:
                _log.debug("%s: %s", self.host, words_of(error))
            return None

    def register(self, feed: EventFeed) -> None:
        """Deliver this connection's events to `feed`, until it is closed."""
        with self.use() as raw:
            if not self._registrations:
                self._registrations = feed.register(raw)

    def is_alive(self) -> bool:
        """Whether it still works, as far as keep-alive knows. Asks nobody."""
        with self._lock:
            if self._is_closed or self._is_lost:
                return False
            try:
                return self._raw.isAlive() == 1
            except libvirt.libvirtError:
                return False

    def close(self) -> None:
        """Close it, or have the last call under way close it. Says good-bye to the host, so it may block."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            is_free = self._users == 0
        if is_free:
            self._let_go()

    def _let_go(self) -> None:
        for number in self._registrations:  # while there are any, libvirt keeps the connection open
            self.optional(lambda: self._raw.domainEventDeregisterAny(number))  # noqa: B023 - called at once
        self.optional(self._raw.unregisterCloseCallback)
        self.optional(self._raw.close)

    def _on_lost(self, _connection: object, reason: int, _opaque: object) -> None:
        self._is_lost = True
        _log.info("connection to %s lost, reason %d", self.host, reason)
