"""Paints a board and turns mouse and keys into "these threads on these CPUs". Knows no VM and no host.

Mouse: press and move on free ground selects a range of CPUs; press on a CPU that has a thread of the VM and move
carries that thread elsewhere. Keys: arrows move the cursor, with Shift they select, Space selects single CPUs.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QToolTip, QWidget

from hpconsole.ui.migrate.picture import TileKind
from hpconsole.ui.migrate.placement_view import paint_pattern
from hpconsole.ui.pinning.arrangement import Arrangement, Box, arrange
from hpconsole.ui.pinning.board import Board, Tile
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.widgets.cell import literal

_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_CENTER = int(Qt.AlignmentFlag.AlignCenter)
_ARROWS = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}
_LOAD_HEIGHT = 3


class BoardView(QWidget):
    """Lives in a scroll area: as wide as that, as high as it must be."""

    selection_changed = Signal()
    carried = Signal(int, int)  # from this CPU, to that CPU: what is pinned to the first goes to the second
    pin_wanted = Signal(bool)  # Enter: the selected threads on the selected CPUs; True = all together
    unpin_wanted = Signal(object)  # Delete: tuple of CPUs whose threads shall run anywhere

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName("CPUs of the host")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self._board: Board | None = None
        self._theme = LIGHT
        self._arrangement: Arrangement | None = None
        self._room = QSize(600, 300)
        self._selected: dict[int, None] = {}  # CPU numbers in the order of selection
        self._cursor: int | None = None
        self._anchor: int | None = None
        self._pressed_at: QPointF | None = None
        self._carrying: int | None = None  # the CPU whose threads are being carried
        self._drop: int | None = None
        self._band: QRectF | None = None

    # What is shown

    def set_board(self, board: Board | None) -> None:
        """Show this host."""
        if board != self._board:
            is_other = board is None or self._board is None or board.host != self._board.host
            self._board = board
            if is_other:
                self._selected.clear()
                self._cursor = self._anchor = None
            self._arrange()
            self.setAccessibleDescription(_spoken(board))
            self.update()

    def set_room(self, room: QSize) -> None:
        """The viewport's size: the picture is drawn as large as it allows."""
        if room != self._room:
            self._room = room
            self._arrange()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self.update()

    def set_drop(self, place: QPointF | None) -> int | None:
        """Threads are being carried over this place (None: no more); the CPU that would get them."""
        tile = self._tile_at(place) if place is not None else None
        number = tile.cpu_id if tile is not None else None
        if number != self._drop:
            self._drop = number
            self.update()
        return number

    @property
    def selected(self) -> tuple[int, ...]:
        """The selected CPUs, in the order of the picture."""
        order = [tile.cpu_id for tile in self._board.tiles] if self._board is not None else []
        return tuple(cpu for cpu in order if cpu in self._selected)

    def select(self, cpus: tuple[int, ...]) -> None:
        """Select these CPUs."""
        self._selected = dict.fromkeys(cpus)
        self.selection_changed.emit()
        self.update()

    def place_of(self, cpu: int) -> QPointF | None:
        """The middle of a CPU's tile, for tests and for whoever points at it."""
        tiles = self._arrangement.tiles if self._arrangement is not None else ()
        box = next((box for box, tile in tiles if tile.cpu_id == cpu), None)
        return None if box is None else QPointF(box.left + box.width / 2, box.top + box.height / 2)

    def sizeHint(self) -> QSize:
        made = self._arrangement
        return QSize(300, 120) if made is None else QSize(int(made.width) + 2, int(made.height) + 2)

    def minimumSizeHint(self) -> QSize:
        made = self._arrangement
        return QSize(200, 80) if made is None else QSize(200, int(made.height) + 2)

    def _arrange(self) -> None:
        if self._board is None or not self._board.sockets:
            self._arrangement = None
            return
        line = float(self.fontMetrics().height())
        self._arrangement = arrange(self._board, self._room.width() - 4, self._room.height() - 4, line)
        self.setMinimumHeight(int(self._arrangement.height) + 2)
        self.updateGeometry()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._arrange()

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        made = self._arrangement
        if made is None:
            return
        painter = QPainter(self)
        shown = Box(event.rect().x(), event.rect().y(), event.rect().width(), event.rect().height())
        for box, socket in made.sockets:
            self._paint_frame(painter, box, socket.title, is_node=False)
        for box, node in made.nodes:
            self._paint_frame(painter, box, node.title, node.memory, is_node=True)
        painter.setFont(self.font())
        for box, die in made.dies:
            if die.title:
                painter.setPen(QColor(self._theme.muted))
                painter.drawText(QRectF(box.left, box.top, box.width, self.fontMetrics().height()), _LEFT, die.title)
        for box, tile in made.tiles:
            if box.meets(shown):
                self._paint_tile(painter, QRectF(*box), tile)
        if self._band is not None:
            painter.setPen(QPen(QColor(self._theme.accent), 1, Qt.PenStyle.DashLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self._band)
        painter.end()

    def _paint_frame(self, painter: QPainter, box: Box, title: str, remark: str = "", *, is_node: bool) -> None:
        ground, room = (self._theme.base, 6) if is_node else (self._theme.window, 2)
        frame = QRectF(*box).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.border), 1))
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(frame, 5, 5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        head = QRectF(box.left + 7, box.top + room / 3, box.width - 14, self.fontMetrics().height() + room / 3)
        painter.setFont(self.font())
        painter.setPen(QColor(self._theme.text))
        painter.drawText(head, _LEFT, title)
        left = self.fontMetrics().horizontalAdvance(title) + 10
        if remark and self.fontMetrics().horizontalAdvance(remark) <= head.width() - left:
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(head, _RIGHT, remark)

    def _paint_tile(self, painter: QPainter, room: QRectF, tile: Tile) -> None:
        theme = self._theme
        is_own = tile.kind in (TileKind.OWN, TileKind.BOTH)
        painter.fillRect(room, QColor(theme.tile_free))
        if is_own:
            painter.fillRect(room, QColor(theme.bad if tile.kind is TileKind.BOTH else theme.accent))
        elif tile.kind is not TileKind.FREE:
            paint_pattern(painter, room, tile.kind, theme)
        self._paint_label(painter, room, tile, is_own=is_own)
        if tile.load_share is not None:
            self._paint_load(painter, room, tile.load_share, is_own=is_own)
        if tile.is_overlap:  # a corner, so that it is not told by colour alone
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.warning if not is_own else theme.on_accent))
            size = room.width() * 0.32
            corner = QPointF(room.right(), room.top())
            painter.drawPolygon([corner, corner - QPointF(size, 0), corner + QPointF(0, size)])
        self._paint_marks(painter, room, tile.cpu_id)

    def _paint_label(self, painter: QPainter, room: QRectF, tile: Tile, *, is_own: bool) -> None:
        font = QFont(self.font())
        if tile.label:
            font.setPixelSize(max(8, int(room.width() * (0.52 if len(tile.label) < 3 else 0.36))))
            font.setWeight(QFont.Weight.DemiBold)
            color = self._theme.on_accent if is_own else self._theme.text
        else:
            if room.width() < 18:
                return
            font.setPixelSize(max(8, int(room.width() * (0.36 if tile.cpu_id < 100 else 0.3))))
            color = self._theme.muted
        painter.setFont(font)
        painter.setPen(QColor(color))
        painter.drawText(room, _CENTER, tile.label or str(tile.cpu_id))

    def _paint_load(self, painter: QPainter, room: QRectF, share: float, *, is_own: bool) -> None:
        ground = QRectF(room.left() + 1, room.bottom() - _LOAD_HEIGHT - 1, room.width() - 2, _LOAD_HEIGHT)
        painter.fillRect(ground, QColor(self._theme.bar))
        color = self._theme.warning if share > 0.8 else self._theme.on_accent if is_own else self._theme.bar_fill
        painter.fillRect(QRectF(ground.left(), ground.top(), ground.width() * share, ground.height()), QColor(color))

    def _paint_marks(self, painter: QPainter, room: QRectF, cpu: int) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if cpu in self._selected or cpu == self._drop:
            painter.setPen(QPen(QColor(self._theme.text), 2))
            painter.drawRect(room.adjusted(0, 0, -1, -1))
        if cpu == self._cursor and self.hasFocus():
            painter.setPen(QPen(QColor(self._theme.accent), 1, Qt.PenStyle.DotLine))
            painter.drawRect(room.adjusted(-2, -2, 1, 1))

    # Mouse

    def _tile_at(self, place: QPointF) -> Tile | None:
        return None if self._arrangement is None else self._arrangement.tile_at(place.x(), place.y())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        self._pressed_at = event.position()
        tile = self._tile_at(event.position())
        self._carrying = tile.cpu_id if tile is not None and tile.label else None
        if tile is None:
            return
        modifiers = event.modifiers()
        if modifiers & Qt.KeyboardModifier.ShiftModifier and self._anchor is not None:
            self._select_range(self._anchor, tile.cpu_id)
        elif modifiers & Qt.KeyboardModifier.ControlModifier:
            self._toggle(tile.cpu_id)
            self._anchor = tile.cpu_id
        else:
            self._anchor = tile.cpu_id
            self.select((tile.cpu_id,))
        self._cursor = tile.cpu_id

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed_at is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        way = event.position() - self._pressed_at
        if way.manhattanLength() < QApplication.startDragDistance():
            return
        if self._carrying is not None:
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
            self.set_drop(event.position())
            return
        self._band = QRectF(self._pressed_at, event.position()).normalized()
        band = Box(self._band.x(), self._band.y(), self._band.width(), self._band.height())
        tiles = self._arrangement.tiles if self._arrangement is not None else ()
        self.select(tuple(tile.cpu_id for box, tile in tiles if box.meets(band)))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        carried, drop = self._carrying, self._drop
        self._pressed_at = self._band = self._carrying = None
        self.set_drop(None)
        self.unsetCursor()
        self.update()
        if carried is not None and drop is not None and drop != carried:
            self.carried.emit(carried, drop)

    # Keys

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._place_cursor()
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._place_cursor()
        key = Qt.Key(event.key())
        has_shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if key in _ARROWS:
            self._move_cursor(*_ARROWS[key], extends=has_shift)
        elif key is Qt.Key.Key_Space and self._cursor is not None:
            self._toggle(self._cursor)
            self._anchor = self._cursor
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not self._selected and self._cursor is not None:
                self.select((self._cursor,))
            self.pin_wanted.emit(has_shift)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            cursor = () if self._cursor is None else (self._cursor,)
            self.unpin_wanted.emit(self.selected or cursor)
        elif key is Qt.Key.Key_Escape and self._selected:
            self.select(())
        else:
            super().keyPressEvent(event)
            return
        self.update()

    def _place_cursor(self) -> None:
        if self._cursor is None and self._board is not None and self._board.tiles:
            self._cursor = self._anchor = self._board.tiles[0].cpu_id

    def _move_cursor(self, right: float, down: float, *, extends: bool) -> None:
        """To the nearest tile in that direction."""
        here = self.place_of(self._cursor) if self._cursor is not None else None
        if here is None or self._arrangement is None:
            return
        best: tuple[float, int] | None = None
        for box, tile in self._arrangement.tiles:
            x, y = box.left + box.width / 2 - here.x(), box.top + box.height / 2 - here.y()
            ahead, aside = x * right + y * down, abs(x * down) + abs(y * right)
            if ahead > 1 and aside <= ahead * 3:
                distance = ahead + 4 * aside
                best = min(best, (distance, tile.cpu_id)) if best is not None else (distance, tile.cpu_id)
        if best is None:
            return
        self._cursor = best[1]
        if extends and self._anchor is not None:
            self._select_range(self._anchor, self._cursor)
        else:
            self._anchor = self._cursor
            if self._selected:
                self.select(())

    def _toggle(self, cpu: int) -> None:
        if cpu in self._selected:
            del self._selected[cpu]
        else:
            self._selected[cpu] = None
        self.selection_changed.emit()
        self.update()

    def _select_range(self, first: int, last: int) -> None:
        order = [tile.cpu_id for tile in self._board.tiles] if self._board is not None else []
        if first in order and last in order:
            low, high = sorted((order.index(first), order.index(last)))
            self.select(tuple(order[low : high + 1]))

    # What a tile is

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            tile = self._tile_at(QPointF(event.pos()))
            if tile is not None:
                QToolTip.showText(event.globalPos(), literal(tile.tip), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)


def _spoken(board: Board | None) -> str:
    """The picture for who cannot see it."""
    if board is None:
        return "No host is shown."
    own = [f"CPU {tile.cpu_id}: {tile.label}" for tile in board.tiles if tile.label]
    return f"{board.host}, {len(board.tiles)} CPUs. {', '.join(own) or 'Nothing of this VM is pinned.'}"
