"""Which rows are shown and in which order: sorting and filtering over plain Python values. Knows no Qt.

No proxy model: sorting 100,000 rows here is one `sorted` over prepared keys, where a QSortFilterProxyModel calls back
into Python twice for each comparison and takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic

from hpconsole.ui.widgets.columns import Column, Row


class Arrangement(Generic[Row]):
    """Rows, and the positions at which some of them are shown. Never changed once made."""

    def __init__(self, rows: Sequence[Row], keys: Sequence[str], shown: Sequence[int]) -> None:
        self.rows = rows
        self.keys = keys
        self.shown = shown  # indexes into `rows`, in the order of the view

    def __len__(self) -> int:
        return len(self.shown)

    def key(self, position: int) -> str:
        """The key of this position."""
        return self.keys[self.shown[position]]

    def is_whole(self) -> bool:
        """Whether no row is hidden."""
        return len(self.shown) == len(self.rows)

    def row(self, position: int) -> Row:
        """The row shown at this position."""
        return self.rows[self.shown[position]]

    @cached_property
    def shown_keys(self) -> list[str]:
        """The key of each position."""
        keys = self.keys
        return [keys[i] for i in self.shown]

    @cached_property
    def positions(self) -> dict[str, int]:
        """The position of each key that is shown."""
        return {key: position for position, key in enumerate(self.shown_keys)}

    @cached_property
    def by_key(self) -> dict[str, Row]:
        """Every row, shown or not."""
        return dict(zip(self.keys, self.rows, strict=True))


class Arranger(Generic[Row]):
    """Makes arrangements: what the user sorts by and searches for, applied to whatever rows there are.

    Args:
        columns: The columns that can be sorted by.
        key: What a row is about; unique among the rows.
        haystack: What the search looks at. Every word of the search must be in it, in any case.
        facts: The part of a row that decides its haystack; where it is the same object, the haystack is not made anew.
    """

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        key: Callable[[Row], str],
        haystack: Callable[[Row], str],
        facts: Callable[[Row], object] | None = None,
    ) -> None:
        self.columns = columns
        self.sort_column = 0
        self.is_descending = False
        self._words: tuple[str, ...] = ()
        self._also: frozenset[str] = frozenset()
        self._key = key
        self._haystack = haystack
        self._facts = facts
        self._made: dict[str, tuple[object, str]] = {}  # facts and haystack by key
        self._rows: Sequence[Row] = ()
        self._keys: Sequence[str] = ()
        self._sort_keys: dict[int, list[Any]] = {}
        self._haystacks: list[str] | None = None

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Arrange these rows from now on. Rows that sort equal keep the order they are given in."""
        self._rows = rows
        self._keys = [self._key(row) for row in rows]
        self._sort_keys = {}
        self._haystacks = None
        if self._facts is not None and not self._made:
            # Ready before anybody types: a keystroke then costs one pass over texts, also over very many.
            self._haystacks = self._make_haystacks(self._facts)

    def search(self, text: str, also: frozenset[str] = frozenset()) -> bool:
        """Show only rows that contain every word of `text`; returns whether that is something new.

        Args:
            also: Keys of rows to show besides, whatever they contain.
        """
        wanted = tuple(text.casefold().split()), also
        is_new = wanted != (self._words, self._also)
        self._words, self._also = wanted
        return is_new

    @property
    def is_searching(self) -> bool:
        """Whether rows may be hidden."""
        return bool(self._words)

    def arrange(self) -> Arrangement[Row]:
        """The rows to show, sorted."""
        found = self._found()
        values = self._sort_values(self.sort_column)
        known: list[int] = list(found)
        unknown: list[int] = []
        if None in values:
            known = [i for i in found if values[i] is not None]
            unknown = [i for i in found if values[i] is None]
        known.sort(key=values.__getitem__, reverse=self.is_descending)
        return Arrangement(self._rows, self._keys, known + unknown)

    def _found(self) -> Sequence[int]:
        if not self._words:
            return range(len(self._rows))
        if self._haystacks is None:
            if self._facts is not None:
                self._haystacks = self._make_haystacks(self._facts)
            else:
                self._haystacks = [self._haystack(row).casefold() for row in self._rows]
        found: Sequence[int] = range(len(self._rows))
        for word in self._words:
            haystacks = self._haystacks
            found = [i for i in found if word in haystacks[i]]
        if self._also:
            found = sorted({*found, *(i for i, key in enumerate(self._keys) if key in self._also)})
        return found

    def _make_haystacks(self, facts: Callable[[Row], object]) -> list[str]:
        before = self._made
        made: dict[str, tuple[object, str]] = {}
        haystacks: list[str] = []
        for key, row in zip(self._keys, self._rows, strict=True):
            known, fact = before.get(key), facts(row)
            if known is None or known[0] is not fact:
                known = (fact, self._haystack(row).casefold())
            made[key] = known
            haystacks.append(known[1])
        self._made = made
        return haystacks

    def _sort_values(self, column: int) -> list[Any]:
        if column not in self._sort_keys:
            value = self.columns[column].value
            self._sort_keys[column] = [value(row) for row in self._rows]
        return self._sort_keys[column]
