"""The one-folder program: it builds, starts, finds its resources and migrations, and shows the demo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"]
    places = ["--distpath", str(folder / "dist"), "--workpath", str(folder / "work"), str(ROOT / "hpconsole.spec")]
    subprocess.run([*command, *places], check=True, cwd=ROOT, timeout=380)
    return folder / "dist/hpconsole/hpconsole"


@pytest.fixture
def display() -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        pytest.fail("Xvfb is missing: run tools/setup")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1366x768x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


def test_version(program: Path) -> None:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("hpconsole ")


def test_command_line_on_the_simulated_cluster(program: Path) -> None:
    done = subprocess.run([program, "hosts", "--demo"], capture_output=True, text=True, check=True, timeout=60)
    assert "host-01" in done.stdout


def test_demo_shows_a_snapshot_in_a_real_window(program: Path, display: str, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"} | {"DISPLAY": display}
    command = [str(program), "--demo", "--quit-after-first-snapshot", "--data-folder", str(tmp_path)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "hpconsole.sqlite3").exists(), "the database migrations were not found"
