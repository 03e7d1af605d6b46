"""Starts the window: its frame first, then everything else. The only place that makes a QApplication.

What is imported at the top is loaded before anything is on the screen: keep it short.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from hpconsole import __version__
from hpconsole.core.errors import HpconsoleError
from hpconsole.paths import resource
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.window_state import WindowState

if TYPE_CHECKING:
    from hpconsole.core.model.snapshot import ClusterSnapshot
    from hpconsole.ui.console import Console
    from hpconsole.ui.main_window.window import MainWindow

_SWITCH_S = 0.0005
_SETTLED_MS = 8000
QUIT_AFTER_FIRST_SNAPSHOT = "--quit-after-first-snapshot"


def run(
    app: Console | Callable[[], Console],
    *,
    arguments: Sequence[str] = (),
    settings: Path | None = None,
    on_window: Callable[[MainWindow], None] | None = None,
) -> int:
    """Show the window until it is closed; returns the exit code.

    Args:
        app: The program, not started yet, or what makes it: then it is made on a thread, beside the window.
            It is started once the window is filled, and closed at the end.
        arguments: `--quit-after-first-snapshot` closes the window once hosts are shown and everything has started.
        settings: Where the window's state is kept; None = the user's configuration folder.
        on_window: Told of the window before the program starts (the scripted tour, measurements).

    Raises:
        HpconsoleError: The program could not be made.
    """
    application = make_application()
    state = WindowState(settings)
    start = _Start(app, state, ThemeKeeper(application, state.theme), on_window)
    start.is_short = QUIT_AFTER_FIRST_SNAPSHOT in arguments
    start.frame.show()
    start.begin()
    try:
        code = application.exec()
    finally:
        start.close()
    if start.error is not None:
        raise start.error
    return code


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
    application.setWindowIcon(QIcon(str(resource("icons/hpconsole.svg"))))
    return application


class _Start:
    """What happens after the first paint."""

    def __init__(
        self,
        app: Console | Callable[[], Console],
        state: WindowState,
        themes: ThemeKeeper,
        on_window: Callable[[MainWindow], None] | None,
    ) -> None:
        self.is_short = False
        self.error: HpconsoleError | None = None
        self.frame = Frame(state)
        self.frame.painted.connect(self._fill)
        self._app = app
        self._made: Callable[[], Console]  # waits for it; set by `begin`
        self._state = state
        self._themes = themes
        self._on_window = on_window
        self._console: Console | None = None

    def begin(self) -> None:
        """Make the program, beside the window."""
        if callable(self._app):
            from concurrent.futures import ThreadPoolExecutor

            maker = ThreadPoolExecutor(1)
            self._made = maker.submit(self._app).result
            maker.shutdown(wait=False)
        else:
            present = self._app
            self._made = lambda: present

    def close(self) -> None:
        """Stop the program behind the window."""
        if self._console is not None:
            self._console.close()

    def _fill(self) -> None:
        try:
            # Waited for: two threads that load modules hinder each other, and hosts answer while the window is filled.
            self._console = console = self._made()
        except HpconsoleError as error:
            self.error = error
            QApplication.exit(1)
            return
        from hpconsole.ui.main_window.window import MainWindow

        window = MainWindow(self.frame, console, self._state, self._themes)
        if self.is_short:
            _close_after_first_snapshot(window, console)
        if self._on_window is not None:
            self._on_window(window)
        _spare_from_collection()
        gc.enable()
        QTimer.singleShot(_SETTLED_MS, _spare_from_collection)  # by then the hosts' first answers are there too
        gc.set_threshold(20_000, 20, 50)
        # Qt asks Python hundreds of things for each picture it draws; each time, a thread that reads a host's answers
        # may hold the interpreter, by default for 5 ms.
        sys.setswitchinterval(_SWITCH_S)
        QTimer.singleShot(0, console.start)


def _spare_from_collection() -> None:
    """What is there by now lives long: a full collection that walks it holds up the event loop for some 20 ms."""
    gc.collect(1)
    gc.freeze()


def _close_after_first_snapshot(window: MainWindow, console: Console) -> None:
    def on_shown(snapshot: ClusterSnapshot) -> None:
        if snapshot.vms and console.executor is not None:  # the last thing that starts
            QTimer.singleShot(0, window.frame.close)

    window.snapshot_shown.connect(on_shown)
