"""One task in the list: what, from where to where, how far, how it ended, and a way to stop it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QWidget

from hpconsole.ui import icons
from hpconsole.ui.tasks.task_book import ICONS, TONES, Key, Task, TaskState
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel

_STEPS = 1000


class TaskCard(QFrame):
    """Shows one `Task`; emits `cancel_wanted` and `details_wanted` with its key."""

    cancel_wanted = Signal(object)
    details_wanted = Signal(object)

    def __init__(self, key: Key, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("task_card")
        self.setProperty("panel", "true")
        self._theme = theme
        self._shown: Task | None = None
        self._mark = QLabel()
        self._title = TextLabel(name="task_title", is_bold=True)
        self._route = TextLabel(name="task_route", tone=Tone.MUTED)
        self._bar = QProgressBar()
        self._bar.setObjectName("task_progress")
        self._bar.setProperty("thin", "true")
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(6)
        self._share = TextLabel(name="task_share", tone=Tone.MUTED)
        self._share.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._share.setMinimumWidth(self._share.fontMetrics().horizontalAdvance("100 %"))
        self._remark = TextLabel(name="task_remark", wraps=True)
        self._remark.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._cancel = self._button("task_cancel", "Cancel")
        self._cancel.clicked.connect(lambda: self.cancel_wanted.emit(key))
        self._details = self._button("task_details", "Details…")
        self._details.clicked.connect(lambda: self.details_wanted.emit(key))
        self._build()

    def show_task(self, task: Task) -> None:
        """Show this state of the task."""
        if task is self._shown:
            return
        self._shown = task
        tone = TONES[task.state]
        self._mark.setPixmap(icons.pixmap(ICONS[task.state], getattr(self._theme, tone.value), 16))
        self._mark.setAccessibleName(task.state.value)
        self._title.setText(task.title)
        self._route.setText(task.route)
        self._bar.setAccessibleName(f"{task.title}, progress")
        self._bar.setValue(round(task.share * _STEPS))
        is_under_way = not task.state.is_over
        self._bar.setVisible(is_under_way)
        self._share.setVisible(is_under_way)
        self._share.setText(f"{task.share * 100:.0f} %")
        self._remark.setText(task.remark)
        self._remark.set_tone(Tone.NORMAL if task.state in (TaskState.FAILED, TaskState.UNKNOWN) else Tone.MUTED)
        self._cancel.setVisible(is_under_way)
        self._cancel.setEnabled(task.state is not TaskState.CANCELLING)
        self._cancel.setAccessibleName(f"Cancel: {task.title}")
        self._details.setVisible(task.state.is_over and bool(task.detail))
        self._details.setAccessibleName(f"Details: {task.title}")

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme when shown next."""
        self._theme = theme
        self._shown = None

    def _button(self, name: str, text: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setAutoDefault(False)
        return button

    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self._title)
        top.addWidget(self._route)
        top.addStretch(1)
        progress = QHBoxLayout()
        progress.setSpacing(10)
        progress.addWidget(self._bar, 1)
        progress.addWidget(self._share)
        grid = QGridLayout(self)
        grid.setContentsMargins(10, 6, 6, 7)
        grid.setHorizontalSpacing(9)
        grid.setVerticalSpacing(3)
        grid.addWidget(self._mark, 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(top, 0, 1)
        grid.addWidget(self._cancel, 0, 2, 2, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self._details, 0, 3, 2, 1, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(progress, 1, 1)
        grid.addWidget(self._remark, 2, 1, 1, 3)
        grid.setColumnStretch(1, 1)
