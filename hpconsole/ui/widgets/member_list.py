"""A list of names with a box each, searched and filtered: who belongs to something. Thousands of rows are fine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QListView, QVBoxLayout, QWidget

from hpconsole.ui import format as fmt
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import literal
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import row_height

_NOWHERE = QModelIndex()


@dataclass(frozen=True, slots=True)
class Entry:
    """One that may be chosen. `hint` stands behind its name; `tone` says what is special about it."""

    key: str
    name: str
    hint: str = ""
    tip: str = ""
    tone: Tone = Tone.NORMAL


class MemberModel(QAbstractListModel):
    """Entries in the order of their names, those that were chosen at first on top; `chosen` is who has a tick."""

    toggled = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = LIGHT
        self._size = QSize(40, 22)
        self._all: tuple[Entry, ...] = ()
        self._shown: list[Entry] = []
        self._chosen: dict[str, None] = {}  # in the order they were chosen
        self._first: frozenset[str] = frozenset()
        self._words: tuple[str, ...] = ()

    @property
    def chosen(self) -> tuple[str, ...]:
        """The keys that have a tick, in the order they were chosen."""
        return tuple(self._chosen)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everybody, hidden ones included."""
        return self._all

    def entry_at(self, row: int) -> Entry:
        """The entry shown there."""
        return self._shown[row]

    def row_of(self, key: str) -> int | None:
        """Where an entry is shown; None where it is not."""
        return next((row for row, entry in enumerate(self._shown) if entry.key == key), None)

    def set_entries(self, entries: Sequence[Entry]) -> None:
        """Who may be chosen. Nothing is drawn anew where nothing changed."""
        if tuple(entries) != self._all:
            self._all = tuple(entries)
            self._show()

    def set_chosen(self, keys: Collection[str]) -> None:
        """Another group: these have a tick and stand on top."""
        self._chosen = dict.fromkeys(keys)
        self._first = frozenset(keys)
        self._show()

    def search(self, text: str) -> None:
        """Show only entries with all these words, and those that have a tick if nothing is sought."""
        self._words = tuple(text.casefold().split())
        self._show()

    def set_height(self, height: int) -> None:
        """How high a row is, in pixels."""
        self._size = QSize(40, height)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self._show()

    def toggle(self, row: int) -> None:
        """Give or take the tick."""
        key = self._shown[row].key
        if key in self._chosen:
            del self._chosen[key]
        else:
            self._chosen[key] = None
        index = self.index(row, 0)
        self.dataChanged.emit(index, index, [int(Qt.ItemDataRole.CheckStateRole)])
        self.toggled.emit()

    def _show(self) -> None:
        def is_sought(entry: Entry) -> bool:
            text = f"{entry.name} {entry.hint}".casefold()
            return all(word in text for word in self._words)

        found = sorted(
            filter(is_sought, self._all), key=lambda entry: (entry.key not in self._first, fmt.natural(entry.name))
        )
        if [entry.key for entry in found] == [entry.key for entry in self._shown]:
            self._shown = found
            if found:
                self.dataChanged.emit(self.index(0, 0), self.index(len(found) - 1, 0))
            return
        self.beginResetModel()
        self._shown = found
        self.endResetModel()

    # What Qt asks

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        flag = Qt.ItemFlag
        return flag.ItemIsEnabled | flag.ItemIsSelectable | flag.ItemIsUserCheckable | flag.ItemNeverHasChildren

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._shown):
            return None
        entry = self._shown[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{entry.name}   {entry.hint}" if entry.hint else entry.name
        if role == Qt.ItemDataRole.SizeHintRole:
            return self._size
        if role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if entry.key in self._chosen else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.ForegroundRole and entry.tone is not Tone.NORMAL:
            return QColor(getattr(self._theme, entry.tone.value))
        if role == Qt.ItemDataRole.ToolTipRole and entry.tip:
            return literal(entry.tip)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{entry.name}, {entry.hint}" if entry.hint else entry.name
        return None

    def setData(
        self, index: QModelIndex | QPersistentModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole
    ) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        if (value in (2, Qt.CheckState.Checked)) != (self._shown[index.row()].key in self._chosen):
            self.toggle(index.row())
        return True


class MemberList(QWidget):
    """The list with a search above it. Emits `changed` for every tick.

    Args:
        name: The object names: `<name>_list`, `<name>_search`.
        accessible_name: What a screen reader calls it.
        placeholder: What the search says while it is empty; without one there is no search.
    """

    changed = Signal()

    def __init__(self, name: str, accessible_name: str, placeholder: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = MemberModel(self)
        self.view = QListView()
        self.view.setObjectName(f"{name}_list")
        self.view.setAccessibleName(accessible_name)
        self.model.set_height(row_height(self.view))
        self.view.setModel(self.model)
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QListView.SelectionMode.SingleSelection)
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.model.toggled.connect(self.changed)
        self.model.modelReset.connect(self._on_reset)
        self._empty = TextLabel(name=f"{name}_empty", tone=Tone.MUTED, wraps=True)
        self._empty.setContentsMargins(8, 6, 8, 6)
        self._empty.hide()
        self.search = QLineEdit(placeholderText=placeholder, clearButtonEnabled=True)
        self.search.setObjectName(f"{name}_search")
        self.search.setAccessibleName(placeholder)
        self.search.setVisible(bool(placeholder))
        self.search.textChanged.connect(self.model.search)
        self._top = QHBoxLayout()
        self._top.addWidget(self.search, 1)
        inner = QWidget()
        inside = QVBoxLayout(inner)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        inside.addWidget(self._empty)
        inside.addWidget(self.view, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._top)
        layout.addWidget(framed(inner), 1)

    def add_beside_search(self, widget: QWidget) -> None:
        """Put something right of the search."""
        self._top.addWidget(widget)

    def say_if_empty(self, sentence: str) -> None:
        """What stands where nobody can be chosen."""
        self._empty.setText(sentence)
        self._on_reset()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.model.set_theme(theme)

    def _on_reset(self) -> None:
        is_empty = not self.model.rowCount()
        self._empty.setVisible(is_empty and bool(self._empty.text()))
        self.view.setVisible(not is_empty or not self._empty.text())
