"""What stands inside a scroll area and wraps its text: as high as its lines are at the width there is, no higher."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget


class ScrolledColumn(QWidget):
    """Give it a layout, and to a `QScrollArea` whose widget is resizable.

    A layout with wrapping labels names as its least height what it would need at its least width: the scroll area takes
    that for needed, and leaves as much empty below the last line. Asked for no least height, it asks for the height at
    the width (`QScrollAreaPrivate::updateScrollBars`).
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")

    def minimumSizeHint(self) -> QSize:
        least, layout = super().minimumSizeHint(), self.layout()
        return QSize(least.width(), 0) if layout is not None and layout.hasHeightForWidth() else least
