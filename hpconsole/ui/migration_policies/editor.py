"""The right half of *Migration Policies*: one policy's pauses, steps, last resort, and what it uses of the network."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, Signal
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

from hpconsole.core.planning.migration_options import AUTO_CONNECTIONS, MOST_CONNECTIONS
from hpconsole.ui.migration_policies.presenter import (
    LAST_RESORTS,
    LONGEST_NAME,
    NAME,
    STEPS,
    TOGETHER,
    LastResort,
    WaysPresenter,
)
from hpconsole.ui.migration_policies.steps_box import STALL_HELP, StepsBox
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.scrolled import scrolled
from hpconsole.ui.widgets.text_label import TextLabel

_FIRST_MIB_S = 500
_FIRST_PAUSE_MS = 100


class WayEditor(QWidget):
    """Shows and changes the presenter's draft; emits `edited` after each change by a person."""

    edited = Signal()

    def __init__(self, presenter: WaysPresenter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._form = QFormLayout()
        self._form.setVerticalSpacing(8)
        self._form.setHorizontalSpacing(14)
        self._build_names()
        self._build_pauses()
        self._build_network()
        self._story = TextLabel(name="way_story", tone=Tone.MUTED, wraps=True)
        column = QVBoxLayout()
        column.setContentsMargins(12, 4, 12, 4)
        column.setSpacing(10)
        column.addWidget(self._story)
        column.addLayout(self._form)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(column))
        self.show_policy()

    # Building

    def _build_names(self) -> None:
        self._name = _line("way_name", "What it is called in the Migrate dialog", LONGEST_NAME)
        self._name.textEdited.connect(lambda text: self._edit(lambda: self._presenter.change(name=text)))
        self._description = _line("way_description", "What it is for, in a sentence", 300)
        self._description.textEdited.connect(lambda text: self._edit(lambda: self._presenter.change(description=text)))
        self._name_problem = _problem("name")
        self._add("&Name", self._name, self._name_problem)
        self._add("Descr&iption", self._description)

    def _build_pauses(self) -> None:
        self._is_initial = _check("way_has_initial", "&Begin with a pause of", "Else libvirt's own, 300 ms")
        self._initial = _number("way_initial", 1, 2_000_000, " ms", 50)
        self._is_initial.toggled.connect(self._on_initial)
        self._initial.valueChanged.connect(self._on_initial)
        self._add("", _pair(self._is_initial, self._initial))
        self._steps = StepsBox()
        self._steps.changed.connect(lambda steps: self._edit(lambda: self._presenter.set_steps(steps)))
        self._steps.added.connect(self._on_added)
        self._steps_problem = _problem("steps")
        self._add("When it stalls", self._steps, self._steps_problem)
        label = self._form.labelForField(self._steps)
        if label is not None:
            label.setToolTip(STALL_HELP)
        self._last = QComboBox()
        self._last.setObjectName("way_last")
        self._last.setToolTip("When the guest still writes faster than can be sent after every step")
        for last, text in LAST_RESORTS:
            self._last.addItem(text, last)
        self._last.activated.connect(self._on_last)
        self._last_pause = _number("way_last_pause", 1, 2_000_000, " ms", 500)
        self._last_pause.setToolTip("The long pause")
        self._last_pause.valueChanged.connect(self._on_last)
        self._add("At &last", _pair(self._last, self._last_pause))

    def _build_network(self) -> None:
        self._most = _number("way_most", 1, 100, "", 1)
        self._most.setToolTip("How many migrations of this kind a host sends or takes at a time")
        self._most.valueChanged.connect(lambda n: self._edit(lambda: self._presenter.change(max_migrations=n)))
        self._add("At a ti&me per host", _pair(self._most))
        self._is_limited = _check("way_is_limited", "Limit the band&width to", "So that others keep their part of it")
        self._limit = _number("way_limit", 1, 1_000_000, " MiB/s", 50)
        self._limit.setValue(_FIRST_MIB_S)
        self._is_parallel = _check(
            "way_is_parallel", "Parallel connecti&ons", "More throughput on fast links; each takes a CPU on both hosts"
        )
        self._connections = _number("way_connections", AUTO_CONNECTIONS, MOST_CONNECTIONS, "", 1)
        self._connections.setSpecialValueText("automatic")
        for box, spin in ((self._is_limited, self._limit), (self._is_parallel, self._connections)):
            box.toggled.connect(self._on_network)
            spin.valueChanged.connect(self._on_network)
            self._add("", _pair(box, spin))
        self._flags = {
            "auto_converge": _check(
                "way_auto_converge", "Auto-conver&ge", "Slow the vCPUs down where the VM writes faster than can be sent"
            ),
            "compressed": _check("way_compressed", "Compress", "Send less at the price of CPU"),
            "tls": _check("way_tls", "TLS", "Encrypt the memory on its way; both hosts need certificates for QEMU"),
        }
        for field, box in self._flags.items():
            box.toggled.connect(lambda is_on, field=field: self._edit(lambda: self._presenter.change(**{field: is_on})))
        self._together = _problem("together")
        self._add("", _pair(*self._flags.values()), self._together)

    def _add(self, label: str, widget: QWidget, problem: QWidget | None = None) -> None:
        self._form.addRow(label, widget)
        if problem is not None:
            self._form.addRow("", problem)

    # Gestures

    def _edit(self, change: Callable[[], None]) -> None:
        change()
        self._show_depending()
        self.edited.emit()

    def _on_initial(self) -> None:
        self._edit(lambda: self._presenter.set_initial(self._initial.value() if self._is_initial.isChecked() else None))

    def _on_added(self) -> None:
        steps = (*self._presenter.steps, self._presenter.next_step())
        self._steps.show_steps(steps, is_locked=False)
        self._edit(lambda: self._presenter.set_steps(steps))

    def _on_last(self) -> None:
        last = LastResort(self._last.currentData())
        self._edit(lambda: self._presenter.set_last(last, self._last_pause.value()))

    def _on_network(self) -> None:
        limit = self._limit.value() if self._is_limited.isChecked() else None
        connections = self._connections.value() if self._is_parallel.isChecked() else None
        self._edit(lambda: self._presenter.change(bandwidth_mib_s=limit, parallel_connections=connections))

    # Showing

    def show_policy(self) -> None:
        """Show the presenter's selected policy."""
        presenter = self._presenter
        draft, is_locked = presenter.draft, bool(presenter.locked)
        for edit, text in ((self._name, draft.name), (self._description, draft.description)):
            if edit.text() != text:
                edit.setText(text)
            edit.setEnabled(not is_locked)
        initial = presenter.initial_ms
        self._set_pair(self._is_initial, self._initial, initial, _FIRST_PAUSE_MS)
        self._set_pair(self._is_limited, self._limit, draft.bandwidth_mib_s, _FIRST_MIB_S)
        self._set_pair(self._is_parallel, self._connections, draft.parallel_connections, AUTO_CONNECTIONS)
        self._steps.show_steps(presenter.steps, is_locked=is_locked)
        place = self._last.findData(presenter.last)
        self._last.setCurrentIndex(place)
        self._last.setEnabled(not is_locked)
        for spin, value in ((self._last_pause, presenter.last_pause_ms), (self._most, draft.max_migrations)):
            with QSignalBlocker(spin):
                spin.setValue(value)
            spin.setEnabled(not is_locked)
        for field, box in self._flags.items():
            with QSignalBlocker(box):
                box.setChecked(getattr(draft, field))
            box.setEnabled(not is_locked)
        for box in (self._is_initial, self._is_limited, self._is_parallel):
            box.setEnabled(not is_locked)
        self._show_depending()

    @staticmethod
    def _set_pair(box: QCheckBox, spin: QSpinBox, value: int | None, otherwise: int) -> None:
        with QSignalBlocker(box), QSignalBlocker(spin):
            box.setChecked(value is not None)
            spin.setValue(otherwise if value is None else value)

    def _show_depending(self) -> None:
        """What follows from the draft: which numbers count, what is wrong, what it comes to."""
        presenter = self._presenter
        is_locked = bool(presenter.locked)
        for box, spin in (
            (self._is_initial, self._initial),
            (self._is_limited, self._limit),
            (self._is_parallel, self._connections),
        ):
            spin.setEnabled(box.isChecked() and not is_locked)
        self._last_pause.setVisible(presenter.last is LastResort.PAUSE)
        problems = presenter.problems
        for label, field in ((self._name_problem, NAME), (self._steps_problem, STEPS), (self._together, TOGETHER)):
            label.setText(problems.get(field, ""))
            self._form.setRowVisible(label, bool(label.text()))
        self._story.setText(presenter.story)


def _line(name: str, tip: str, longest: int) -> QLineEdit:
    edit = QLineEdit(maxLength=longest)
    edit.setObjectName(name)
    edit.setToolTip(tip)
    return edit


def _check(name: str, text: str, tip: str) -> QCheckBox:
    box = QCheckBox(text)
    box.setObjectName(name)
    box.setToolTip(tip)
    return box


def _number(name: str, least: int, most: int, suffix: str, step: int) -> QSpinBox:
    spin = with_room(QSpinBox(minimum=least, maximum=most, singleStep=step, suffix=suffix))
    spin.setObjectName(name)
    return spin


def _problem(name: str) -> TextLabel:
    return TextLabel(name=f"way_problem_{name}", tone=Tone.BAD, wraps=True)


def _pair(*widgets: QWidget) -> QWidget:
    """Side by side, at the left."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(10)
    for widget in widgets:
        row.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
    row.addStretch(1)
    return holder
