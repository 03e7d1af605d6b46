"""The real window over the real program over the lab's hosts, for the tests that do everything by mouse and keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QDialog
from pytestqt.qtbot import QtBot

from hpconsole.app import App
from hpconsole.core.model.host import LinkState
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeChoice, ThemeKeeper
from hpconsole.ui.window_state import WindowState
from tests.lab.lab import Lab

WAIT_MS = 60_000


@contextmanager
def real_window(
    lab: Lab, qtbot: QtBot, qapp: QApplication, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MainWindow]:
    """The window once every host of the lab answers and its load is known; what the program keeps is in `folder`."""

    def refuse(*_: object) -> None:
        raise AssertionError("exec() waits: use open() or show()")

    monkeypatch.setattr(QDialog, "exec", refuse)
    app = App(lab.uris(), data=folder)
    themes = ThemeKeeper(qapp, ThemeChoice.LIGHT)
    state = WindowState(folder / "window.ini")
    window = MainWindow(Frame(state), app, state, themes)
    qtbot.addWidget(window.frame)
    window.frame.resize(1366, 768)
    window.frame.show()
    app.start()
    names = [host.name for host in lab.hosts]
    try:
        assert app.wait_ready(20)
        qtbot.waitUntil(lambda: states(window) == dict.fromkeys(names, LinkState.CONNECTED), timeout=WAIT_MS)
        # hosts whose load is not known yet (it is a difference of two polls) are not suitable
        qtbot.waitUntil(
            lambda: all(host.usage.cpu_pct is not None for host in window._snapshot.hosts.values()), timeout=WAIT_MS
        )
        yield window
    finally:
        for dialog in window.frame.findChildren(QDialog):
            dialog.reject()
        window._is_leaving = True  # no question about running tasks
        window.frame.close()
        app.close()
        themes.deleteLater()


def states(window: MainWindow) -> dict[str, LinkState]:
    """How each host that the window shows is connected."""
    return {name: host.link.state for name, host in window._snapshot.hosts.items()}
