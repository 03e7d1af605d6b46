"""Plays rows in several processes at once, each with a lab of its own, and lets no row vanish with a process that dies.

A lab is for one thread. A process plays a few rows and ends: what one row did to its lab reaches few others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.matrix.row_run import ROOT, Outcome
from tests.lab.matrix.rows import Row
from tests.lab.matrix.table import result_file, save

_ROWS_EACH = 3
_ENDED_WELL = (0, 1)  # all rows held, or one did not


def play_side_by_side(rows: Sequence[Row], *, jobs: int, results: Path, commit: str) -> None:
    """Play them all; whichever process is free takes the next few.

    Args:
        results: The folder of results; of these rows, what is in it before is removed.
        commit: What is played.
    """
    for row in rows:
        result_file(results, row.key).unlink(missing_ok=True)
    shares = [rows[first : first + _ROWS_EACH] for first in range(0, len(rows), _ROWS_EACH)]
    with ThreadPoolExecutor(jobs) as threads:
        for _ in threads.map(lambda share: _play(share, results, commit), shares):
            pass


def _play(rows: Sequence[Row], results: Path, commit: str) -> None:
    """One process. If it dies, the row it was at has failed; those after it are played by another process."""
    while rows:
        command = [sys.executable, "-m", "tests.lab.matrix", "--results", str(results), *(row.key for row in rows)]
        code = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONFAULTHANDLER": "1"}, check=False).returncode
        unplayed = [row for row in rows if not result_file(results, row.key).exists()]
        if code in _ENDED_WELL and not unplayed:
            return
        first, *rows = unplayed or rows[-1:]
        problem = f"the console's process ended by itself, with code {code}"
        outcome = Outcome(first.key, first.phase.value, first.fault.title, "", happened="died", problems=[problem])
        outcome.commit = commit
        save(results, outcome)
