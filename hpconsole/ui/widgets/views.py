"""Tables and trees as the whole window has them: rows selected as a whole, no grid, bars where a column has a share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QTreeView,
    QWidget,
)

from hpconsole.ui.theme import Theme
from hpconsole.ui.widgets.bar_delegate import BarDelegate
from hpconsole.ui.widgets.columns import Column

Index = QModelIndex | QPersistentModelIndex

_DESIGN_FONT_PX = 13  # widths of columns are given for a font of this height


class _RoomyDelegate(QStyledItemDelegate):
    """Gives the rows of a tree the height of a table's (asked once: row heights are uniform)."""

    def __init__(self, height: int, parent: QWidget) -> None:
        super().__init__(parent)
        self._height = height

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(super().sizeHint(option, index).width(), self._height)


class _TonedDelegate(_RoomyDelegate):
    """Draws the text of a selected row in the colour of its tone as well."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        role = QPalette.ColorRole
        option.palette.setBrush(role.HighlightedText, option.palette.brush(role.Text))


# Where a change ends out of sight, Qt draws everything that is in sight anew, other columns too; and a cell takes a
# fifth of a millisecond. A poll changes a few columns of all rows, mostly by less than is shown: these views draw the
# smallest rectangle around the cells in sight that look new. (One rectangle: for several, QTreeView draws whole rows.)


class _Table(QTableView):
    def dataChanged(self, first: Index, last: Index, roles: Sequence[int] = ()) -> None:
        if (changed := _to_draw(self, first, last)) is not None:
            super().dataChanged(*changed, roles)


class _Tree(QTreeView):
    def dataChanged(self, first: Index, last: Index, roles: Sequence[int] = ()) -> None:
        if (changed := _to_draw(self, first, last)) is not None:
            super().dataChanged(*changed, roles)


def _to_draw(view: QTableView | QTreeView, first: Index, last: Index) -> tuple[Index, Index] | None:
    """The part of a range of top-level rows that is in sight and looks new; None: there is none."""
    if not first.isValid() or not last.isValid() or first.parent().isValid():
        return first, last
    model: Any = view.model()
    top = _top_level_row(view.indexAt(QPoint(0, 0)), 0)
    bottom = _top_level_row(view.indexAt(QPoint(0, view.viewport().height() - 1)), model.rowCount() - 1)
    new = [
        (row, column)
        for row in range(max(first.row(), top), min(last.row(), bottom) + 1)
        for column in range(first.column(), last.column() + 1)
        if model.looks_new(row, column)
    ]
    if not new:
        return None
    rows, columns = zip(*new, strict=True)
    return model.index(min(rows), min(columns)), model.index(max(rows), max(columns))


def _top_level_row(index: QModelIndex, otherwise: int) -> int:
    while index.parent().isValid():
        index = index.parent()
    return index.row() if index.isValid() else otherwise


def table_view(model: Any, name: str, accessible_name: str, parent: QWidget | None = None) -> QTableView:
    """A table over a `TableModel`."""
    view = _Table(parent)
    view.setModel(model)
    view.setShowGrid(False)
    view.setWordWrap(False)
    view.setCornerButtonEnabled(False)
    view.setTabKeyNavigation(False)
    view.verticalHeader().hide()
    view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    view.verticalHeader().setDefaultSectionSize(row_height(view))
    _dress(view, view.horizontalHeader(), model.columns, name, accessible_name)
    return view


def tree_view(model: Any, name: str, accessible_name: str, parent: QWidget | None = None) -> QTreeView:
    """A tree over a model with `columns`."""
    view = _Tree(parent)
    view.setModel(model)
    view.setUniformRowHeights(True)
    view.setAnimated(False)
    view.setIndentation(16)
    view.setItemDelegate(_RoomyDelegate(row_height(view), view))
    _dress(view, view.header(), model.columns, name, accessible_name)
    return view


def row_height(widget: QWidget) -> int:
    """The height of a row in this widget's font."""
    return widget.fontMetrics().height() + 9


def _dress(
    view: QTableView | QTreeView, header: QHeaderView, columns: tuple[Column[Any], ...], name: str, accessible_name: str
) -> None:
    view.setObjectName(name)
    view.setAccessibleName(accessible_name)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setAlternatingRowColors(True)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    header.setHighlightSections(False)
    header.setSectionsMovable(True)
    header.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
    view.setSortingEnabled(True)
    scale = view.fontMetrics().height() / (_DESIGN_FONT_PX * 1.25)
    for i, column in enumerate(columns):
        header.resizeSection(i, int(column.width * scale))
        if column.share is not None:
            view.setItemDelegateForColumn(i, BarDelegate(column.widest, view))
        elif column.is_toned_when_selected:
            view.setItemDelegateForColumn(i, _TonedDelegate(row_height(view), view))
    header.setStretchLastSection(True)  # last: it measures the last column again whenever another one is resized


def set_view_theme(view: QTableView | QTreeView, theme: Theme) -> None:
    """Let the bars of this view take their colours from this theme."""
    for delegate in view.findChildren(BarDelegate):
        delegate.theme = theme
