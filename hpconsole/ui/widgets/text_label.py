"""Labels whose text may come from a host: always plain text, with a tone."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import literal


class TextLabel(QLabel):
    """A label that shows its text literally, wraps if asked to, and can be read by a screen reader and copied."""

    def __init__(
        self,
        text: str = "",
        *,
        name: str = "",
        tone: Tone = Tone.NORMAL,
        is_bold: bool = False,
        wraps: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)
        self.setObjectName(name)
        self.setWordWrap(wraps)
        if wraps:
            self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        if is_bold:
            self.set_weight(QFont.Weight.DemiBold)
        self.setProperty("tone", _property(tone))

    def set_tone(self, tone: Tone) -> None:
        """Colour the text from now on."""
        if self.property("tone") != _property(tone):
            self.setProperty("tone", _property(tone))
            self.style().unpolish(self)
            self.style().polish(self)

    def set_weight(self, weight: QFont.Weight, larger_by: float = 0) -> None:
        """Make the text heavier, and larger by so many points."""
        font = self.font()
        font.setWeight(weight)
        if larger_by:
            font.setPointSizeF(font.pointSizeF() + larger_by)
        self.setFont(font)


def _property(tone: Tone) -> str:
    return "" if tone is Tone.NORMAL else tone.name.lower()


class ElidedLabel(TextLabel):
    """A one-line label that never asks for more room than there is: the end is cut, the tooltip has it all."""

    def setText(self, text: str) -> None:
        """Show as much of this as fits."""
        self._full = " ".join(text.split())
        self.setAccessibleName(self._full)
        self._elide()

    def full_text(self) -> str:
        """The whole text."""
        return self._full

    def minimumSizeHint(self) -> QSize:
        return QSize(20, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        margins = self.contentsMargins()
        width = self.fontMetrics().horizontalAdvance(self._full) + margins.left() + margins.right() + 4
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        fitting = self.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideRight, max(self.width() - 2, 0))
        super().setText(fitting)
        self.setToolTip(literal(self._full) if fitting != self._full else "")
