"""Carries out what is offered in the cards of the task list. Handlers return at once; hosts are asked elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal

from hpconsole.ui.bridge import Background
from hpconsole.ui.console import Console, Runner
from hpconsole.ui.messages import Messages
from hpconsole.ui.tasks.task_book import Task


class TaskHandlers(QObject):
    """Belongs to one window."""

    migrate_wanted = Signal(str)  # the UUID of a VM
    begun = Signal(object)  # key of a task: what could be done about its end was begun

    def __init__(self, console: Console, messages: Messages, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._console = console
        self._messages = messages
        self._background = Background(self)

    @property
    def by_name(self) -> Mapping[str, Callable[[Task], None]]:
        """The handlers by the names of their `TaskAction`s."""
        return {
            "cancel": self._cancel,
            "details": lambda task: self._messages.information(task.sentence, task.detail),
            "ask_again": self._ask_again,
            "try_again": lambda task: self.migrate_wanted.emit(task.step.vm_uuid),
        }

    def close(self) -> None:
        """Expect no more outcomes."""
        self._background.close()

    def _run(self, job: Callable[[Runner], Any], done: Callable[[Any], None] | None = None) -> None:
        executor = self._console.executor
        if executor is not None:
            self._background.run(lambda: job(executor), done, self._messages.error)

    def _cancel(self, task: Task) -> None:
        self._run(lambda executor: executor.cancel(task.plan_id, task.index))

    def _ask_again(self, task: Task) -> None:
        self.begun.emit(task.key)
        self._messages.status(f"Asking {task.step.source} and {task.step.destination} about {task.step.vm_name}…")
        self._run(lambda executor: executor.ask_again(task.migration_id))
