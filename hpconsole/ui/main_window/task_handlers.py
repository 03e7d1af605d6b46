"""Carries out what is offered in the cards of the task list. Handlers return at once; hosts are asked elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.steering import JobChange
from hpconsole.ui.bridge import Background
from hpconsole.ui.console import Console, Runner
from hpconsole.ui.messages import Messages
from hpconsole.ui.tasks.task_book import Task
from hpconsole.ui.theme import LIGHT, Theme

if TYPE_CHECKING:
    from hpconsole.core.execution.step_queue import Limits

_POST_COPY = (
    "From then on {vm} runs on {there} and fetches the rest of its memory from {here} page by page: it ends whatever "
    "the VM writes, and is slower until everything has arrived. There is no way back, and it cannot be cancelled. If "
    "the network between the hosts, or one of them, breaks before the end, the VM stands still until it is recovered; "
    "where that is not possible, what it had in memory is lost, as after a power cut."
)
_START_ANEW = (
    "What {vm} had in memory is lost. What is left of it on the hosts is ended, one definition is kept, and it is "
    "booted from its disks."
)
_RECOVER = (
    "Both hosts are asked first, and nothing is done that is not provably safe. {vm} then goes on where its memory is; "
    "what had not arrived is fetched."
)
_CLEAN_UP = (
    "What is left of {vm} on {where} is removed: an incomplete guest process, or its definition. Every host is asked "
    "first; if it could be the live VM, nothing is changed. Its disks are not touched."
)


class TaskHandlers(QObject):
    """Belongs to one window."""

    migrate_wanted = Signal(str)  # the UUID of a VM
    repaired = Signal()  # how a migration ended is another now, without one that ended
    begun = Signal(object, bool)  # key of a task: what could be done about its end was begun, or was not done after all

    def __init__(self, window: QWidget, console: Console, messages: Messages) -> None:
        super().__init__(window)
        self.theme: Theme = LIGHT
        self._window = window
        self._console = console
        self._messages = messages
        self._background = Background(self)
        self._repairs = Background(self)  # may take minutes

    @property
    def by_name(self) -> Mapping[str, Callable[[Task], None]]:
        """The handlers by the names of their `TaskAction`s."""
        return {
            "cancel": self._cancel,
            "details": lambda task: self._messages.information(task.sentence, task.detail),
            "limits": self._limits,
            "post_copy": self._post_copy,
            "sooner": self._sooner,
            "recover": self._recover,
            "clean_up": self._clean_up,
            "ask_again": self._ask_again,
            "try_again": lambda task: self.migrate_wanted.emit(task.step.vm_uuid),
        }

    def act(self, name: str, task: Task) -> None:
        """Carry out the `TaskAction` of this name."""
        self.by_name[name](task)

    def pause(self, is_paused: bool) -> None:
        """Start nothing new, or what waits."""
        self._run(lambda executor: executor.control.pause() if is_paused else executor.control.resume())

    def queue_limits(self) -> None:
        """Show how many may run at once, and let it be changed."""
        self._run(lambda executor: executor.control.limits, self._show_queue_limits)

    def _show_queue_limits(self, limits: Limits) -> None:
        from hpconsole.ui.tasks.queue_limits_dialog import QueueLimitsDialog

        dialog = QueueLimitsDialog(limits, self.theme, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.limits_wanted.connect(self._set_queue_limits)
        dialog.show()

    def _set_queue_limits(self, limits: Limits) -> None:
        self._background.run(
            lambda: self._console.set_queue_limits(limits),
            lambda _: self._messages.status("The limits of the queue count from now on."),
            self._messages.error,
        )

    def close(self) -> None:
        """Expect no more outcomes."""
        self._background.close()
        self._repairs.close()

    def _run(self, job: Callable[[Runner], Any], done: Callable[[Any], None] | None = None) -> None:
        executor = self._console.executor
        if executor is not None:
            self._background.run(lambda: job(executor), done, self._messages.error)

    # While it waits or runs

    def _cancel(self, task: Task) -> None:
        self._run(lambda executor: executor.cancel(task.plan_id, task.index))

    def _sooner(self, task: Task) -> None:
        self._run(lambda executor: executor.control.sooner(task.plan_id, task.index))

    def _steer(self, task: Task, change: JobChange) -> None:
        self._run(lambda executor: executor.control.steer(task.plan_id, task.index, change))

    def _limits(self, task: Task) -> None:
        from hpconsole.ui.tasks.limits_dialog import LimitsDialog

        dialog = LimitsDialog(task, self.theme, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.change_wanted.connect(lambda change: self._steer(task, change))
        dialog.show()

    def _post_copy(self, task: Task) -> None:
        step = task.step
        self._messages.ask(
            f"Switch {step.vm_name} to post-copy?",
            _POST_COPY.format(vm=step.vm_name, here=step.source, there=step.destination),
            "Switch",
            lambda: self._steer(task, JobChange(post_copy=True)),
        )

    # After it ended

    def _ask_again(self, task: Task) -> None:
        self.begun.emit(task.key, True)
        self._messages.status(f"Asking {task.step.source} and {task.step.destination} about {task.step.vm_name}…")
        self._run(lambda executor: executor.ask_again(task.migration_id))

    def _recover(self, task: Task) -> None:
        name, uuid = task.step.vm_name, task.step.vm_uuid

        def recover() -> None:
            self.begun.emit(task.key, True)
            self._messages.status(f"Recovering {name}…")
            self._repairs.run(
                lambda: self._console.repairs.recover(uuid, may_start_anew=is_lost),
                lambda situation: self._done(situation.sentence),
                lambda error: self._not_done(task, error),
            )

        is_lost = task.end_state in (EndState.LOST_POST_COPY.value, EndState.NOWHERE.value)
        if is_lost:
            self._messages.ask(f"Start {name} anew?", _START_ANEW.format(vm=name), "Start Anew", recover)
        else:
            self._messages.ask(f"Recover {name}?", _RECOVER.format(vm=name), "Recover", recover)

    def _clean_up(self, task: Task) -> None:
        name, uuid = task.step.vm_name, task.step.vm_uuid
        is_on_source = task.end_state == EndState.LEFT_OVER_ON_SOURCE.value
        where = task.step.source if is_on_source else task.step.destination

        def clean_up() -> None:
            self.begun.emit(task.key, True)
            self._repairs.run(
                lambda: self._console.repairs.clean_up(uuid, where),
                self._done,
                lambda error: self._not_done(task, error),
            )

        question = f"Clean up what is left of {name} on {where}?"
        self._messages.ask(question, _CLEAN_UP.format(vm=name, where=where), "Clean Up", clean_up)

    def _done(self, sentence: str) -> None:
        self.repaired.emit()
        self._messages.information(sentence)

    def _not_done(self, task: Task, error: HpconsoleError) -> None:
        self.begun.emit(task.key, False)
        self._messages.error(error)
