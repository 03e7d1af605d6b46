"""libvirt's event loop in one thread of this process, and its events in hpconsole's words.

Without the loop there is no keep-alive and there are no events.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Mapping

import libvirt

from hpconsole.core.hypervisor.port import DomainEvent, DomainEventKind

_log = logging.getLogger(__name__)


class EventLoop:
    """libvirt's default loop. There can be one per process: `LOOP`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._timer = -1
        self._is_stopping = False

    def start(self) -> None:
        """Start the loop if it does not run yet; must come before the first connection. Threads: any."""
        with self._lock:
            if self._thread is not None:
                return
            libvirt.registerErrorHandler(_on_error, None)
            libvirt.virEventRegisterDefaultImpl()
            # A loop with nothing to watch would sleep for ever; changing the timer wakes it.
            self._timer = libvirt.virEventAddTimeout(-1, _on_timer, None)
            self._thread = threading.Thread(target=self._run, name="hpc-libvirt-events", daemon=True)
            self._thread.start()
            # a thread that comes back from C while the interpreter is being taken down is asking for trouble
            atexit.register(self._stop)

    def _stop(self) -> None:
        self._is_stopping = True
        libvirt.virEventUpdateTimeout(self._timer, 0)
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                libvirt.virEventRunDefaultImpl()
            except libvirt.libvirtError as error:
                _log.warning("libvirt's event loop: %s", error)


LOOP = EventLoop()


def _on_timer(_timer: int, _opaque: object) -> None:
    """Nothing: waking up was the point."""


def _on_error(_context: object, error: object) -> None:
    """What libvirt would print on stderr is raised to whoever called."""
    _log.debug("libvirt: %s", error)


class EventFeed:
    """Domain events of a host, handed to any number of handlers on the event thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handlers: tuple[Callable[[DomainEvent], None], ...] = ()

    def add(self, handler: Callable[[DomainEvent], None]) -> Callable[[], None]:
        """Call `handler` for each event; returns the way to stop. Threads: any."""
        with self._lock:
            self._handlers = (*self._handlers, handler)

        def stop() -> None:
            with self._lock:
                self._handlers = tuple(other for other in self._handlers if other is not handler)

        return stop

    @property
    def is_heard(self) -> bool:
        """Whether there is a handler."""
        return bool(self._handlers)

    def register(self, raw: libvirt.virConnect) -> list[int]:
        """Have libvirt deliver a connection's events here; returns its numbers of the registrations.

        Raises:
            libvirt.libvirtError: the connection cannot be listened to.
        """
        return [
            raw.domainEventRegisterAny(None, event, callback, self._deliver) for event, callback in _CALLBACKS.items()
        ]

    def _deliver(self, kind: DomainEventKind, domain: libvirt.virDomain, detail: str = "") -> None:
        event = DomainEvent(kind, domain.UUIDString(), domain.name(), detail)
        for handler in self._handlers:
            handler(event)


_Deliver = Callable[..., None]


def _on_lifecycle(_: object, domain: libvirt.virDomain, event: int, detail: int, deliver: _Deliver) -> None:
    kind = {
        libvirt.VIR_DOMAIN_EVENT_DEFINED: DomainEventKind.DEFINED,
        libvirt.VIR_DOMAIN_EVENT_UNDEFINED: DomainEventKind.UNDEFINED,
    }.get(event, DomainEventKind.LIFECYCLE)
    deliver(kind, domain, f"{event}:{detail}")


def _on_reboot(_: object, domain: libvirt.virDomain, deliver: _Deliver) -> None:
    deliver(DomainEventKind.LIFECYCLE, domain, "reboot")


def _on_tuned(_: object, domain: libvirt.virDomain, changed: Mapping[str, object], deliver: _Deliver) -> None:
    deliver(DomainEventKind.TUNED, domain, ",".join(changed))


def _on_device(_: object, domain: libvirt.virDomain, alias: str, deliver: _Deliver) -> None:
    deliver(DomainEventKind.DEVICE, domain, alias)


def _on_migration_pass(_: object, domain: libvirt.virDomain, iteration: int, deliver: _Deliver) -> None:
    deliver(DomainEventKind.MIGRATION_PASS, domain, str(iteration))


def _on_job_completed(_: object, domain: libvirt.virDomain, _stats: object, deliver: _Deliver) -> None:
    deliver(DomainEventKind.JOB_COMPLETED, domain)


def _on_metadata(_: object, domain: libvirt.virDomain, _type: int, uri: str | None, deliver: _Deliver) -> None:
    deliver(DomainEventKind.METADATA, domain, uri or "")


_CALLBACKS: Mapping[int, Callable[..., None]] = {
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: _on_lifecycle,
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: _on_reboot,
    libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE: _on_tuned,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: _on_device,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: _on_device,
    libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION: _on_migration_pass,
    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED: _on_job_completed,
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: _on_metadata,
}
