"""A field for a whole number whose digits do not touch its border."""

from __future__ import annotations

from PySide6.QtWidgets import QSpinBox

_MARGIN = 4  # pixels; a style sheet's padding does not reach the text of a field that is stretched


class NumberBox(QSpinBox):
    """A spin box with room at the left."""

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__()
        self.setRange(lowest, highest)
        self.lineEdit().setTextMargins(_MARGIN, 0, 0, 0)
