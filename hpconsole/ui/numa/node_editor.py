"""The selected virtual node: tune mode, memory, vCPUs, split and merge."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QComboBox, QFormLayout, QFrame, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import NumaMode
from hpconsole.ui.numa.view import NodeDetail
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.fields import parse_memory
from hpconsole.ui.widgets.text_label import TextLabel

_ABOUT = {
    NumaMode.STRICT: "Memory from these host nodes only; where they have none left, the VM does not start.",
    NumaMode.INTERLEAVE: "Page by page from each of these host nodes in turn.",
    NumaMode.PREFERRED: "From this host node while it has memory, then from others.",
    NumaMode.RESTRICTIVE: "As strict, enforced by control groups: it can be moved later.",
}
_NO_AMOUNT = "This is no amount of memory. Type for example 8 GiB."


class NodeEditor(QFrame):
    """Emits what is given; `say` shows what is wrong with what was typed."""

    mode_chosen = Signal(object, object)
    memory_given = Signal(object, object)
    vcpus_typed = Signal(object, str)
    split_wanted = Signal(object)
    merge_wanted = Signal(object, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("node_editor")
        self.setProperty("panel", "true")
        self._detail: NodeDetail | None = None
        self._title = TextLabel(name="node_title", wraps=True)
        self._title.set_weight(QFont.Weight.DemiBold)
        self._where = TextLabel(name="node_where", tone=Tone.MUTED, wraps=True)
        self._mode = QComboBox()
        self._mode.setObjectName("node_mode")
        self._mode.setToolTip("How strictly its memory is bound")
        for mode in NumaMode:
            self._mode.addItem(mode.value, mode.value)
        self._about = TextLabel(name="mode_about", tone=Tone.MUTED, wraps=True)
        self._memory = QLineEdit()
        self._memory.setObjectName("node_memory")
        self._memory.setToolTip("Its part of the VM's memory, such as 8 GiB")
        self._vcpus = QLineEdit()
        self._vcpus.setObjectName("node_vcpus")
        self._vcpus.setToolTip("Its vCPUs, such as 0-3,6")
        self._problem = TextLabel(name="node_problem", tone=Tone.BAD, wraps=True)
        self._split = QPushButton("&Split in Two")
        self._split.setObjectName("node_split")
        self._merge = QComboBox()
        self._merge.setObjectName("node_merge")
        self._merge.setToolTip("Make one of this node and another of the same VM")
        self._build()
        self._connect()

    def _build(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(6)
        form.addRow("Tune &mode", self._mode)
        form.addRow("M&emory", self._memory)
        form.addRow("&vCPUs", self._vcpus)
        self._split.setAutoDefault(False)
        self._split.setToolTip("Half of its memory and vCPUs become a node of their own")
        buttons = QHBoxLayout()
        buttons.addWidget(self._split)
        buttons.addWidget(self._merge, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(8)
        layout.addWidget(self._title)
        layout.addWidget(self._where)
        layout.addLayout(form)
        layout.addWidget(self._about)
        layout.addWidget(self._problem)
        layout.addLayout(buttons)
        layout.addStretch(1)
        self.setFixedWidth(self.fontMetrics().averageCharWidth() * 42)

    def _connect(self) -> None:
        self._mode.activated.connect(
            lambda place: self._tell(lambda key: self.mode_chosen.emit(key, NumaMode(self._mode.itemData(place))))
        )
        self._memory.textEdited.connect(self._on_memory)
        self._vcpus.textEdited.connect(lambda text: self._tell(lambda key: self.vcpus_typed.emit(key, text)))
        self._split.clicked.connect(lambda: self._tell(self.split_wanted.emit))
        self._merge.activated.connect(self._on_merge)

    def _tell(self, tell: object) -> None:
        if self._detail is not None and callable(tell):
            tell(self._detail.chip.key)

    def _on_memory(self, text: str) -> None:
        amount = parse_memory(text)
        self.say("" if amount is not None else _NO_AMOUNT)
        if amount is not None:
            self._tell(lambda key: self.memory_given.emit(key, amount))

    def _on_merge(self, place: int) -> None:
        other = self._merge.itemData(place)
        if isinstance(other, int):
            self._tell(lambda key: self.merge_wanted.emit(key, other))

    def say(self, sentence: str) -> None:
        """What is wrong with what was typed last."""
        self._problem.setText(sentence)

    def show_detail(self, detail: NodeDetail | None) -> None:
        """Show this virtual node; None: there is none to show."""
        is_other = (detail and detail.chip.key) != (self._detail and self._detail.chip.key)
        self._detail = detail
        for widget in (self._mode, self._memory, self._vcpus, self._split, self._merge):
            widget.setEnabled(detail is not None)
        if detail is None:
            self._title.setText("No virtual node is selected")
            self._where.setText("Select one to change it.")
            return
        chip = detail.chip
        if is_other:
            self.say("")
        self._title.setText(f"Virtual node {chip.key[1]} of {chip.vm_name or 'the new VM'}")
        nodes = ", ".join(map(str, chip.host_nodes))
        own = ", on this host only" if detail.has_own_pin else ""
        self._where.setText(f"On host node {nodes}{own}" if nodes else f"Not pinned{own}: on any node of its host")
        with QSignalBlocker(self._mode):
            self._mode.setCurrentIndex(self._mode.findData(chip.mode.value))
        self._about.setText(_ABOUT[chip.mode])
        # What is typed stays while it means what is shown, or nothing yet.
        if is_other or parse_memory(self._memory.text()) not in (None, parse_memory(detail.memory_text)):
            self._memory.setText(detail.memory_text)
        if is_other or _vcpus(self._vcpus.text()) not in (None, _vcpus(detail.vcpu_text)):
            self._vcpus.setText(detail.vcpu_text)
        self._split.setEnabled(detail.can_split)
        with QSignalBlocker(self._merge):
            self._merge.clear()
            self._merge.addItem("Merge with…")
            for other in detail.mergeable:
                self._merge.addItem(f"node {other}", other)
        self._merge.setEnabled(bool(detail.mergeable))


def _vcpus(text: str) -> CpuSet | None:
    try:
        return CpuSet.parse(text)
    except InvalidPinning:
        return None
