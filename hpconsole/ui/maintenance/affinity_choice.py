"""Whether a drain may separate VMs that must be together: yes, no, or as the cluster's setting says."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from hpconsole.ui.maintenance import presenter
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel

_WANTED = {Qt.CheckState.PartiallyChecked: None, Qt.CheckState.Checked: True, Qt.CheckState.Unchecked: False}


class AffinityChoice(QWidget):
    """A box with three states, the one it is in said in words.

    Args:
        wanted: Ignored, kept, or None = as the setting says.
        cluster_says: That setting.
    """

    chosen = Signal(object)  # bool | None

    def __init__(self, wanted: bool | None, *, cluster_says: bool) -> None:
        super().__init__()
        self._cluster_says = cluster_says
        self._box = QCheckBox("Ignore hard &VM-to-VM affinity")
        self._box.setObjectName("maintenance_ignore_affinity")
        self._box.setToolTip(
            "VMs that must be together may be separated until the host is back. Host rules still hold. Half ticked: "
            "as the cluster's setting says."
        )
        self._box.setTristate(True)
        self._box.setCheckState(next(state for state, meant in _WANTED.items() if meant is wanted))
        self._state = TextLabel(name="maintenance_ignore_state", tone=Tone.MUTED)
        self._show_state(wanted)
        self._box.checkStateChanged.connect(self._on_changed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        layout.addWidget(self._state)
        layout.addStretch(1)

    def _on_changed(self, state: Qt.CheckState) -> None:
        self._show_state(_WANTED[state])
        self.chosen.emit(_WANTED[state])

    def _show_state(self, wanted: bool | None) -> None:
        words = presenter.affinity_state(wanted, cluster_says=self._cluster_says)
        self._state.setText(words)
        self._box.setAccessibleDescription(words)
