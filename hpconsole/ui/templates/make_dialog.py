"""Make Template: a name and what becomes of the disks. Connects to nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.machines.checking import name_problem
from hpconsole.core.machines.templates import Template
from hpconsole.core.model.vm import Vm
from hpconsole.ui.bridge import Background
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.text_label import TextLabel

Make = Callable[[str, str, bool], Template]  # name, description, with content; blocks


class MakeTemplateDialog(QDialog):
    """Emits `made(Template)` when it is kept."""

    made = Signal(object)

    def __init__(self, vm: Vm, make: Make, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("make_template_dialog")
        self.setWindowTitle("Make Template")
        self.setMinimumWidth(540)
        self._make = make
        self._background = Background(self)
        self._is_making = False
        self._name = QLineEdit(f"{vm.name}-template")
        self._name.setObjectName("template_name")
        self._description = QLineEdit()
        self._description.setObjectName("template_description")
        self._empty = QRadioButton("New VMs get &empty disks of the same size")
        self._empty.setObjectName("template_empty")
        self._copies = QRadioButton("&Copy what is on its disks now: new VMs start with it")
        self._copies.setObjectName("template_copies")
        self._copies.setEnabled(not vm.state.is_active)
        if vm.state.is_active:
            self._copies.setText(f"{self._copies.text()} (it runs: shut it down first)")
        self._copies.setToolTip("" if not vm.state.is_active else f"{vm.name} runs: shut it down first")
        (self._empty if vm.state.is_active else self._copies).setChecked(True)
        self._remark = TextLabel(name="template_remark", wraps=True)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._accept = buttons.addButton("&Make Template", QDialogButtonBox.ButtonRole.AcceptRole)
        self._accept.setObjectName("template_accept")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.addRow("&Name:", self._name)
        form.addRow("&Description:", self._description)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 12)
        layout.setSpacing(8)
        layout.addWidget(TextLabel(f"Everything of {vm.name} is kept, its pinning included.", tone=Tone.MUTED))
        layout.addLayout(form)
        layout.addWidget(self._empty)
        layout.addWidget(self._copies)
        layout.addWidget(self._remark)
        layout.addWidget(buttons)
        self._accept.setDefault(True)
        self._name.textChanged.connect(self._judge)
        self.setStyleSheet(form_style(theme))
        self._name.selectAll()
        self._judge()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme))

    def refresh(self, _snapshot: object) -> None:
        """Nothing here follows the cluster."""

    def accept(self) -> None:
        """Make it; the dialog closes when it is kept."""
        if not self._accept.isEnabled():
            return
        self._is_making = True
        self._accept.setEnabled(False)
        self._say("Making it…", Tone.MUTED)
        name, text, has_content = self._name.text().strip(), self._description.text(), self._copies.isChecked()
        self._background.run(lambda: self._make(name, text, has_content), self._on_made, self._on_failure)

    def reject(self) -> None:
        """Close; not while it is being made, whose outcome must be told."""
        if not self._is_making:
            super().reject()

    def done(self, result: int) -> None:
        self._background.close()
        super().done(result)

    def _on_made(self, template: Template) -> None:
        self.made.emit(template)
        super().accept()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._is_making = False
        self._accept.setEnabled(True)
        self._say(error.sentence, Tone.BAD)

    def _judge(self) -> None:
        problem = name_problem(self._name.text().strip()).replace("A VM", "A template")
        self._say(problem, Tone.BAD)
        self._accept.setEnabled(not problem)

    def _say(self, sentence: str, tone: Tone) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)
