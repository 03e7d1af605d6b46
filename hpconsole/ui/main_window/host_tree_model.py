"""The host tree: hosts at the top, their NUMA nodes below; follows polls without moving what the user looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from hpconsole.ui.main_window import host_rows
from hpconsole.ui.main_window.host_rows import HostRow
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.widgets import cell
from hpconsole.ui.widgets.arrangement import Arrangement, Arranger
from hpconsole.ui.widgets.rearranger import Rearranger

Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()
# Made once: a view asks for every cell it draws, and putting flags together takes longer than looking them up.
_HOST_FLAGS = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
_NODE_FLAGS = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemNeverHasChildren


class HostTreeModel(QAbstractItemModel):
    """Two levels. An index's internal id is 0 for a host, and the number of its host for a node.

    Numbers are given once for each host name and never again, so that node indexes hold wherever their host moves.
    """

    about_to_rearrange = Signal()
    rearranged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = host_rows.COLUMNS
        self._theme = LIGHT
        self.open_hosts: set[str] = set()  # whose nodes are in sight: only these are told about, the view is slow at it
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._node_counts: dict[str, int] = {}
        self._arranger = Arranger(self.columns, host_rows.key, host_rows.haystack)
        self._arrangement: Arrangement[HostRow] = self._arranger.arrange()
        self._rearranger = Rearranger(self, self.columns, self._show, host_rows.facts)

    def set_rows(self, rows: Sequence[HostRow]) -> None:
        """Show these hosts."""
        for row in rows:
            name = row.host.name
            if name not in self._numbers:
                self._numbers[name] = len(self._numbers) + 1
                self._names[self._numbers[name]] = name
                self._node_counts[name] = len(row.host.topology.nodes)
        self._arranger.set_rows(rows)
        self._rearrange()
        self._follow_nodes()

    def search(self, text: str, also: frozenset[str] = frozenset()) -> None:
        """Show only hosts that contain every word of `text`, and those named in `also`."""
        if self._arranger.search(text, also):
            self._rearrange()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        if len(self._arrangement):
            self.dataChanged.emit(self.index(0, 0), self.index(self.rowCount() - 1, self.columnCount() - 1))

    def row_at(self, position: int) -> HostRow:
        """The host shown at this position."""
        return self._arrangement.row(position)

    def key_at(self, position: int) -> str:
        """The name of the host shown at this position."""
        return self._arrangement.key(position)

    def position_of(self, key: str) -> int | None:
        """Where a host is shown; None where it is not."""
        return self._arrangement.positions.get(key)

    def looks_new(self, position: int, column: int) -> bool:
        """Whether this cell of a top-level row has to be drawn, while views are told of changes."""
        return self._rearranger.looks_new(position, column)

    @property
    def row_total(self) -> int:
        """How many hosts there are, hidden ones included."""
        return len(self._arrangement.rows)

    # What Qt asks

    def index(self, row: int, column: int, parent: Index = _NOWHERE) -> QModelIndex:
        if row < 0 or not 0 <= column < len(self.columns):
            return QModelIndex()
        if not parent.isValid():
            return self.createIndex(row, column, 0) if row < len(self._arrangement) else QModelIndex()
        if parent.internalId() or row >= self.rowCount(parent):
            return QModelIndex()
        return self.createIndex(row, column, self._numbers[self.key_at(parent.row())])

    def parent(self, index: Index = _NOWHERE) -> QModelIndex:  # type: ignore[override]  # QObject.parent() is another
        number = index.internalId()
        if not number:  # a host, or nothing; asked ten times for every cell that is drawn
            return _NOWHERE
        position = self.position_of(self._names[number])
        return _NOWHERE if position is None else self.createIndex(position, 0, 0)

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        if not parent.isValid():
            return len(self._arrangement)
        if parent.internalId() or parent.column() or parent.row() >= len(self._arrangement):
            return 0
        return self._node_counts[self.key_at(parent.row())]

    def columnCount(self, parent: Index = _NOWHERE) -> int:
        return len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = None if role in cell.SILENT_ROLES else self._row(index)
        return None if row is None else cell.data(self.columns[index.column()], row, role, self._theme)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and 0 <= section < len(self.columns):
            return cell.header(self.columns[section], role)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """NUMA nodes are looked at, not selected: every action is about a host."""
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        return _NODE_FLAGS if index.internalId() else _HOST_FLAGS

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self.columns):
            self._arranger.sort_column = column
            self._arranger.is_descending = order is Qt.SortOrder.DescendingOrder
            self._rearrange()

    def _row(self, index: Index) -> HostRow | None:
        if not index.isValid():
            return None
        number = index.internalId()
        if not number:
            return self._arrangement.row(index.row()) if index.row() < len(self._arrangement) else None
        row = self._arrangement.by_key.get(self._names[number])
        if row is None or index.row() >= len(row.host.topology.nodes):
            return None
        return row._replace(node=row.host.topology.nodes[index.row()])

    def _rearrange(self) -> None:
        self.about_to_rearrange.emit()
        self._rearranger.move(self._arrangement, self._arranger.arrange())
        self.rearranged.emit()

    def _show(self, arrangement: Arrangement[HostRow]) -> None:
        self._arrangement = arrangement

    def _follow_nodes(self) -> None:
        """Say which hosts have other NUMA nodes than before, and that the numbers of those in sight may be new."""
        last = len(self.columns) - 1
        for position, name in enumerate(self._arrangement.shown_keys):
            had, has = self._node_counts[name], len(self._arrangement.row(position).host.topology.nodes)
            if had == has and name not in self.open_hosts:
                continue
            parent = self.index(position, 0)
            if has > had:
                self.beginInsertRows(parent, had, has - 1)
                self._node_counts[name] = has
                self.endInsertRows()
            elif has < had:
                self.beginRemoveRows(parent, has, had - 1)
                self._node_counts[name] = has
                self.endRemoveRows()
            if has and name in self.open_hosts:
                self.dataChanged.emit(self.index(0, 0, parent), self.index(has - 1, last, parent))
        shown = self._arrangement.positions
        for name, row in self._arrangement.by_key.items():
            if name not in shown:
                self._node_counts[name] = len(row.host.topology.nodes)
