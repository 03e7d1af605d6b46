"""Keeps the proof before the day up to date in the window: made anew on a worker, at a modest rate. Shows nothing.

Nothing is loaded or judged until a VM is highly available: other clusters pay one pass over their VMs now and then.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui.bridge import Background
from hpconsole.ui.console import Console

if TYPE_CHECKING:
    from hpconsole.core.availability.report import Proof

FIRST_MS = 8_000  # the window is filled first
INTERVAL_MS = 15_000
SOON_MS = 1_500  # after a host was lost, came back, or was decided about
_LOAD = 20  # it rests this many times as long as the last proof took: 5 % of a core at most


class ProofWatch(QObject):
    """Emits `changed(Proof | None)`; None: no running VM is highly available."""

    changed = Signal(object)

    def __init__(
        self,
        console: Console,
        parent: QObject | None = None,
        *,
        first_ms: int = FIRST_MS,
        interval_ms: int = INTERVAL_MS,
    ) -> None:
        super().__init__(parent)
        self._console = console
        self._interval_ms = interval_ms
        self._background = Background(self)
        self._hosts: object = None
        self._is_new = False  # a snapshot came since the last proof
        self._is_proving = False
        self._is_due = False  # and waits for something new
        self._next = QTimer(self, singleShot=True, interval=first_ms)
        self._next.timeout.connect(self._on_time)
        self._next.start()

    def follow(self, snapshot: ClusterSnapshot) -> None:
        """A new snapshot."""
        self._is_new = True
        if self._is_due:
            self._is_due = False
            self._next.start(0)
        hosts = _standing(snapshot)
        if self._hosts is not None and hosts != self._hosts and not self._is_proving:
            self._next.start(min(SOON_MS, self._interval_ms))
        self._hosts = hosts

    def close(self) -> None:
        """Expect no more proofs."""
        self._next.stop()
        self._background.close()

    def _on_time(self) -> None:
        if not self._console.wait_ready(0):
            self._next.start(self._interval_ms)
            return
        if not self._is_new:
            self._is_due = True
            return
        self._is_new, self._is_proving = False, True
        self._hosts = _standing(self._console.store.snapshot)
        self._background.run(self._prove, self._on_proved, self._on_failure)

    def _prove(self) -> tuple[Proof | None, float]:
        """On a worker thread: the proof, and how many seconds it took."""
        console = self._console
        snapshot = console.store.snapshot
        if not any(vm.intent.high_availability and vm.state.is_active for vm in snapshot.vms.values()):
            return None, 0.0
        begun_s = time.monotonic()
        proof = console.availability.proof(console.policy, console.reservations())
        return proof, time.monotonic() - begun_s

    def _on_proved(self, outcome: tuple[Proof | None, float]) -> None:
        proof, took_s = outcome
        self._is_proving = False
        self._next.start(max(self._interval_ms, round(took_s * 1000 * _LOAD)))
        self.changed.emit(proof)

    def _on_failure(self, _error: HpconsoleError) -> None:
        """The database fails: the window says so elsewhere; try again later."""
        self._is_proving = False
        self._is_new = True
        self._next.start(self._interval_ms)


def _standing(snapshot: ClusterSnapshot) -> object:
    """What a proof depends on that rarely changes; equal where nothing of it did."""
    return tuple((host.name, host.link.state, host.status) for host in snapshot.hosts.values())
