"""How one change of a VM is told: what, from what to what, and when it counts. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpconsole.ui.vm_editor.view import ChangeLine

if TYPE_CHECKING:
    from hpconsole.core.machines.changing import Change

_SHOWN_BEFORE = 60  # characters


def change_line(change: Change) -> ChangeLine:
    """One change in words."""
    return ChangeLine(change.label, _cut(change.before), _cut(change.after), when(change))


def when(change: Change) -> str:
    """From when on it counts."""
    return {"now": "at once"}.get(change.when.value, change.when.value)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_BEFORE else f"{text[:_SHOWN_BEFORE]}…"
