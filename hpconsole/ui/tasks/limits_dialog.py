"""Limits: the bandwidth and the pause of a migration that runs, changed while it runs. Emits what is wanted."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QGridLayout, QSpinBox, QVBoxLayout, QWidget

from hpconsole.core.execution.steering import JobChange
from hpconsole.ui import format as fmt
from hpconsole.ui.tasks.task_book import Task
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.text_label import TextLabel

_MOST_MIB_S = 100_000
_MOST_PAUSE_MS = 60_000
_FIRST_MIB_S, _FIRST_PAUSE_MS = 500, 300


class LimitsDialog(QDialog):
    """Emits `change_wanted(JobChange)`. Begins with what the migration has now."""

    change_wanted = Signal(object)

    def __init__(self, task: Task, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("limits_dialog")
        self.setWindowTitle(f"Limits: {task.title}")
        self.setStyleSheet(form_style(theme))
        progress = task.progress
        sent = progress.throughput_mib_s if progress is not None else 0.0
        limit_ms = progress.downtime_limit_ms if progress is not None else None
        self._is_limited = QCheckBox("Limit the &bandwidth to")
        self._is_limited.setObjectName("limits_bandwidth")
        self._bandwidth = _spin(
            "limits_bandwidth_value", (1, _MOST_MIB_S), task.step.options.bandwidth_mib_s or round(sent), " MiB/s", 50
        )
        self._is_pause_set = QCheckBox("Allow a &pause of")
        self._is_pause_set.setObjectName("limits_pause")
        self._pause = _spin("limits_pause_value", (1, _MOST_PAUSE_MS), limit_ms or _FIRST_PAUSE_MS, " ms", 100)
        self._note = TextLabel(name="limits_note", tone=Tone.MUTED, wraps=True)
        self._note.setMinimumHeight(3 * self._note.fontMetrics().lineSpacing() + 4)
        self._now = f"Now: sends {fmt.mib_s(sent)}" if sent else ""
        if limit_ms is not None:
            self._now += f"{', ' if self._now else 'Now: '}a pause of {fmt.milliseconds(limit_ms)} is allowed"
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._apply = buttons.addButton("&Change", QDialogButtonBox.ButtonRole.AcceptRole)
        self._apply.setObjectName("limits_accept")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._lay_out(task, buttons)
        self._apply.setDefault(True)
        for box in (self._is_limited, self._is_pause_set):
            box.toggled.connect(self._judge)
        self._bandwidth.valueChanged.connect(self._judge)
        self._pause.valueChanged.connect(self._judge)
        self._judge()

    @property
    def change(self) -> JobChange:
        """What is wanted now."""
        return JobChange(
            bandwidth_mib_s=self._bandwidth.value() if self._is_limited.isChecked() else None,
            downtime_ms=self._pause.value() if self._is_pause_set.isChecked() else None,
        )

    def accept(self) -> None:
        """Hand over what is wanted, if anything is."""
        if self._apply.isEnabled():
            self.change_wanted.emit(self.change)
            super().accept()

    def _lay_out(self, task: Task, buttons: QDialogButtonBox) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        for row, (box, spin) in enumerate(((self._is_limited, self._bandwidth), (self._is_pause_set, self._pause))):
            box.setToolTip("Takes effect at once; everything else stays as it is")
            grid.addWidget(box, row, 0)
            grid.addWidget(spin, row, 1)
        grid.setColumnStretch(2, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 12)
        layout.setSpacing(10)
        layout.addWidget(TextLabel(f"{task.title}, {task.route}", is_bold=True))
        layout.addLayout(grid)
        layout.addWidget(self._note)
        layout.addStretch(1)
        layout.addWidget(buttons)
        self.setMinimumWidth(460)

    def _judge(self) -> None:
        self._bandwidth.setEnabled(self._is_limited.isChecked())
        self._pause.setEnabled(self._is_pause_set.isChecked())
        change = self.change
        is_wanted = change.bandwidth_mib_s is not None or change.downtime_ms is not None
        self._apply.setEnabled(is_wanted)
        costs = []
        if change.downtime_ms is not None:
            costs.append(f"At the end the VM may stand still for {fmt.milliseconds(change.downtime_ms)}.")
        if change.bandwidth_mib_s is not None:
            costs.append("A migration that is slower than the VM writes does not end.")
        self._note.setText("\n".join((self._now, *costs)) if is_wanted else f"{self._now}\nChoose what to change.")


def _spin(name: str, span: tuple[int, int], value: int, suffix: str, step: int) -> QSpinBox:
    spin = with_room(QSpinBox())
    spin.setObjectName(name)
    spin.setRange(*span)
    spin.setSingleStep(step)
    spin.setValue(max(span[0], value))
    spin.setSuffix(suffix)
    return spin
