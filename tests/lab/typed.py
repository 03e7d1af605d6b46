"""hpconsole as a user types it over the lab's hosts: what it prints, and what becomes of it when it is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.commands import wait_until
from tests.lab.guests import Guest
from tests.lab.lab import Lab
from tests.lab.proof import is_sending

ROOT = Path(__file__).resolve().parents[2]


def typed(uris: Mapping[str, str], data: Path, *words: str) -> list[str]:
    """The words of a command about these hosts, with a data folder of its own."""
    connect = [word for name, uri in uris.items() for word in ("--connect", f"{name}={uri}")]
    return [sys.executable, "-m", "hpconsole", *words, "--json", *connect, "--data-folder", str(data)]


def say(
    lab: Lab, data: Path, *words: str, uris: Mapping[str, str] | None = None, code: int = 0, within_s: float = 170
) -> dict[str, Any]:
    """Run a command to its end, over all hosts of the lab or those given; the document it prints."""
    done = subprocess.run(
        typed(lab.uris() if uris is None else uris, data, *words),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | lab.environment(),
        timeout=within_s,
        check=False,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@contextmanager
def going_on(lab: Lab, data: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the block; at its end it is told to end (SIGTERM), if it has not ended by then."""
    console = subprocess.Popen(
        typed(lab.uris(), data, *words),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | lab.environment(),
    )
    try:
        yield console
        console.terminate()
        console.wait(60)
    finally:
        console.kill()
        console.wait()


def kill_while_sending(lab: Lab, guest: Guest, data: Path, *words: str) -> None:
    """Run a command that migrates this guest from host a, and kill it as soon as the hosts are at it."""
    with going_on(lab, data, *words) as console:
        wait_until(lambda: is_sending(lab, "a", guest), within_s=60, complaint="the migration did not begin")
        console.kill()
        console.wait()
    assert is_sending(lab, "a", guest), "it was to be killed midway"
