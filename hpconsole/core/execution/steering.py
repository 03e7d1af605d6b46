"""What the user wants changed about a migration that runs: handed to the thread that watches it."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobChange:
    """What is to be otherwise from now on. `None`: as it is."""

    bandwidth_mib_s: int | None = None
    downtime_ms: int | None = None
    post_copy: bool = False
    is_automatic: bool = False  # the queue's, not the user's: no news

    def then(self, later: JobChange) -> JobChange:
        """Both, the later one last."""
        return JobChange(
            self.bandwidth_mib_s if later.bandwidth_mib_s is None else later.bandwidth_mib_s,
            self.downtime_ms if later.downtime_ms is None else later.downtime_ms,
            self.post_copy or later.post_copy,
            is_automatic=later.is_automatic and (self.is_automatic or self == NO_CHANGE),
        )

    def problem(self) -> str:
        """Why this cannot be wanted, in a sentence; empty if it can."""
        if self.bandwidth_mib_s is not None and self.bandwidth_mib_s < 1:
            return "A bandwidth limit is at least 1 MiB/s."
        if self.downtime_ms is not None and self.downtime_ms < 1:
            return "An allowed pause is at least 1 ms."
        return ""


NO_CHANGE = JobChange()


class Steering:
    """The changes that were asked for and not made yet. Threads: any may ask; one takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = NO_CHANGE

    def ask(self, change: JobChange) -> None:
        """Want this, too."""
        with self._lock:
            self._wanted = self._wanted.then(change)

    def take(self) -> JobChange:
        """Everything wanted since the last time."""
        with self._lock:
            wanted, self._wanted = self._wanted, NO_CHANGE
        return wanted
