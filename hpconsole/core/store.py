"""The newest snapshot and the events, handed to whoever subscribed. Thread-safe; callbacks must return at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from hpconsole.core.events import Event
from hpconsole.core.lent_cpus import LentCpus
from hpconsole.core.model.snapshot import EMPTY_SNAPSHOT, ClusterSnapshot

_Subscriber = TypeVar("_Subscriber")


class Store:
    """One writer (the poller) publishes snapshots; anybody may publish events.

    Threads: any. Subscribers are called on the publishing thread, outside the lock, in the order they subscribed.
    """

    def __init__(self) -> None:
        self.lent = LentCpus()  # migrations write it, the poller reads it
        self._lock = threading.Lock()
        self._snapshot = EMPTY_SNAPSHOT
        self._on_snapshot: list[Callable[[ClusterSnapshot], None]] = []
        self._on_event: list[Callable[[Event], None]] = []

    @property
    def snapshot(self) -> ClusterSnapshot:
        """The newest snapshot."""
        return self._snapshot

    def publish(self, snapshot: ClusterSnapshot) -> None:
        """Make this the newest snapshot; one with a lower serial than the present one is dropped."""
        with self._lock:
            if snapshot.serial <= self._snapshot.serial:
                return
            self._snapshot = snapshot
            subscribers = tuple(self._on_snapshot)
        for subscriber in subscribers:
            subscriber(snapshot)

    def report(self, event: Event) -> None:
        """Deliver an event to every event subscriber."""
        with self._lock:
            subscribers = tuple(self._on_event)
        for subscriber in subscribers:
            subscriber(event)

    def subscribe(self, subscriber: Callable[[ClusterSnapshot], None]) -> Callable[[], None]:
        """Call `subscriber` with each new snapshot; returns the way to stop."""
        return self._add(self._on_snapshot, subscriber)

    def subscribe_events(self, subscriber: Callable[[Event], None]) -> Callable[[], None]:
        """Call `subscriber` with each event; returns the way to stop."""
        return self._add(self._on_event, subscriber)

    def _add(self, subscribers: list[_Subscriber], subscriber: _Subscriber) -> Callable[[], None]:
        with self._lock:
            subscribers.append(subscriber)

        def stop() -> None:
            with self._lock:
                if subscriber in subscribers:
                    subscribers.remove(subscriber)

        return stop
