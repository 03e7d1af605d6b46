"""The task list of the window: a card for each migration: what runs, what waits in its order, what is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from hpconsole.core.events import Event
from hpconsole.ui.tasks.task_book import Key, Task, TaskBook
from hpconsole.ui.tasks.task_card import TaskCard
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.scrolled_column import ScrolledColumn
from hpconsole.ui.widgets.text_label import TextLabel

_CALM_MS = 60  # many migrations report progress at once: drawn together


class TaskList(QWidget):
    """Shows a `TaskBook` and keeps it up to date from events.

    Args:
        handlers: What carries out a `TaskAction`, by its name; each returns at once. Actions without one get no button.
    """

    changed = Signal()
    history_wanted = Signal()
    pause_wanted = Signal(bool)  # whether nothing new shall start
    limits_wanted = Signal()  # those of the queue

    def __init__(self, handlers: Mapping[str, Callable[[Task], None]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("task_list")
        self.book = TaskBook()
        self._theme = LIGHT
        self._handlers = dict(handlers)
        self._cards: dict[Key, TaskCard] = {}
        self._clear = QPushButton("Clear")
        self._clear.setObjectName("task_clear")
        self._clear.setToolTip("Take what is over from this list; the history keeps it")
        self._clear.clicked.connect(self._on_clear)
        self._earlier = QPushButton("&Earlier…")
        self._earlier.setObjectName("task_history")
        self._earlier.setToolTip("Every migration of this and earlier runs, with its attempts and reasons")
        self._earlier.clicked.connect(self.history_wanted)
        self._pause = QPushButton("Pause &Queue")
        self._pause.setObjectName("task_pause")
        self._pause.setCheckable(True)
        self._pause.setToolTip("Start nothing new; migrations that run go on")
        self._pause.toggled.connect(self._on_pause)
        self._cancel_waiting = QPushButton("Cancel &Waiting")
        self._cancel_waiting.setObjectName("cancel_waiting")
        self._cancel_waiting.setToolTip("Cancel every migration that has not begun; those that run go on")
        self._cancel_waiting.clicked.connect(self._on_cancel_waiting)
        self._limits = QPushButton("Queue &Limits…")
        self._limits.setObjectName("queue_limits")
        self._limits.setToolTip("How many migrations may run at once, and what bandwidth they share")
        self._limits.clicked.connect(self.limits_wanted)
        self._empty = TextLabel(
            "No migrations in this session. Select running VMs and press Ctrl+M to move some.",
            name="task_empty",
            tone=Tone.MUTED,
            wraps=True,
        )
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._render_soon = QTimer(self, singleShot=True, interval=_CALM_MS)
        self._render_soon.timeout.connect(self._render)
        self._build()
        self._render()

    def hear(self, event: Event) -> None:
        """Follow one event."""
        if self.book.hear(event) and not self._render_soon.isActive():
            self._render_soon.start()

    def wait(self, reasons: Mapping[Key, str]) -> None:
        """What waiting tasks wait for, a sentence each."""
        if self.book.wait(reasons):
            self._render()

    def done_with(self, key: Key, is_begun: bool = True) -> None:
        """What could be done about the end of this task was begun, or was not done after all."""
        self.book.done_with(key, is_begun)
        self._render()

    def cancel_vm(self, vm_uuid: str) -> bool:
        """Cancel the task of this VM; returns whether there is one."""
        task = self.book.of_vm(vm_uuid)
        if task is not None:
            self._on_action(task.key, "cancel")
        return task is not None

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        for card in self._cards.values():
            card.set_theme(theme)
        self._render()

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(10, 4, 8, 0)
        top.addStretch(1)
        top.addWidget(self._cancel_waiting)
        top.addWidget(self._pause)
        top.addWidget(self._limits)
        top.addWidget(self._earlier)
        top.addWidget(self._clear)
        inner = ScrolledColumn()
        self._list = QVBoxLayout(inner)
        self._list.setContentsMargins(8, 4, 8, 8)
        self._list.setSpacing(6)
        self._list.addWidget(self._empty)
        self._list.addStretch(1)
        scroll = QScrollArea()
        scroll.setObjectName("task_scroll")
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        self._scroll = scroll
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(scroll, 1)

    def leaveEvent(self, event: QEvent) -> None:
        """The pointer is gone: cards may move again."""
        super().leaveEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Put the cards into the order of their tasks; not while somebody may be about to press one's button."""
        if self._scroll.underMouse() and self._scroll.isVisible():
            return
        for place, task in enumerate(self.book.tasks):
            card = self._cards.get(task.key)
            if card is not None and self._list.indexOf(card) != place:
                self._list.removeWidget(card)
                self._list.insertWidget(place, card)

    def _render(self) -> None:
        tasks = self.book.tasks
        keys = {task.key for task in tasks}
        for key in [key for key in self._cards if key not in keys]:
            self._cards.pop(key).deleteLater()
        for place, task in enumerate(tasks):
            card = self._cards.get(task.key)
            if card is None:
                card = self._cards[task.key] = TaskCard(task.key, self._theme, self._handlers)
                card.action_wanted.connect(self._on_action)
                card.unfold(len(tasks) == 1)  # there is room for the course of one
                self._list.insertWidget(place, card)
            card.show_task(task)
        self._arrange()
        self._empty.setVisible(not tasks)
        self._cancel_waiting.setVisible(sum(task.is_waiting for task in tasks) > 1)
        self._pause.setVisible(self._pause.isChecked() or any(task.is_waiting for task in tasks))
        self._clear.setVisible(any(task.state.is_over for task in tasks))
        self.changed.emit()

    def _on_action(self, key: Key, name: str) -> None:
        task = self.book.task(key)
        if task is None:
            return
        if name == "cancel":
            self.book.cancelling(key)
            self._render()
        self._handlers[name](task)

    def _on_pause(self, is_paused: bool) -> None:
        self._pause.setText("Resume &Queue" if is_paused else "Pause &Queue")
        self._pause.setToolTip("Start what waits" if is_paused else "Start nothing new; migrations that run go on")
        self.pause_wanted.emit(is_paused)
        self._render()

    @property
    def is_paused(self) -> bool:
        """Whether the user wants nothing new to start."""
        return self._pause.isChecked()

    def _on_cancel_waiting(self) -> None:
        for task in self.book.tasks:
            if task.is_waiting:
                self._on_action(task.key, "cancel")

    def _on_clear(self) -> None:
        self.book.clear_finished()
        self._render()
