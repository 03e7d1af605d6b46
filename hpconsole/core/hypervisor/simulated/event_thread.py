"""The one thread on which simulated hosts deliver their events, as libvirt's event loop does.

It lives while someone listens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from hpconsole.core.hypervisor.port import DomainEvent

Handler = Callable[[DomainEvent], None]
_Job = tuple[str, DomainEvent] | None
NAME = "simulated-events"


class EventThread:
    """Delivers events in the order they were posted, to whoever listens to that host when they are delivered.

    Threads: any may post and listen. Handlers are called on the event thread, without any lock held.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handlers: list[tuple[str, Handler]] = []
        self._queue: SimpleQueue[_Job] | None = None

    def post(self, host: str, event: DomainEvent) -> None:
        """Deliver an event of this host soon; dropped where nobody listens to any host."""
        with self._lock:
            if self._queue is not None:
                self._queue.put((host, event))

    def listen(self, host: str, handler: Handler) -> Callable[[], None]:
        """Call `handler` for each event of this host; returns the way to stop."""
        entry = (host, handler)
        with self._lock:
            self._handlers.append(entry)
            if self._queue is None:
                self._queue = SimpleQueue()
                threading.Thread(target=self._deliver, args=(self._queue,), name=NAME, daemon=True).start()

        def stop() -> None:
            with self._lock:
                if entry in self._handlers:
                    self._handlers.remove(entry)
                self._end_if_unheard()

        return stop

    def close(self) -> None:
        """Stop delivering; idempotent."""
        with self._lock:
            self._handlers.clear()
            self._end_if_unheard()

    def _end_if_unheard(self) -> None:
        if not self._handlers and self._queue is not None:
            self._queue.put(None)
            self._queue = None

    def _deliver(self, queue: SimpleQueue[_Job]) -> None:
        while (job := queue.get()) is not None:
            host, event = job
            with self._lock:
                handlers = [handler for listened, handler in self._handlers if listened == host]
            for handler in handlers:
                handler(event)
