"""How busy each host was over the last hour, in memory. Fed with snapshots, read by charts."""

from __future__ import annotations

import math
import threading
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAN = float("nan")
# Polls are not exactly a step apart: one that comes this many steps after the last leaves no gap in the curve.
_SMALL_GAP = 3


@dataclass(slots=True)
class _Ring:
    """Values of one host by time slot. What was not measured is NaN."""

    cpu: array[float]
    memory: array[float]
    first: int  # the slot of the first value
    last: int


class LoadHistory:
    """One hour of CPU and memory load for each host, 29 KB a host.

    Args:
        capacity_s: How far back it goes.
        step_s: One value per so many seconds.

    Threads: any. `record` needs no numpy, which may not be loaded yet when the first snapshot comes.
    """

    def __init__(self, capacity_s: int = 3600, step_s: float = 1) -> None:
        self._step_s = step_s
        self._slots = max(1, math.ceil(capacity_s / step_s))
        self._lock = threading.Lock()
        self._rings: dict[str, _Ring] = {}
        self._newest = 0

    def record(self, snapshot: ClusterSnapshot) -> None:
        """Take the load of each host that was polled since the last snapshot; forget hosts that are gone."""
        with self._lock:
            for name in self._rings.keys() - snapshot.hosts.keys():
                del self._rings[name]
            for host in snapshot.hosts.values():
                if host.usage.at is not None:
                    self._put(host, int(host.usage.at.timestamp() / self._step_s))

    def series(self, host: str) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
        """The load of one host, oldest first, up to the newest moment recorded of any host.

        Returns:
            Seconds before that moment (ascending to 0), CPU in percent of all CPUs, memory in percent. NaN where
            nothing is known. Arrays of equal length, empty for an unknown host.
        """
        import numpy as np

        with self._lock:
            ring = self._rings.get(host)
            if ring is None:
                return np.empty(0), np.empty(0, np.float32), np.empty(0, np.float32)
            newest, first, last = self._newest, ring.first, ring.last
            cpu = np.array(ring.cpu, dtype=np.float32)
            memory = np.array(ring.memory, dtype=np.float32)
        first = max(first, newest - self._slots + 1)
        slots = np.arange(first, newest + 1)
        places = slots % self._slots
        known = slots <= last
        seconds = np.asarray((slots - newest) * self._step_s, dtype=np.float64)
        cpu = np.asarray(np.where(known, cpu[places], _NAN), dtype=np.float32)
        return seconds, cpu, np.asarray(np.where(known, memory[places], _NAN), dtype=np.float32)

    def _put(self, host: Host, slot: int) -> None:
        cpu = _NAN if host.usage.cpu_pct is None else host.usage.cpu_pct
        memory = _memory_pct(host)
        ring = self._rings.get(host.name)
        if ring is None or slot < ring.last - self._slots or slot - ring.last > self._slots:
            ring = _Ring(array("f", [_NAN]) * self._slots, array("f", [_NAN]) * self._slots, slot, slot)
            self._rings[host.name] = ring
        elif slot < ring.last:
            return  # the clock was set back a little
        gap = slot - ring.last
        for missed in range(ring.last + 1, slot):
            place = missed % self._slots
            ring.cpu[place], ring.memory[place] = (cpu, memory) if gap <= _SMALL_GAP else (_NAN, _NAN)
        ring.cpu[slot % self._slots], ring.memory[slot % self._slots] = cpu, memory
        ring.last = slot
        self._newest = max(self._newest, slot)


def _memory_pct(host: Host) -> float:
    free, total = host.usage.memory_free_kib, host.memory_kib
    return _NAN if free is None or not total else 100.0 * (1 - free / total)
