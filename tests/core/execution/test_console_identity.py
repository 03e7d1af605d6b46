"""Whose journal entry is it, and does that console still run?"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from hpconsole.core.execution.console_identity import this_console


def test_this_console_runs_and_each_run_is_another() -> None:
    console = this_console()
    assert console.is_running
    assert this_console().console_id != console.console_id


def test_a_console_that_ended_does_not_run() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    console = replace(this_console(), pid=process.pid, started="")
    assert console.is_running
    process.kill()
    process.communicate()
    assert not console.is_running


def test_a_later_process_with_the_same_number_is_another() -> None:
    console = this_console()
    assert console.started
    assert not replace(console, started="another boot:1").is_running


def test_a_zombie_does_not_run() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = _start_of(process.pid)
    console = replace(this_console(), pid=process.pid, started=started)
    assert console.is_running
    process.kill()
    process.stdin.close()  # type: ignore[union-attr]  # it was asked for above
    import os

    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
    assert not console.is_running
    process.wait()


def _start_of(pid: int) -> str:
    from hpconsole.core.execution import console_identity

    return console_identity._process_start(pid)


def test_another_machine_s_console_is_taken_to_have_ended() -> None:
    assert not replace(this_console(), machine="somewhere else").is_running
