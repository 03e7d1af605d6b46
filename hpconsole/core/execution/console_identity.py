"""Which console wrote a journal entry, and whether it still runs: two consoles may share one database."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ConsoleIdentity:
    """One run of the program. `started` tells a process from a later one with the same number (Linux only)."""

    console_id: str
    machine: str
    pid: int
    started: str = ""

    @property
    def is_running(self) -> bool:
        """Whether that very process still runs here; one on another machine is taken to have ended."""
        if self.machine != socket.gethostname():
            return False
        if not _exists(self.pid):
            return False
        return not self.started or self.started == _process_start(self.pid)


def this_console() -> ConsoleIdentity:
    """A new identity for this process."""
    pid = os.getpid()
    return ConsoleIdentity(uuid.uuid4().hex, socket.gethostname(), pid, _process_start(pid))


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is somebody else's
    return True


def _process_start(pid: int) -> str:
    """Boot id and start time in clock ticks, from the kernel; empty where it does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else f"{boot}:{ticks}"
