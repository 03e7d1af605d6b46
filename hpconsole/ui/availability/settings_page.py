"""What the cluster does by itself about hosts that fail: its settings, saved as a whole."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.availability.settings import AvailabilitySettings, Evacuation
from hpconsole.core.model.snapshot import EMPTY_SNAPSHOT, ClusterSnapshot
from hpconsole.ui.availability import presenter
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel

_DAY_S = 86_400


class SettingsPage(QWidget):
    """Emits `saved(AvailabilitySettings)`."""

    saved = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("availability_settings")
        self._kept = AvailabilitySettings()
        self._is_shown = False
        self._snapshot = EMPTY_SNAPSHOT
        self._evacuation = QComboBox()
        self._evacuation.setObjectName("ha_evacuation")
        self._evacuation.setToolTip("VMs in manual mode stay in any case, and are named")
        for evacuation, text in presenter.EVACUATIONS:
            self._evacuation.addItem(text, evacuation.value)
        self._pools = QLineEdit(placeholderText="none; pools that disks of its VMs are in always count")
        self._pools.setObjectName("ha_pools")
        self._pools.setToolTip("Storage pools without which a host is not fit, separated by commas")
        self._trouble = _seconds("ha_trouble", "How long the trouble must last before anything is done")
        self._fences = QCheckBox("&Fence hosts that do not respond and run highly available VMs")
        self._fences.setObjectName("ha_fences")
        self._fences.setToolTip("Through the host's fence device; hosts without one wait for an administrator")
        self._silence = _seconds("ha_silence", "How long a host must be silent before it is fenced")
        self._restarts = QCheckBox("&Restart highly available VMs of hosts that are provably off")
        self._restarts.setObjectName("ha_restarts")
        self._restarts.setToolTip("Only after every other host was asked; without it nothing is restarted by itself")
        self._first = _seconds("ha_first_retry", "Between the first ten attempts to restart a VM")
        self._later = _seconds("ha_later_retry", "Between all further attempts")
        self._remark = TextLabel(name="ha_settings_remark", wraps=True)
        self._save = push_button("ha_settings_save", "&Save Settings")
        self._build()
        self._connect()
        self._judge()

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 10)
        layout.setSpacing(10)
        unfit = _form(
            ("When a host is &non-operational", self._evacuation),
            ("Required storage &pools", self._pools),
            ("A&fter", self._trouble),
        )
        silent = _form(("", self._fences), ("Aft&er", self._silence))
        lost = _form(("", self._restarts), ("Try aga&in after", self._first), ("After ten tries, &every", self._later))
        for title, form in (
            ("Hosts that answer but are not fit: storage, network or daemon trouble", unfit),
            ("Hosts that do not respond", silent),
            ("VMs that were lost", lost),
        ):
            layout.addWidget(TextLabel(title, is_bold=True))
            layout.addLayout(form)
            layout.addSpacing(4)
        row = QHBoxLayout()
        row.addWidget(self._remark, 1)
        row.addWidget(self._save)
        layout.addStretch(1)
        layout.addLayout(row)

    def _connect(self) -> None:
        self._evacuation.activated.connect(lambda _: self._judge())
        self._pools.textEdited.connect(lambda _: self._judge())
        for box in (self._trouble, self._silence, self._first, self._later):
            box.valueChanged.connect(lambda _: self._judge())
        for check in (self._fences, self._restarts):
            check.toggled.connect(lambda _: self._judge())
        self._save.clicked.connect(lambda: self.saved.emit(self.settings()))

    # From outside

    def show_settings(self, settings: AvailabilitySettings, snapshot: ClusterSnapshot) -> None:
        """What is kept; what is being edited stays while the kept ones are the same."""
        self._snapshot = snapshot
        if self._is_shown and settings == self._kept:
            self._judge()
            return
        self._is_shown = True
        self._kept = settings
        boxes = (self._trouble, self._silence, self._first, self._later, self._fences, self._restarts)
        blockers = [QSignalBlocker(box) for box in boxes]
        self._evacuation.setCurrentIndex(max(self._evacuation.findData(settings.evacuation.value), 0))
        self._pools.setText(", ".join(sorted(settings.required_pools)))
        for box, value in (
            (self._trouble, settings.trouble_after_s),
            (self._silence, settings.not_responding_after_s),
            (self._first, settings.first_retry_s),
            (self._later, settings.later_retry_s),
        ):
            box.setValue(round(value))
        self._fences.setChecked(settings.fences_automatically)
        self._restarts.setChecked(settings.restarts_automatically)
        del blockers
        self._judge()

    def say(self, sentence: str, tone: Tone = Tone.NORMAL) -> None:
        """What came of saving."""
        self._remark.setText(sentence)
        self._remark.set_tone(tone)

    def settings(self) -> AvailabilitySettings:
        """What the form says."""
        return replace(
            self._kept,
            evacuation=Evacuation(self._evacuation.currentData()),
            required_pools=presenter.pools_of(self._pools.text()),
            trouble_after_s=float(self._trouble.value()),
            not_responding_after_s=float(self._silence.value()),
            fences_automatically=self._fences.isChecked(),
            restarts_automatically=self._restarts.isChecked(),
            first_retry_s=float(self._first.value()),
            later_retry_s=float(self._later.value()),
        )

    def _judge(self) -> None:
        settings = self.settings()
        is_edited = self._is_shown and settings != self._kept
        self._silence.setEnabled(self._fences.isChecked())
        for box in (self._first, self._later):
            box.setEnabled(self._restarts.isChecked())
        self._save.setEnabled(is_edited)
        self._save.setToolTip("Let them count from now on" if is_edited else "Nothing was changed.")
        warning = presenter.unknown_pools(settings, self._snapshot)
        if not warning and not settings.restarts_automatically:
            warning = "Without restarts, high availability protects nobody."
        if is_edited or warning or not self._is_shown:
            self.say(warning if self._is_shown else "", Tone.WARNING)


def _form(*rows: tuple[str, QWidget]) -> QFormLayout:
    form = QFormLayout()
    form.setVerticalSpacing(6)
    form.setContentsMargins(12, 0, 0, 0)
    for text, widget in rows:
        form.addRow(text, widget) if text else form.addRow(widget)
        label = form.labelForField(widget)
        if label is not None:  # a mnemonic's label asks for a pixel too little
            label.setMinimumWidth(label.sizeHint().width() + 4)
    return form


def _seconds(name: str, tip: str) -> QSpinBox:
    box = with_room(QSpinBox(minimum=1, maximum=_DAY_S, suffix=" s"))
    box.setObjectName(name)
    box.setToolTip(tip)
    box.setMaximumWidth(box.fontMetrics().averageCharWidth() * 18)
    return box
