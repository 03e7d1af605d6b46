"""How late is the window's event loop? A precise 2 ms timer in it, and what it missed.

Also tells how much of that the thread spent waiting for one of the machine's CPUs (/proc/thread-self/schedstat): that
is other programs' doing where the machine is busy. Waiting for Python's own lock is not in it, and counts as late.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer

INTERVAL_MS = 2.0
_SCHEDSTAT = Path("/proc/thread-self/schedstat")


@dataclass(slots=True)
class Late:
    """One measurement. `no_cpu_ms`: how long the thread waited for a CPU in it. `cpu_ms`: how long it computed."""

    at_s: float
    late_ms: float
    no_cpu_ms: float
    cpu_ms: float = 0.0

    @property
    def own_ms(self) -> float:
        """What is left when the machine's other programs are taken out."""
        return max(0.0, self.late_ms - self.no_cpu_ms)


@dataclass(slots=True)
class Lateness:
    """What a meter saw."""

    measurements: list[Late] = field(default_factory=list)

    def percentile(self, share: float, *, own: bool = False) -> float:
        """The lateness in ms that this share (0-1) of all measurements did not exceed."""
        values = sorted(one.own_ms if own else one.late_ms for one in self.measurements)
        return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)] if values else math.nan

    def worst(self, count: int = 5, *, own: bool = False) -> list[Late]:
        """The latest ones, worst first."""
        return sorted(self.measurements, key=lambda one: -(one.own_ms if own else one.late_ms))[:count]

    def longest_work_ms(self) -> float:
        """The most CPU time the thread took between two measurements: what the window does in one go.

        Unlike lateness it hardly grows on a busy machine, so that a test can hold the window to it.
        """
        return max((one.cpu_ms for one in self.measurements), default=math.nan)

    def histogram(self) -> dict[str, int]:
        """How many were late by up to so many ms."""
        edges = (0.5, 1, 2, 4, 8, 16, 32, 64, 128)
        counts = {f"<= {edge:g}": 0 for edge in edges} | {f"> {edges[-1]:g}": 0}
        for one in self.measurements:
            edge = next((edge for edge in edges if one.late_ms <= edge), None)
            counts[f"> {edges[-1]:g}" if edge is None else f"<= {edge:g}"] += 1
        return counts


class LatenessMeter(QObject):
    """Measures from `start` to `stop`, on the thread it was made on."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lateness = Lateness()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(int(INTERVAL_MS))
        self._timer.timeout.connect(self._on_tick)
        self._last_s = 0.0
        self._waited_ns = 0
        self._worked_s = 0.0
        # kept open: opening it anew for each tick would cost what is to be measured
        self._schedstat = _SCHEDSTAT.open("rb", buffering=0)

    def start(self) -> None:
        """Begin."""
        self._last_s, self._waited_ns, self._worked_s = time.perf_counter(), self._waited(), time.thread_time()
        self._timer.start()

    def stop(self) -> Lateness:
        """End; what was seen."""
        self._timer.stop()
        self._schedstat.close()
        return self.lateness

    def _waited(self) -> int:
        self._schedstat.seek(0)
        return int(self._schedstat.read().split()[1])

    def _on_tick(self) -> None:
        now_s, waited_ns, worked_s = time.perf_counter(), self._waited(), time.thread_time()
        late_ms = max(0.0, (now_s - self._last_s) * 1e3 - INTERVAL_MS)
        no_cpu_ms, cpu_ms = (waited_ns - self._waited_ns) / 1e6, (worked_s - self._worked_s) * 1e3
        self.lateness.measurements.append(Late(now_s, late_ms, no_cpu_ms, cpu_ms))
        self._last_s, self._waited_ns, self._worked_s = now_s, waited_ns, worked_s
