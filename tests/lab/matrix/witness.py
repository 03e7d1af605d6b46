"""Where does the guest run, at every moment? From the CPU time of its vCPU threads in /proc: no libvirt is asked.

During a migration two QEMU processes are right; only one of them may let the guest run.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from tests.lab.commands import LabError
from tests.lab.lab import Lab

_EVERY_S = 0.05
_TOGETHER = 4  # so many looks in a row with both running is no switch-over


class Witness:
    """A thread that looks 20 times a second which of the guest's processes get on. Use it in a `with`."""

    def __init__(self, lab: Lab, uuid: str) -> None:
        """Of this guest, on all hosts of the lab."""
        self._lab = lab
        self._uuid = uuid
        self._known: dict[int, list[Path]] = {}  # process id -> its vCPU threads' clocks; none = not of this guest
        self._ran: dict[int, int] = {}
        self._together = 0
        self.ran_twice = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        self._learn()
        running = 0
        for pid, clocks in self._known.items():
            if not clocks:
                continue
            total = 0
            for clock in clocks:
                with contextlib.suppress(OSError, ValueError):
                    total += int(clock.read_text().split()[0])
            running += 0 < self._ran.get(pid, 0) < total
            self._ran[pid] = total
        self._together = self._together + 1 if running > 1 else 0
        self.ran_twice = self.ran_twice or self._together >= _TOGETHER

    def _learn(self) -> None:
        present = {int(entry) for entry in os.listdir("/proc") if entry.isdecimal()}
        for gone in self._known.keys() - present:
            del self._known[gone]
            self._ran.pop(gone, None)
        wanted = self._uuid.encode()
        for pid in present - self._known.keys():
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"qemu-system" not in line:
                    self._known[pid] = []
                elif wanted in line:
                    clocks = _clocks(pid)
                    if clocks:  # its threads are made a moment after it
                        self._known[pid] = clocks


def _clocks(pid: int) -> list[Path]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("CPU "):
            found.append(task / "schedstat")
    return found


def places(lab: Lab, uuid: str) -> tuple[str, ...]:
    """The hosts on which a QEMU process of this guest exists now."""
    return lab.qemu_processes().get(uuid, ())


def goes_on(lab: Lab, host: str, uuid: str) -> bool:
    """Whether the guest's vCPUs got CPU time within a second there."""
    pid = lab.host(host).qemu_processes().get(uuid)
    if pid is None:
        return False
    before = _total(pid)
    pause = threading.Event()
    for _ in range(20):
        pause.wait(0.05)
        with contextlib.suppress(LabError, OSError):
            if _total(pid) > before:
                return True
    return False


def _total(pid: int) -> int:
    return sum(int(clock.read_text().split()[0]) for clock in _clocks(pid))
