"""What the program says to the user outside its tables: a line in the status bar, a notice, or a box.

The only place that makes a QMessageBox. Boxes are never waited for (`open`, not `exec`): the window goes on.
Every text is plain text, whatever a host put into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer

from hpconsole.core.errors import HpconsoleError
from hpconsole.ui.widgets.text_label import ElidedLabel

if TYPE_CHECKING:
    from PySide6.QtWidgets import QMessageBox, QStatusBar, QWidget

_LONG_MS = 8_000


class Messages:
    """Speaks for one window. Tests read `shown`: every sentence the user got, oldest first."""

    def __init__(self, window: QWidget, status_bar: QStatusBar) -> None:
        self._window = window
        self._line = ElidedLabel(name="status_line")  # showMessage() would cut a long sentence without a sign
        self._end = QTimer(window, singleShot=True, interval=_LONG_MS)
        self._end.timeout.connect(lambda: self._line.setText(""))
        status_bar.addWidget(self._line, 1)
        self.shown: list[str] = []

    def status(self, sentence: str) -> None:
        """Say it in the status bar for some seconds."""
        self.shown.append(sentence)
        self._line.setText(sentence)
        self._end.start()

    def error(self, error: HpconsoleError) -> None:
        """Say what failed, in a box that can be read and copied."""
        self._say("Warning", error.sentence, error.detail)

    def information(self, sentence: str, detail: str = "") -> None:
        """Say it in a box that can be read and copied; who asks for details need not ask again."""
        self._say("Information", sentence, detail, is_expanded=True)

    def _say(self, icon: str, sentence: str, detail: str, *, is_expanded: bool = False) -> None:
        from PySide6.QtWidgets import QMessageBox

        self.shown.append(sentence)
        box = self._box(QMessageBox.Icon[icon], sentence)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Close))
        if detail:
            box.setDetailedText(detail)
            for button in box.buttons() if is_expanded else ():
                if box.buttonRole(button) is QMessageBox.ButtonRole.ActionRole:
                    button.click()  # “Show Details…”: QMessageBox has no other way to say it
        box.open()

    def ask(self, question: str, explanation: str, yes: str, on_yes: Callable[[], None], no: str = "Cancel") -> None:
        """Ask; `on_yes` is called if the answer is `yes`. The safe answer, `no`, is the default."""
        from PySide6.QtWidgets import QMessageBox

        self.shown.append(question)
        box = self._box(QMessageBox.Icon.Question, question)
        box.setInformativeText(explanation)
        yes_button = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        yes_button.setObjectName("yes")
        no_button = box.addButton(no, QMessageBox.ButtonRole.RejectRole)
        no_button.setObjectName("no")
        box.setDefaultButton(no_button)
        box.setEscapeButton(no_button)

        def on_finished() -> None:
            if box.clickedButton() is yes_button:
                on_yes()

        box.finished.connect(on_finished)
        box.open()

    def _box(self, icon: QMessageBox.Icon, sentence: str) -> QMessageBox:
        from PySide6.QtWidgets import QMessageBox  # most runs show no box, and it is slow to load

        box = QMessageBox(self._window)
        box.setObjectName("message_box")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle("hpconsole")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setIcon(icon)
        box.setText(sentence)
        box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return box
