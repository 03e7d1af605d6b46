"""The window over simulated hosts, through the real program, and what a person does in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QMenu, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from hpconsole.app import App
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.window_state import WindowState
from tests.ui.gestures import child, click, click_row
from tests.ui.machine_cases import WAIT_MS, Shop, shop

_Dialog = TypeVar("_Dialog", bound=QDialog)


class Desk:
    """The window over the simulated hosts, and what a person does in it."""

    def __init__(self, qtbot: QtBot, demo: Shop, window: MainWindow) -> None:
        self.qtbot = qtbot
        self.demo = demo
        self.app = demo.app
        self.window = window

    def wait(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=2 * WAIT_MS)

    def select_vm(self, name: str, *, also: bool = False) -> None:
        """Click on the VM's row; `also` keeps what is selected."""
        model = self.window.vms.model
        row = next(r for r in range(model.rowCount()) if model.row_at(r).vm.name == name)
        modifier = Qt.KeyboardModifier.ControlModifier if also else Qt.KeyboardModifier.NoModifier
        click_row(self.window.vms.view, row, modifier)

    def select(self, host: str) -> None:
        """Click on the host's row."""
        model = self.window.hosts.model
        click_row(self.window.hosts.view, next(r for r in range(model.rowCount()) if model.key_at(r) == host))

    def choose(self, action: str, *, from_bar: bool = False, of_vm: bool = False) -> None:
        """From the context menu of the selected host or VM, or from the menu bar."""
        view = self.window.vms.view if of_vm else self.window.hosts.view
        if from_bar:
            menus = self.window.frame.menuBar().findChildren(QMenu)
            menu = next(menu for menu in menus if self.window.actions_[action] in menu.actions())
            menu.popup(self.window.frame.mapToGlobal(self.window.frame.rect().topLeft()))
        else:
            view.customContextMenuRequested.emit(view.visualRect(view.currentIndex()).center())
            menu = view.findChildren(QMenu, "context_menu")[-1]
        entry = next(entry for entry in menu.actions() if entry.objectName() == f"action_{action}")
        click(menu, menu.actionGeometry(entry).center())

    def dialog(self, kind: type[_Dialog]) -> _Dialog:
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


@contextmanager
def desk_over(qtbot: QtBot, folder: Path, state: WindowState, themes: ThemeKeeper) -> Iterator[Desk]:
    """Open it with a database in `folder`; VMs move at once. It closes without asking."""
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
        try:
            yield Desk(qtbot, demo, window)
        finally:
            window._is_leaving = True
            window.frame.close()
