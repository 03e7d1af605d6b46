"""Keeps selection and current row by what the rows are about, through polls, sorting, filtering and resets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QObject, Signal, SignalInstance
from PySide6.QtWidgets import QAbstractItemView

if TYPE_CHECKING:
    from collections.abc import Iterator


class KeyedModel(Protocol):
    """What this needs of a model: keys for its top-level rows, and a word before and after they move."""

    about_to_rearrange: SignalInstance
    rearranged: SignalInstance

    def rowCount(self) -> int: ...
    def columnCount(self) -> int: ...
    def index(self, row: int, column: int) -> QModelIndex: ...
    def key_at(self, position: int) -> str: ...
    def position_of(self, key: str) -> int | None: ...


class KeyedSelection(QObject):
    """The selection of a view as keys. `changed` is emitted for gestures and for rows that come and go.

    A row that a search hides is selected again when it comes back, unless the user selected something else meanwhile.
    """

    changed = Signal()

    def __init__(self, view: QAbstractItemView, model: KeyedModel) -> None:
        super().__init__(view)
        self._view = view
        self._model = model
        self._is_quiet = False
        self._wanted: set[str] = set()
        self._current: str | None = None
        self._last: tuple[str, ...] = ()
        model.about_to_rearrange.connect(self._on_about_to_rearrange)
        model.rearranged.connect(self._on_rearranged)
        selection = view.selectionModel()
        selection.selectionChanged.connect(self._on_gesture)
        selection.currentChanged.connect(self._on_current)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the selected rows that are shown, in the order of the view."""
        # not selectedRows(): it asks a tree's model for the flags of every cell of every selected row
        selected = self._view.selectionModel().selection()
        spans = [span for span in map(selected.at, range(selected.size())) if not span.parent().isValid()]
        rows = {row for span in spans for row in range(span.top(), span.bottom() + 1)}
        return tuple(self._model.key_at(row) for row in sorted(rows))

    @property
    def current(self) -> str | None:
        """The key of the current row, if it is shown."""
        index = self._view.currentIndex()
        while index.parent().isValid():
            index = index.parent()
        return self._model.key_at(index.row()) if index.isValid() else None

    def select(self, keys: Sequence[str]) -> None:
        """Select exactly these rows (those that are shown), the first of them current."""
        self._wanted = set(keys)
        self._current = keys[0] if keys else None
        with self._quietly():
            self._view.clearSelection()
            self._view.selectionModel().clearCurrentIndex()
            self._restore()
        self._tell()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        was, self._is_quiet = self._is_quiet, True
        try:
            yield
        finally:
            self._is_quiet = was

    def _on_about_to_rearrange(self) -> None:
        self._is_quiet = True

    def _on_rearranged(self) -> None:
        self._restore()
        self._is_quiet = False
        self._tell()

    def _restore(self) -> None:
        if self._wanted and (missing := self._wanted.difference(self.keys)):
            positions = (self._model.position_of(key) for key in missing)
            selection = QItemSelection()
            for first, last in _spans(sorted(position for position in positions if position is not None)):
                selection.select(self._model.index(first, 0), self._model.index(last, 0))
            flags = QItemSelectionModel.SelectionFlag
            self._view.selectionModel().select(selection, flags.Select | flags.Rows)
        if self._current is not None and not self._view.currentIndex().isValid():
            position = self._model.position_of(self._current)
            if position is not None:
                index = self._model.index(position, 0)
                self._view.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)

    def _on_gesture(self) -> None:
        if not self._is_quiet:
            self._wanted = set(self.keys)
            self._tell()

    def _on_current(self) -> None:
        if not self._is_quiet:
            self._current = self.current

    def _tell(self) -> None:
        keys = self.keys
        if keys != self._last:
            self._last = keys
            self.changed.emit()


def _spans(positions: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending positions as (first, last) of each unbroken span: Qt looks at every span for each cell it draws.

    >>> _spans([1, 2, 3, 7])
    [(1, 3), (7, 7)]
    """
    spans: list[tuple[int, int]] = []
    for position in positions:
        if spans and spans[-1][1] == position - 1:
            spans[-1] = (spans[-1][0], position)
        else:
            spans.append((position, position))
    return spans
