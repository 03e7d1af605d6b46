"""Paints a share (0-1) as a thin bar beside its text. Calm: one colour, another one only above a threshold."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QAbstractItemView, QApplication, QStyledItemDelegate, QStyleOptionViewItem

from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import SHARE_ROLE, TONE_ROLE

_PADDING = 8
_HEIGHT = 6
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class BarDelegate(QStyledItemDelegate):
    """Draws the text of the cell right, and its share as a bar in what is left of the cell.

    Args:
        widest: The widest text that occurs; the bars of all rows end at the same place.
    """

    def __init__(self, widest: str, parent: QAbstractItemView) -> None:
        super().__init__(parent)
        self._widest = widest
        self.theme: Theme = LIGHT

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw the cell."""
        from PySide6.QtWidgets import QStyle  # slow to load, and not needed before there are rows

        drawn = QStyleOptionViewItem(option)
        self.initStyleOption(drawn, index)
        text, drawn.text = drawn.text, ""
        widget = drawn.widget
        style = widget.style() if widget is not None else QApplication.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, drawn, painter, widget)
        inner = QRectF(drawn.rect).adjusted(_PADDING, 0, -_PADDING, 0)
        share = index.data(SHARE_ROLE)
        tone = index.data(TONE_ROLE)
        text_width = drawn.fontMetrics.horizontalAdvance(self._widest)
        painter.save()
        painter.setPen(QColor(getattr(self.theme, tone or Tone.NORMAL.value)))
        painter.drawText(inner, _RIGHT, text)
        bar = inner.adjusted(0, 0, -text_width - _PADDING, 0)
        if share is not None and bar.width() > 12:
            self._paint_bar(painter, bar, share, tone)
        painter.restore()

    def _paint_bar(self, painter: QPainter, room: QRectF, share: float, tone: str | None) -> None:
        ground = QRectF(room.left(), room.center().y() - _HEIGHT / 2, room.width(), _HEIGHT)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.theme.bar))
        painter.drawRoundedRect(ground, _HEIGHT / 2, _HEIGHT / 2)
        if share > 0:
            is_alarm = tone in (Tone.WARNING.value, Tone.BAD.value)
            color = getattr(self.theme, tone) if is_alarm and tone is not None else self.theme.bar_fill
            painter.setBrush(QColor(color))
            width = max(_HEIGHT, ground.width() * min(share, 1.0))
            painter.drawRoundedRect(QRectF(ground.left(), ground.top(), width, _HEIGHT), _HEIGHT / 2, _HEIGHT / 2)
