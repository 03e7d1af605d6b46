"""The hosts of a VM as a strip: green, amber or red, with a mark that says the same without colour."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QScrollArea, QToolButton, QWidget

from hpconsole.ui import icons
from hpconsole.ui.numa.view import HostMark
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import literal

_ICONS = {Tone.GOOD: "good", Tone.WARNING: "warning", Tone.BAD: "bad"}


class HostStrip(QScrollArea):
    """Emits `chosen(host)`."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("host_strip")
        self.setAccessibleName("Hosts and whether the pinning fits them")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inner = QWidget()
        inner.setObjectName("plain")
        self._row = QHBoxLayout(inner)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        self._row.addStretch(1)
        self.setWidget(inner)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QToolButton] = {}
        self._marks: tuple[HostMark, ...] = ()
        self._theme = LIGHT
        self.setFixedHeight(self.fontMetrics().height() + 30)

    def set_theme(self, theme: Theme) -> None:
        """Tint the marks."""
        self._theme = theme
        marks, self._marks = self._marks, ()
        self.show_marks(marks)

    def show_marks(self, marks: tuple[HostMark, ...]) -> None:
        """Show these hosts."""
        if marks == self._marks:
            return
        if tuple(self._buttons) != tuple(mark.name for mark in marks):
            self._rebuild(marks)
        self._marks = marks
        for mark in marks:
            button = self._buttons[mark.name]
            button.setChecked(mark.is_shown)
            button.setIcon(icons.icon(_ICONS.get(mark.tone, "busy"), getattr(self._theme, mark.tone.value)))
            button.setToolTip(literal("\n".join((f"{mark.name} {mark.verdict}", *mark.reasons))))
            button.setAccessibleName(f"{mark.name}: {mark.verdict}")

    def _rebuild(self, marks: tuple[HostMark, ...]) -> None:
        for button in self._buttons.values():
            self._group.removeButton(button)
            button.deleteLater()
        self._buttons = {}
        for place, mark in enumerate(marks):
            button = QToolButton()
            button.setObjectName(f"strip_{mark.name}")
            button.setText(mark.name)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setCheckable(True)
            button.setProperty("strip", "true")
            button.clicked.connect(lambda _, name=mark.name: self.chosen.emit(name))
            self._group.addButton(button)
            self._row.insertWidget(place, button)
            self._buttons[mark.name] = button
