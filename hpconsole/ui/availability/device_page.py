"""The form of one host's fence device. No password is typed here: where it is kept is named, it is read when needed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.availability.settings import FenceDevice
from hpconsole.core.errors import InvalidEdit
from hpconsole.ui.availability import presenter
from hpconsole.ui.availability.presenter import DeviceForm
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel


class DevicePage(QWidget):
    """Emits `saved(FenceDevice)`, `forgotten(host)` and `tested(host)` for its buttons."""

    saved = Signal(object)
    forgotten = Signal(str)
    tested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("fence_page")
        self._host = ""
        self._kept: FenceDevice | None = None
        self._is_busy = False
        self._agent = QComboBox(editable=True)
        self._agent.setObjectName("fence_agent")
        self._agent.setToolTip("The program of Debian's package fence-agents that switches this kind of machine")
        self._address = _line(
            "fence_address", "Where the power switch or management card answers", "bmc-kvm1 or 10.0.9.1"
        )
        self._user = _line("fence_user", "The account at the power switch", "")
        self._rest = QPlainTextEdit(tabChangesFocus=True)
        self._rest.setObjectName("fence_rest")
        self._rest.setProperty("form", "true")
        self._rest.setPlaceholderText("lanplus=1\nplug=3")
        self._rest.setToolTip("Further parameters as the agent's manual page names them, one key=value a line")
        self._rest.setFixedHeight(self._rest.fontMetrics().lineSpacing() * 4 + 12)
        self._password_from = QComboBox()
        self._password_from.setObjectName("fence_password_from")
        self._password_from.setToolTip("The password itself is never kept by hpconsole, nor written to a log")
        for key, text in presenter.PASSWORDS:
            self._password_from.addItem(text, key)
        self._password_at = _line("fence_password_at", "", "")
        self._browse = push_button("fence_browse", "&Browse…", "Choose the file; only its owner may be able to read it")
        self._timeout = with_room(QSpinBox(minimum=1, maximum=600, suffix=" s"))
        self._timeout.setObjectName("fence_timeout")
        self._timeout.setToolTip("How long the agent may take")
        self._timeout.setMaximumWidth(self._timeout.fontMetrics().averageCharWidth() * 18)
        self._problem = TextLabel(name="fence_problem", wraps=True)
        self._problem.setMinimumHeight(2 * self._problem.fontMetrics().lineSpacing())
        self._test = push_button("fence_test", "&Test", "")
        self._forget = push_button("fence_forget", "Fo&rget", "")
        self._save = push_button("fence_save", "&Save Device", "")
        self._build()
        self._connect()
        self._judge()

    def _build(self) -> None:
        place = QHBoxLayout()
        place.addWidget(self._password_at, 1)
        place.addWidget(self._browse)
        password = QVBoxLayout()
        password.addWidget(self._password_from)
        password.addLayout(place)
        form = QFormLayout()
        form.setVerticalSpacing(6)
        for text, widget in (
            ("&Agent", self._agent), ("A&ddress", self._address), ("&User", self._user),
            ("&Parameters", self._rest),
        ):  # fmt: skip
            form.addRow(text, widget)
        form.addRow("Pass&word", password)
        label = form.labelForField(password)
        if isinstance(label, QLabel):
            label.setBuddy(self._password_from)
        form.addRow("Ti&me-out", self._timeout)
        for row_number in range(form.rowCount()):
            item = form.itemAt(row_number, QFormLayout.ItemRole.LabelRole)
            title = item.widget() if item is not None else None
            if title is not None:  # a mnemonic's label asks for a pixel too little
                title.setMinimumWidth(title.sizeHint().width() + 4)
        row = QHBoxLayout()
        row.addWidget(self._test)
        row.addStretch(1)
        row.addWidget(self._forget)
        row.addWidget(self._save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(8)
        layout.addLayout(form)
        layout.addWidget(self._problem)
        layout.addStretch(1)
        layout.addLayout(row)

    def _connect(self) -> None:
        self._agent.editTextChanged.connect(lambda _: self._judge())
        for edit in (self._address, self._user, self._password_at):
            edit.textEdited.connect(lambda _: self._judge())
        self._rest.textChanged.connect(self._judge)
        self._password_from.activated.connect(lambda _: self._on_password_from())
        self._timeout.valueChanged.connect(lambda _: self._judge())
        self._browse.clicked.connect(self._on_browse)
        self._save.clicked.connect(self._on_save)
        self._forget.clicked.connect(lambda: self.forgotten.emit(self._host))
        self._test.clicked.connect(self._on_test)

    # From outside

    def offer_agents(self, agents: Sequence[str]) -> None:
        """The agents that are installed here."""
        with QSignalBlocker(self._agent):
            text = self._agent.currentText()
            self._agent.clear()
            self._agent.addItems(list(agents))
            self._agent.setCurrentText(text)
        edit = self._agent.lineEdit()
        if edit is not None:
            edit.setPlaceholderText("fence_ipmilan" if agents else "fence_ipmilan (fence-agents is not installed here)")

    def show_device(self, host: str, device: FenceDevice | None) -> None:
        """Another host, or the device was changed; what is being typed stays otherwise."""
        if (host, device) == (self._host, self._kept):
            return
        self._host, self._kept = host, device
        form = presenter.device_form(device)
        widgets = (self._agent, self._rest, self._timeout, self._password_from)
        blockers = [QSignalBlocker(widget) for widget in widgets]
        self._agent.setCurrentText(form.agent)
        self._address.setText(form.address)
        self._user.setText(form.user)
        self._rest.setPlainText(form.rest)
        self._password_from.setCurrentIndex(max(self._password_from.findData(form.source), 0))
        self._password_at.setText(form.place)
        self._timeout.setValue(form.timeout_s)
        del blockers
        self._judge()

    def say(self, sentence: str, tone: Tone = Tone.NORMAL) -> None:
        """What came of a gesture; asked agents may be asked again."""
        self._is_busy = False
        self._judge()
        self._problem.setText(sentence)
        self._problem.set_tone(tone)

    # Gestures

    def form(self) -> DeviceForm:
        """What is typed."""
        return DeviceForm(
            self._agent.currentText(),
            self._address.text(),
            self._user.text(),
            self._rest.toPlainText(),
            self._password_from.currentData(),
            self._password_at.text(),
            self._timeout.value(),
        )

    def _on_password_from(self) -> None:
        self._password_at.clear()
        self._judge()
        if self._password_from.currentData():
            self._password_at.setFocus()

    def _on_browse(self) -> None:
        chooser = QFileDialog(self, "File with the Password")
        chooser.setObjectName("fence_browse_dialog")
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.fileSelected.connect(self._on_file)
        chooser.open()

    def _on_file(self, path: str) -> None:
        self._password_at.setText(path)
        self._judge()

    def _on_save(self) -> None:
        try:
            device = presenter.device_of(self._host, self.form())
        except InvalidEdit:
            self._judge()
            return
        self.saved.emit(device)

    def _on_test(self) -> None:
        self._is_busy = True
        self._judge()
        self._problem.setText(f"{self._agent.currentText()} is asked whether {self._host} has power…")
        self._problem.set_tone(Tone.MUTED)
        self.tested.emit(self._host)

    # Showing

    def _judge(self) -> None:
        form = self.form()
        source = form.source
        self._password_at.setEnabled(bool(source))
        self._password_at.setPlaceholderText({"file": "/etc/hpconsole/kvm1", "variable": "KVM1_BMC"}.get(source, ""))
        self._password_at.setToolTip(
            "A file that only its owner can read" if source == "file" else "The name of the variable"
        )
        self._browse.setVisible(source == "file")
        problem, is_empty = "", form == DeviceForm(timeout_s=form.timeout_s)
        device: FenceDevice | None = None
        try:
            device = presenter.device_of(self._host, form)
        except InvalidEdit as error:
            problem = error.sentence
        is_edited = device != self._kept
        why_not_save = "Select a host first." if not self._host else problem
        if not why_not_save and not is_edited:
            why_not_save = "Nothing was changed."
        self._show(self._save, why_not_save, "Keep this device, and ask it once")
        why_not_test = "It is being asked." if self._is_busy else ""
        if not why_not_test and (self._kept is None or is_edited):
            why_not_test = "Save the device first."
        self._show(self._test, why_not_test, "Ask the agent whether the host has power; nothing is switched")
        self._show(self._forget, "" if self._kept is not None else "There is no device.", "Forget this device")
        if is_empty and self._kept is None:
            text = (
                "Without a fence device nobody can prove that a silent host is off: its VMs then wait until an "
                "administrator confirms it."
            )
            self._problem.setText(text)
            self._problem.set_tone(Tone.MUTED)
        else:
            self._problem.setText(problem)
            self._problem.set_tone(Tone.BAD)

    def _show(self, button: QPushButton, why_not: str, tip: str) -> None:
        button.setEnabled(not why_not)
        button.setToolTip(why_not or tip)


def _line(name: str, tip: str, placeholder: str) -> QLineEdit:
    edit = QLineEdit(placeholderText=placeholder, maxLength=1000)
    edit.setObjectName(name)
    edit.setToolTip(tip)
    return edit
