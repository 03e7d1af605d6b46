"""Paints a host's NUMA nodes as boxes of CPU tiles: what the VM has, what others have, what is free. Paints only."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from hpconsole.ui.migrate.picture import CpuTile, HostPicture, NodeBox, TileKind
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.widgets.cell import literal

_LARGEST, _SMALLEST = 17, 4
_GAP = 2  # between the threads of a core
_CORE_GAP = 4  # between cores
_PADDING = 7
_BOX_GAP = 8
_LABEL_FROM = 12  # tiles smaller than this carry no number


class _Layout(NamedTuple):
    """How boxes and tiles are arranged: chosen so that the tiles are as large as the room allows."""

    tile: int
    core_columns: int
    box_columns: int


class _Boxes(NamedTuple):
    """What of a host's NUMA nodes decides how large their boxes are."""

    nodes: int
    shapes: frozenset[tuple[int, int]]  # (cores, threads of each): few, for most nodes of a host are alike
    header: float
    title: float  # the widest, with its padding

    def size(self, layout: _Layout) -> tuple[float, float]:
        """Width and height of a box that holds any of them."""
        width, height = self.title, 0.0
        for cores, threads in self.shapes:
            columns = min(layout.core_columns, max(1, cores))
            rows = ceil(cores / columns)
            core_height = threads * (layout.tile + _GAP) - _GAP
            width = max(width, columns * (layout.tile + _CORE_GAP) - _CORE_GAP + 2 * _PADDING)
            height = max(height, self.header + max(0, rows * (core_height + _CORE_GAP) - _CORE_GAP) + _PADDING)
        return width, height


class PlacementView(QWidget):
    """Shows one `HostPicture`."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self._picture: HostPicture | None = None
        self._theme = LIGHT
        self._tiles: list[tuple[QRectF, CpuTile]] = []
        self._layout = _Layout(_SMALLEST, 8, 1)

    def sizeHint(self) -> QSize:
        return QSize(270, 180)

    def minimumSizeHint(self) -> QSize:
        return QSize(150, 110)

    def set_picture(self, picture: HostPicture | None) -> None:
        """Show this host."""
        if picture != self._picture:
            self._picture = picture
            self._arrange()
            self.setAccessibleName(picture.caption if picture is not None else "")
            self.setAccessibleDescription(_spoken(picture) if picture is not None else "")
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self.update()

    # Where everything is

    @property
    def _header(self) -> float:
        return self.fontMetrics().height() + 6.0

    def _boxes(self, picture: HostPicture) -> _Boxes:
        measure = QFontMetricsF(self.font()).horizontalAdvance
        return _Boxes(
            nodes=len(picture.nodes),
            shapes=frozenset((len(box.cores), box.threads_per_core) for box in picture.nodes),
            header=self._header,
            title=max(measure(box.title) for box in picture.nodes) + 2 * _PADDING,
        )

    def _fits(self, boxes: _Boxes, layout: _Layout) -> bool:
        widest, tallest = boxes.size(layout)
        rows = ceil(boxes.nodes / layout.box_columns)
        width = layout.box_columns * (widest + _BOX_GAP) - _BOX_GAP
        height = boxes.header + rows * (tallest + _BOX_GAP) - _BOX_GAP
        return width <= self.width() - 1 and height <= self.height() - 1

    def _arrange(self) -> None:
        picture = self._picture
        if picture is None or not picture.nodes:
            return
        boxes = self._boxes(picture)  # measured once: hundreds of layouts are tried
        most = max(len(box.cores) for box in picture.nodes)
        columns = sorted({c for c in (2, 4, 6, 8, 12, 16, 24, 32) if c <= max(2, most)}, key=lambda c: abs(c - 8))
        for tile in range(_LARGEST, _SMALLEST - 1, -1):
            for box_columns in range(len(picture.nodes), 0, -1):
                for core_columns in columns:
                    layout = _Layout(tile, core_columns, box_columns)
                    if self._fits(boxes, layout):
                        self._layout = layout
                        return
        self._layout = _Layout(_SMALLEST, 16, max(1, self.width() // 90))

    # Painting

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def paintEvent(self, event: QPaintEvent) -> None:
        self._tiles = []
        picture = self._picture
        if picture is None:
            return
        painter = QPainter(self)
        painter.setPen(QColor(self._theme.text))
        painter.setFont(_bold(self.font()))
        caption = painter.fontMetrics().elidedText(picture.caption, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QRectF(0, 0, self.width(), self._header), _LEFT, caption)
        if picture.nodes:
            widest, tallest = self._boxes(picture).size(self._layout)
            step_x, step_y = widest + _BOX_GAP, tallest + _BOX_GAP
            for place, box in enumerate(picture.nodes):
                row, column = divmod(place, self._layout.box_columns)
                room = QRectF(column * step_x, self._header + row * step_y, step_x - _BOX_GAP, step_y - _BOX_GAP)
                self._paint_box(painter, room.adjusted(0.5, 0.5, -0.5, -0.5), box)
        painter.end()

    def _paint_box(self, painter: QPainter, room: QRectF, box: NodeBox) -> None:
        theme = self._theme
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.accent if box.is_bound else theme.border), 1.6 if box.is_bound else 1.0))
        painter.setBrush(QColor(theme.base))
        painter.drawRoundedRect(room, 5, 5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        title = QRectF(room.left() + _PADDING, room.top(), room.width() - 2 * _PADDING, self._header)
        painter.setFont(self.font())
        painter.setPen(QColor(theme.accent if box.is_bound else theme.text))
        painter.drawText(title, _LEFT, box.title)
        left = painter.fontMetrics().horizontalAdvance(box.title) + 10
        if painter.fontMetrics().horizontalAdvance(box.memory) <= title.width() - left:
            painter.setPen(QColor(theme.accent if box.is_bound else theme.muted))
            painter.drawText(title.adjusted(left, 0, 0, 0), _RIGHT, box.memory)
        tile, columns = self._layout.tile, min(self._layout.core_columns, max(1, len(box.cores)))
        core_height = box.threads_per_core * (tile + _GAP) - _GAP
        for place, core in enumerate(box.cores):
            row, column = divmod(place, columns)
            corner = QPointF(
                round(room.left()) + _PADDING + column * (tile + _CORE_GAP),
                round(room.top() + self._header) + row * (core_height + _CORE_GAP),
            )
            for thread, cpu in enumerate(core):
                self._paint_tile(painter, QRectF(corner.x(), corner.y() + thread * (tile + _GAP), tile, tile), cpu)

    def _paint_tile(self, painter: QPainter, room: QRectF, cpu: CpuTile) -> None:
        theme = self._theme
        self._tiles.append((room, cpu))
        painter.fillRect(room, QColor(theme.tile_free))
        if cpu.kind in (TileKind.OWN, TileKind.BOTH):
            painter.fillRect(room, QColor(theme.bad if cpu.kind is TileKind.BOTH else theme.accent))
            if cpu.label and room.width() >= _LABEL_FROM:
                font = QFont(self.font())
                font.setPixelSize(max(7, int(room.width() * (0.66 if len(cpu.label) < 3 else 0.5))))
                painter.setFont(font)
                painter.setPen(QColor(theme.on_accent))
                painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), cpu.label)
        elif cpu.kind is not TileKind.FREE:
            paint_pattern(painter, room, cpu.kind, theme)

    # What a tile is

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = QPointF(event.pos())
            tip = next((cpu.tip for room, cpu in self._tiles if room.contains(place)), "")
            if tip:
                QToolTip.showText(event.globalPos(), literal(tip), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)


_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def paint_pattern(painter: QPainter, room: QRectF, kind: TileKind, theme: Theme) -> None:
    """What is not simply filled: hatched = another VM's alone, dotted = shared, a frame = helper threads."""
    if kind is TileKind.HELPER:
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(room.adjusted(1, 1, -1, -1))
        return
    pattern = Qt.BrushStyle.BDiagPattern if kind is TileKind.TAKEN else Qt.BrushStyle.Dense6Pattern
    painter.fillRect(room, QBrush(QColor(theme.tile_taken), pattern))
    painter.setPen(QPen(QColor(theme.tile_taken), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(room.adjusted(0, 0, -1, -1))


class Legend(QWidget):
    """What the tiles mean, in one line."""

    _ENTRIES = (
        (TileKind.OWN, "vCPU, by number"),
        (TileKind.HELPER, "emulator, IO"),
        (TileKind.TAKEN, "others alone"),
        (TileKind.SHARED, "shared"),
        (TileKind.FREE, "free"),
    )

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = LIGHT
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        width = sum(metrics.horizontalAdvance(text) + 30 for _, text in self._ENTRIES)
        return QSize(width, metrics.height() + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        left = 0.0
        for kind, text in self._ENTRIES:
            room = QRectF(left, round(self.height() / 2) - 6, 12, 12)
            painter.fillRect(room, QColor(self._theme.accent if kind is TileKind.OWN else self._theme.tile_free))
            if kind not in (TileKind.OWN, TileKind.FREE):
                paint_pattern(painter, room, kind, self._theme)
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(QRectF(left + 18, 0, width + 4, self.height()), _LEFT, text)
            left += width + 30
        painter.end()


def _bold(font: QFont) -> QFont:
    bold = QFont(font)
    bold.setWeight(QFont.Weight.DemiBold)
    return bold


def _spoken(picture: HostPicture) -> str:
    """The picture for who cannot see it."""
    parts = []
    for box in picture.nodes:
        own = [str(cpu.cpu_id) for core in box.cores for cpu in core if cpu.kind in (TileKind.OWN, TileKind.BOTH)]
        if own or box.is_bound:
            parts.append(f"{box.title}: CPUs {', '.join(own) or 'none'} of this VM, {box.memory}")
    return ". ".join(parts)
