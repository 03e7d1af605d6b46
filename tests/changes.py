"""Waiting for what a store publishes: a condition is looked at again with each snapshot and each event."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hpconsole.core.events import Event
from hpconsole.core.store import Store

WAIT_S = 60.0


class Changes:
    """Everything a store says from now on. `events`: all of them, in order."""

    def __init__(self, store: Store) -> None:
        self._changed = threading.Condition()
        self.events: list[Event] = []
        store.subscribe(lambda _snapshot: self._wake())
        store.subscribe_events(self._add)

    def _add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def until(self, is_wanted: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
        """Wait until this holds; `what` says what was there instead when it never did."""
        with self._changed:
            assert self._changed.wait_for(is_wanted, WAIT_S), what() or self.events
