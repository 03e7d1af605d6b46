"""The house style as failing tests: sizes, names, and things that must not be there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "hpconsole").rglob("*.py"))
DRAWERS = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "managers", "base", "tools"}


def _function_lengths(tree: ast.AST) -> dict[str, int]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 450, "one idea per module: split it"
    long = {name: lines for name, lines in _function_lengths(ast.parse(text)).items() if lines > 60}
    assert not long, f"functions over 60 lines: {long}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_drawers_and_no_sleep(path: Path) -> None:
    assert path.stem not in DRAWERS, "name the module after its one idea"
    assert "time.sleep(" not in path.read_text(), "wait on an event with a time limit instead"


def test_broad_excepts_are_where_they_may_be() -> None:
    allowed = {"__main__.py", "polling.py", "executor.py"}
    places = {path.name for path in SOURCES if re.search(r"except (Base)?Exception\b", path.read_text())}
    assert places <= allowed


def test_package_inits_are_empty() -> None:
    full = [path for path in SOURCES if path.name == "__init__.py" and path.read_text().strip()]
    assert full == [ROOT / "hpconsole" / "__init__.py"] or full == []


@pytest.mark.parametrize("module", ["hpconsole.app", "hpconsole.cli", "hpconsole.core.scheduler.engine"])
def test_core_and_command_line_load_no_qt(module: str) -> None:
    code = f"import {module}, sys; print(sorted(m for m in sys.modules if m.startswith(('PySide6', 'pyqtgraph'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_start_loads_nothing_heavy() -> None:
    """numpy, SQLAlchemy, libvirt and lxml are imported when first needed, not before the window is there."""
    heavy = "{'numpy', 'sqlalchemy', 'libvirt', 'alembic'}"
    code = f"import hpconsole.app, hpconsole.cli.main, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_lock_files_name_no_host() -> None:
    for name in ("requirements.lock", "requirements-build.lock"):
        assert "://" not in (ROOT / name).read_text()


def _paths_in(cell: str) -> list[str]:
    """The paths a cell of the table names: `core/planning/{drain,plan}.py`, `make_room.py` (beside the one before)."""
    found: list[str] = []
    folder = ""
    for token in re.findall(r"`([^`]+)`", cell):
        path = token.partition(":")[0]
        if not re.search(r"\.py$|/$|\*$", path):
            continue
        folder = path.rpartition("/")[0] if "/" in path else folder
        full = path if "/" in path or not folder else f"{folder}/{path}"
        start, brace, rest = full.partition("{")
        names, _, end = rest.partition("}")
        found += [f"{start}{name}{end}" for name in names.split(",")] if brace else [full]
    return found


def test_what_the_architecture_says_is_where_it_says() -> None:
    rows = [line for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines() if line.startswith("|")]
    named = [path for row in rows for cell in row.split("|") for path in _paths_in(cell)]
    roots = (ROOT, ROOT / "hpconsole", ROOT / "hpconsole" / "core")
    gone = [path for path in named if not any(list(root.glob(path.rstrip("/"))) for root in roots)]
    assert len(named) > 100, "the table is not read as it is written"
    assert not gone
