"""The docks of the window: tasks, host load, VM details. What is inside the load is made when first shown."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow, QVBoxLayout, QWidget

from hpconsole.core.events import Event
from hpconsole.core.model.snapshot import EMPTY_SNAPSHOT, ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migration_options import MigrationOptions, may_post_copy
from hpconsole.ui.actions import Actions
from hpconsole.ui.bridge import Background
from hpconsole.ui.console import Console, Runner
from hpconsole.ui.details.dock import DetailsDock
from hpconsole.ui.load_charts.dock import LoadPanel
from hpconsole.ui.main_window.task_handlers import TaskHandlers
from hpconsole.ui.messages import Messages
from hpconsole.ui.tasks.dock import TaskList
from hpconsole.ui.tasks.task_book import Key, may_switch_by_presets, summary
from hpconsole.ui.theme import Theme

_HEIGHT = 236
_QUEUE_LOOK_MS = 1000
_LARGEST_PART = 3  # a restored dock takes at most a third of the window's height


class Docks(QObject):
    """Makes the docks, keeps them and their actions in step, and hands them what they show."""

    def __init__(self, window: QMainWindow, console: Console, messages: Messages, actions: Actions) -> None:
        super().__init__(window)
        self._window = window
        self._console = console
        self._messages = messages
        self._background = Background(self)
        self._snapshot: ClusterSnapshot = EMPTY_SNAPSHOT
        self.handlers = TaskHandlers(window, console, messages)
        self.tasks = TaskList(self.handlers.by_name)
        self.handlers.begun.connect(self.tasks.done_with)
        self.tasks.pause_wanted.connect(self.handlers.pause)
        self.tasks.limits_wanted.connect(self.handlers.queue_limits)
        self.tasks.book.may_switch = self._may_switch
        self.load = LoadPanel(console.history)
        self.details = DetailsDock(window, console, actions["show_details"])
        self.tasks_dock = self._dock("Tasks", "dock_tasks", self.tasks)
        self.load_dock = self._dock("Host load", "dock_load", self.load)
        for dock, action in ((self.tasks_dock, actions["show_tasks"]), (self.load_dock, actions["show_load"])):
            dock.visibilityChanged.connect(lambda _on, dock=dock, action=action: action.setChecked(not dock.isHidden()))
        self.load_dock.visibilityChanged.connect(self._on_load_visible)
        self.tasks.changed.connect(self._on_tasks_changed)
        self._queue_look = QTimer(self, interval=_QUEUE_LOOK_MS)
        self._queue_look.timeout.connect(self._look_at_queue)

    def follow(self, snapshot: ClusterSnapshot) -> None:
        """Take in a new snapshot."""
        self._snapshot = snapshot
        self.load.follow(snapshot)
        self.details.follow(snapshot)

    def hear(self, event: Event) -> None:
        """Take in an event."""
        self.tasks.hear(event)

    def select(self, hosts: Sequence[str], vms: Sequence[Vm]) -> None:
        """Plot these hosts, and tell about the first of these VMs."""
        self.load.select(hosts)
        self.details.select(vms)

    def show_tasks(self, is_wanted: bool = True) -> None:
        """Show or hide the task list."""
        self._show(self.tasks_dock, is_wanted)

    def show_load(self, is_wanted: bool = True) -> None:
        """Show or hide the host load."""
        self._show(self.load_dock, is_wanted)

    def settle(self) -> None:
        """After a layout was restored: no empty task list, and no dock that leaves the tables no room."""
        if not self.tasks.book.tasks:
            self.tasks_dock.hide()
        QTimer.singleShot(0, self, self._limit_heights)  # not before the docks have the sizes of the layout

    def _limit_heights(self) -> None:
        most = self._window.height() // _LARGEST_PART
        high = [
            dock
            for dock in (self.tasks_dock, self.load_dock)
            if not dock.isHidden()
            and not dock.isFloating()
            and self._window.dockWidgetArea(dock) is Qt.DockWidgetArea.BottomDockWidgetArea
        ]
        if any(dock.height() > most for dock in high):
            self._window.resizeDocks(high, [min(_HEIGHT, most)] * len(high), Qt.Orientation.Vertical)

    def cancel_vm(self, vm_uuid: str) -> bool:
        """Cancel the migration of this VM; returns whether this console runs it."""
        return self.tasks.cancel_vm(vm_uuid)

    def running_count(self) -> int:
        """How many migrations are under way."""
        return len(self.tasks.book.running)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.tasks.set_theme(theme)
        self.handlers.theme = theme
        self.load.set_theme(theme)
        self.details.set_theme(theme)

    def close(self) -> None:
        """Expect no more outcomes."""
        self.tasks.changed.disconnect(self._on_tasks_changed)
        self.handlers.close()
        self._queue_look.stop()
        self._background.close()
        self.details.stop()
        self.load.close_loading()

    def _dock(self, title: str, name: str, content: QWidget) -> QDockWidget:
        dock = QDockWidget(title, self._window)
        dock.setObjectName(name)
        dock.setAllowedAreas(Qt.DockWidgetArea.BottomDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea)
        frame = QWidget()
        layout = QVBoxLayout(frame)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(content)
        dock.setWidget(frame)
        self._window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
        dock.hide()
        return dock

    def _show(self, dock: QDockWidget, is_wanted: bool) -> None:
        was_hidden = dock.isHidden()
        dock.setVisible(is_wanted)
        if is_wanted and was_hidden and not dock.isFloating():
            self._window.resizeDocks([dock], [_HEIGHT], Qt.Orientation.Vertical)
            both = [self.tasks_dock, self.load_dock]
            if not any(other.isHidden() or other.isFloating() for other in both):
                self._window.resizeDocks(both, [2, 3], Qt.Orientation.Horizontal)

    def _on_load_visible(self, is_visible: bool) -> None:
        self.load.set_active(is_visible)

    def _on_tasks_changed(self) -> None:
        said = summary(self.tasks.book.tasks)
        parts = ["Tasks", *([said] if said else []), *(["queue paused"] if self.tasks.is_paused else [])]
        self.tasks_dock.setWindowTitle("   ".join(parts))
        if not any(task.is_waiting for task in self.tasks.book.running):
            self._queue_look.stop()
        elif not self._queue_look.isActive():
            self._look_at_queue()
            self._queue_look.start()

    def _may_switch(self, options: MigrationOptions) -> bool:
        """Whether a migration was begun so that it can be switched to post-copy; by the policies that are kept."""
        advice = self._console.advice if self._console.executor is not None else None
        if advice is None:
            return may_switch_by_presets(options)
        return may_post_copy(options, advice.policies.effective(options))

    def _look_at_queue(self) -> None:
        """Why waiting tasks wait: asked on a worker thread, for the executor may hold its lock for a moment."""
        executor = self._console.executor
        if executor is not None:
            self._background.run(lambda: queue_reasons(executor), self.tasks.wait)


def queue_reasons(executor: Runner) -> dict[Key, str]:
    """What each waiting step waits for, a sentence each."""
    return {(status.plan_id, status.index): status.waiting_for for status in executor.running() if status.waiting_for}
