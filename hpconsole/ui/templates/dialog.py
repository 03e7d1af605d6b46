"""Templates: listed, used for new VMs, edited, exported and imported. Asks the shelf on a worker thread."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError
from hpconsole.ui.bridge import Background
from hpconsole.ui.templates.shelf import Shelf, TemplateLine
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.text_table import fill_rows, listing

_TITLES = ("Template", "Optimized for", "Size", "CPU pinning", "Made from a VM on")
_NONE = "There is no template yet. Select a VM in the window and choose “Make Template…”, or import a file."


class TemplatesDialog(QDialog):
    """Emits `use_wanted(template, name)` and `edit_wanted(template)`."""

    use_wanted = Signal(str, str)
    edit_wanted = Signal(str)

    def __init__(self, shelf: Shelf, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("templates_dialog")
        self.setWindowTitle("Templates")
        self.resize(940, 520)
        self._shelf = shelf
        self._background = Background(self)
        self._lines: tuple[TemplateLine, ...] = ()
        self._doomed = ""  # asked once whether to delete it
        self._build()
        self.set_theme(theme)
        self.reload()

    def _build(self) -> None:
        self._table = listing("templates_table", _TITLES, "Templates", "Templates you make or import are listed here.")
        self._table.itemSelectionChanged.connect(self._on_selected)
        self._detail = TextLabel(name="template_detail", tone=Tone.MUTED, wraps=True)
        self._detail.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._detail.setMinimumHeight(self.fontMetrics().lineSpacing() * 5)
        self._detail.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._name = QLineEdit()
        self._name.setObjectName("template_vm_name")
        self._name.setToolTip("Its volumes are named after it")
        self._name.textEdited.connect(lambda _: self._show_buttons())
        label = QLabel("&Name of the new VM")
        label.setBuddy(self._name)
        self._use = push_button("template_use", "New &VM from It…", "Opens New VM with everything the template says")
        self._edit = push_button("template_edit", "&Edit…", "Change what the template says; VMs made from it stay")
        self._export = push_button("template_export", "E&xport…", "Write it to a file")
        self._import = push_button("template_import", "&Import…", "Read one from a file")
        self._remove = push_button("template_remove", "&Delete", "Forget it; VMs made from it stay")
        self._use.clicked.connect(lambda: self.use_wanted.emit(self._selected(), self._name.text().strip()))
        self._edit.clicked.connect(lambda: self.edit_wanted.emit(self._selected()))
        self._export.clicked.connect(self._on_export)
        self._import.clicked.connect(self._on_import)
        self._remove.clicked.connect(self._on_remove)
        self._remark = TextLabel(name="templates_remark", wraps=True)
        use = QHBoxLayout()
        use.addWidget(label)
        use.addWidget(self._name, 1)
        use.addWidget(self._use)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        bottom = QHBoxLayout()
        for button in (self._edit, self._export, self._import, self._remove):
            bottom.addWidget(button)
        bottom.addWidget(self._remark, 1)
        bottom.addWidget(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(framed(self._table), 1)
        layout.addWidget(self._detail)
        layout.addLayout(use)
        layout.addLayout(bottom)
        self._use.setDefault(True)  # not before it is inside the dialog: Qt would make Close the default

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme))

    def refresh(self, _snapshot: object) -> None:
        """Templates do not follow the cluster."""

    def reload(self) -> None:
        """Read the templates again."""
        self._background.run(self._shelf.lines, self._show, self._on_failure)

    def done(self, result: int) -> None:
        self._background.close()
        super().done(result)

    # Gestures

    def _selected(self) -> str:
        row = self._table.currentRow()
        return self._lines[row].name if 0 <= row < len(self._lines) else ""

    def _on_selected(self) -> None:
        self._doomed = ""
        row = self._table.currentRow()
        self._detail.setText(self._lines[row].detail if 0 <= row < len(self._lines) else "")
        self._name.setText(self._free_name())
        self._show_buttons()

    def _free_name(self) -> str:
        """The template's name with the first number no VM has."""
        template = self._selected()
        taken = {vm.name for vm in self._shelf.snapshot().vms.values()}
        number = 1
        while f"{template}-{number}" in taken:
            number += 1
        return f"{template}-{number}" if template else ""

    def _on_export(self) -> None:
        name = self._selected()
        self._ask_path("Export Template", f"{name}.json", is_saving=True, then=lambda path: self._export_to(name, path))

    def _export_to(self, name: str, path: str) -> None:
        self._background.run(
            lambda: self._shelf.export(name, path),
            lambda _: self._say(f"{name} was written to {path}."),
            self._on_failure,
        )

    def _on_import(self) -> None:
        self._ask_path("Import Template", "", is_saving=False, then=self.import_from)

    def import_from(self, path: str) -> None:
        """Read a template from this file."""
        self._background.run(
            lambda: self._shelf.bring_in(path), lambda made: self._after(f"{made.name} was imported."), self._on_failure
        )

    def _ask_path(self, title: str, name: str, *, is_saving: bool, then: Callable[[str], None]) -> None:
        dialog = QFileDialog(self, title, name, "Templates (*.json);;All files (*)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if is_saving:
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            dialog.selectFile(name)
        dialog.fileSelected.connect(then)
        dialog.open()

    def _on_remove(self) -> None:
        """The first press asks, the second does."""
        name = self._selected()
        if self._doomed != name:
            self._doomed = name
            self._remove.setText("&Delete for Good")
            self._say(f"Forget {name}? VMs made from it stay, and so do its volumes.", Tone.WARNING)
            return
        self._doomed = ""
        self._background.run(
            lambda: self._shelf.remove(name), lambda _: self._after(f"{name} was deleted."), self._on_failure
        )

    def _after(self, sentence: str) -> None:
        self._say(sentence)
        self.reload()

    # Showing

    def _show(self, lines: tuple[TemplateLine, ...]) -> None:
        selected = self._selected()
        self._lines = lines
        fill_rows(self._table, [(one.name, one.kind, one.size, one.pinning, one.source) for one in lines])
        names = [line.name for line in lines]
        with QSignalBlocker(self._table):
            if names:
                self._table.selectRow(names.index(selected) if selected in names else 0)
        self._on_selected()
        if not lines:
            self._detail.setText(_NONE)

    def _show_buttons(self) -> None:
        is_any = bool(self._selected())
        for button in (self._edit, self._export, self._remove):
            button.setEnabled(is_any)
        self._use.setEnabled(is_any and bool(self._name.text().strip()))
        self._name.setEnabled(is_any)
        if self._doomed != self._selected() or not self._doomed:
            self._remove.setText("&Delete")

    def _say(self, sentence: str, tone: Tone = Tone.MUTED) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)

    def _on_failure(self, error: HpconsoleError) -> None:
        self._say(error.sentence, Tone.BAD)
