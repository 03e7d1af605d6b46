"""What the window's tests get: a console to talk to, a window on it, and no box that waits for anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QDialog
from pytestqt.qtbot import QtBot

from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeChoice, ThemeKeeper
from hpconsole.ui.window_state import WindowState
from tests.ui.fakes import FakeConsole
from tests.ui.patience import qtbot

__all__ = ["qtbot"]


@pytest.fixture(autouse=True)
def no_waiting_dialogs(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialog that is waited for would hang a test, and the window."""

    def refuse(*_: object) -> None:
        raise AssertionError("exec() waits: use open() or show()")

    monkeypatch.setattr(QDialog, "exec", refuse)


@pytest.fixture
def console() -> FakeConsole:
    return FakeConsole({"host-a": "qemu+ssh://host-a/system", "host-b": "qemu+ssh://host-b/system"})


@pytest.fixture
def state(tmp_path: Path) -> WindowState:
    return WindowState(tmp_path / "window.ini")


@pytest.fixture
def themes(qapp: QApplication) -> Iterator[ThemeKeeper]:
    keeper = ThemeKeeper(qapp, ThemeChoice.LIGHT)
    yield keeper
    keeper.deleteLater()


@pytest.fixture
def window(qtbot: QtBot, console: FakeConsole, state: WindowState, themes: ThemeKeeper) -> Iterator[MainWindow]:
    window = MainWindow(Frame(state), console, state, themes)
    qtbot.addWidget(window.frame)
    window.frame.resize(1366, 768)
    window.frame.show()
    qtbot.waitExposed(window.frame)
    yield window
    window._is_leaving = True  # no question about running tasks
    window.frame.close()
