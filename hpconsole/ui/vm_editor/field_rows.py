"""One row of the VM dialog: label, the widget to edit one field, what it was before, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.fields import FieldSpec, Kind, format_memory, in_words, parse_labels, parse_memory
from hpconsole.ui.vm_editor.view import NO_REMARK, Remark
from hpconsole.ui.widgets.number_box import NumberBox
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_NO_AMOUNT = "This is no amount of memory. Type for example 8 GiB or 512 MiB."
_LONGEST = 100_000


class FieldRow(QObject):
    """Builds its widgets into a grid: label, editor, mark; below them the problem.

    Signals:
        edited: (field, value) a value was given.
        typed: (field, text, sentence) a text that is no value.
    """

    edited = Signal(str, object)
    typed = Signal(str, str, str)

    def __init__(self, spec: FieldSpec, grid: QGridLayout, row: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.spec = spec
        self.widget, self._show = self._make()
        self.widget.setObjectName(f"field_{spec.field}")
        self.widget.setToolTip(spec.tip)
        self.widget.setAccessibleDescription(spec.tip)
        self._mark = ElidedLabel(name=f"mark_{spec.field}", tone=Tone.ACCENT)
        self._problem = TextLabel(name=f"problem_{spec.field}", tone=Tone.BAD, wraps=True)
        self._problem.hide()
        if isinstance(self.widget, QCheckBox):
            self.widget.setText(spec.label)
            grid.addWidget(QWidget(), row, 0)  # so that all columns stand below each other
            grid.addWidget(self.widget, row, 1)
        else:
            label = QLabel(spec.label)
            label.setBuddy(self.widget)
            top = Qt.AlignmentFlag.AlignTop if spec.kind is Kind.LINES else Qt.AlignmentFlag.AlignVCenter
            grid.addWidget(label, row, 0, top)
            grid.addWidget(self.widget, row, 1)
        grid.addWidget(self._mark, row, 2)
        grid.addWidget(self._problem, row + 1, 1, 1, 2)

    def show_value(self, value: Any) -> None:
        """Show the draft's value; what is being typed stays while it means the same."""
        with QSignalBlocker(self.widget):
            self._show(value)

    def show_remark(self, remark: Remark = NO_REMARK) -> None:
        """What it was, when it changes, what is wrong."""
        parts = [f"was {remark.was}" if remark.was else "", remark.when]
        self._mark.setText(" · ".join(part for part in parts if part))
        if remark.was:
            self._mark.setToolTip("Set by the type of the VM. Choosing another type restores it.")
        self._problem.setText(remark.problem)
        self._problem.set_tone(Tone.WARNING if remark.is_warning else Tone.BAD)
        self._problem.setVisible(bool(remark.problem))

    # Each kind of editor: the widget, and how it shows a value

    def _make(self) -> tuple[QWidget, Callable[[Any], None]]:
        return {
            Kind.TEXT: self._text,
            Kind.LINES: self._lines,
            Kind.MEMORY: self._memory,
            Kind.NUMBER: self._number,
            Kind.FLAG: self._flag,
            Kind.CHOICE: self._choice,
            Kind.LABELS: self._labels,
        }[self.spec.kind]()

    def _text(self) -> tuple[QWidget, Callable[[Any], None]]:
        edit = QLineEdit(maxLength=_LONGEST, placeholderText=self.spec.unset)
        edit.textEdited.connect(self._tell)

        def show(value: Any) -> None:
            if edit.text() != value:
                edit.setText(value)

        return edit, show

    def _lines(self) -> tuple[QWidget, Callable[[Any], None]]:
        edit = QPlainTextEdit(tabChangesFocus=True)
        edit.setProperty("form", "true")
        edit.setFixedHeight(edit.fontMetrics().lineSpacing() * 4 + 12)
        edit.textChanged.connect(lambda: self._tell(edit.toPlainText()))

        def show(value: Any) -> None:
            if edit.toPlainText() != value:
                edit.setPlainText(value)

        return edit, show

    def _memory(self) -> tuple[QWidget, Callable[[Any], None]]:
        edit = QLineEdit(maxLength=40)

        shown: list[int] = []  # the value behind what is being typed
        half_typed: list[str] = []

        def on_edited(text: str) -> None:
            amount = parse_memory(text)
            half_typed[:] = [text] if amount is None else []
            if amount is None:
                self.typed.emit(self.spec.field, text, _NO_AMOUNT)
            else:
                self._tell(amount)

        def show(value: Any) -> None:
            is_being_typed = half_typed == [edit.text()] and shown == [value]
            shown[:] = [value]
            if not is_being_typed and parse_memory(edit.text()) != value:
                edit.setText(format_memory(value))

        edit.textEdited.connect(on_edited)
        return edit, show

    def _labels(self) -> tuple[QWidget, Callable[[Any], None]]:
        edit = QLineEdit(maxLength=_LONGEST, placeholderText=self.spec.unset)
        edit.textEdited.connect(lambda text: self._tell(parse_labels(text)))

        def show(value: Any) -> None:
            if parse_labels(edit.text()) != value:
                edit.setText(", ".join(sorted(value)))

        return edit, show

    def _number(self) -> tuple[QWidget, Callable[[Any], None]]:
        spec = self.spec
        box = NumberBox(spec.lowest, spec.highest)
        if spec.unset:
            box.setSpecialValueText(spec.unset)
        box.valueChanged.connect(lambda value: self._tell(None if spec.unset and value == spec.lowest else value))

        def show(value: Any) -> None:
            wanted = spec.lowest if value is None else min(max(value, spec.lowest), spec.highest)
            if box.value() != wanted:
                box.setValue(wanted)

        return box, show

    def _flag(self) -> tuple[QWidget, Callable[[Any], None]]:
        box = QCheckBox()
        box.clicked.connect(self._tell)
        return box, lambda value: box.setChecked(bool(value))

    def _choice(self) -> tuple[QWidget, Callable[[Any], None]]:
        box = QComboBox()
        for value, text in self.spec.choices:
            box.addItem(text, value)
        box.activated.connect(lambda place: self._tell(box.itemData(place)))

        def show(value: Any) -> None:
            place = next((i for i in range(box.count()) if box.itemData(i) == value), -1)
            if place < 0:
                box.addItem(in_words(self.spec, value), value)
                place = box.count() - 1
            box.setCurrentIndex(place)

        return box, show

    def _tell(self, value: Any) -> None:
        self.edited.emit(self.spec.field, value)
