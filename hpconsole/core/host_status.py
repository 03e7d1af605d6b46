"""What was decided about hosts: up, preparing for maintenance, maintenance, non-operational; and why. Kept on disk.

Knows no connection: whether a host can be reached is `HostLink`'s business.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from hpconsole.core.errors import StorageError
from hpconsole.core.events import Event, HostStatusChanged
from hpconsole.core.model.host import HostStatus

_log = logging.getLogger(__name__)
KIND = "host_status"
_LONGEST_REASON = 500


class Documents(Protocol):
    """What is needed of `database.documents`."""

    def all(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every document of a kind by name."""

    def save(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Keep one."""

    def remove(self, kind: str, name: str) -> None:
        """Forget one."""


@dataclass(frozen=True, slots=True)
class HostDecision:
    """One host's status, the administrator's reason, and since when."""

    status: HostStatus = HostStatus.UP
    reason: str = ""
    since: datetime | None = None


UP = HostDecision()


class HostStatuses:
    """The decisions of this run and of earlier ones. Hosts that are not named are up.

    Args:
        report: Where changes are told as events.
        on_change: Called after each change (the poller publishes at once).

    Threads: any. A database that fails costs the memory beyond this run, nothing else.
    """

    def __init__(self, report: Callable[[Event], None], on_change: Callable[[], None] = lambda: None) -> None:
        self._report = report
        self._on_change = on_change
        self._lock = threading.Lock()
        self._documents: Documents | None = None
        self._decisions: dict[str, HostDecision] = {}

    def attach(self, documents: Documents) -> None:
        """Read what earlier runs decided, and keep what this one decides; decisions of this run win.

        Raises:
            StorageError: the database fails.
        """
        read = {name: decision_from_json(body) for name, body in documents.all(KIND).items()}
        with self._lock:
            self._documents = documents
            self._decisions = {**read, **self._decisions}
        self._on_change()

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
        with self._lock:
            before = self._decisions.get(host, UP)
            if (before.status, before.reason) == (status, decision.reason):
                return before
            if status is HostStatus.UP:
                self._decisions.pop(host, None)
            else:
                self._decisions[host] = decision
            documents = self._documents
        try:
            if documents is not None and status is HostStatus.UP:
                documents.remove(KIND, host)
            elif documents is not None:
                documents.save(KIND, host, decision_to_json(decision))
        finally:
            self._on_change()
            self._report(HostStatusChanged(datetime.now(UTC), host, before.status, status, decision.reason))
        return decision


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
