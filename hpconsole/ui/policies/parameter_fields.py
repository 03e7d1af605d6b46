"""Fields for a policy's parameters, one below the other: title, value, range; below it what is wrong with the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from hpconsole.core.scheduler.parameter_titles import title_of
from hpconsole.core.scheduler.units import Parameter
from hpconsole.ui.policies.parameters import range_of, tip_of
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel

_LONGEST = 20


@dataclass(frozen=True, slots=True)
class _Line:
    """The widgets of one parameter."""

    label: QLabel
    edit: QLineEdit
    span: QLabel
    problem: TextLabel


class ParameterFields(QWidget):
    """Emits `typed(name, text)` for every key. All fields exist from the start; `show_only` says which are seen."""

    typed = Signal(str, str)

    def __init__(self, parameters: Sequence[Parameter], prefix: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnMinimumWidth(0, self.fontMetrics().averageCharWidth() * 36)  # two of these stand in line
        grid.setColumnStretch(2, 1)
        self._lines: dict[str, _Line] = {}
        for place, parameter in enumerate(parameters):
            self._lines[parameter.name] = self._line(grid, 2 * place, parameter, prefix)

    def _line(self, grid: QGridLayout, row: int, parameter: Parameter, prefix: str) -> _Line:
        label = QLabel(title_of(parameter))
        edit = QLineEdit(maxLength=_LONGEST, placeholderText="default")
        edit.setObjectName(f"{prefix}_{parameter.name}")
        edit.setFixedWidth(edit.fontMetrics().averageCharWidth() * 14)
        label.setBuddy(edit)
        span = TextLabel(range_of(parameter), tone=Tone.MUTED)
        problem = TextLabel(name=f"{prefix}_problem_{parameter.name}", tone=Tone.BAD, wraps=True)
        for widget in (label, edit, span):
            widget.setToolTip(tip_of(parameter))
        edit.setAccessibleName(title_of(parameter))
        edit.setAccessibleDescription(f"{tip_of(parameter)} {range_of(parameter)}")
        edit.textEdited.connect(lambda text: self.typed.emit(parameter.name, text))
        grid.addWidget(label, row, 0)
        grid.addWidget(edit, row, 1)
        grid.addWidget(span, row, 2)
        grid.addWidget(problem, row + 1, 0, 1, 3)
        problem.hide()
        return _Line(label, edit, span, problem)

    def show_only(self, names: Sequence[str]) -> None:
        """Show the fields of these parameters."""
        for name, line in self._lines.items():
            is_shown = name in names
            for widget in (line.label, line.edit, line.span):
                widget.setVisible(is_shown)
            line.problem.setVisible(is_shown and bool(line.problem.text()))

    def show_values(self, text_of: Callable[[str], str], *, is_locked: bool) -> None:
        """Show what the policy has; what is being typed stays where it means the same."""
        for name, line in self._lines.items():
            with QSignalBlocker(line.edit):
                if line.edit.text() != text_of(name):
                    line.edit.setText(text_of(name))
            line.edit.setReadOnly(is_locked)
            line.edit.setEnabled(not is_locked)

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Say below each field what is wrong with it."""
        for name, line in self._lines.items():
            line.problem.setText(problems.get(name, ""))
            line.problem.setVisible(bool(line.problem.text()) and not line.edit.isHidden())
