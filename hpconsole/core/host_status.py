"""What was decided about hosts: up, preparing for maintenance, maintenance, non-operational; and why. Kept on disk.

Knows no connection: whether a host can be reached is `HostLink`'s business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hpconsole.core.errors import StorageError
from hpconsole.core.events import Event, HostStatusChanged
from hpconsole.core.keeping import Documents
from hpconsole.core.model.host import HostStatus

_log = logging.getLogger(__name__)
KIND = "host_status"
_LONGEST_REASON = 500
STALE_AFTER_S = 2.0  # another console may have decided otherwise since


@dataclass(frozen=True, slots=True)
class HostDecision:
    """One host's status, the administrator's reason, and since when."""

    status: HostStatus = HostStatus.UP
    reason: str = ""
    since: datetime | None = None


UP = HostDecision()


class HostStatuses:
    """The decisions of this run, of earlier ones and of other consoles on the same database. Others are up.

    Args:
        report: Where changes are told as events.
        on_change: Called after each change (the poller publishes at once).

    Threads: any. A database that fails costs the memory beyond this run, nothing else.
    """

    def __init__(
        self,
        report: Callable[[Event], None],
        on_change: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._documents: Documents | None = None
        self._decisions: dict[str, HostDecision] = {}
        self._unkept: set[str] = set()  # hosts whose decision could not be written: what is on disk is older
        self._count = 0  # of decisions made here: one that is made while the database is read wins
        self._read_at_s = float("-inf")

    def attach(self, documents: Documents) -> None:
        """Read what earlier runs decided, and keep what this one decides; decisions of this run win.

        Raises:
            StorageError: the database fails.
        """
        read = {name: decision_from_json(body) for name, body in documents.all(KIND).items()}
        with self._lock:
            self._documents = documents
            self._unkept = set(self._decisions)
            self._decisions = {**read, **self._decisions}
            self._read_at_s = self._clock()
        self._on_change()

    def reload(self) -> None:
        """Read what other consoles decided meanwhile; each difference is told as an event. Reads a disk.

        Raises:
            StorageError: the database fails; everything stays as it was.
        """
        with self._lock:
            documents, count = self._documents, self._count
        if documents is None:
            return
        read = {name: decision_from_json(body) for name, body in documents.all(KIND).items()}
        with self._lock:
            if count != self._count:
                return  # decided here a moment ago: the next reading sees both
            before = self._decisions
            own = {name: before[name] for name in self._unkept if name in before}
            after = {name: kept for name, kept in read.items() if name not in self._unkept} | own
            self._decisions = after
            self._read_at_s = self._clock()
        self._tell_differences(before, after)

    def newest(self, max_age_s: float = STALE_AFTER_S) -> Mapping[str, HostDecision]:
        """As `all`, read anew where what is known is older than `max_age_s`. Reads a disk; a failure is logged."""
        with self._lock:
            is_stale = self._clock() - self._read_at_s > max_age_s
        if is_stale:
            try:
                self.reload()
            except StorageError as error:
                _log.warning("what other consoles decided about hosts is not known: %s", error.sentence)
        return self.all()

    def _tell_differences(self, before: Mapping[str, HostDecision], after: Mapping[str, HostDecision]) -> None:
        changed = [
            (host, before.get(host, UP), after.get(host, UP))
            for host in sorted({*before, *after})
            if _meaning(before.get(host, UP)) != _meaning(after.get(host, UP))
        ]
        if changed:
            self._on_change()
        for host, old, new in changed:
            self._report(HostStatusChanged(datetime.now(UTC), host, old.status, new.status, new.reason))

    def all(self) -> Mapping[str, HostDecision]:
        """Every host that is not up, or that was given a reason."""
        with self._lock:
            return dict(self._decisions)

    def of(self, host: str) -> HostDecision:
        """One host's decision."""
        with self._lock:
            return self._decisions.get(host, UP)

    def set(self, host: str, status: HostStatus, reason: str = "") -> HostDecision:
        """Decide; tells everybody if it is a change.

        Raises:
            StorageError: it holds for this run only, since the database fails.
        """
        decision = HostDecision(status, reason[:_LONGEST_REASON], datetime.now(UTC))
        before = self.newest(0).get(host, UP)  # another console may have decided otherwise a moment ago
        if _meaning(before) == _meaning(decision):
            return before
        with self._lock:
            self._count += 1
            self._decisions = {name: known for name, known in self._decisions.items() if name != host}
            if status is not HostStatus.UP:
                self._decisions[host] = decision
            documents = self._documents
            self._unkept.add(host)
        try:
            if documents is not None and status is HostStatus.UP:
                documents.remove(KIND, host)
            elif documents is not None:
                documents.save(KIND, host, decision_to_json(decision))
            if documents is not None:
                with self._lock:
                    self._unkept.discard(host)
        finally:
            self._on_change()
            self._report(HostStatusChanged(datetime.now(UTC), host, before.status, status, decision.reason))
        return decision


def _meaning(decision: HostDecision) -> tuple[HostStatus, str]:
    return decision.status, decision.reason


def decision_to_json(decision: HostDecision) -> dict[str, Any]:
    """As it is kept."""
    since = decision.since.isoformat() if decision.since is not None else None
    return {"status": decision.status.value, "reason": decision.reason, "since": since}


def decision_from_json(body: Mapping[str, Any]) -> HostDecision:
    """What was kept; one that cannot be read counts as preparing, so that nothing is placed there by mistake."""
    try:
        since = body.get("since")
        return HostDecision(
            HostStatus(body["status"]),
            str(body.get("reason", ""))[:_LONGEST_REASON],
            datetime.fromisoformat(since) if isinstance(since, str) else None,
        )
    except (KeyError, ValueError, TypeError) as error:
        _log.warning("a host's status cannot be read: %s", error)
        return HostDecision(HostStatus.PREPARING_FOR_MAINTENANCE, "The status that was kept cannot be read.")


__all__ = ["KIND", "UP", "HostDecision", "HostStatuses", "StorageError"]
