"""The threads of a VM as a table from which they are carried to the picture, by mouse; several at once."""

from __future__ import annotations

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from hpconsole.ui.pinning.thread_lines import ThreadLine
from hpconsole.ui.pinning.threads import Thread
from hpconsole.ui.widgets.text_table import dress_texts

_ANY = "any CPU"


class ThreadList(QTableWidget):
    """Rows are threads. `carried_over` and `dropped` speak in global coordinates."""

    carried_over = Signal(QPoint)
    dropped = Signal(QPoint)
    pin_wanted = Signal(bool)
    unpin_wanted = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        dress_texts(self, name, ["Thread", "On CPUs"], "Threads of the VM")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.horizontalHeader().setStretchLastSection(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().resizeSection(0, self.fontMetrics().horizontalAdvance("IO thread 000") + 16)
        self._lines: tuple[ThreadLine, ...] = ()
        self._pressed_at: QPointF | None = None
        self._is_carrying = False

    def set_lines(self, lines: tuple[ThreadLine, ...]) -> None:
        """Show these threads; the selection stays."""
        if lines == self._lines:
            return
        if len(lines) != len(self._lines):
            self.setRowCount(len(lines))
        for row, line in enumerate(lines):
            if row >= len(self._lines) or self._lines[row] is not line:
                self._set_row(row, line)
        self._lines = lines
        if not self.selected and lines:
            self.selectRow(0)

    def _set_row(self, row: int, line: ThreadLine) -> None:
        for column, text in enumerate((line.title, line.cpus or _ANY)):
            item = QTableWidgetItem(text)
            item.setToolTip(f"{line.title}: {line.cpus or _ANY}")
            self.setItem(row, column, item)

    @property
    def selected(self) -> tuple[Thread, ...]:
        """The selected threads, in the order of the table."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return tuple(self._lines[row].thread for row in rows if row < len(self._lines))

    def select(self, threads: tuple[Thread, ...]) -> None:
        """Select these threads."""
        wanted = set(threads)
        chosen = QItemSelection()
        for row, line in enumerate(self._lines):
            if line.thread in wanted:
                chosen.select(self.model().index(row, 0), self.model().index(row, 1))
        self.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def select_after(self, threads: tuple[Thread, ...]) -> None:
        """Go on to the thread after these: what is pinned next."""
        rows = [row for row, line in enumerate(self._lines) if line.thread in threads]
        if rows and rows[-1] + 1 < len(self._lines):
            self.setCurrentCell(rows[-1] + 1, 0)

    # Carrying

    def mousePressEvent(self, event: QMouseEvent) -> None:
        item = self.itemAt(event.position().toPoint())
        self._pressed_at = event.position() if item is not None else None
        is_plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
        if item is not None and is_plain and item.isSelected():
            return  # several may be selected: all of them are carried, or on release only this one stays
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed_at is None or not event.buttons() & Qt.MouseButton.LeftButton:
            super().mouseMoveEvent(event)
            return
        far = (event.position() - self._pressed_at).manhattanLength() >= QApplication.startDragDistance()
        if self._is_carrying or (far and event.modifiers() == Qt.KeyboardModifier.NoModifier):
            self._is_carrying = True
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
            self.carried_over.emit(event.globalPosition().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.viewport().unsetCursor()
        pressed_at, self._pressed_at = self._pressed_at, None
        if self._is_carrying:
            self._is_carrying = False
            self.dropped.emit(event.globalPosition().toPoint())
            return
        if pressed_at is not None and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self.selectRow(self.rowAt(int(pressed_at.y())))
        super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.pin_wanted.emit(bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.unpin_wanted.emit()
        else:
            super().keyPressEvent(event)
