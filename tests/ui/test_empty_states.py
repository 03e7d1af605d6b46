"""Every table of the window and its dialogs that can be empty says what would be there and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, QSize
from PySide6.QtWidgets import QAbstractItemView, QApplication, QDialog, QHeaderView, QTableView, QTabWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.hypervisor.simulated import demo
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.window_state import WindowState
from tests.ui.gestures import child, type_text
from tests.ui.machine_cases import WAIT_MS
from tests.ui.simulated_window import window_over

DIALOGS = (
    "affinity",
    "availability",
    "balancing",
    "history",
    "maintenance",
    "migration_policies",
    "new_vm",
    "policies",
    "pools",
    "return_home",
    "templates",
)


@pytest.fixture
def window(qtbot: QtBot, state: WindowState, themes: ThemeKeeper) -> Iterator[MainWindow]:
    """Over two hosts without VMs."""
    cluster = SimulatedCluster(hosts=demo.HOSTS[:2])
    with window_over(cluster, qtbot, state, themes, vms=0) as window:
        yield window
    cluster.close()


def silent(widget: QDialog) -> list[str]:
    """Names of the tables in sight that have no row and say nothing."""
    views = [view for view in widget.findChildren(QAbstractItemView) if view.isVisible()]
    tables = [view for view in views if isinstance(view, QTableView) and not isinstance(view, QHeaderView)]
    empty = [table for table in tables if not table.model().rowCount()]
    return [table.objectName() for table in empty if not says_something(table)]


def says_something(table: QTableView) -> bool:
    hints = [hint for hint in table.findChildren(EmptyHint) if hint.isVisible() and hint.text().endswith(".")]
    return any(table.viewport().rect().contains(hint.geometry()) and hint.height() > 5 for hint in hints)


@pytest.mark.parametrize("name", DIALOGS)
def test_no_empty_table_of_a_dialog_is_silent(qtbot: QtBot, window: MainWindow, name: str) -> None:
    window.hosts.selection.select(["host-01"])
    window._slot(name)()
    opened: list[QDialog] = []

    def is_open() -> bool:
        opened[:] = [one for one in window.frame.findChildren(QDialog) if one.isVisible()]
        return bool(opened)

    qtbot.waitUntil(is_open, timeout=WAIT_MS)
    (dialog,) = opened
    tabs = [tabs for tabs in dialog.findChildren(QTabWidget) if tabs.isVisible()]
    for place in range(tabs[0].count() if tabs else 1):
        if tabs:
            tabs[0].setCurrentIndex(place)
        qtbot.waitUntil(lambda: not silent(dialog), timeout=WAIT_MS)
    dialog.setProperty("_is_leaving", True)
    dialog.close()


def test_the_list_of_vms_says_how_to_get_one_and_what_the_search_hides(qtbot: QtBot, window: MainWindow) -> None:
    hint = child(window.vms.view, EmptyHint, "vm_table_empty")
    qtbot.waitUntil(hint.isVisible, timeout=WAIT_MS)
    assert "New VM… (Ctrl+Shift+N) makes one" in hint.text()
    type_text(window.search, "no such host")
    found = child(window.hosts.view, EmptyHint, "host_tree_empty")
    qtbot.waitUntil(found.isVisible, timeout=WAIT_MS)
    assert "Esc" in found.text()
    window.search.clear()
    qtbot.waitUntil(lambda: not found.isVisible(), timeout=WAIT_MS)


def test_the_hint_stays_in_the_table_when_that_becomes_small(qtbot: QtBot, window: MainWindow) -> None:
    hint = child(window.vms.view, EmptyHint, "vm_table_empty")
    qtbot.waitUntil(hint.isVisible, timeout=WAIT_MS)
    window.frame.resize(QSize(700, 420))
    QApplication.processEvents()
    assert window.vms.view.viewport().rect().contains(hint.geometry().center())
    assert hint.geometry().topLeft().x() >= QPoint(0, 0).x()
