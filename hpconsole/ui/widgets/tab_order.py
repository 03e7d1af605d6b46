"""What is made later stands at the end of Qt's tab order; this puts it where it is seen."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


class TabOrder:
    """Keeps whatever takes the focus inside one widget right behind another.

    Args:
        first: What the focus comes from.
    """

    def __init__(self, first: QWidget) -> None:
        self._first = first
        self._inside: list[QWidget] = []

    def put_behind(self, page: QWidget) -> None:
        """Let Tab go from the first one through this page. Does nothing where nothing in it is new."""
        inside = [widget for widget in page.findChildren(QWidget) if widget.focusPolicy() & Qt.FocusPolicy.TabFocus]
        if inside == self._inside:
            return
        self._inside, last = inside, self._first
        for widget in inside:
            QWidget.setTabOrder(last, widget)
            last = widget
