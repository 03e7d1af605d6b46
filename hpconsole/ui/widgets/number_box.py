"""Fields for numbers whose digits do not touch their border: every spin box of the program goes through here."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtWidgets import QAbstractSpinBox, QSpinBox

_MARGIN = 4  # pixels; a style sheet's padding does not reach the text of a spin box
_Box = TypeVar("_Box", bound=QAbstractSpinBox)


def with_room(box: _Box) -> _Box:
    """The same box, with room at the left of its text."""
    box.lineEdit().setTextMargins(_MARGIN, 0, 0, 0)
    return box


class NumberBox(QSpinBox):
    """A spin box with room at the left."""

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__()
        self.setRange(lowest, highest)
        with_room(self)
