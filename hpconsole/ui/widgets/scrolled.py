"""A column that scrolls where it does not fit, and is filled anew as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLayout, QScrollArea, QVBoxLayout

from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.scrolled_column import ScrolledColumn
from hpconsole.ui.widgets.text_label import TextLabel

_INDENT_PX = 18


def scrolled(content: QLayout, name: str = "", what: str = "") -> QScrollArea:
    """A view of this layout without a frame of its own. `what` it shows, for screen readers."""
    inner = ScrolledColumn()
    inner.setLayout(content)
    scroll = QScrollArea()
    scroll.setObjectName(name)
    scroll.setAccessibleName(what)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setWidgetResizable(True)
    scroll.setWidget(inner)
    return scroll


def clear(layout: QLayout) -> None:
    """Take everything out of it."""
    while (old := layout.takeAt(0)) is not None:
        if (widget := old.widget()) is not None:
            widget.hide()
            widget.setObjectName("")  # it lives until the event loop turns, and must not be found until then
            widget.deleteLater()


def show_lines(column: QVBoxLayout, name: str, lines: Iterable[tuple[str, Tone]]) -> None:
    """Nothing but these lines from now on. Headings have the accent's tone; what begins with a space is set in."""
    clear(column)
    for text, tone in lines:
        label = TextLabel(text.strip(), name=name, tone=tone, is_bold=tone is Tone.ACCENT, wraps=True)
        label.setContentsMargins(_INDENT_PX if text.startswith(" ") else 0, 0, 0, 0)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(label)
    column.addStretch(1)
