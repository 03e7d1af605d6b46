"""The stalling steps of a migration policy: after so many stalls, allow so long a pause. One line for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QSpinBox, QWidget

from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel

MOST_STEPS = 12
STALL_HELP = (
    "A stall: a pass over the VM's memory after which no less is left to send than after the pass before, since the "
    "guest wrote as fast as could be sent"
)
_LONGEST_MS = 2_000_000  # libvirt's own limit
_MOST_STALLS = 10_000


class StepsBox(QWidget):
    """Emits `changed(steps)` with pairs of stalls and ms, and `added` when one more is wanted."""

    changed = Signal(object)
    added = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(5, 1)
        self._lines = [self._line(grid, place) for place in range(MOST_STEPS)]
        self._steps: tuple[tuple[int, int], ...] = ()
        self._is_locked = False
        self._none = TextLabel("No steps: the pause of the beginning holds to the end.", tone=Tone.MUTED)
        grid.addWidget(self._none, MOST_STEPS, 0, 1, 6)
        self._add = push_button("way_step_add", "&Add Step", slot=self.added)
        grid.addWidget(self._add, MOST_STEPS + 1, 0, 1, 3)

    def _line(self, grid: QGridLayout, place: int) -> tuple[QSpinBox, QSpinBox, tuple[QWidget, ...]]:
        stalls = with_room(QSpinBox(minimum=1, maximum=_MOST_STALLS))
        stalls.setObjectName(f"way_stalls_{place}")
        stalls.setToolTip(f"After so many stalls. {STALL_HELP}")
        pause = with_room(QSpinBox(minimum=1, maximum=_LONGEST_MS, singleStep=50, suffix=" ms"))
        pause.setObjectName(f"way_pause_{place}")
        pause.setToolTip("How long the VM may stand still at the switch-over from then on")
        drop = push_button(
            f"way_step_remove_{place}", "Remove", "Leave this step out", partial(self._on_removed, place)
        )
        words = QLabel("stalls allow")
        words.setToolTip(STALL_HELP)
        widgets = (QLabel("after"), stalls, words, pause, drop)
        for column, widget in enumerate(widgets):
            grid.addWidget(widget, place, column)
        for box in (stalls, pause):
            box.valueChanged.connect(self._on_changed)
        return stalls, pause, widgets

    def show_steps(self, steps: Sequence[tuple[int, int]], *, is_locked: bool) -> None:
        """Show these."""
        self._steps = tuple(steps[:MOST_STEPS])
        self._is_locked = is_locked
        for place, (stalls, pause, widgets) in enumerate(self._lines):
            is_shown = place < len(self._steps)
            if is_shown:
                for box, value in zip((stalls, pause), self._steps[place], strict=True):
                    with QSignalBlocker(box):
                        box.setValue(value)
            for widget in widgets:
                widget.setVisible(is_shown and not (is_locked and isinstance(widget, QPushButton)))
                widget.setEnabled(not is_locked)
        self._none.setVisible(not self._steps)
        is_full = len(self._steps) >= MOST_STEPS
        self._add.setVisible(not is_locked)
        self._add.setEnabled(not is_locked and not is_full)
        self._add.setToolTip(
            f"There are {MOST_STEPS} steps at most." if is_full else "One more, later and more patient"
        )

    def _values(self) -> tuple[tuple[int, int], ...]:
        return tuple((stalls.value(), pause.value()) for stalls, pause, _ in self._lines[: len(self._steps)])

    def _on_changed(self) -> None:
        self._steps = self._values()
        self.changed.emit(self._steps)

    def _on_removed(self, place: int, _on: bool = False) -> None:
        left = (*self._steps[:place], *self._steps[place + 1 :])
        self.show_steps(left, is_locked=self._is_locked)
        self.changed.emit(left)
