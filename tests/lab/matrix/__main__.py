"""`python -m tests.lab.matrix [TEXT...] [--jobs N] [--missing | --failed] [--table docs/faults.md]`: plays rows."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.lab.commands import run
from tests.lab.lab import Lab
from tests.lab.matrix.row_run import HOSTS, ROOT, RowRun
from tests.lab.matrix.rows import Row, chosen
from tests.lab.matrix.side_by_side import play_side_by_side
from tests.lab.matrix.table import load, render, save, summary

RESULTS = ROOT / "build/matrix"


def main() -> int:
    """Play the chosen rows; the exit code says whether all held."""
    options = _parse()
    rows = _wanted(options)
    if options.list:
        _say("\n".join(row.key for row in rows))
        return 0
    if options.jobs > 1 and len(rows) > 1:
        play_side_by_side(rows, jobs=options.jobs, results=options.results, commit=_commit())
    elif rows:
        _one_after_the_other(rows, options.results)
    results = load(options.results)
    if options.jobs > 1:
        _say(summary([results[row.key] for row in rows if row.key in results]))
    if options.table is not None:
        version = run("libvirtd", "--version").stdout.split()[-1]
        options.table.write_text(render(results, libvirt=version))
    return int(not all(row.key in results and results[row.key].is_good for row in rows))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.matrix", description="The fault matrix.")
    parser.add_argument("rows", nargs="*", help="rows whose key contains one of these (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="labs side by side")
    parser.add_argument("--missing", action="store_true", help="only rows without a result")
    parser.add_argument("--failed", action="store_true", help="only rows whose last result is bad")
    parser.add_argument("--limit", type=int, default=0, help="at most so many rows")
    parser.add_argument("--list", action="store_true", help="name the rows, play none")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of results")
    parser.add_argument("--table", type=Path, help="write the document from all results")
    return parser.parse_args()


def _wanted(options: argparse.Namespace) -> tuple[Row, ...]:
    known = load(options.results)
    rows = chosen(tuple(options.rows))
    if options.missing or options.failed:
        rows = tuple(
            row
            for row in rows
            if (options.missing and row.key not in known)
            or (options.failed and row.key in known and not known[row.key].is_good)
        )
    return rows[: options.limit] if options.limit else rows


def _one_after_the_other(rows: tuple[Row, ...], results: Path) -> None:
    commit = _commit()
    with Lab.start(HOSTS) as lab, tempfile.TemporaryDirectory(prefix="hpconsole-matrix-") as folder:
        for number, row in enumerate(rows):
            outcome = RowRun(lab, row, Path(folder) / str(number)).run()
            outcome.commit = commit
            save(results, outcome)
            _say(summary([outcome]))
            lab.clear()


def _commit() -> str:
    """What is played; with a plus sign where files of the program differ from it."""
    git = ("git", "-C", str(ROOT))
    changed = run(*git, "status", "--porcelain", "--untracked-files=no", "--", "hpconsole", "tests/lab").stdout.strip()
    return run(*git, "rev-parse", "--short", "HEAD").stdout.strip() + ("+" if changed else "")


if __name__ == "__main__":
    sys.exit(main())
