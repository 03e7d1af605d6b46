"""*Delete VM(s)*: says exactly what goes and what stays, and hands over what was confirmed. Deletes nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.ui.deletion import presenter
from hpconsole.ui.deletion.presenter import DeletionChoice
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_WIDTH = 640
_INDENT = 20
_FRAME = 12  # the list's borders, and a little room
_MOST_LINES = 22


class DeletionDialog(QDialog):
    """Emits `confirmed(DeletionChoice)`. Cancel is the default: Enter deletes nothing.

    Args:
        vms: All shut off.
        folder: Where definitions are kept, unless another one is chosen.
    """

    confirmed = Signal(object)

    def __init__(
        self, vms: Sequence[Vm], snapshot: ClusterSnapshot, folder: Path, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("deletion_dialog")
        self.setWindowTitle("Delete VM" if len(vms) == 1 else "Delete VMs")
        self.setMinimumWidth(_WIDTH)
        self._vms = tuple(vms)
        self._snapshot = snapshot
        self._why_not = ""
        self._build(folder)
        self.set_theme(theme)
        self.refresh(snapshot)
        self._cancel.setFocus()
        room = 2 * self.fontMetrics().lineSpacing()  # for a problem that comes up later
        self.resize(_WIDTH, self._layout.totalHeightForWidth(_WIDTH) + room)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme))

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        """Something changed: whether these can still be deleted."""
        self._snapshot = snapshot
        self._why_not = presenter.why_not(self._vms, snapshot)
        self._show_state()

    def accept(self) -> None:
        """Hand over what was chosen, where it is possible."""
        if self._delete.isEnabled():
            folder = presenter.folder_of(self._folder.text()) if self._save.isChecked() else None
            self.confirmed.emit(DeletionChoice(self._vms, self._nvram.isChecked(), folder))
            super().accept()

    # Building

    def _build(self, folder: Path) -> None:
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 12)
        layout.setSpacing(10)
        layout.addWidget(TextLabel(presenter.question(self._vms), name="deletion_question", is_bold=True))
        layout.addWidget(self._build_list())
        layout.addWidget(self._build_nvram())
        layout.addLayout(self._build_save(folder))
        self._undo = TextLabel(name="deletion_undo", wraps=True)
        self._undo.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self._undo)
        self._problem = TextLabel(name="deletion_problem", tone=Tone.BAD, wraps=True)
        layout.addWidget(self._problem)
        layout.addStretch(1)
        layout.addLayout(self._build_buttons())

    def _build_list(self) -> QWidget:
        """Every VM with what is removed of it and the disks that stay."""
        content = QWidget()
        inside = QVBoxLayout(content)
        inside.setContentsMargins(10, 8, 10, 8)
        inside.setSpacing(2)
        for vm in self._vms:
            told = presenter.lines_of(vm, self._snapshot)
            inside.addWidget(ElidedLabel(told.title))
            for line in told.details:
                label = ElidedLabel(line, tone=Tone.MUTED)
                label.setContentsMargins(_INDENT, 0, 0, 0)
                label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                inside.addWidget(label)
        inside.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setObjectName("deletion_list")
        area.setAccessibleName("What is deleted, and what stays")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        needed = content.sizeHint().height()
        frame = framed(area)
        frame.setFixedHeight(min(needed, self.fontMetrics().lineSpacing() * _MOST_LINES) + _FRAME)
        return frame

    def _build_nvram(self) -> QWidget:
        self._nvram = QCheckBox("Keep the &NVRAM (firmware settings, such as the boot order) and the TPM")
        self._nvram.setObjectName("deletion_keep_nvram")
        self._nvram.setChecked(True)
        hint = presenter.nvram_hint(self._vms)
        self._nvram.setEnabled(not hint)
        self._nvram.setToolTip(
            hint or "Whoever defines the VM again there finds its firmware and the keys in its TPM as they were"
        )
        return self._nvram

    def _build_save(self, folder: Path) -> QHBoxLayout:
        self._save = QCheckBox("&Save the definition first, in")
        self._save.setObjectName("deletion_save")
        self._save.setToolTip("Writes one XML file for each VM before it is deleted; nothing is deleted if that fails")
        self._save.setChecked(True)
        self._save.toggled.connect(self._show_state)
        self._folder = QLineEdit(str(folder))
        self._folder.setObjectName("deletion_folder")
        self._folder.setAccessibleName("Folder for the saved definitions")
        self._folder.setToolTip("Made if it does not exist; files that are there are never overwritten")
        self._folder.textChanged.connect(self._show_state)
        self._choose = push_button("deletion_choose", "C&hoose…", "Choose another folder", self._on_choose)
        row = QHBoxLayout()
        row.addWidget(self._save)
        row.addWidget(self._folder, 1)
        row.addWidget(self._choose)
        return row

    def _build_buttons(self) -> QHBoxLayout:
        self._delete = push_button("deletion_accept", presenter.accept_text(self._vms), slot=self.accept)
        self._cancel = QPushButton("Cancel")
        self._cancel.setObjectName("deletion_cancel")
        self._cancel.setToolTip("Delete nothing")
        self._cancel.setDefault(True)
        self._cancel.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self._delete)
        row.addWidget(self._cancel)
        return row

    # Showing

    def _on_choose(self) -> None:
        picker = QFileDialog(self, "Folder for the Saved Definitions", self._folder.text())
        picker.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        picker.setFileMode(QFileDialog.FileMode.Directory)
        picker.setOption(QFileDialog.Option.ShowDirsOnly)
        picker.fileSelected.connect(self._folder.setText)
        picker.open()

    def _show_state(self) -> None:
        is_saved = self._save.isChecked()
        self._folder.setEnabled(is_saved)
        self._choose.setEnabled(is_saved)
        self._undo.setText(presenter.undo_sentence(self._vms, self._snapshot, is_saved=is_saved))
        self._undo.set_tone(Tone.MUTED if is_saved else Tone.WARNING)
        problem = self._why_not or (presenter.folder_problem(self._folder.text()) if is_saved else "")
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        self._delete.setEnabled(not problem)
        self._delete.setToolTip(problem or "Remove the definitions from their hosts; the disks stay")
