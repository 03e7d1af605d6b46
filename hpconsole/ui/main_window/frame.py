"""The frame of the main window: on the screen at once, filled a moment later. Must import nothing heavy."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QCloseEvent, QPaintEvent
from PySide6.QtWidgets import QMainWindow

from hpconsole.ui.window_state import WindowState

_SIZE = (1280, 760)


class Frame(QMainWindow):
    """Where it was last time. `painted` is emitted once, when it has been drawn for the first time."""

    painted = Signal()
    closing = Signal()

    def __init__(self, state: WindowState) -> None:
        super().__init__()
        self.setObjectName("main_window")
        self.setWindowTitle("hpconsole")
        self.may_close: Callable[[], bool] = lambda: True
        self._is_painted = False
        self.resize(*_SIZE)
        state.restore_geometry(self)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            QTimer.singleShot(0, self.painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.may_close():
            event.ignore()
            return
        self.closing.emit()
        super().closeEvent(event)
