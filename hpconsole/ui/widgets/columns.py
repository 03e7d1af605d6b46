"""What a column of a table is: data, never a number in an `if`. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from hpconsole.ui.tone import Tone

Row = TypeVar("Row")


class Align(StrEnum):
    """Where a cell's text stands. Numbers stand right, so that their digits are below each other."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column over rows of one type. All functions take the row and must be quick and pure."""

    title: str
    value: Callable[[Row], Any]  # the sort key; None goes last in both directions
    text: Callable[[Row], str]
    align: Align = Align.LEFT
    tooltip: Callable[[Row], str] | None = None
    tone: Callable[[Row], Tone] | None = None
    icon: Callable[[Row], tuple[str, Tone]] | None = None  # name of the icon and its tone
    share: Callable[[Row], float | None] | None = None  # 0-1: drawn as a bar beside the text
    widest: str = "100 %"  # the widest text beside a bar, so that the bars of all rows end at one place
    width: int = 120  # in pixels of a 13-pixel font; scaled to the font in use
    is_toned_when_selected: bool = False  # a warning must not vanish because its row is selected
    is_live: bool = False  # changes with every poll, even where the rest of the row stays
