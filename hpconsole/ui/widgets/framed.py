"""A view inside a hairline frame with round corners, as everywhere in the window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

_Inner = TypeVar("_Inner", bound=QWidget)


def framed(inner: QWidget) -> QFrame:
    """A frame around `inner`; the theme's style sheet draws it."""
    frame = QFrame()
    _dress(frame).addWidget(inner)
    return frame


def framed_in(parent: QWidget, make: Callable[[QWidget], _Inner]) -> tuple[QFrame, _Inner]:
    """The same for a widget that is made inside the frame, by its parent.

    With style sheets each change of parent dresses all that is inside anew: what is made where it belongs is dressed
    once. A table that goes through four parents costs 10 ms.
    """
    frame = QFrame(parent)
    inner = make(frame)
    _dress(frame).addWidget(inner)
    return frame, inner


def _dress(frame: QFrame) -> QVBoxLayout:
    frame.setProperty("panel", "true")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(1, 1, 1, 1)
    return layout
