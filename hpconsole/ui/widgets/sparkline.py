"""A small chart drawn by hand: some lines over the same seconds, and what they reach. Light enough for cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from hpconsole.ui.theme import LIGHT, Theme

_DASH, _GAP = 14, 24  # before a value; from the end of one to the end of the room before the next
_WIDEST_CHARACTERS = 27
_TOP = 1.12  # room above the highest value


class Line(NamedTuple):
    """One quantity over time: (seconds, value), ascending; None leaves a gap. `is_stepped`: constant until the next."""

    name: str
    points: Sequence[tuple[float, float | None]]
    is_filled: bool = False
    is_stepped: bool = False


class Sparkline(QWidget):
    """Draws lines from 0 to the highest value.

    Args:
        title: What is drawn.
        text: How a value is written.
    """

    def __init__(self, name: str, title: str, text: Callable[[float], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(title)
        self._title = title
        self._text = text
        self._lines: tuple[Line, ...] = ()
        self._marks: tuple[float, ...] = ()
        self._theme = LIGHT
        self._widest = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(190, 3 * self._row + 40)

    def minimumSizeHint(self) -> QSize:
        """As wide as the words above and below it; of the latter the names are left out where there is no room."""
        metrics = self.fontMetrics()
        words = min(self._widest, _WIDEST_CHARACTERS * metrics.averageCharWidth())
        return QSize(max(60, metrics.horizontalAdvance(self._title), words), self.sizeHint().height())

    def show_lines(self, lines: Sequence[Line], marks: Sequence[float] = ()) -> None:
        """Draw these. `marks`: seconds where a hairline stands (the beginning of a pass)."""
        self._lines, self._marks = tuple(lines), tuple(marks)
        said = [f"{line.name}: {self._text(value)}" for line in lines if (value := _newest(line)) is not None]
        self.setAccessibleDescription(", ".join(said))
        width = self._width_of(self._newest_texts())
        if width > self._widest:  # never less: the charts beside it would jump
            self._widest = width
            self.updateGeometry()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self.update()

    @property
    def _row(self) -> int:
        return self.fontMetrics().height()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        painter.setPen(QColor(theme.muted))
        painter.drawText(QRectF(0, 0, self.width(), self._row), _LEFT, self._title)
        room = QRectF(0.5, self._row + 2.5, self.width() - 1, self.height() - 2 * self._row - 6)
        painter.setPen(QColor(theme.border))
        painter.setBrush(QColor(theme.base))
        painter.drawRect(room)
        seconds = [point[0] for line in self._lines for point in line.points]
        values = [value for line in self._lines for _, value in line.points if value is not None]
        if values and max(seconds) > min(seconds):
            self._draw(painter, room.adjusted(1, 1, -1, -1), (min(seconds), max(seconds)), max(values) or 1.0)
        self._write_newest(painter)
        painter.end()

    def _newest_texts(self, *, is_short: bool = False) -> list[tuple[int, str]]:
        """The newest value of each line that has one, with the line's number; its name where there are several."""
        newest = [(number, line.name, _newest(line)) for number, line in enumerate(self._lines)]
        is_named = len(self._lines) > 1 and not is_short
        return [
            (number, f"{name} {self._text(value)}" if is_named else self._text(value))
            for number, name, value in newest
            if value is not None
        ]

    def _width_of(self, texts: Sequence[tuple[int, str]]) -> int:
        """What they take below the chart."""
        metrics = self.fontMetrics()
        return sum(metrics.horizontalAdvance(text) + _GAP for _, text in texts) - _GAP + _DASH if texts else 0

    def _draw(self, painter: QPainter, room: QRectF, span: tuple[float, float], highest: float) -> None:
        begin, end = span

        def place(second: float, value: float) -> QPointF:
            return QPointF(
                room.left() + (second - begin) / (end - begin) * room.width(),
                room.bottom() - value / (highest * _TOP) * room.height(),
            )

        painter.setPen(QPen(QColor(self._theme.border), 1, Qt.PenStyle.DotLine))
        for mark in self._marks:
            if begin < mark < end:
                across = place(mark, 0).x()
                painter.drawLine(QPointF(across, room.top()), QPointF(across, room.bottom()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, line in enumerate(self._lines):
            color = QColor(self._theme.curves[number])
            for piece in _pieces(line, end):
                points = [place(*point) for point in piece]
                if line.is_filled and len(points) > 1:
                    faint = QColor(color)
                    faint.setAlpha(38)
                    painter.setPen(Qt.PenStyle.NoPen)
                    painter.setBrush(faint)
                    ground = [QPointF(points[-1].x(), room.bottom()), QPointF(points[0].x(), room.bottom())]
                    painter.drawPolygon(QPolygonF([*points, *ground]))
                painter.setPen(QPen(color, 1.6))
                painter.drawPolyline(QPolygonF(points))

    def _write_newest(self, painter: QPainter) -> None:
        """Below the chart: each line's newest value, in its colour; without the names where there is no room."""
        left = 0.0
        top = self.height() - self._row - 1
        texts = self._newest_texts()
        if self._width_of(texts) > self.width():
            texts = self._newest_texts(is_short=True)
        for number, text in texts:
            painter.fillRect(QRectF(left, top + self._row / 2 - 1.5, 8, 3), QColor(self._theme.curves[number]))
            painter.setPen(QColor(self._theme.text))
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.drawText(QRectF(left + 12, top, width + 2, self._row), _LEFT, text)
            left += width + _GAP


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


def _newest(line: Line) -> float | None:
    return next((value for _, value in reversed(line.points) if value is not None), None)


def _pieces(line: Line, end: float) -> list[list[tuple[float, float]]]:
    """The line between its gaps, steps drawn out."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for second, value in line.points:
        if value is None:
            pieces.append([])
            continue
        if line.is_stepped and pieces[-1]:
            pieces[-1].append((second, pieces[-1][-1][1]))
        pieces[-1].append((second, value))
    if line.is_stepped and pieces[-1]:
        pieces[-1].append((end, pieces[-1][-1][1]))
    return [piece for piece in pieces if piece]
