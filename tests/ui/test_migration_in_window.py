"""A migration from the dialog to its place in the history, over the simulated cluster, by mouse and key events."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QLabel, QLineEdit, QMessageBox, QPushButton, QSpinBox, QTableView, QWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.errors import HypervisorError
from hpconsole.core.hypervisor.port import MigrationRequest, MigrationTransport
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.tasks.task_book import TaskState
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.widgets.sparkline import Sparkline
from hpconsole.ui.window_state import WindowState
from tests.ui.gestures import child, click, click_row, press, type_text
from tests.ui.simulated_window import window_over

WAIT_MS = 30_000


@pytest.fixture
def demo_window(qtbot: QtBot, state: WindowState, themes: ThemeKeeper) -> Iterator[MainWindow]:
    cluster = SimulatedCluster.demo()
    with window_over(cluster, qtbot, state, themes, vms=120) as window:
        yield window
    cluster.close()


def test_limited_watched_steered_and_cancelled(qtbot: QtBot, demo_window: MainWindow) -> None:
    window, frame = demo_window, demo_window.frame
    search = child(frame, QLineEdit, "search")
    type_text(search, "trade-engine-1")
    press(search, Qt.Key.Key_Return)
    source = window.selection.vms[0].host
    press(frame, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    dialog = child(frame, QWidget, "migrate_dialog")
    click(child(dialog, QPushButton, "migration_options"))
    press(child(dialog, QCheckBox, "option_limit_bandwidth"), Qt.Key.Key_Space)
    child(dialog, QSpinBox, "option_bandwidth_value").setValue(60)
    accept = child(dialog, QPushButton, "migrate_accept")
    qtbot.waitUntil(accept.isEnabled, timeout=WAIT_MS)
    press(dialog, Qt.Key.Key_Return)
    book = window.docks.tasks.book
    qtbot.waitUntil(lambda: bool(book.tasks) and len(book.tasks[0].course.samples) > 2, timeout=WAIT_MS)
    assert book.tasks[0].step.options.bandwidth_mib_s == 60
    assert max(sample.sent_mib_s for sample in book.tasks[0].course.samples) <= 66, "the limit holds"
    assert child(frame, Sparkline, "course_left").isVisible()

    click(child(frame, QPushButton, "task_limits"))
    limits = child(frame, QWidget, "limits_dialog")
    press(child(limits, QCheckBox, "limits_bandwidth"), Qt.Key.Key_Space)
    child(limits, QSpinBox, "limits_bandwidth_value").setValue(200)
    press(child(limits, QSpinBox, "limits_bandwidth_value"), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: book.tasks[0].course.samples[-1].sent_mib_s > 100, timeout=WAIT_MS)

    cancel = child(frame, QPushButton, "task_cancel")
    click(cancel)
    qtbot.waitUntil(lambda: book.tasks[0].state is TaskState.CANCELLED, timeout=WAIT_MS)
    remark = child(frame, QLabel, "task_remark")
    qtbot.waitUntil(lambda: f"on {source}" in remark.text(), timeout=WAIT_MS)
    shares = [sample.left_mib for sample in book.tasks[0].course.samples]
    assert shares[0] > shares[-1]

    click(child(frame, QPushButton, "task_history"))
    history = child(frame, QWidget, "history_dialog")
    table = child(history, QTableView, "history_table")
    qtbot.waitUntil(lambda: table.model().rowCount() == 1, timeout=WAIT_MS)
    assert table.model().index(0, 4).data() == "cancelled"
    press(history, Qt.Key.Key_Escape)


def test_what_another_console_began_is_cancelled_too(qtbot: QtBot, state: WindowState, themes: ThemeKeeper) -> None:
    cluster = SimulatedCluster.demo()
    cluster.stall_next_migration("trade-engine-1")
    with window_over(cluster, qtbot, state, themes, vms=120) as window:
        vm = next(vm for vm in window._snapshot.vms.values() if vm.name == "trade-engine-1")
        assert vm.host is not None
        source = cluster.open(cluster.uris()[vm.host])
        ended: list[HypervisorError] = []

        def migrate() -> None:
            try:
                source.migrate(
                    vm.uuid, MigrationRequest(cluster.uris()["host-12"], MigrationTransport.PEER_TO_PEER), None
                )
            except HypervisorError as error:
                ended.append(error)

        other = threading.Thread(target=migrate)
        other.start()
        type_text(child(window.frame, QLineEdit, "search"), vm.name)
        click_row(window.vms.view, 0)
        qtbot.waitUntil(lambda: bool(window.selection.migrating), timeout=WAIT_MS)
        window.on_cancel_migration()
        question = child(window.frame, QMessageBox, "message_box")
        assert "not started by this console" in question.informativeText()
        click(child(question, QPushButton, "yes"))
        qtbot.waitUntil(lambda: bool(ended), timeout=WAIT_MS)
        qtbot.waitUntil(lambda: not window.selection.migrating, timeout=WAIT_MS)
        assert window.selection.vms[0].host == vm.host
        other.join(20)
    cluster.close()
