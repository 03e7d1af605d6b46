"""One task in the list: what, from where to where, how far, how it ended, and what can be done about it."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from hpconsole.ui import icons
from hpconsole.ui.tasks.course_view import CourseView
from hpconsole.ui.tasks.task_actions import TaskAction, actions_of
from hpconsole.ui.tasks.task_book import Key, Task
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_STEPS = 1000
_MOST_BESIDE = 2  # buttons beside the title; in a narrow list more stand in a row below: the VM's name must be read
_WIDE_CHARACTERS = 130


class TaskCard(QFrame):
    """Shows one `Task`; emits `action_wanted` with its key and the name of a `TaskAction`.

    Args:
        offered: The names of the actions that can be carried out here; others get no button.
    """

    action_wanted = Signal(object, str)

    def __init__(self, key: Key, theme: Theme, offered: Collection[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("task_card")
        self.setProperty("panel", "true")
        self._key = key
        self._theme = theme
        self._offered = frozenset(offered)
        self._shown: Task | None = None
        self._mark = QLabel()
        self._title = ElidedLabel(name="task_title", is_bold=True)  # a narrow dock needs the room for the buttons
        self._route = ElidedLabel(name="task_route", tone=Tone.MUTED)
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
        self._course: CourseView | None = None  # made when it is first looked at
        self._unfold = QToolButton()
        self._unfold.setObjectName("task_unfold")
        self._unfold.setCheckable(True)
        self._unfold.setAutoRaise(True)
        self._unfold.setArrowType(Qt.ArrowType.RightArrow)
        self._unfold.setFixedSize(20, 18)
        self._unfold.setToolTip("Show its course: memory left, rates and passes")
        self._unfold.toggled.connect(self._on_unfolded)
        self._buttons: dict[str, QPushButton] = {}
        self._button_row = QHBoxLayout()
        self._are_below = False
        self._offers = 0
        self._build()

    @property
    def is_unfolded(self) -> bool:
        """Whether its course is shown."""
        return self._unfold.isChecked()

    def unfold(self, is_wanted: bool = True) -> None:
        """Show or hide its course."""
        self._unfold.setChecked(is_wanted)

    def show_task(self, task: Task) -> None:
        """Show this state of the task."""
        if task is self._shown:
            return
        self._shown = task
        icon, tone = task.mark
        self._mark.setPixmap(icons.pixmap(icon, getattr(self._theme, tone.value), 16))
        self._mark.setAccessibleName(task.state.value if task.is_as_planned else "done, but not all is as planned")
        self._title.setText(task.title)
        self._route.setText(task.route)
        self._bar.setAccessibleName(f"{task.title}, progress")
        self._bar.setValue(round(task.share * _STEPS))
        self._bar.setVisible(not task.is_over and not task.is_waiting)
        self._share.setVisible(not task.is_over and not task.is_waiting)
        self._share.setText(f"{task.share * 100:.0f} %")
        self._remark.setText(task.remark)
        self._remark.set_tone(Tone.NORMAL if task.is_trouble else Tone.MUTED)
        self._unfold.setVisible(bool(task.course.samples))
        self._unfold.setAccessibleName(f"Course: {task.title}")
        self._show_buttons(task)
        self._show_course()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme when shown next."""
        self._theme = theme
        self._shown = None
        if self._course is not None:
            self._course.set_theme(theme)

    def _on_unfolded(self, is_unfolded: bool) -> None:
        self._unfold.setArrowType(Qt.ArrowType.DownArrow if is_unfolded else Qt.ArrowType.RightArrow)
        self._show_course()

    def _show_course(self) -> None:
        task = self._shown
        is_shown = self.is_unfolded and task is not None and bool(task.course.samples)
        if is_shown and self._course is None:
            self._course = CourseView(self._theme)
            self._grid.addWidget(self._course, 4, 1, 1, 2)
        if self._course is not None:
            self._course.setVisible(is_shown)
            if is_shown and task is not None:
                self._course.show_course(task.course, task.foreseen)

    def _show_buttons(self, task: Task) -> None:
        wanted = {action.name: action for action in actions_of(task) if action.name in self._offered}
        for action in wanted.values():
            if action.name not in self._buttons:
                self._buttons[action.name] = self._button(action)
        for name, button in self._buttons.items():
            button.setVisible(name in wanted)
            offer = wanted.get(name)
            button.setEnabled((offer is None or offer.is_possible) and not (name == "cancel" and task.is_cancelling))
            button.setToolTip(offer.tip if offer is not None else "")
            button.setAccessibleName(f"{button.text().removesuffix('…')}: {task.title}")
        self._offers = len(wanted)
        self._place_buttons()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_buttons()

    def _place_buttons(self) -> None:
        is_below = (
            self._offers > _MOST_BESIDE and self.width() < _WIDE_CHARACTERS * self.fontMetrics().averageCharWidth()
        )
        if is_below == self._are_below:
            return
        self._are_below = is_below
        self._grid.removeItem(self._button_row)
        if is_below:
            self._grid.addLayout(self._button_row, 3, 1, 1, 2, Qt.AlignmentFlag.AlignLeft)
        else:
            self._grid.addLayout(self._button_row, 0, 2, 2, 1, Qt.AlignmentFlag.AlignTop)

    def _button(self, action: TaskAction) -> QPushButton:
        button = push_button(
            f"task_{action.name}", action.text, slot=lambda: self.action_wanted.emit(self._key, action.name)
        )
        # Cancel is always the last: where it stands does not depend on what else can be done.
        last = self._button_row.count()
        self._button_row.insertWidget(last - 1 if "cancel" in self._buttons else last, button)
        return button

    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self._title)
        top.addWidget(self._route)
        top.addWidget(self._unfold)
        top.addStretch(1)
        self._button_row.setSpacing(6)
        progress = QHBoxLayout()
        progress.setSpacing(10)
        progress.addWidget(self._bar, 1)
        progress.addWidget(self._share)
        grid = self._grid = QGridLayout(self)
        grid.setContentsMargins(10, 6, 6, 7)
        grid.setHorizontalSpacing(9)
        grid.setVerticalSpacing(3)
        grid.addWidget(self._mark, 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(top, 0, 1)
        grid.addLayout(self._button_row, 0, 2, 2, 1, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(progress, 1, 1)
        grid.addWidget(self._remark, 2, 1, 1, 2)
        grid.setColumnStretch(1, 1)
