"""Short tables of texts that are filled as a whole; those over many rows, sorted and searched, are in `views`."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from hpconsole.ui.widgets.cell import tip_of
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.views import row_height


def dress_texts(table: QTableWidget, name: str, titles: Sequence[str], what: str) -> None:
    """Make it such a table: whole rows are selected, one at a time, and nothing is typed. `what` it lists."""
    table.setObjectName(name)
    table.setAccessibleName(what)
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setAlternatingRowColors(True)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setTabKeyNavigation(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(row_height(table))
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


def listing(name: str, titles: Sequence[str], what: str, empty: str) -> QTableWidget:
    """A table of texts, one row selected at a time; `empty` is what it says without rows."""
    table = QTableWidget()
    dress_texts(table, name, titles, what)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    EmptyHint(table, empty)
    return table


def fill_rows(table: QTableWidget, rows: Sequence[Sequence[str]]) -> None:
    """Show these texts; nobody hears of it as a selection."""
    with QSignalBlocker(table):
        table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            for column, text in enumerate(row):
                item = QTableWidgetItem(text)
                item.setToolTip(tip_of(text))
                table.setItem(i, column, item)
