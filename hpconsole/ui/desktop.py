"""Starts the window: the frame first, then everything heavy. The only place that makes a QApplication."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication

from hpconsole import __version__
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import icons
from hpconsole.ui.console import Console
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.window_state import WindowState

QUIT_AFTER_FIRST_SNAPSHOT = "--quit-after-first-snapshot"


def run(
    app: Console,
    *,
    arguments: Sequence[str] = (),
    settings: Path | None = None,
    on_window: Callable[[MainWindow], None] | None = None,
) -> int:
    """Show the window until it is closed; returns the exit code.

    Args:
        app: The program, not started yet; it is started after the first paint and closed at the end.
        arguments: `--quit-after-first-snapshot` closes the window once the first hosts are shown.
        settings: Where the window's state is kept; None = the user's configuration folder.
        on_window: Told of the window before it is shown (the scripted tour, measurements).
    """
    application = make_application()
    state = WindowState(settings)
    themes = ThemeKeeper(application, state.theme)
    window = MainWindow(app, state, themes)
    AfterFirstPaint(window, lambda: _begin(app))
    if QUIT_AFTER_FIRST_SNAPSHOT in arguments:
        _quit_after_first_snapshot(window)
    if on_window is not None:
        on_window(window)
    window.show()
    try:
        return application.exec()
    finally:
        app.close()


def make_application() -> QApplication:
    """The one QApplication, with our name and icon on it."""
    # libvirt's event loop iterates GLib's default main context in a thread of its own (vireventglib.c, libvirt >= 6.5);
    # Qt's GLib dispatcher stands on the same context, and whichever thread owns it leaves the other without events.
    os.environ["QT_NO_GLIB"] = "1"
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        application = QApplication(sys.argv[:1])
    application.setApplicationName("hpconsole")
    application.setApplicationDisplayName("hpconsole")
    application.setApplicationVersion(__version__)
    application.setDesktopFileName("hpconsole")
    application.setWindowIcon(icons.application_icon())
    return application


class AfterFirstPaint(QObject):
    """Calls something once, as soon as the window has been drawn for the first time."""

    def __init__(self, window: MainWindow, begin: Callable[[], None]) -> None:
        super().__init__(window)
        self._window = window
        self._begin = begin
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window and event.type() is QEvent.Type.Paint:
            self._window.removeEventFilter(self)
            QTimer.singleShot(0, self._begin)
        return False


def _begin(app: Console) -> None:
    # What is loaded by now lives as long as the program: keep the collector from walking it in every full round,
    # which would hold up the event loop for tens of milliseconds.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    app.start()


def _quit_after_first_snapshot(window: MainWindow) -> None:
    def on_shown(snapshot: ClusterSnapshot) -> None:
        if snapshot.vms:
            QTimer.singleShot(0, window.close)

    window.snapshot_shown.connect(on_shown)
