"""One rule for every spin box: its digits stand clear of its left border."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSpinBox
from pytestqt.qtbot import QtBot

import hpconsole.ui
from hpconsole.ui.widgets.number_box import NumberBox, with_room

UI = Path(hpconsole.ui.__file__).parent
MADE = re.compile(r"(?<!class NumberBox\()(?<!with_room\()\bQ(?:Double)?SpinBox\(")


@pytest.mark.parametrize(
    "make", [lambda: NumberBox(0, 9), lambda: with_room(QSpinBox()), lambda: with_room(QDoubleSpinBox())]
)
def test_the_digits_stand_clear_of_the_border(qtbot: QtBot, make: type[QAbstractSpinBox]) -> None:
    box = make()
    qtbot.addWidget(box)
    assert box.lineEdit().textMargins().left() >= 4


def test_no_spin_box_is_made_past_the_rule() -> None:
    past = [str(path.relative_to(UI)) for path in UI.rglob("*.py") if MADE.search(path.read_text("utf-8"))]
    assert not past, "make them with ui.widgets.number_box"
