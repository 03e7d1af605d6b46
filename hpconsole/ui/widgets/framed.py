"""A view inside a hairline frame with round corners, as everywhere in the window."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget


def framed(inner: QWidget) -> QFrame:
    """A frame around `inner`; the theme's style sheet draws it."""
    frame = QFrame()
    frame.setProperty("panel", "true")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(1, 1, 1, 1)
    layout.addWidget(inner)
    return frame
