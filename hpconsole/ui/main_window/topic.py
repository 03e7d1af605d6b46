"""A topic of the window: one group of actions (VMs, templates, whole hosts ...) with the dialogs they open.

The window asks its topics for the `on_<action>` methods of what it does not do itself, and closes them when it closes.
Dialogs are loaded when they are first opened: what a start does not need does not delay it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, SignalInstance
from PySide6.QtWidgets import QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui.actions import Selection
from hpconsole.ui.bridge import Background
from hpconsole.ui.console import Console
from hpconsole.ui.messages import Messages
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.window_state import WindowState

_Loaded = TypeVar("_Loaded")


@dataclass(frozen=True, slots=True)
class WindowParts:
    """What a window lends to each of its topics.

    Attributes:
        frame: The parent of every dialog.
        state: Where what the user chose last is kept.
        selection: What is selected in the window now.
        new_snapshots: Emits each snapshot the window shows.
        show: Shows a dialog and keeps it until it is closed.
    """

    frame: QWidget
    console: Console
    themes: ThemeKeeper
    messages: Messages
    state: WindowState
    selection: Callable[[], Selection]
    new_snapshots: SignalInstance
    show: Callable[[QWidget], None]


class Topic(QObject):
    """Belongs to one window; lives on its thread."""

    def __init__(self, parts: WindowParts) -> None:
        super().__init__(parts.frame)
        self._frame = parts.frame
        self._console = parts.console
        self._themes = parts.themes
        self._messages = parts.messages
        self._state = parts.state
        self._selection = parts.selection
        self._new_snapshots = parts.new_snapshots
        self._show = parts.show
        self._background = Background(self)
        self._loads = 0  # dialogs on their way

    @property
    def _snapshot(self) -> ClusterSnapshot:
        return self._console.store.snapshot

    def _open_after(self, load: Callable[[], _Loaded], show: Callable[[_Loaded], None]) -> None:
        """Load what a dialog needs on a worker thread, then show it; until then the pointer says that it comes."""
        self._loads += 1
        self._frame.setCursor(Qt.CursorShape.BusyCursor)

        def end() -> None:
            self._loads -= 1
            if not self._loads:
                self._frame.unsetCursor()

        def done(loaded: _Loaded) -> None:
            end()
            show(loaded)

        def failed(error: HpconsoleError) -> None:
            end()
            self._messages.error(error)

        self._background.run(load, done, failed)

    def close(self) -> None:
        """Expect no more outcomes of what runs on worker threads."""
        self._background.close()
