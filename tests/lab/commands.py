"""How the lab runs programs and waits for what they bring about. Knows nothing of hosts or libvirt."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

# What a program of the lab sees of the machine: nothing of the user's settings, so that every run is the same.
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class LabError(Exception):
    """The lab could not do what it was asked; the sentence says what and why."""


def run(
    *command: str,
    check: bool = True,
    timeout_s: float = 30,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said; LabError where it fails (`check`) or outlasts its time."""
    try:
        done = subprocess.run(
            command,
            check=False,
            text=True,
            capture_output=True,
            input=stdin,
            timeout=timeout_s,
            env=dict(CLEAN_ENVIRONMENT if environment is None else environment),
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(command)}` did not end within {timeout_s:g} s") from error
    except OSError as error:
        raise LabError(f"`{command[0]}` could not be started: {error}") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"`{' '.join(command)}` ended with {done.returncode}: {said}")
    return done


def wait_until(condition: Callable[[], bool], *, within_s: float, complaint: str) -> None:
    """Return once the condition holds; LabError with the complaint when it does not within this time."""
    pause = threading.Event()
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{complaint} (waited {within_s:g} s)")
        pause.wait(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists and has not ended."""
    state = _status(pid)[0]
    if state != "Z":
        return state not in ("X", "")
    # a zombie may have threads that are still ending, with its sockets open
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent_of(pid: int) -> int:
    """The parent's id; 0 where the process does not exist."""
    return int(_status(pid)[1] or 0)


def _status(pid: int) -> tuple[str, str]:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return state, parent
