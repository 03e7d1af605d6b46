"""Takes an item model from one arrangement to the next with the fewest signals, so that views keep their place.

Same rows: one `dataChanged`. Same rows in another order: one layout change. A few rows more or less: insertions and
removals. Anything larger: a reset (the view puts the selection back by key, see `keyed_selection`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex

from hpconsole.ui.widgets.arrangement import Arrangement
from hpconsole.ui.widgets.columns import Column, Row

Index = QModelIndex | QPersistentModelIndex

_MOST_RUNS = 16  # each insertion or removal costs the view a layout; beyond this a reset is cheaper
_MOST_ROWS = 2_000  # so many rows more or less are hardly in a few runs: not worth looking
_NOWHERE = QModelIndex()


class Rearranger(Generic[Row]):
    """Works on top-level rows only; children keep their row and internal id under any rearrangement.

    Args:
        model: Its `rowCount()` must follow what `show` was last called with.
        show: Make the model answer from this arrangement.
        facts: The part of a row that polls rarely change; None where every change touches every column.
    """

    def __init__(
        self,
        model: QAbstractItemModel,
        columns: Sequence[Column[Row]],
        show: Callable[[Arrangement[Row]], None],
        facts: Callable[[Row], object] | None = None,
    ) -> None:
        self._model = model
        self._columns = columns
        self._show = show
        self._facts = facts
        live = [i for i, column in enumerate(columns) if column.is_live]
        self._live = (live[0], live[-1]) if live else None
        self._reported: tuple[Arrangement[Row], Arrangement[Row]] | None = None  # while views are told of changes

    def move(self, old: Arrangement[Row], new: Arrangement[Row]) -> bool:
        """Show `new` instead of `old`; returns whether it took a reset."""
        if old.rows is new.rows and old.is_whole() and new.is_whole():
            self._permute(old, new)  # sorted anew, nothing else
            return False
        before, after = old.shown_keys, new.shown_keys
        if before == after:
            self._show(new)
        elif len(before) == len(after) and new.positions.keys() == old.positions.keys():
            self._permute(old, new)
        else:
            going = coming = None
            if abs(len(before) - len(after)) <= _MOST_ROWS:
                going = _runs(i for i, key in enumerate(before) if key not in new.positions)
                coming = _runs(i for i, key in enumerate(after) if key not in old.positions)
            if going is None or coming is None:
                self._model.beginResetModel()
                self._show(new)
                self._model.endResetModel()
                return True
            self._edit(old, new, going, coming)
        self._report_changes(old, new)
        return False

    def _edit(
        self,
        old: Arrangement[Row],
        new: Arrangement[Row],
        going: list[tuple[int, int]],
        coming: list[tuple[int, int]],
    ) -> None:
        present = old
        for first, last in reversed(going):
            self._model.beginRemoveRows(_NOWHERE, first, last)
            present = Arrangement(old.rows, old.keys, [*present.shown[:first], *present.shown[last + 1 :]])
            self._show(present)
            self._model.endRemoveRows()
        staying = [i for i in new.shown if new.keys[i] in old.positions]
        kept = Arrangement(new.rows, new.keys, staying)
        if kept.shown_keys == present.shown_keys:
            self._show(kept)
        else:
            self._permute(present, kept)
        present = kept
        for first, last in coming:
            self._model.beginInsertRows(_NOWHERE, first, last)
            shown = [*present.shown[:first], *new.shown[first : last + 1], *present.shown[first:]]
            present = Arrangement(new.rows, new.keys, shown)
            self._show(present)
            self._model.endInsertRows()
        self._show(new)

    def _permute(self, old: Arrangement[Row], new: Arrangement[Row]) -> None:
        model = self._model
        model.layoutAboutToBeChanged.emit()
        held = [index for index in model.persistentIndexList() if not index.parent().isValid()]
        before = [index.row() for index in held]
        self._show(new)
        if held:
            after = _places(old, new, before)
            moved = [model.index(place, index.column()) for place, index in zip(after, held, strict=True)]
            model.changePersistentIndexList(held, moved)
        model.layoutChanged.emit()

    def _report_changes(self, old: Arrangement[Row], new: Arrangement[Row]) -> None:
        if old.rows is new.rows or not len(new):
            return
        changed, is_live_only = self._compare(old, new)
        positions = [position for position, i in enumerate(new.shown) if i in changed] if changed else []
        if not positions:
            return
        first, last = self._live if is_live_only and self._live else (0, len(self._columns) - 1)
        model = self._model
        self._reported = old, new
        model.dataChanged.emit(model.index(positions[0], first), model.index(positions[-1], last))
        self._reported = None

    def looks_new(self, position: int, column: int) -> bool:
        """Whether a cell looks otherwise than before the change that views are being told of; True at other times.

        For the few cells in sight: most values that a poll changes are drawn as before, since they are rounded.
        """
        if self._reported is None:
            return True
        old, new = self._reported
        i = new.shown[position]
        before = old.rows[i] if old.keys == new.keys else old.by_key.get(new.keys[i])
        return before is None or look(self._columns[column], before) != look(self._columns[column], new.rows[i])

    def _compare(self, old: Arrangement[Row], new: Arrangement[Row]) -> tuple[set[int], bool]:
        """Which of the new rows differ from the old of the same key, and whether only in what is live."""
        if old.keys == new.keys:
            pairs: Iterable[tuple[Row | None, Row]] = zip(old.rows, new.rows, strict=True)
        else:
            was = old.by_key
            pairs = ((was.get(key), row) for key, row in zip(new.keys, new.rows, strict=True))
        facts = self._facts if self._live is not None else None
        changed: set[int] = set()
        is_live_only = facts is not None
        for i, (before, after) in enumerate(pairs):
            if before is after or before is None or before == after:
                continue
            changed.add(i)
            if is_live_only and facts is not None:
                fact, now = facts(before), facts(after)
                is_live_only = fact is now or fact == now
        return changed, is_live_only


def look(column: Column[Row], row: Row) -> tuple[object, ...]:
    """What of a cell is drawn: two cells of equal looks need not be drawn twice. Bars are drawn to the hundredth."""
    share = column.share(row) if column.share is not None else None
    return (
        column.text(row),
        column.tone(row) if column.tone is not None else None,
        column.icon(row) if column.icon is not None else None,
        None if share is None else round(share * 100),
    )


def _places(old: Arrangement[Row], new: Arrangement[Row], positions: Sequence[int]) -> list[int]:
    """Where the rows at these positions are now. A few positions of many: nothing is built for all rows."""
    if old.rows is new.rows:
        rows = [old.shown[position] for position in positions]
        wanted = set(rows)
        by_row = {i: place for place, i in enumerate(new.shown) if i in wanted}
        return [by_row[i] for i in rows]
    row_keys = new.keys
    keys = [old.key(position) for position in positions]
    among = set(keys)
    by_key = {row_keys[i]: place for place, i in enumerate(new.shown) if row_keys[i] in among}
    return [by_key[key] for key in keys]


def _runs(positions: Iterable[int]) -> list[tuple[int, int]] | None:
    """Ascending positions as (first, last) of each unbroken run; None where there are too many runs."""
    runs: list[tuple[int, int]] = []
    for position in positions:
        if runs and runs[-1][1] == position - 1:
            runs[-1] = (runs[-1][0], position)
        else:
            runs.append((position, position))
            if len(runs) > _MOST_RUNS:
                return None
    return runs
