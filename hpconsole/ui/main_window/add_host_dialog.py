"""Add Host: a URI that is checked while it is typed, and a name. Connects to nothing itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from hpconsole.core.errors import UriRefused
from hpconsole.core.hypervisor.uri import parse_uri
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel


@dataclass(frozen=True, slots=True)
class HostEntry:
    """What is typed so far, judged."""

    uri: str = ""
    name: str = ""
    remark: str = ""
    tone: Tone = Tone.MUTED
    is_complete: bool = False
    offer: str = ""  # what was probably meant, as a URI that can be taken over


def judge(uri_text: str, name_text: str, taken: Collection[str]) -> HostEntry:
    """Is this a host that can be added? The name is the URI's host where none is typed."""
    if not uri_text.strip():
        return HostEntry(remark="For example qemu+ssh://root@host-01/system")
    try:
        uri = parse_uri(uri_text.strip())
    except UriRefused as error:
        meant = _meant(uri_text.strip())
        if meant:
            return HostEntry(remark=f"“{uri_text.strip()}” is no connection yet.", tone=Tone.WARNING, offer=meant)
        return HostEntry(remark=error.sentence, tone=Tone.BAD)
    name = name_text.strip() or uri.host or "localhost"
    if name in taken:
        return HostEntry(uri.text, name, f"There is a host named {name} already. Type another name.", Tone.BAD)
    if uri.warning:
        return HostEntry(uri.text, name, uri.warning, Tone.WARNING, is_complete=True)
    return HostEntry(uri.text, name, f"Connects to {uri.text}", Tone.GOOD, is_complete=True)


def _meant(text: str) -> str:
    """A bare name, user@name or address as the URI it most probably stands for; empty where it is none.

    >>> _meant("kvm1"), _meant("admin@10.0.0.7"), _meant("fd00::1"), _meant("kvm1/system"), _meant("rm -rf")
    ('qemu+ssh://root@kvm1/system', 'qemu+ssh://admin@10.0.0.7/system', 'qemu+ssh://root@[fd00::1]/system', '', '')
    """
    user, at, host = text.rpartition("@")
    address = f"[{host}]" if ":" in host and not host.startswith("[") else host
    try:
        uri = parse_uri(f"qemu+ssh://{user if at else 'root'}@{address}/system")
    except UriRefused:
        return ""
    return uri.text if uri.path == "/system" and uri.host == host.strip("[]") and not uri.parameters else ""


class AddHostDialog(QDialog):
    """Emits `host_accepted(name, uri)`."""

    host_accepted = Signal(str, str)

    def __init__(self, taken: Collection[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("add_host_dialog")
        self.setWindowTitle("Add Host")
        self.setMinimumWidth(520)
        self._taken = frozenset(taken)
        self._entry = HostEntry()
        self._uri = QLineEdit(placeholderText="qemu+ssh://user@host/system")
        self._uri.setObjectName("host_uri")
        self._uri.setAccessibleName("Connection URI")
        self._name = QLineEdit()
        self._name.setObjectName("host_name")
        self._name.setAccessibleName("Name of the host")
        self._remark = TextLabel(name="host_remark", wraps=True)
        self._remark.setMinimumHeight(3 * self._remark.fontMetrics().lineSpacing())
        self._offer = QPushButton()
        self._offer.setObjectName("host_offer")
        self._offer.setToolTip("Take this as the connection")
        self._offer.setAutoDefault(False)
        self._offer.clicked.connect(self._take_offer)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._add = self._buttons.addButton("&Add Host", QDialogButtonBox.ButtonRole.AcceptRole)
        self._add.setObjectName("host_accept")
        self._build()
        self._uri.textChanged.connect(self._judge)
        self._name.textChanged.connect(self._judge)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._judge()

    def accept(self) -> None:
        """Hand the host over, if it is one."""
        if self._entry.offer:
            self._take_offer()  # Enter takes it over, a second Enter adds the host
        elif self._entry.is_complete:
            self.host_accepted.emit(self._entry.name, self._entry.uri)
            super().accept()

    def _build(self) -> None:
        form = QFormLayout()
        form.addRow("&Connection:", self._uri)
        form.addRow("&Name:", self._name)
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 12)
        layout.setSpacing(12)
        layout.addLayout(form)
        layout.addWidget(self._remark)
        layout.addWidget(self._offer, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addStretch(1)
        layout.addWidget(self._buttons)
        self._add.setDefault(True)

    def _take_offer(self) -> None:
        self._uri.setText(self._entry.offer)
        self._uri.setFocus()

    def _judge(self) -> None:
        self._entry = judge(self._uri.text(), self._name.text(), self._taken)
        self._remark.setText(self._entry.remark)
        self._remark.set_tone(self._entry.tone)
        self._name.setPlaceholderText("" if self._name.text() else self._entry.name)
        self._offer.setText(f"&Use {self._entry.offer}")
        self._offer.setVisible(bool(self._entry.offer))
        self._add.setEnabled(self._entry.is_complete)
        needed = self._layout.totalHeightForWidth(self.width())
        if needed > self.height():
            self.resize(self.width(), needed)  # a long warning is read to its end; it never shrinks while typing
