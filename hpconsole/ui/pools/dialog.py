"""Pools: so many VMs kept from a template, listed, changed and filled. Asks the shelf on a worker thread."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.machines.pool_filling import Filled
from hpconsole.core.machines.pools import LARGEST, VmPool, problem_of
from hpconsole.ui import format as fmt
from hpconsole.ui.bridge import Background
from hpconsole.ui.templates.shelf import PoolLine, Shelf
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.number_box import NumberBox
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.text_table import fill_rows, listing

_TITLES = ("Pool", "Template", "VMs", "Running", "Kept running")
_NO_TEMPLATE = (
    "A pool is made from a template, and there is none yet. Select a VM in the window and choose “Make Template…”, or "
    "import a file in “Templates…”."
)


class PoolsDialog(QDialog):
    """Emits `filled(Filled)` after VMs were made or started."""

    filled = Signal(object)

    def __init__(self, shelf: Shelf, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("pools_dialog")
        self.setWindowTitle("Pools")
        self.resize(860, 560)
        self._shelf = shelf
        self._background = Background(self)
        self._lines: tuple[PoolLine, ...] = ()
        self._is_filling = False
        self._doomed = ""
        self._build()
        self.set_theme(theme)
        self.reload()

    def _build(self) -> None:
        self._table = listing(
            "pools_table", _TITLES, "Pools", "There is no pool yet. Describe one below, then save it."
        )
        self._table.itemSelectionChanged.connect(self._on_selected)
        self._name = _line("pool_name", "Its VMs are named after it")
        self._template = QComboBox()
        self._template.setObjectName("pool_template")
        self._template.setToolTip("What its VMs are made from")
        self._size = _number("pool_size", "How many VMs it has", 1)
        self._prestarted = _number("pool_prestarted", "How many of them are kept running", 0)
        self._pattern = _line("pool_pattern", "Names of its VMs; {n} becomes the number")
        self._pattern.setPlaceholderText("name-{n}")
        self._linked = QCheckBox("Disks are &overlays over the template's")
        self._linked.setObjectName("pool_linked")
        self._linked.setToolTip("Made at once and small; without it each VM gets a full copy")
        self._linked.setChecked(True)
        form = QFormLayout()
        form.setVerticalSpacing(6)
        for text, widget in (
            ("&Name", self._name), ("&Template", self._template), ("&VMs", self._size),
            ("&Kept running", self._prestarted), ("Name &pattern", self._pattern), ("", self._linked),
        ):  # fmt: skip
            form.addRow(text, widget)
            label = form.labelForField(widget)
            if label is not None:  # a mnemonic's label asks for a pixel too little, which cuts its last letter
                label.setMinimumWidth(label.sizeHint().width() + 4)
        self._remark = TextLabel(name="pools_remark", wraps=True)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        self._new = push_button("pool_new", "Ne&w", "Start with an empty form")
        self._save = push_button("pool_save", "&Save and Fill", "Keep the pool, and make and start the VMs it lacks")
        self._remove = push_button("pool_remove", "&Delete", "Forget the pool; its VMs stay")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        bottom = QHBoxLayout()
        for button in (self._new, self._save, self._remove):
            bottom.addWidget(button)
        bottom.addStretch(1)
        bottom.addWidget(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(framed(self._table), 1)
        layout.addLayout(form)
        layout.addWidget(self._remark)
        layout.addLayout(bottom)
        self._save.setDefault(True)
        self._connect()

    def _connect(self) -> None:
        for edit in (self._name, self._pattern):
            edit.textEdited.connect(lambda _: self._judge())
        for box in (self._size, self._prestarted):
            box.valueChanged.connect(lambda _: self._judge())
        self._template.activated.connect(lambda _: self._judge())
        self._new.clicked.connect(self._on_new)
        self._save.clicked.connect(self._on_save)
        self._remove.clicked.connect(self._on_remove)

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme))

    def refresh(self, _snapshot: object) -> None:
        """The cluster changed: so may the VMs of the pools."""
        if not self._is_filling:
            self._background.run(self._shelf.pools, self._show_rows, self._on_failure)

    def reload(self) -> None:
        """Read templates and pools again."""
        self._background.run(
            lambda: tuple(template.name for template in self._shelf.templates()), self._show_templates, self._on_failure
        )
        self._background.run(self._shelf.pools, self._show, self._on_failure)

    def reject(self) -> None:
        """Close; not while VMs are being made, whose outcome must be told."""
        if not self._is_filling:
            super().reject()

    def done(self, result: int) -> None:
        self._background.close()
        super().done(result)

    # Gestures

    def _pool(self) -> VmPool:
        return VmPool(
            self._name.text().strip(),
            self._template.currentText(),
            self._size.value(),
            self._prestarted.value(),
            self._pattern.text().strip(),
            self._linked.isChecked(),
        )

    def _selected(self) -> PoolLine | None:
        row = self._table.currentRow()
        return self._lines[row] if 0 <= row < len(self._lines) else None

    def _on_selected(self) -> None:
        line = self._selected()
        self._doomed = ""
        if line is not None:
            self._show_pool(line.pool)
        self._judge()

    def _on_new(self) -> None:
        self._table.clearSelection()
        self._table.setCurrentCell(-1, -1)
        self._show_pool(VmPool("", self._template.currentText()))
        self._name.setFocus()
        self._judge()

    def _on_save(self) -> None:
        pool = self._pool()
        self._is_filling = True
        self._judge()
        self._say(f"Making and starting what {pool.name} lacks…")

        def save() -> Filled:
            self._shelf.keep_pool(pool)
            return self._shelf.fill_pool(pool)

        self._background.run(save, lambda done: self._on_filled(pool, done), self._on_failure)

    def _on_filled(self, pool: VmPool, done: Filled) -> None:
        self._is_filling = False
        made, started = len(done.made), len(done.started) + sum(saved.is_started for saved in done.made)
        self.reload()
        self.filled.emit(done)
        self._judge()
        words = f"{pool.name}: {fmt.count(made, 'VM')} made, {started} started."
        self._say(" ".join((words, *done.notes)), Tone.WARNING if done.notes else Tone.MUTED)

    def _on_remove(self) -> None:
        line = self._selected()
        if line is None:
            return
        name = line.pool.name
        if self._doomed != name:
            self._doomed = name
            self._remove.setText("&Delete for Good")
            self._say(f"Forget the pool {name}? Its VMs stay.", Tone.WARNING)
            return
        self._background.run(lambda: self._shelf.remove_pool(name), lambda _: self.reload(), self._on_failure)

    # Showing

    def _show_templates(self, names: tuple[str, ...]) -> None:
        with QSignalBlocker(self._template):
            chosen = self._template.currentText()
            self._template.clear()
            self._template.addItems(list(names))
            if chosen in names:
                self._template.setCurrentText(chosen)
        self._judge()

    def _show(self, lines: tuple[PoolLine, ...]) -> None:
        selected = self._name.text().strip()
        self._show_rows(lines)
        names = [line.pool.name for line in lines]
        if selected in names or (names and not selected):
            self._table.selectRow(names.index(selected) if selected in names else 0)
        self._judge()

    def _show_rows(self, lines: tuple[PoolLine, ...]) -> None:
        if lines != self._lines:
            self._lines = lines
            fill_rows(
                self._table,
                [
                    (line.pool.name, line.pool.template, f"{line.made} of {line.pool.size}", str(line.running),
                     str(line.pool.prestarted))
                    for line in lines
                ],
            )  # fmt: skip

    def _show_pool(self, pool: VmPool) -> None:
        self._name.setText(pool.name)
        self._template.setCurrentText(pool.template)
        for box, value in ((self._size, pool.size), (self._prestarted, pool.prestarted)):
            with QSignalBlocker(box):
                box.setValue(value)
        self._pattern.setText(pool.name_pattern)
        self._linked.setChecked(pool.is_linked)

    def _judge(self) -> None:
        pool = self._pool()
        problem = problem_of(pool) if pool.name else ""
        if not self._template.count():
            problem = _NO_TEMPLATE
        self._remove.setEnabled(self._selected() is not None and not self._is_filling)
        if not self._doomed:
            self._remove.setText("&Delete")
        self._save.setEnabled(bool(pool.name) and not problem and not self._is_filling)
        if not self._is_filling:
            example = f"Its VMs: {fmt.names(tuple(pool.vm_name(n) for n in range(1, pool.size + 1)))}."
            self._say(
                problem or (example if pool.name else "Give the pool a name."), Tone.BAD if problem else Tone.MUTED
            )

    def _say(self, sentence: str, tone: Tone = Tone.MUTED) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)

    def _on_failure(self, error: HpconsoleError) -> None:
        self._is_filling = False
        self._judge()
        self._say(error.sentence, Tone.BAD)


def _line(name: str, tip: str) -> QLineEdit:
    edit = QLineEdit()
    edit.setObjectName(name)
    edit.setToolTip(tip)
    return edit


def _number(name: str, tip: str, lowest: int) -> QSpinBox:
    box = NumberBox(lowest, LARGEST)
    box.setObjectName(name)
    box.setToolTip(tip)
    return box
