"""What every test gets: no display, no user folders, and a check that nothing is left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no error: speed is measured in benchmarks, never in tests.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

# Before Qt is imported anywhere: widgets are drawn, but on no screen.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# As in ui.desktop.make_application: Qt and libvirt must not share GLib's main context.
os.environ["QT_NO_GLIB"] = "1"

# Programs, not tests: they stand on what only a comparison needs (Debian's python3-xlib, OpenStack nova), and
# --doctest-modules would import them.
collect_ignore_glob = ["benchmarks/[!t_]*.py"]

# Threads that live as long as the process by design.
_PERMANENT = ("hpc-libvirt-events", "pytest_timeout", "ThreadPoolExecutor", "Dummy-")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own data, settings or caches."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture(autouse=True)
def no_leftover_threads() -> Iterator[None]:
    """Every thread a test starts must have ended soon after it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 20

    def left() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t not in before and not t.name.startswith(_PERMANENT)]

    while (threads := left()) and time.monotonic() < deadline:
        threads[0].join(0.1)
    assert not left(), f"threads left behind: {[t.name for t in left()]}"
