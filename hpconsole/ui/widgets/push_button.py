"""Buttons as every dialog has them: named for tests, told by a tip, pressed by Enter only when they have the focus."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QPushButton


def push_button(
    name: str, text: str, tip: str = "", slot: Callable[[], object] | SignalInstance | None = None
) -> QPushButton:
    """A button that does `slot` or passes its press on as this signal; without a tip, who shows the dialog sets one."""
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    if slot is not None:
        button.clicked.connect(slot)
    return button
