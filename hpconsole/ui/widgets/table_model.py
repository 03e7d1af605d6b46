"""A table of Python values, one column definition each; sorts and filters itself, and follows polls quietly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.widgets import cell
from hpconsole.ui.widgets.arrangement import Arrangement, Arranger
from hpconsole.ui.widgets.columns import Column, Row
from hpconsole.ui.widgets.rearranger import Rearranger

_NOWHERE = QModelIndex()


class TableModel(QAbstractTableModel, Generic[Row]):
    """Rows are replaced as a whole with every poll; views see only the difference.

    Args:
        columns: What is shown.
        key: What a row is about; unique among the rows.
        haystack: What the search looks at; the text of all columns where nothing is given.
        facts: The part of a row that polls rarely change (compared by identity).
    """

    about_to_rearrange = Signal()
    rearranged = Signal()

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        key: Callable[[Row], str],
        *,
        haystack: Callable[[Row], str] | None = None,
        facts: Callable[[Row], object] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._theme = LIGHT
        self._arranger = Arranger(self.columns, key, haystack or self._all_text, facts if haystack else None)
        self._arrangement: Arrangement[Row] = self._arranger.arrange()
        self._rearranger = Rearranger(self, self.columns, self._show, facts)

    # What the window asks and says

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows. Rows that sort equal keep the order they are given in."""
        self._arranger.set_rows(rows)
        self._rearrange()

    def search(self, text: str) -> None:
        """Show only rows that contain every word of `text`."""
        if self._arranger.search(text):
            self._rearrange()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        if len(self._arrangement):
            self.dataChanged.emit(self.index(0, 0), self.index(self.rowCount() - 1, self.columnCount() - 1))

    def row_at(self, position: int) -> Row:
        """The row shown at this position."""
        return self._arrangement.row(position)

    def key_at(self, position: int) -> str:
        """The key of the row shown at this position."""
        return self._arrangement.key(position)

    def position_of(self, key: str) -> int | None:
        """Where the row of this key is shown; None where it is not."""
        return self._arrangement.positions.get(key)

    def shown_rows(self) -> Iterator[Row]:
        """The rows that are shown, in order."""
        return (self._arrangement.rows[i] for i in self._arrangement.shown)

    def looks_new(self, position: int, column: int) -> bool:
        """Whether this cell of a top-level row has to be drawn, while views are told of changes."""
        return self._rearranger.looks_new(position, column)

    @property
    def row_total(self) -> int:
        """How many rows there are, hidden ones included."""
        return len(self._arrangement.rows)

    # What Qt asks

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._arrangement)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role in cell.SILENT_ROLES or not index.isValid() or index.row() >= len(self._arrangement):
            return None
        return cell.data(self.columns[index.column()], self._arrangement.row(index.row()), role, self._theme)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and 0 <= section < len(self.columns):
            return cell.header(self.columns[section], role)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self.columns):
            self._arranger.sort_column = column
            self._arranger.is_descending = order is Qt.SortOrder.DescendingOrder
            self._rearrange()

    def _rearrange(self) -> None:
        self.about_to_rearrange.emit()
        self._rearranger.move(self._arrangement, self._arranger.arrange())
        self.rearranged.emit()

    def _show(self, arrangement: Arrangement[Row]) -> None:
        self._arrangement = arrangement

    def _all_text(self, row: Row) -> str:
        return " ".join(column.text(row) for column in self.columns)
