"""What a user does, as mouse and key events; and finding widgets by name."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView, QAbstractSpinBox, QLineEdit, QWidget

_Widget = TypeVar("_Widget", bound=QWidget)


def child(parent: QWidget, kind: type[_Widget], name: str) -> _Widget:
    """The widget of this name below `parent`."""
    found = parent.findChild(kind, name)
    assert found is not None, f"there is no {kind.__name__} named {name}"
    return found


def click(
    widget: QWidget,
    place: QPoint | None = None,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """Press and release the left button on a widget that can be seen."""
    assert widget.isVisible(), f"{widget.objectName()} cannot be clicked: it is hidden"
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, modifiers, place or widget.rect().center())


def click_row(
    view: QAbstractItemView, row: int, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    """Click on the first cell of a row."""
    index = view.model().index(row, 0)
    view.scrollTo(index)
    click(view.viewport(), view.visualRect(index).center(), modifiers)


def type_text(widget: QWidget, text: str) -> None:
    """Type, key by key."""
    QTest.keyClicks(widget, text)


def press(widget: QWidget, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press and release one key."""
    QTest.keyClick(widget, key, modifiers)


def retype(edit: QLineEdit, text: str) -> None:
    """Click into a field and type this in place of what it holds."""
    click(edit)
    edit.selectAll()
    press(edit, Qt.Key.Key_Delete)
    type_text(edit, text)


def set_number(box: QAbstractSpinBox, number: float) -> None:
    """Type a number in place of the one a box holds."""
    box.setFocus()
    box.selectAll()
    type_text(box, str(number))
