"""Queue Limits: how many migrations this console runs at once, and what bandwidth those of a host share."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.execution.step_queue import Limits
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.text_label import TextLabel

_MOST = 100
_MOST_MIB_S = 100_000
_FIRST_MIB_S = 500


class QueueLimitsDialog(QDialog):
    """Emits `limits_wanted(Limits)`. Begins with what counts now."""

    limits_wanted = Signal(object)

    def __init__(self, limits: Limits, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("queue_limits_dialog")
        self.setWindowTitle("Queue Limits")
        self.setStyleSheet(form_style(theme))
        self._before = limits
        self._outgoing = _spin("queue_outgoing", _MOST, limits.outgoing)
        self._incoming = _spin("queue_incoming", _MOST, limits.incoming)
        self._total = _spin("queue_total", _MOST, limits.total)
        self._is_shared = QCheckBox("Bandwidth that those of one &host share")
        self._is_shared.setObjectName("queue_is_shared")
        self._is_shared.setToolTip("Evenly, anew whenever one begins or ends; else they use what the network carries")
        self._is_shared.setChecked(limits.bandwidth_mib_s is not None)
        self._bandwidth = _spin("queue_bandwidth", _MOST_MIB_S, limits.bandwidth_mib_s or _FIRST_MIB_S)
        self._bandwidth.setSuffix(" MiB/s")
        self._bandwidth.setSingleStep(50)
        self._note = TextLabel(name="queue_note", tone=Tone.MUTED, wraps=True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._save = buttons.addButton("&Save", QDialogButtonBox.ButtonRole.AcceptRole)
        self._save.setObjectName("queue_accept")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._lay_out(buttons)
        self._save.setDefault(True)
        self._is_shared.toggled.connect(self._judge)
        for spin in (self._outgoing, self._incoming, self._total, self._bandwidth):
            spin.valueChanged.connect(self._judge)
        self._judge()

    @property
    def limits(self) -> Limits:
        """What is wanted now."""
        return Limits(
            self._outgoing.value(),
            self._incoming.value(),
            self._total.value(),
            self._bandwidth.value() if self._is_shared.isChecked() else None,
        )

    def accept(self) -> None:
        """Hand over what is wanted, if it is anything new."""
        if self._save.isEnabled():
            self.limits_wanted.emit(self.limits)
            super().accept()

    def _lay_out(self, buttons: QDialogButtonBox) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        for row, (text, spin) in enumerate(
            (
                ("Migrations that may &leave a host at once", self._outgoing),
                ("Migrations that may &reach a host at once", self._incoming),
                ("Migrations that may run at once in &all", self._total),
            )
        ):
            label = QLabel(text)
            label.setBuddy(spin)
            grid.addWidget(label, row, 0)
            grid.addWidget(spin, row, 1)
        grid.addWidget(self._is_shared, 3, 0)
        grid.addWidget(self._bandwidth, 3, 1)
        grid.setColumnStretch(2, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 12)
        layout.setSpacing(10)
        layout.addLayout(grid)
        layout.addWidget(self._note)
        layout.addStretch(1)
        layout.addWidget(buttons)
        self.setMinimumWidth(520)

    def _judge(self) -> None:
        self._bandwidth.setEnabled(self._is_shared.isChecked())
        limits = self.limits
        self._save.setEnabled(limits != self._before)
        self._save.setToolTip("" if self._save.isEnabled() else "Nothing was changed.")
        said = [
            "A migration policy may allow fewer; parallel connections go one at a time.",
            "What runs already goes on. Each console counts its own migrations only.",
        ]
        if max(limits.outgoing, limits.incoming) > limits.total:
            said.insert(0, f"No more than {limits.total} run at once in all, whatever a host would take.")
        self._note.setText("\n".join(said))


def _spin(name: str, most: int, value: int) -> QSpinBox:
    spin = with_room(QSpinBox())
    spin.setObjectName(name)
    spin.setRange(1, max(most, value))
    spin.setValue(value)
    return spin
