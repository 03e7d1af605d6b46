"""The window over the simulated cluster: a frozen host delays neither the event loop nor the other hosts' data."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.model.host import LinkState
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.tasks.task_book import TaskState
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.window_state import WindowState
from tests.benchmarks.lateness import LatenessMeter
from tests.ui.gestures import child, click, press, type_text
from tests.ui.simulated_window import window_over

# A call to a frozen host made on the window's thread would take longer than this.
HUNG_MS = 2_000.0


@pytest.fixture(autouse=True)
def only_this_windows_garbage() -> Iterator[None]:
    """What a thousand tests before left is not looked through on the window's thread while that is watched."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def cluster() -> Iterator[SimulatedCluster]:
    cluster = SimulatedCluster.demo()
    yield cluster
    cluster.close()


@pytest.fixture
def demo_window(
    qtbot: QtBot, cluster: SimulatedCluster, state: WindowState, themes: ThemeKeeper
) -> Iterator[MainWindow]:
    with window_over(cluster, qtbot, state, themes, vms=120) as window:
        yield window


def _has_answered_since(window: MainWindow, host: str, moment: datetime) -> bool:
    answered_at = window._snapshot.hosts[host].link.answered_at
    return answered_at is not None and answered_at > moment


def _assert_not_held_up(late: LatenessMeter, work_ms: float) -> None:
    """Nothing long was computed on the window's thread, and it waited for nothing that hangs.

    How late it is on an idle machine is measured by tests.benchmarks.window_lateness.
    """
    lateness = late.stop()
    assert lateness.longest_work_ms() < work_ms, lateness.worst()
    assert lateness.worst(1, own=True)[0].own_ms < HUNG_MS, lateness.worst()


def test_a_frozen_host_delays_nobody(qtbot: QtBot, demo_window: MainWindow, cluster: SimulatedCluster) -> None:
    demo_window.on_show_load(True)
    qtbot.waitUntil(lambda: demo_window.frame.findChild(QWidget, "load_charts") is not None, timeout=20_000)
    cluster.freeze("host-05")
    try:
        # It takes a while until a missing answer is told from a slow one.
        late = LatenessMeter()
        late.start()
        qtbot.waitUntil(
            lambda: demo_window._snapshot.hosts["host-05"].link.state is not LinkState.CONNECTED, timeout=30_000
        )
        others = [name for name in demo_window._snapshot.hosts if name != "host-05"]
        silent_at = datetime.now(UTC)
        qtbot.waitUntil(lambda: all(_has_answered_since(demo_window, name, silent_at) for name in others))
        search = child(demo_window.frame, QLineEdit, "search")
        type_text(search, "host-05")
        assert demo_window.hosts.model.rowCount() == 1
        search.clear()
        _assert_not_held_up(late, work_ms=200)
    finally:
        cluster.thaw("host-05")
    qtbot.waitUntil(lambda: demo_window._snapshot.hosts["host-05"].link.state is LinkState.CONNECTED, timeout=30_000)


def test_the_main_job_from_search_to_the_new_host(qtbot: QtBot, demo_window: MainWindow) -> None:
    window = demo_window
    press(window.frame, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    search = child(window.frame, QLineEdit, "search")
    type_text(search, "trade-engine-1")
    press(search, Qt.Key.Key_Return)
    source = window.selection.vms[0].host
    late = LatenessMeter()
    late.start()
    press(window.frame, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    dialog = child(window.frame, QWidget, "migrate_dialog")
    qtbot.waitUntil(lambda: "can take" in child(dialog, QLabel, "migrate_status").text(), timeout=20_000)
    accept = child(dialog, QPushButton, "migrate_accept")
    qtbot.waitUntil(accept.isEnabled)
    destination = accept.text().split()[-1]
    assert destination != source
    click(accept)
    book = window.docks.tasks.book
    qtbot.waitUntil(lambda: any(0 < task.share < 1 for task in book.tasks), timeout=20_000)
    qtbot.waitUntil(lambda: book.tasks[0].state.is_over, timeout=60_000)
    assert book.tasks[0].state is TaskState.DONE, book.tasks[0].sentence
    qtbot.waitUntil(lambda: [vm.host for vm in window.selection.vms] == [destination])
    _assert_not_held_up(late, work_ms=250)
