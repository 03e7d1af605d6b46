"""The matrix's results as a table for docs/faults.md, and as files that outlive a run that is broken off."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.lab.matrix.row_run import Outcome
from tests.lab.matrix.rows import Row, all_rows


def result_file(folder: Path, key: str) -> Path:
    """Where the result of this row is kept."""
    return folder / f"{key.replace('/', '--')}.json"


def save(folder: Path, outcome: Outcome) -> None:
    """One file for each row; a newer run of the row replaces it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = result_file(folder, outcome.key)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(outcome), indent=1, ensure_ascii=False))
    fresh.rename(file)


def load(folder: Path) -> dict[str, Outcome]:
    """Every result in the folder, by the row's key."""
    found = [Outcome(**json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))]
    return {outcome.key: outcome for outcome in found}


_HEAD = """\
# Faults: what happens to a migration when something breaks

Made by `python -m tests.lab.matrix --table docs/faults.md`, in the lab: real libvirt {libvirt} and QEMU, hosts a, b and
c in namespaces of their own, a guest that goes on writing to its memory, moved from a to b by hpconsole. Each row
breaks one thing at one phase, waits for what the console says, ends the fault, and looks past the console (`/proc`,
`virsh` on each host):

- the guest never runs on two hosts at once (CPU time of its vCPU threads, looked at 20 times a second);
- a failure before the switch-over leaves it running on the source, and it was never booted anew;
- it is defined once, where it is; no half guest, no reservation and no open journal entry stays;
- the console told the truth, and can move the guest on to c.

A fault ends once the console has said its sentence ("for good") or after the time named. Where the hosts do not answer,
the console of the matrix is patient for 8 s (for people: 10 minutes).

The guest has a disk on shared storage, which QEMU locks. That lock is what keeps it from running twice: where libvirt's
connection breaks while the destination is told to let the guest run (its libvirtd frozen, say), the source goes on, and
the destination does what it was told once it is back. QEMU then cannot take the disk and ends. A guest without any disk
of its own did run twice for some seconds; after such an end the console looks at the destination as soon as it is back,
removes what is left there, and warns if it runs twice.

**{good} of {real} rows hold every invariant**, played on {commits}. {rest}
"""


def render(results: dict[str, Outcome], *, libvirt: str) -> str:
    """The document."""
    rows = all_rows()
    real = [row for row in rows if not row.meaningless]
    good = sum(row.key in results and results[row.key].is_good for row in real)
    missing = [row.key for row in real if row.key not in results]
    rest = f"Not run: {', '.join(missing)}." if missing else ""
    played = Counter(results[row.key].commit or "an unknown one" for row in real if row.key in results)
    commits = "commit " + ", ".join(f"{name} ({count})" if len(played) > 1 else name for name, count in played.items())
    lines = [_HEAD.format(libvirt=libvirt, good=good, real=len(real), rest=rest, commits=commits).rstrip()]
    for title in dict.fromkeys(_title(row) for row in rows):
        lines += ["", f"## {title}", "", "| fault | ended | ran on | what the console said |", "|---|---|---|---|"]
        lines += [_line(row, results.get(row.key)) for row in rows if _title(row) == title]
    return "\n".join(lines) + "\n"


def _title(row: Row) -> str:
    phase = row.phase.value.capitalize()
    return f"{phase}, with the migration managed by the console" if row.through_console else phase


def _line(row: Row, outcome: Outcome | None) -> str:
    if row.meaningless:
        return _cells(row.fault.title, "–", "–", f"not applicable: {row.meaningless}")
    if outcome is None:
        return _cells(row.fault.title, "not run", "", "")
    ended = outcome.happened if outcome.is_good else f"**{outcome.happened}: {'; '.join(outcome.problems)}**"
    return _cells(row.fault.title, ended, outcome.ran_on, " ".join(outcome.said))


def _cells(*texts: str) -> str:
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


def summary(results: Sequence[Outcome]) -> str:
    """For the terminal."""
    lines = []
    for outcome in results:
        mark = "ok  " if outcome.is_good else "FAIL"
        lines.append(f"{mark} {outcome.key}: {outcome.happened}, on {outcome.ran_on}, {outcome.took_s:.0f} s")
        lines += [f"       {problem}" for problem in outcome.problems]
        if not outcome.is_good:
            lines += [f"       said: {sentence}" for sentence in outcome.said]
    return "\n".join(lines)
