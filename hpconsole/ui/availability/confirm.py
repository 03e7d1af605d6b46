"""A question whose answer cannot be taken back: what follows, a box to tick, and a button that waits for the tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel


class ConfirmDialog(QDialog):
    """Shown with `open`; calls `on_yes` if the box is ticked and the button pressed. *Cancel* is the default.

    Args:
        lines: What follows, each with its tone.
        tick: What the person vouches for.
        action: The button's text, with its mnemonic.
    """

    def __init__(
        self,
        question: str,
        lines: Sequence[tuple[str, Tone]],
        *,
        tick: str,
        action: str,
        on_yes: Callable[[], None],
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("availability_confirm")
        self.setWindowTitle("hpconsole")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(520)
        self.setStyleSheet(form_style(theme))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(10)
        layout.addWidget(TextLabel(question, name="confirm_question", is_bold=True, wraps=True))
        for text, tone in lines:
            layout.addWidget(TextLabel(text, name="confirm_line", tone=tone, wraps=True))
        self._tick = QCheckBox(tick)
        self._tick.setObjectName("confirm_tick")
        self._tick.toggled.connect(self._show_state)
        layout.addSpacing(4)
        layout.addWidget(self._tick)
        cancel = QPushButton("Cancel")
        cancel.setObjectName("confirm_no")
        cancel.setDefault(True)
        cancel.clicked.connect(self.reject)
        self._yes = push_button("confirm_yes", action, slot=self.accept)
        self.accepted.connect(on_yes)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self._yes)
        row.addWidget(cancel)
        layout.addLayout(row)
        self._show_state()

    def _show_state(self) -> None:
        is_sure = self._tick.isChecked()
        self._yes.setEnabled(is_sure)
        self._yes.setToolTip("" if is_sure else "Tick the box first: this cannot be taken back.")
