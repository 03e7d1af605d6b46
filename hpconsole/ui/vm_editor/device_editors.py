"""Editors of one disk and of one network interface; they know nothing of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QWidget

from hpconsole.core.machines.draft import DiskDraft, NicDraft
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.fields import format_memory, parse_memory
from hpconsole.ui.widgets.text_label import TextLabel

_DISK_KINDS = (("new", "A new volume"), ("volume", "A volume of a pool"), ("file", "A file or device"))
_NO_SIZE = "This is no size. Type for example 20 GiB."
_USUAL_DISK_KIB = 20 * 1024**2


class DiskEditor(QWidget):
    """The fields of one disk."""

    changed = Signal(object)  # DiskDraft
    volumes_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._disk = DiskDraft()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        self._device = _combo("disk_device", (("disk", "Disk"), ("cdrom", "CD drive")), "What the guest sees")
        self._bus = _combo("disk_bus", tuple((b, b) for b in ("virtio", "scsi", "sata", "ide", "usb")), "Bus")
        self._kind = _combo("disk_kind", _DISK_KINDS, "Where its data is")
        self._pool = _open_combo("disk_pool", "Storage pool of the host")
        self._volume = _open_combo("disk_volume", "Name of the volume")
        self._path = _line("disk_path", "Path on the host; empty: no medium")
        self._size = _line("disk_size", "Size of the new volume, such as 20 GiB")
        self._format = _combo("disk_format", (("qcow2", "qcow2"), ("raw", "raw")), "Format of the volume")
        self._problem = TextLabel(name="disk_size_problem", tone=Tone.BAD)
        self._labels: dict[str, QLabel] = {}
        places = (
            ("Device", self._device), ("Bus", self._bus), ("From", self._kind), ("Pool", self._pool),
            ("Volume", self._volume), ("Path", self._path), ("Size", self._size), ("Format", self._format),
        )  # fmt: skip
        for place, (text, widget) in enumerate(places):
            label = QLabel(text)
            label.setBuddy(widget)
            self._labels[text] = label
            row, column = divmod(place, 4)
            grid.addWidget(label, row, 2 * column)
            grid.addWidget(widget, row, 2 * column + 1)
            grid.setColumnStretch(2 * column + 1, 1)
        grid.addWidget(self._problem, 2, 0, 1, 8)
        for box in (self._device, self._bus, self._kind, self._format):
            box.activated.connect(lambda _: self._tell())
        for box in (self._pool, self._volume):
            box.editTextChanged.connect(lambda _: self._tell())
        for edit in (self._path, self._size):
            edit.textEdited.connect(lambda _: self._tell())
        self._pool.currentTextChanged.connect(self.volumes_wanted)

    def set_pools(self, names: Sequence[str]) -> None:
        """The storage pools of the host."""
        _fill(self._pool, names)

    def set_volumes(self, names: Sequence[str]) -> None:
        """The volumes of the chosen pool."""
        _fill(self._volume, names)

    def show_disk(self, disk: DiskDraft | None) -> None:
        """Show this disk; None: there is none."""
        self.setEnabled(disk is not None)
        self._disk = disk = disk or DiskDraft()
        kind = "new" if disk.is_new_volume else "volume" if disk.pool else "file"
        widgets = (self._device, self._bus, self._kind, self._pool, self._volume, self._path, self._size, self._format)
        blockers = [QSignalBlocker(widget) for widget in widgets]
        _choose(self._device, disk.device)
        _choose(self._bus, disk.bus)
        _choose(self._kind, kind)
        _choose(self._format, disk.format)
        for box, text in ((self._pool, disk.pool), (self._volume, disk.volume)):
            if box.currentText() != text:
                box.setCurrentText(text)
        if self._path.text() != disk.path:
            self._path.setText(disk.path)
        if disk.create_kib is not None and parse_memory(self._size.text()) != disk.create_kib:
            self._size.setText(format_memory(disk.create_kib))
        del blockers
        self._enable(kind)

    def _enable(self, kind: str) -> None:
        for names, is_on in ((("Pool", "Volume"), kind != "file"), (("Path",), kind == "file"),
                             (("Size",), kind == "new")):  # fmt: skip
            for name in names:
                self._labels[name].setEnabled(is_on)
                buddy = self._labels[name].buddy()
                if buddy is not None:
                    buddy.setEnabled(is_on)

    def _tell(self) -> None:
        kind = self._kind.currentData()
        size = parse_memory(self._size.text()) if kind == "new" else None
        is_bad = kind == "new" and size is None and bool(self._size.text())
        self._problem.setText(_NO_SIZE if is_bad else "")
        self._enable(kind)
        disk = replace(
            self._disk,
            device=self._device.currentData(),
            bus=self._bus.currentData(),
            format=self._format.currentData(),
            kind="file" if kind == "file" else "volume",
            path=self._path.text() if kind == "file" else "",
            pool="" if kind == "file" else self._pool.currentText(),
            volume="" if kind == "file" else self._volume.currentText(),
            create_kib=size if size is not None else (20 * 1024**2 if kind == "new" and not is_bad else None),
        )
        if kind == "file" and disk.path.startswith("/dev/"):
            disk = replace(disk, kind="block")
        if disk.bus != self._disk.bus:
            disk = replace(disk, target="")
        self._disk = disk
        self.changed.emit(disk)


class NicEditor(QWidget):
    """The fields of one interface."""

    changed = Signal(object)  # NicDraft

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nic = NicDraft()
        self._kind = _combo(
            "nic_kind",
            (
                ("network", "Virtual network"),
                ("bridge", "Bridge"),
                ("direct", "Device (macvtap)"),
                ("user", "User mode"),
            ),
            "How it reaches the network",
        )
        self._source = _open_combo("nic_source", "Name of the network, bridge or device")
        self._model = _combo("nic_model", tuple((m, m) for m in ("virtio", "e1000e", "rtl8139")), "Model of the card")
        self._mac = _line("nic_mac", "MAC address; empty: libvirt makes one up")
        self._mac.setPlaceholderText("made up by libvirt")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 2, 0, 0)
        for text, widget in (
            ("Kind", self._kind),
            ("Source", self._source),
            ("Model", self._model),
            ("MAC", self._mac),
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            row.addWidget(label)
            row.addWidget(widget, 1)
        self._kind.activated.connect(lambda _: self._tell())
        self._model.activated.connect(lambda _: self._tell())
        self._source.editTextChanged.connect(lambda _: self._tell())
        self._mac.textEdited.connect(lambda _: self._tell())

    def set_sources(self, names: Sequence[str]) -> None:
        """Networks and bridges of the host."""
        _fill(self._source, names)

    def show_nic(self, nic: NicDraft | None) -> None:
        """Show this interface; None: there is none."""
        self.setEnabled(nic is not None)
        self._nic = nic = nic or NicDraft()
        blockers = [QSignalBlocker(w) for w in (self._kind, self._source, self._model, self._mac)]
        _choose(self._kind, nic.kind)
        _choose(self._model, nic.model)
        if self._source.currentText() != nic.source:
            self._source.setCurrentText(nic.source)
        if self._mac.text() != nic.mac:
            self._mac.setText(nic.mac)
        del blockers

    def _tell(self) -> None:
        self._nic = replace(
            self._nic,
            kind=self._kind.currentData(),
            source=self._source.currentText(),
            model=self._model.currentData(),
            mac=self._mac.text().strip(),
        )
        self.changed.emit(self._nic)


def _combo(name: str, choices: Sequence[tuple[str, str]], tip: str) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.setToolTip(tip)
    for value, text in choices:
        box.addItem(text, value)
    return box


def _open_combo(name: str, tip: str) -> QComboBox:
    box = _combo(name, (), tip)
    box.setEditable(True)
    return box


def _line(name: str, tip: str) -> QLineEdit:
    edit = QLineEdit()
    edit.setObjectName(name)
    edit.setToolTip(tip)
    return edit


def _choose(box: QComboBox, value: str) -> None:
    place = box.findData(value)
    if place < 0:
        box.addItem(value or "default", value)
        place = box.count() - 1
    box.setCurrentIndex(place)


def _fill(box: QComboBox, names: Sequence[str]) -> None:
    with QSignalBlocker(box):
        text = box.currentText()
        box.clear()
        box.addItems(list(names))
        box.setCurrentText(text)
