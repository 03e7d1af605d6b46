"""Disks and network interfaces as tables with an editor for the selected row, and the other devices as fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.machines.draft import DiskDraft, NicDraft
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.device_editors import DiskEditor, NicEditor
from hpconsole.ui.vm_editor.fields import Tab
from hpconsole.ui.vm_editor.pages import FormPage, remark_text, tell_remark
from hpconsole.ui.vm_editor.view import EditorView
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.text_table import dress_texts
from hpconsole.ui.widgets.views import row_height


class RowTable(QWidget):
    """A small table with Add and Remove; emits `changed(rows)` and `selected(row)`."""

    add_wanted = Signal()
    remove_wanted = Signal(int)
    selected = Signal(int)

    def __init__(self, name: str, titles: Sequence[str], what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = table = QTableWidget()
        dress_texts(table, name, titles, what)
        table.setAlternatingRowColors(False)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        table.setFixedHeight(row_height(table) * 3 + table.horizontalHeader().sizeHint().height() + 4)
        EmptyHint(table, f"None yet. Add {what.replace('&', '')} adds one.")
        table.itemSelectionChanged.connect(lambda: self.selected.emit(table.currentRow()))
        add, remove = QPushButton(f"Add {what}"), QPushButton("Remove")
        for button, key in ((add, "add"), (remove, "remove")):
            button.setObjectName(f"{name}_{key}")
            button.setAutoDefault(False)
        add.setToolTip(f"Add one {what.replace('&', '')}")
        remove.setToolTip("Remove what is selected from the VM; volumes are kept")
        add.clicked.connect(self.add_wanted)
        remove.clicked.connect(lambda: self.remove_wanted.emit(table.currentRow()))
        buttons = QVBoxLayout()
        buttons.addWidget(add)
        buttons.addWidget(remove)
        buttons.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(framed(table), 1)
        row.addLayout(buttons)
        self._remove = remove

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show these texts; the selection stays."""
        table, here = self.table, self.table.currentRow()
        with QSignalBlocker(table):
            table.setRowCount(len(rows))
            for i, row in enumerate(rows):
                for column, text in enumerate(row):
                    item = table.item(i, column)
                    if item is None:
                        item = QTableWidgetItem()
                        table.setItem(i, column, item)
                    item.setText(text)
                    item.setToolTip(text)
            if rows and not 0 <= here < len(rows):
                table.selectRow(min(max(here, 0), len(rows) - 1))
        self._remove.setEnabled(bool(rows))

    @property
    def row(self) -> int:
        """The selected row; -1 where there is none."""
        return self.table.currentRow() if self.table.rowCount() else -1


class DevicesPage(FormPage):
    """Disks, interfaces, and the devices that are there or not."""

    volumes_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Tab.DEVICES, parent)
        self._disks: tuple[DiskDraft, ...] = ()
        self._nics: tuple[NicDraft, ...] = ()
        self._disk_table = RowTable("disks", ("Target", "Device", "Data", "Size or format"), "&Disk")
        self._disk = DiskEditor()
        self._nic_table = RowTable("nics", ("Kind", "Source", "Model", "MAC"), "&Network Card")
        self._nic = NicEditor()
        self._disk_problem = TextLabel(name="problem_disks", tone=Tone.BAD, wraps=True)
        self._nic_problem = TextLabel(name="problem_nics", tone=Tone.BAD, wraps=True)
        pieces: tuple[QWidget, ...] = (
            self._disk_table, self._disk, self._disk_problem, self._nic_table, self._nic, self._nic_problem
        )  # fmt: skip
        for place, piece in enumerate(pieces):
            self.column.insertWidget(place, piece)
        self.end()
        self._disk_table.add_wanted.connect(lambda: self._set_disks((*self._disks, _new_disk(self._disks))))
        self._disk_table.remove_wanted.connect(lambda row: self._set_disks(_without(self._disks, row)))
        self._disk_table.selected.connect(lambda _: self._show_disk())
        self._disk.changed.connect(lambda disk: self._set_disks(_with(self._disks, self._disk_table.row, disk)))
        self._disk.volumes_wanted.connect(self.volumes_wanted)
        self._nic_table.add_wanted.connect(lambda: self._set_nics((*self._nics, NicDraft())))
        self._nic_table.remove_wanted.connect(lambda row: self._set_nics(_without(self._nics, row)))
        self._nic_table.selected.connect(lambda _: self._show_nic())
        self._nic.changed.connect(lambda nic: self._set_nics(_with(self._nics, self._nic_table.row, nic)))

    def set_storage(self, pools: Sequence[str], sources: Sequence[str]) -> None:
        """What the host has: storage pools, networks and bridges."""
        self._disk.set_pools(pools)
        self._nic.set_sources(sources)
        self._show_disk()
        self._show_nic()

    def set_volumes(self, names: Sequence[str]) -> None:
        """The volumes of the pool that is chosen."""
        self._disk.set_volumes(names)
        self._show_disk()

    def _set_disks(self, disks: tuple[DiskDraft, ...]) -> None:
        is_added = len(disks) > len(self._disks)
        self.edited.emit("disks", disks)
        if is_added:
            self._disk_table.table.selectRow(len(disks) - 1)

    def _set_nics(self, nics: tuple[NicDraft, ...]) -> None:
        is_added = len(nics) > len(self._nics)
        self.edited.emit("nics", nics)
        if is_added:
            self._nic_table.table.selectRow(len(nics) - 1)

    def show_view(self, view: EditorView) -> None:
        """As every page; and disks and interfaces."""
        super().show_view(view)
        self._disks, self._nics = view.draft.disks, view.draft.nics
        self._disk_table.show_rows([_disk_row(disk) for disk in self._disks])
        self._nic_table.show_rows([(n.kind, n.source, n.model, n.mac or "made up by libvirt") for n in self._nics])
        tell_remark(self._disk_problem, remark_text(view, "disks"))
        tell_remark(self._nic_problem, remark_text(view, "nics"))
        self._show_disk()
        self._show_nic()

    def _show_disk(self) -> None:
        row = self._disk_table.row
        self._disk.show_disk(self._disks[row] if 0 <= row < len(self._disks) else None)

    def _show_nic(self) -> None:
        row = self._nic_table.row
        self._nic.show_nic(self._nics[row] if 0 <= row < len(self._nics) else None)


def _disk_row(disk: DiskDraft) -> tuple[str, str, str, str]:
    where = f"{disk.pool}/{disk.volume}" if disk.pool else disk.path or "no medium"
    size = f"new, {fmt.kib(disk.create_kib)}" if disk.create_kib is not None else disk.format
    return (
        disk.target or "next free",
        f"{'CD drive' if disk.device == 'cdrom' else disk.device} ({disk.bus})",
        where,
        size,
    )


def _new_disk(disks: Sequence[DiskDraft]) -> DiskDraft:
    pool = next((disk.pool for disk in disks if disk.pool), "default")
    return DiskDraft(kind="volume", pool=pool, volume=f"disk-{len(disks) + 1}", create_kib=20 * 1024**2)


def _with(rows: tuple[Any, ...], place: int, row: Any) -> tuple[Any, ...]:
    return (*rows[:place], row, *rows[place + 1 :]) if 0 <= place < len(rows) else rows


def _without(rows: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    return (*rows[:place], *rows[place + 1 :]) if 0 <= place < len(rows) else rows
