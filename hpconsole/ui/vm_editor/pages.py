"""The pages of the VM dialog that are rows of fields, and the pieces that stand between them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.machines.draft import VcpuTopology
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.field_rows import FieldRow
from hpconsole.ui.vm_editor.fields import BOOT_NAMES, SECTIONS, Section, Tab
from hpconsole.ui.vm_editor.view import NO_REMARK, EditorView
from hpconsole.ui.widgets.number_box import NumberBox
from hpconsole.ui.widgets.text_label import TextLabel

_EDITOR_CHARS = 42
_MOST_VCPUS = 4096


class FormPage(QScrollArea):
    """Sections of fields, one below the other. Further pieces can be put between and below them."""

    edited = Signal(str, object)
    typed = Signal(str, str, str)

    def __init__(self, tab: Tab, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"page_{tab.name.lower()}")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        inner = QWidget()
        inner.setObjectName("plain")
        self.column = QVBoxLayout(inner)
        self.column.setContentsMargins(4, 2, 10, 8)
        self.column.setSpacing(4)
        self.rows: dict[str, FieldRow] = {}
        self.grids: list[QGridLayout] = []
        for section in SECTIONS.get(tab, ()):
            self._add_section(section)
        self.setWidget(inner)

    def end(self) -> None:
        """No more pieces: the rest of the room stays empty."""
        self.column.addStretch(1)

    def add_heading(self, text: str) -> None:
        """A heading as the sections have."""
        heading = TextLabel(text)
        heading.set_weight(QFont.Weight.DemiBold)
        heading.setContentsMargins(0, 8, 0, 2)
        self.column.addWidget(heading)

    def _add_section(self, section: Section) -> None:
        self.add_heading(section.title)
        grid = form_grid(self)
        for place, spec in enumerate(section.fields):
            row = FieldRow(spec, grid, 2 * place, self)
            row.edited.connect(self.edited)
            row.typed.connect(self.typed)
            self.rows[spec.field] = row
        self.grids.append(grid)
        self.column.addLayout(grid)

    def show_view(self, view: EditorView) -> None:
        """Show the values and what is said of them."""
        for field, row in self.rows.items():
            row.show_value(getattr(view.draft, field))
            row.show_remark(view.remarks.get(field, NO_REMARK))


def form_grid(widget: QWidget) -> QGridLayout:
    """A grid whose columns stand below each other on every page: label, editor, mark."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(5)
    chars = widget.fontMetrics().averageCharWidth()
    grid.setColumnMinimumWidth(0, chars * 27)
    grid.setColumnMinimumWidth(1, chars * _EDITOR_CHARS)
    grid.setColumnStretch(0, 0)
    grid.setColumnStretch(1, 1)
    grid.setColumnStretch(2, 1)
    return grid


class TopologyRow(QWidget):
    """Virtual sockets, dies, cores and threads, and the vCPUs they make."""

    edited = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._boxes: dict[str, QSpinBox] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self._count = self._box(row, "vcpus", "vCP&Us", "All of them; sockets, cores and threads follow")
        for name, text in (("sockets", "So&ckets"), ("dies", "&Dies"), ("cores", "C&ores"), ("threads", "T&hreads")):
            self._box(row, name, text, f"Virtual {name}")
        row.addStretch(1)

    def _box(self, row: QHBoxLayout, name: str, text: str, tip: str) -> QSpinBox:
        box = NumberBox(1, _MOST_VCPUS)
        box.setObjectName(f"topology_{name}")
        box.setToolTip(tip)
        label = QLabel(text)
        label.setBuddy(box)
        row.addWidget(label)
        row.addWidget(box)
        row.addSpacing(8)
        self._boxes[name] = box
        box.valueChanged.connect(lambda _: self._tell(name))
        return box

    def _tell(self, name: str) -> None:
        if name == "vcpus":
            self.edited.emit("vcpus", self._count.value())
            return
        value = {part: self._boxes[part].value() for part in ("sockets", "dies", "cores", "threads")}
        self.edited.emit("topology", VcpuTopology(**value))

    def show_value(self, topology: VcpuTopology) -> None:
        """Show these numbers."""
        for name, box in self._boxes.items():
            with QSignalBlocker(box):
                box.setValue(min(getattr(topology, name), _MOST_VCPUS))


class BootOrder(QWidget):
    """What to boot from, in order: check it, move it up or down."""

    edited = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = QListWidget()
        self._list.setObjectName("boot_order")
        self._list.setAccessibleName("Boot order")
        self._list.setFixedHeight(self._list.fontMetrics().lineSpacing() * 8)
        self._list.itemChanged.connect(lambda _: self._tell())
        up, down = QPushButton("Move &Up"), QPushButton("Move Dow&n")
        for button, name, step in ((up, "boot_up", -1), (down, "boot_down", 1)):
            button.setObjectName(name)
            button.setAutoDefault(False)
            button.setToolTip("Earlier" if step < 0 else "Later")
            button.clicked.connect(lambda _, step=step: self._move(step))
        column = QVBoxLayout()
        column.addWidget(up)
        column.addWidget(down)
        column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._list, 1)
        row.addLayout(column)

    def _move(self, step: int) -> None:
        here = self._list.currentRow()
        if not 0 <= here + step < self._list.count():
            return
        with QSignalBlocker(self._list):
            item = self._list.takeItem(here)
            self._list.insertItem(here + step, item)
            self._list.setCurrentRow(here + step)
        self._tell()

    def _tell(self) -> None:
        items = [self._list.item(place) for place in range(self._list.count())]
        checked = tuple(i.data(Qt.ItemDataRole.UserRole) for i in items if i.checkState() is Qt.CheckState.Checked)
        self.edited.emit("boot_devices", checked)

    def show_value(self, devices: Sequence[str]) -> None:
        """Show this order; what is not booted from comes after it."""
        items = [self._list.item(place) for place in range(self._list.count())]
        now = tuple(i.data(Qt.ItemDataRole.UserRole) for i in items if i.checkState() is Qt.CheckState.Checked)
        if items and now == tuple(devices):
            return
        with QSignalBlocker(self._list):
            self._list.clear()
            for device in (*devices, *(name for name in BOOT_NAMES if name not in devices)):
                item = QListWidgetItem(BOOT_NAMES.get(device, device))
                item.setData(Qt.ItemDataRole.UserRole, device)
                item.setCheckState(Qt.CheckState.Checked if device in devices else Qt.CheckState.Unchecked)
                self._list.addItem(item)
            self._list.setCurrentRow(0)


class GeneralPage(FormPage):
    """Identity, and what High Performance set."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Tab.GENERAL, parent)
        self.add_heading("Set by the type")
        self._profile = TextLabel(name="profile_changes", tone=Tone.MUTED, wraps=True)
        self._profile.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.column.addWidget(self._profile)
        self.end()

    def show_view(self, view: EditorView) -> None:
        """As every page; and the list of what the type changed."""
        super().show_view(view)
        self._profile.setText(view.profile_text)


class SystemPage(FormPage):
    """Memory, processor, machine."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Tab.SYSTEM, parent)
        self._topology = TopologyRow()
        self._topology.edited.connect(self.edited)
        self._problem = TextLabel(name="problem_topology", tone=Tone.BAD, wraps=True)
        self.column.insertWidget(3, self._topology)
        self.column.insertWidget(4, self._problem)
        self.end()

    def show_view(self, view: EditorView) -> None:
        """As every page; and the topology."""
        super().show_view(view)
        self._topology.show_value(view.draft.topology)
        remark = view.remarks.get("topology", NO_REMARK)
        text = remark.problem or (f"Takes effect {remark.when}." if remark.when else "")
        self._problem.set_tone(Tone.BAD if remark.problem and not remark.is_warning else Tone.WARNING)
        self._problem.setText(text)
        self._problem.setVisible(bool(text))


class BootPage(FormPage):
    """Firmware and order."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Tab.BOOT, parent)
        self.add_heading("Boot order")
        self._order = BootOrder()
        self._order.edited.connect(self.edited)
        self._problem = TextLabel(name="problem_boot_devices", tone=Tone.BAD, wraps=True)
        self.column.addWidget(self._order)
        self.column.addWidget(self._problem)
        self.end()

    def show_view(self, view: EditorView) -> None:
        """As every page; and the order."""
        super().show_view(view)
        self._order.show_value(view.draft.boot_devices)
        remark = view.remarks.get("boot_devices", NO_REMARK)
        self._problem.setText(remark.problem)
        self._problem.set_tone(Tone.WARNING if remark.is_warning else Tone.BAD)
        self._problem.setVisible(bool(remark.problem))


class PlainPage(FormPage):
    """Fields only."""

    def __init__(self, tab: Tab, parent: QWidget | None = None) -> None:
        super().__init__(tab, parent)
        self.end()


def remark_text(view: EditorView, *fields: str) -> tuple[str, bool]:
    """The first problem of any of these fields or their parts, and whether it is only a warning."""
    for name, remark in view.remarks.items():
        if remark.problem and name.partition(".")[0] in fields:
            return remark.problem, remark.is_warning
    return "", False


def tell_remark(label: TextLabel, said: tuple[str, bool]) -> None:
    """Show it, or hide the label."""
    label.setText(said[0])
    label.set_tone(Tone.WARNING if said[1] else Tone.BAD)
    label.setVisible(bool(said[0]))
