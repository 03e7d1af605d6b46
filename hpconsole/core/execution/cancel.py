"""The wish to stop or to leave, handed to whoever is doing the work."""

from __future__ import annotations

import threading


class CancelToken:
    """Set from any thread; the one worker it belongs to asks, or waits for news.

    Cancelled: end the work and undo it. Left: stop looking, the hosts go on by themselves (the console closes).
    """

    def __init__(self) -> None:
        self._news = threading.Event()
        self._cancelled = threading.Event()
        self._left = threading.Event()

    def cancel(self) -> None:
        """Ask for the end. Returns at once; what comes of it is an event."""
        self._cancelled.set()
        self._news.set()

    def leave(self) -> None:
        """Ask the worker to go without touching the hosts."""
        self._left.set()
        self._news.set()

    def poke(self) -> None:
        """Wake the worker from `wait`."""
        self._news.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked for the end."""
        return self._cancelled.is_set()

    @property
    def is_left(self) -> bool:
        """Whether the console is closing."""
        return self._left.is_set()

    def wait(self, timeout_s: float) -> None:
        """Wait for news since the last wait, at most so long. One thread at a time."""
        self._news.wait(timeout_s)
        self._news.clear()
