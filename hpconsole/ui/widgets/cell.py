"""What a cell answers to a view: text, colour, icon, bar, tooltip. Shared by the tables and the host tree."""

from __future__ import annotations

import html
from functools import lru_cache
from typing import Any

from PySide6 import QtGui
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from hpconsole.ui import icons
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column, Row

SHARE_ROLE = int(Qt.ItemDataRole.UserRole) + 1  # float 0-1, or None
TONE_ROLE = int(Qt.ItemDataRole.UserRole) + 2  # the value of a Tone

_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_DECORATION = int(Qt.ItemDataRole.DecorationRole)
_TOOLTIP = int(Qt.ItemDataRole.ToolTipRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_FOREGROUND = int(Qt.ItemDataRole.ForegroundRole)
_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)

# Asked for every cell of every frame, never answered.
SILENT_ROLES = frozenset(
    int(role)
    for role in (
        Qt.ItemDataRole.FontRole,
        Qt.ItemDataRole.BackgroundRole,
        Qt.ItemDataRole.CheckStateRole,
        Qt.ItemDataRole.SizeHintRole,
    )
)

_SIDES = {
    Align.LEFT: int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter),
    Align.RIGHT: int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
}


def data(column: Column[Row], row: Row, role: int, theme: Theme) -> Any:
    """The answer of one cell for one role; None = nothing to say."""
    if role == _DISPLAY:
        return column.text(row)
    if role == _ALIGNMENT:
        return _SIDES[column.align]
    if role == _FOREGROUND:
        tone = column.tone(row) if column.tone is not None else Tone.NORMAL
        return None if tone is Tone.NORMAL else _color(getattr(theme, tone.value))
    if role == _DECORATION and column.icon is not None:
        name, tone = column.icon(row)
        return icons.icon(name, getattr(theme, tone.value)) if name else None
    if role == SHARE_ROLE and column.share is not None:
        return column.share(row)
    if role == TONE_ROLE and column.tone is not None:
        return column.tone(row).value
    if role == _TOOLTIP and column.tooltip is not None:
        text = column.tooltip(row)
        return literal(text) if text else None
    if role == _ACCESSIBLE:
        return f"{column.title}: {column.text(row)}"
    return None


def header(column: Column[Row], role: int) -> Any:
    """The answer of a column's header."""
    if role == _DISPLAY:
        return column.title
    if role == _ALIGNMENT:
        return _SIDES[column.align]
    return None


def literal(text: str) -> str:
    """Text from a host for a tooltip: shown as it is, never read as markup."""
    return f"<qt>{html.escape(text).replace(chr(10), '<br>')}</qt>"


def tip_of(text: str) -> str:
    """A sentence that may name a VM, for a tooltip: `literal` where Qt would take it for markup, else as it is."""
    return literal(text) if QtGui.Qt.mightBeRichText(text) else text


@lru_cache(maxsize=64)
def _color(name: str) -> QColor:
    return QColor(name)
