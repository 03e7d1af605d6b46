"""The way back after maintenance, and a drain that an earlier console left, in the window by mouse and keys.

Over simulated hosts: the app is asked what became of VMs, hosts and drains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QPushButton, QTableWidget, QToolButton
from pytestqt.qtbot import QtBot

from hpconsole.app import App
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.drain_record import KIND, DrainState, new_record, record_to_json
from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.drain import DrainIntent
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.maintenance.dialog import MaintenanceDialog
from hpconsole.ui.return_home.dialog import ReturnHomeDialog
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.window_state import WindowState
from tests.ui.gestures import child, click, click_row, press
from tests.ui.machine_cases import WAIT_MS, Shop, shop

_Kind = TypeVar("_Kind", MaintenanceDialog, ReturnHomeDialog)
CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


class Desk:
    """The window over the simulated hosts, and what a person does in it."""

    def __init__(self, qtbot: QtBot, demo: Shop, window: MainWindow) -> None:
        self.qtbot = qtbot
        self.demo = demo
        self.app = demo.app
        self.window = window

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=2 * WAIT_MS)

    def select(self, host: str) -> None:
        """Click on the host's row."""
        model = self.window.hosts.model
        click_row(self.window.hosts.view, next(r for r in range(model.rowCount()) if model.key_at(r) == host))

    def choose(self, action: str, *, from_bar: bool = False) -> None:
        """From the selected host's context menu, or from the menu bar."""
        view = self.window.hosts.view
        if from_bar:
            menus = self.window.frame.menuBar().findChildren(QMenu)
            menu = next(menu for menu in menus if self.window.actions_[action] in menu.actions())
            menu.popup(self.window.frame.mapToGlobal(self.window.frame.rect().topLeft()))
        else:
            view.customContextMenuRequested.emit(view.visualRect(view.currentIndex()).center())
            menu = view.findChildren(QMenu, "context_menu")[-1]
        entry = next(entry for entry in menu.actions() if entry.objectName() == f"action_{action}")
        click(menu, menu.actionGeometry(entry).center())

    def dialog(self, kind: type[_Kind]) -> _Kind:
        """The one of this kind that opens."""
        self.wait(lambda: any(one.isVisible() for one in self.window.frame.findChildren(kind)))
        return next(one for one in self.window.frame.findChildren(kind) if one.isVisible())

    def take_offer(self, words: str) -> None:
        """Press the button of the notice that says this."""
        text = child(self.window.frame, TextLabel, "notice_text")
        self.wait(text.isVisible)
        while words not in text.text():  # others came before it
            click(child(self.window.frame, QToolButton, "notice_dismiss"))
            self.wait(text.isVisible)
        click(child(self.window.frame, QPushButton, "notice_offer"))

    def host_of(self, name: str) -> str | None:
        return self.demo.vm(name).host


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the console keeps things."""
    return tmp_path / "data"


@pytest.fixture
def desk(qtbot: QtBot, folder: Path, state: WindowState, themes: ThemeKeeper) -> Iterator[Desk]:
    windows: list[MainWindow] = []

    def open_window(app: App) -> None:
        window = MainWindow(Frame(state), app, state, themes)
        qtbot.addWidget(window.frame)
        window.frame.resize(1366, 768)
        window.frame.show()
        windows.append(window)

    with shop(qtbot, folder, link_mib_s=100_000, before_start=open_window) as demo:
        (window,) = windows
        qtbot.waitUntil(lambda: window.vms.model.rowCount() == len(demo.app.store.snapshot.vms), timeout=WAIT_MS)
        yield Desk(qtbot, demo, window)
        for dialog in window.frame.findChildren(MaintenanceDialog):
            dialog.reject()
        window._is_leaving = True
        window.frame.close()


def is_in_maintenance(desk: Desk, host: str) -> bool:
    return desk.app.statuses.of(host).status is HostStatus.MAINTENANCE


def cells(dialog: ReturnHomeDialog) -> list[list[str]]:
    """The table as it is shown."""
    table = child(dialog, QTableWidget, "return_home_table")
    rows, columns = range(table.rowCount()), range(table.columnCount())
    return [[table.model().index(row, column).data() for column in columns] for row in rows]


def test_after_activate_the_vms_are_offered_the_way_back_and_get_their_pins_again(desk: Desk) -> None:
    home = desk.host_of("trade-engine-1")
    assert home is not None
    before = desk.demo.vm("trade-engine-1").pinning
    there = {vm.name for vm in desk.app.store.snapshot.vms_on(home)}
    desk.select(home)
    press(desk.window.hosts.view, Qt.Key.Key_M, CONTROL_SHIFT)
    maintenance = desk.dialog(MaintenanceDialog)
    run = child(maintenance, QPushButton, "maintenance_run")
    desk.wait(run.isEnabled)
    click(run)
    desk.wait(lambda: desk.app.store.snapshot.hosts[home].status is HostStatus.MAINTENANCE)
    press(maintenance, Qt.Key.Key_Escape)
    away = desk.host_of("trade-engine-1")

    desk.select(home)
    desk.choose("activate")
    desk.wait(lambda: desk.app.store.snapshot.hosts[home].status is HostStatus.UP)
    desk.take_offer(f"left {home}")
    dialog = desk.dialog(ReturnHomeDialog)
    desk.wait(lambda: {row[0] for row in cells(dialog)} == there)
    (row,) = (row for row in cells(dialog) if row[0] == "trade-engine-1")
    assert row[1:3] == [away, home]
    assert before.all_vcpu_cpus.format() in row[3]
    assert "migrated while running" in child(dialog, TextLabel, "return_home_consequence").text()
    assert desk.host_of("trade-engine-1") == away, "nothing is done before it is confirmed"

    press(dialog, Qt.Key.Key_Return)
    desk.wait(lambda: all(desk.host_of(name) == home for name in there))
    assert desk.demo.vm("trade-engine-1").pinning == before


def test_a_vm_is_left_out_and_one_that_cannot_go_back_says_why(desk: Desk) -> None:
    names = ("web-01", "trade-risk-1")
    homes = {name: desk.host_of(name) for name in names}
    for name in names:
        plan = desk.demo.app.maintenance.plan(DrainIntent((homes[name] or "",)))
        desk.app.maintenance.start(plan)
        desk.wait(partial(is_in_maintenance, desk, homes[name] or ""))
    refusing, open_ = homes["trade-risk-1"] or "", homes["web-01"] or ""
    desk.app.maintenance.activate(open_)
    desk.wait(lambda: desk.app.store.snapshot.hosts[open_].status is HostStatus.UP)

    desk.window.hosts.view.clearSelection()
    desk.wait(lambda: not desk.window.selection.hosts)
    desk.choose("return_home", from_bar=True)
    dialog = desk.dialog(ReturnHomeDialog)
    desk.wait(lambda: any(row[0] == "web-01" for row in cells(dialog)))
    stays = child(dialog, TextLabel, "return_home_stays")
    assert stays.isVisible()
    assert any(line.startswith("trade-risk-1 stays on ") for line in stays.text().splitlines())
    assert refusing in stays.text()

    table = child(dialog, QTableWidget, "return_home_table")
    row = next(row for row, texts in enumerate(cells(dialog)) if texts[0] == "web-01")
    click_row(table, row)
    press(table, Qt.Key.Key_Space)
    away = desk.host_of("web-01")
    accept = child(dialog, QPushButton, "return_home_accept")
    others = [texts[0] for texts in cells(dialog) if texts[0] != "web-01"]
    assert others
    assert accept.text() == f"&Move {len(others)} VM{'s' if len(others) > 1 else ''} Back"
    click(accept)
    desk.wait(lambda: all(desk.host_of(name) == open_ for name in others))
    assert desk.host_of("web-01") == away


class TestADrainOfAConsoleThatWasKilled:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A database with a drain in the middle, of a process that is not there any more."""
        from hpconsole.core.database.database import Database

        folder = tmp_path / "data"
        folder.mkdir()
        database = Database.open(folder / "hpconsole.sqlite3")
        gone = ConsoleIdentity("gone", "a-machine-that-is-not-this-one", 1)
        record = new_record("d" * 32, "Maintenance of host-01", DrainIntent(("host-01",), "new disks"), gone, 3)
        database.documents.save(KIND, record.drain_id, record_to_json(record.with_line("It began.")))
        database.close()
        return folder

    def test_it_is_shown_paused_and_goes_on_by_resume(self, desk: Desk) -> None:
        there = [vm.name for vm in desk.app.store.snapshot.vms_on("host-01")]
        assert there
        record = desk.app.maintenance.get("d" * 32)
        assert record is not None
        assert record.state is DrainState.PAUSED
        desk.take_offer("The console ended in the middle of it. Paused")
        dialog = desk.dialog(MaintenanceDialog)
        assert child(dialog, TextLabel, "maintenance_question").text() == "Maintenance of host-01"
        assert not child(dialog, QPushButton, "maintenance_run").isVisible()
        resume = child(dialog, QPushButton, "maintenance_resume")
        desk.wait(lambda: resume.isVisible() and dialog._plan is not None)
        assert {item.vm_name for item in dialog._plan.items} == set(there)  # type: ignore[union-attr]
        assert [desk.host_of(name) for name in there] == ["host-01"] * len(there), "nothing goes on by itself"
        click(resume)
        desk.wait(lambda: desk.app.statuses.of("host-01").status is HostStatus.MAINTENANCE)
        assert desk.app.statuses.of("host-01").reason == "new disks"
        assert all(desk.host_of(name) != "host-01" for name in there)
