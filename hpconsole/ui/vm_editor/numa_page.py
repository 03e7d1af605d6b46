"""NUMA & pinning: the policy, the virtual nodes, and the picture to pin by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from hpconsole.core.machines.draft import CpuPinningPolicy, VmDraft
from hpconsole.core.machines.field_labels import shown
from hpconsole.ui import format as fmt
from hpconsole.ui.pinning.board import neighbours
from hpconsole.ui.pinning.editor import PinningEditor
from hpconsole.ui.pinning.presenter import PinningPresenter
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.pages import remark_text, tell_remark
from hpconsole.ui.vm_editor.pinning_values import numa_summary, texts_of
from hpconsole.ui.vm_editor.view import EditorView
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

if TYPE_CHECKING:
    from hpconsole.core.model.snapshot import ClusterSnapshot
    from hpconsole.ui.vm_editor.presenter import VmEditorPresenter
    from hpconsole.ui.vm_editor.survey import Answer

_ABOUT = {
    CpuPinningPolicy.NONE: "Its vCPUs may use any CPU.",
    CpuPinningPolicy.MANUAL: "These CPU numbers, on every host or on each its own.",
    CpuPinningPolicy.RESIZE_AND_PIN_NUMA: "As large as the host, less one core of each socket, each vCPU on its core.",
    CpuPinningPolicy.DEDICATED: "CPUs of its own, found anew on each host.",
    CpuPinningPolicy.ISOLATE_THREADS: "A whole core for each vCPU, found anew on each host.",
    CpuPinningPolicy.KEEP_SHAPE: "The same structure on each host, on CPUs of its own.",
}


_OTHERS = ("numa_nodes", "numa_tune", "per_host", "cpu_pinning_policy")
_TEXTS = ("pinning_text", "emulator_text", "iothread_texts")


class NumaPage(QWidget):
    """Edits the pinning part of the draft."""

    edited = Signal(str, object)
    texts_changed = Signal(object)  # PinTexts
    topology_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page_pinning")
        self._pinning = PinningPresenter()
        self._hosts: object = None
        self._answer: Answer | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 10, 4)
        layout.setSpacing(6)
        layout.addLayout(self._build_policy())
        layout.addLayout(self._build_nodes())
        self._problem = TextLabel(name="problem_numa", tone=Tone.BAD, wraps=True)
        layout.addWidget(self._problem)
        self.editor = PinningEditor(self._pinning)
        self.editor.changed.connect(lambda: self.texts_changed.emit(self._pinning.texts))
        layout.addWidget(self.editor, 1)

    def _build_policy(self) -> QHBoxLayout:
        self._policy = QComboBox()
        self._policy.setObjectName("field_cpu_pinning_policy")
        self._policy.setToolTip("Where the pinning of its vCPUs comes from")
        for policy in CpuPinningPolicy:
            self._policy.addItem(shown("cpu_pinning_policy", policy), policy.value)
        self._policy.activated.connect(
            lambda place: self.edited.emit("cpu_pinning_policy", CpuPinningPolicy(self._policy.itemData(place)))
        )
        label = QLabel("&CPU pinning policy")
        label.setBuddy(self._policy)
        self._about = ElidedLabel(name="policy_about", tone=Tone.MUTED)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(label)
        row.addWidget(self._policy)
        row.addWidget(self._about, 1)
        return row

    def _build_nodes(self) -> QHBoxLayout:
        self._count = with_room(QSpinBox(minimum=0, maximum=128))
        self._count.setObjectName("numa_count")
        self._count.setToolTip("Virtual NUMA nodes of the guest")
        self._count.valueChanged.connect(lambda count: self.edited.emit("node_count", count))
        label = QLabel("&Virtual NUMA nodes")
        label.setBuddy(self._count)
        self._nodes = ElidedLabel(name="numa_summary", tone=Tone.MUTED)
        self._open = push_button(
            "open_numa",
            "NUMA &Topology…",
            "Pin virtual nodes to nodes of the hosts, and edit them",
            self.topology_wanted,
        )
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(label)
        row.addWidget(self._count)
        row.addWidget(self._open)
        row.addWidget(self._nodes, 1)
        return row

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.editor.set_theme(theme)

    def show_view(self, view: EditorView, presenter: VmEditorPresenter) -> None:
        """Show the pinning of the draft on the hosts."""
        draft = view.draft
        self._policy.setCurrentIndex(self._policy.findData(draft.cpu_pinning_policy.value))
        self._about.setText(_ABOUT[draft.cpu_pinning_policy])
        with QSignalBlocker(self._count):
            self._count.setValue(len(draft.numa_nodes))
        self._nodes.setText(numa_summary(draft))
        self._open.setEnabled(bool(draft.numa_nodes))
        self._open.setToolTip(
            "Pin virtual nodes to nodes of the hosts, and edit them"
            if draft.numa_nodes
            else "The VM has no virtual NUMA nodes yet: give it some first"
        )
        numbers = tuple(range(1, draft.iothreads + 1))
        self._pinning.set_vm(draft.vcpus, numbers, draft.cpu_pinning_policy)
        self._pinning.set_texts(texts_of(draft))
        self._set_hosts(presenter.snapshot, draft, presenter.host)
        if presenter.answer is not None and presenter.answer is not self._answer:
            self._answer = presenter.answer
            obstacles = {verdict.host: verdict.sentence for verdict in presenter.answer.verdicts if verdict.reasons}
            self._pinning.set_preview(presenter.answer.previews, obstacles)
        self.editor.show_state()
        # What the editor says itself, at every key, is not said twice.
        fields = _OTHERS if self.editor.has_problem else (*_TEXTS, *_OTHERS)
        tell_remark(self._problem, remark_text(view, *fields))

    def _set_hosts(self, snapshot: ClusterSnapshot, draft: VmDraft, home: str) -> None:
        key = (snapshot.serial, draft.allowed_hosts, home)
        if key != self._hosts:
            self._hosts = key
            names = [name for name in draft.allowed_hosts if name in snapshot.hosts]
            shown_hosts = names or sorted(snapshot.hosts, key=fmt.natural)
            hosts = {name: snapshot.hosts[name] for name in shown_hosts}
            others = {
                name: neighbours(host, snapshot.vms_on(name), snapshot.loads, without=draft.uuid)
                for name, host in hosts.items()
            }
            self._pinning.set_hosts(hosts, others, names, home)
