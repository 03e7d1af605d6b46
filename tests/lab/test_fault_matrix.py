"""Faults at every phase of a migration: a few in every run, all of them on demand (`pytest -m long`, an hour).

`python -m tests.lab.matrix --jobs 4 --table docs/faults.md` plays them side by side and writes the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fixtures import require_lab
from tests.lab.lab import Lab
from tests.lab.matrix.row_run import HOSTS, RowRun
from tests.lab.matrix.rows import QUICK, Row, all_rows, chosen
from tests.lab.matrix.table import render, summary

REAL = chosen(())


@pytest.fixture(scope="module")
def matrix_lab() -> Iterator[Lab]:
    """Hosts a, b and c of the matrix."""
    require_lab()
    with Lab.start(HOSTS) as running:
        yield running


def test_the_matrix_has_at_least_a_hundred_rows_each_named_once() -> None:
    keys = [row.key for row in all_rows()]
    assert len(REAL) >= 100
    assert len(set(keys)) == len(keys)


def test_a_row_that_was_not_played_or_failed_shows_in_the_table() -> None:
    table = render({}, libvirt="9.0.0")
    assert "0 of" in table
    assert table.count("not run") == len(REAL)


@pytest.mark.lab
@pytest.mark.parametrize("row", chosen(QUICK), ids=lambda row: row.key)
def test_quickly(matrix_lab: Lab, row: Row, tmp_path: Path) -> None:
    _play(matrix_lab, row, tmp_path)


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", REAL, ids=lambda row: row.key)
def test_every_row(matrix_lab: Lab, row: Row, tmp_path: Path) -> None:
    _play(matrix_lab, row, tmp_path)


def _play(lab: Lab, row: Row, folder: Path) -> None:
    outcome = RowRun(lab, row, folder).run()
    lab.clear()
    assert outcome.is_good, summary([outcome])
