"""Where the VM may run and who may move it: hosts with their verdicts while one edits, and the migration mode."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QRadioButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.machines.draft import MigrationMode
from hpconsole.core.machines.migration_mode import NAMES
from hpconsole.ui import icons
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.pages import remark_text, tell_remark
from hpconsole.ui.vm_editor.view import EditorView, HostLine
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.text_table import dress_texts

_ICONS = {Tone.GOOD: "good", Tone.WARNING: "warning", Tone.BAD: "bad"}
_UNSURE = "busy"


class HostPage(QWidget):
    """Any host, or specific ones; each with what fits and what does not."""

    edited = Signal(str, object)
    mode_chosen = Signal(object)
    mode_suggested = Signal()
    host_wanted = Signal(str)  # of a new VM: where it is made

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page_host")
        self._theme = LIGHT
        self._lines: tuple[HostLine, ...] = ()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 10, 4)
        layout.setSpacing(6)
        layout.addLayout(self._build_choice())
        layout.addWidget(self._build_table(), 1)
        self._reasons = TextLabel(name="host_reasons", wraps=True)
        self._reasons.setMinimumHeight(self.fontMetrics().lineSpacing() * 4)
        self._reasons.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._reasons.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self._reasons)
        layout.addLayout(self._build_mode())

    def _build_choice(self) -> QVBoxLayout:
        self._any = QRadioButton("&Any host in the cluster")
        self._any.setObjectName("any_host")
        self._some = QRadioButton("S&pecific host(s): those checked below")
        self._some.setObjectName("specific_hosts")
        self._any.clicked.connect(lambda: self.edited.emit("allowed_hosts", ()))
        self._some.clicked.connect(self._on_some)
        self._made_on = QComboBox()
        self._made_on.setObjectName("made_on")
        self._made_on.setToolTip("The host that gets the VM's definition and its new disks")
        self._made_on.activated.connect(lambda _: self.host_wanted.emit(self._made_on.currentText()))
        self._made_label = QLabel("&Make it on")
        self._made_label.setBuddy(self._made_on)
        first = QHBoxLayout()
        first.addWidget(self._any)
        first.addStretch(1)
        first.addWidget(self._made_label)
        first.addWidget(self._made_on)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addLayout(first)
        column.addWidget(self._some)
        self._problem = TextLabel(name="problem_allowed_hosts", tone=Tone.BAD, wraps=True)
        column.addWidget(self._problem)
        return column

    def _build_table(self) -> QWidget:
        self._table = table = QTableWidget()
        dress_texts(table, "vm_hosts", ["Host", "Whether the VM fits there"], "Hosts and whether the VM fits")
        table.setAlternatingRowColors(False)
        table.horizontalHeader().setStretchLastSection(True)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        table.horizontalHeader().resizeSection(0, self.fontMetrics().averageCharWidth() * 24)
        table.itemChanged.connect(self._on_checked)
        table.itemSelectionChanged.connect(self._show_reasons)
        return framed(table)

    def _build_mode(self) -> QVBoxLayout:
        self._mode = QComboBox()
        self._mode.setObjectName("field_migration_mode")
        self._mode.setToolTip("Who may start a migration of this VM")
        for mode in MigrationMode:
            self._mode.addItem(NAMES[mode], mode.value)
        self._mode.activated.connect(lambda place: self.mode_chosen.emit(MigrationMode(self._mode.itemData(place))))
        label = QLabel("Mi&gration mode")
        label.setBuddy(self._mode)
        self._suggestion = TextLabel(name="mode_suggestion", tone=Tone.ACCENT, wraps=True)
        self._take = push_button(
            "take_suggestion",
            "Take the Su&ggestion",
            "Use the mode hpconsole suggests, and follow the pinning from now on",
            self.mode_suggested,
        )
        self._caution = TextLabel(name="mode_caution", tone=Tone.WARNING, wraps=True)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(label)
        row.addWidget(self._mode)
        row.addStretch(1)
        row.addWidget(self._take)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._suggestion)
        column.addWidget(self._caution)
        return column

    # Gestures

    def _on_some(self) -> None:
        if not self._checked():
            line = next((line for line in self._lines if line.tone is Tone.GOOD), None)
            name = line.name if line is not None else self._lines[0].name if self._lines else ""
            self.edited.emit("allowed_hosts", (name,) if name else ())

    def _on_checked(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            self.edited.emit("allowed_hosts", self._checked())

    def _checked(self) -> tuple[str, ...]:
        rows = (self._table.item(row, 0) for row in range(self._table.rowCount()))
        return tuple(i.text() for i in rows if i is not None and i.checkState() is Qt.CheckState.Checked)

    # Showing

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self._lines = ()

    def show_view(self, view: EditorView) -> None:
        """Show the choice, the verdicts and the mode."""
        is_some = bool(view.draft.allowed_hosts)
        self._any.setChecked(not is_some)
        self._some.setChecked(is_some)
        tell_remark(self._problem, remark_text(view, "allowed_hosts"))
        self._show_hosts(view.hosts)
        self._mode.setCurrentIndex(self._mode.findData(view.draft.migration_mode.value))
        self._suggestion.setText(view.mode_suggestion)
        self._suggestion.setVisible(bool(view.mode_suggestion))
        self._take.setVisible(bool(view.mode_suggestion))
        self._caution.setText(view.mode_caution)
        self._caution.setVisible(bool(view.mode_caution))
        self._show_made_on(view)

    def _show_made_on(self, view: EditorView) -> None:
        for part in (self._made_on, self._made_label):
            part.setVisible(view.is_new)
        names = sorted(line.name for line in view.hosts)
        if [self._made_on.itemText(i) for i in range(self._made_on.count())] != names:
            self._made_on.clear()
            self._made_on.addItems(names)
        self._made_on.setCurrentText(view.host)

    def _show_hosts(self, lines: tuple[HostLine, ...]) -> None:
        if lines == self._lines:
            return
        selected = self._selected()
        self._lines = lines
        with QSignalBlocker(self._table):
            self._table.setRowCount(len(lines))
            for row, line in enumerate(lines):
                self._set_row(row, line)
            names = [line.name for line in lines]
            self._table.selectRow(names.index(selected) if selected in names else 0)
        self._show_reasons()

    def _set_row(self, row: int, line: HostLine) -> None:
        name = QTableWidgetItem(line.name)
        name.setFlags(name.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        name.setCheckState(Qt.CheckState.Checked if line.is_chosen else Qt.CheckState.Unchecked)
        verdict = QTableWidgetItem(line.verdict)
        color = getattr(self._theme, line.tone.value)
        verdict.setIcon(icons.icon(_ICONS.get(line.tone, _UNSURE), color))
        verdict.setForeground(QColor(color))
        self._table.setItem(row, 0, name)
        self._table.setItem(row, 1, verdict)

    def _selected(self) -> str:
        item = self._table.item(self._table.currentRow(), 0)
        return "" if item is None else item.text()

    def _show_reasons(self) -> None:
        line = next((line for line in self._lines if line.name == self._selected()), None)
        if line is None:
            self._reasons.setText("")
        elif not line.reasons:
            self._reasons.setText(
                f"{line.name}: {line.verdict}. Nothing speaks against it."
                if line.tone is Tone.GOOD
                else f"{line.name}: {line.verdict}."
            )
        else:
            self._reasons.setText(f"{line.name}:\n" + "\n".join(f"• {reason}" for reason in line.reasons))
