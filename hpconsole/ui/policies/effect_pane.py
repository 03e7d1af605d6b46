"""What the edit, or another policy, changes for one VM: computed on a worker thread a moment after the last key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.ui import format as fmt
from hpconsole.ui.bridge import Background
from hpconsole.ui.policies.effect import Effect, EffectRow, effect_of
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

_PAUSE_MS = 150
_NO_VM = "There is no VM to try it on: make one (VMs, New VM…)."


def _tone(row: EffectRow) -> Tone:
    return Tone.GOOD if row.change > 0 else Tone.WARNING if row.change < 0 else Tone.NORMAL


def _place(place: int | None) -> str:
    return "refuses" if place is None else str(place)


COLUMNS: tuple[Column[EffectRow], ...] = (
    Column("After", lambda r: r.after, lambda r: _place(r.after), align=Align.RIGHT, width=76, tone=_tone,
           is_toned_when_selected=True),
    Column("Before", lambda r: r.before, lambda r: _place(r.before), align=Align.RIGHT, width=76,
           tone=lambda _: Tone.MUTED),
    Column("Host", lambda r: fmt.natural(r.host), lambda r: r.host, width=84),
    Column("Points", lambda r: r.score if r.after else None, lambda r: f"{r.score:g}" if r.after else "",
           align=Align.RIGHT, width=66),
    Column("Why, after", lambda r: r.why, lambda r: r.why, tooltip=lambda r: r.why, width=200),
)  # fmt: skip


class EffectPane(QWidget):
    """Asks for policies by `policies`, which returns before, after and what is compared.

    Args:
        first: UUID of the VM to begin with; any other where it is empty.
    """

    def __init__(
        self,
        snapshot: Callable[[], ClusterSnapshot],
        reservations: Callable[[], Sequence[Reservation]],
        policies: Callable[[], tuple[Policy, Policy, str]],
        *,
        first: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._snapshot = snapshot
        self._reservations = reservations
        self._policies = policies
        self._background = Background(self)
        self._asked = 0
        self.effect: Effect | None = None
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._pause.timeout.connect(self._ask)
        self._build()
        self._fill(first)
        self._ask()

    def _build(self) -> None:
        self._vm = QComboBox()
        self._vm.setObjectName("effect_vm")
        self._vm.setToolTip("The VM whose hosts are ranked")
        self._vm.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._vm.setMinimumContentsLength(16)
        self._vm.activated.connect(lambda _: self.look_again())
        label = QLabel("&Effect on")
        label.setBuddy(self._vm)
        head = QHBoxLayout()
        head.addWidget(label)
        head.addWidget(self._vm, 1)
        self._compared = TextLabel(name="effect_compared", tone=Tone.MUTED, wraps=True)
        self._sentence = TextLabel(name="effect_sentence", wraps=True)
        self._model: TableModel[EffectRow] = TableModel(COLUMNS, lambda row: row.host)
        self._model.setParent(self)
        self._view = table_view(self._model, "effect_table", "Each host's place before and after")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        self._view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        EmptyHint(self._view, "Choose a VM above to see where it would run before and after the change.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self._compared)
        layout.addWidget(self._sentence)
        layout.addWidget(framed(self._view), 1)

    def _fill(self, first: str) -> None:
        vms = sorted(self._snapshot().vms.values(), key=lambda vm: (not vm.is_running_somewhere, fmt.natural(vm.name)))
        for vm in vms:
            self._vm.addItem(vm.name, vm.uuid)
        self._vm.setCurrentIndex(max(0, self._vm.findData(first)))
        self._vm.setEnabled(bool(vms))

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)

    def look_again(self) -> None:
        """Something was edited: compute a moment later, once."""
        self._pause.start()

    def close_down(self) -> None:
        """Expect no more answers."""
        self._pause.stop()
        self._background.close()

    # Computing

    def _ask(self) -> None:
        self._asked += 1
        number, vm_uuid = self._asked, self._vm.currentData()
        before, after, compared = self._policies()
        self._compared.setText(compared)
        if not vm_uuid:
            self._sentence.setText(_NO_VM)
            return
        snapshot, reservations = self._snapshot, self._reservations

        def compute() -> Effect:
            return effect_of(vm_uuid, snapshot(), before, after, reservations())

        def done(effect: Effect) -> None:
            if number == self._asked:
                self._show(effect)

        self._background.run(compute, done, self._on_failure)

    def _show(self, effect: Effect) -> None:
        self.effect = effect
        self._sentence.setText(effect.sentence)
        self._model.set_rows(effect.rows)

    def _on_failure(self, error: HpconsoleError) -> None:
        self._sentence.setText(error.sentence)
