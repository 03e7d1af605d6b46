"""Opens what the window shows of migrations - the dialog that plans them, their history - and submits what is planned.

Dialogs are loaded when they are first opened: what a start does not need does not delay it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from hpconsole.core.events import Event, StepFinished
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.plan import Plan
from hpconsole.ui import format as fmt
from hpconsole.ui.main_window.task_handlers import TaskHandlers
from hpconsole.ui.main_window.topic import Topic

_OPTIONS = "migration_options"


class MigrationViews(Topic):
    """Migrate VM(s) and Migration History."""

    action_wanted = Signal(str, object)  # what shall be done about a `Task` of the history, by its name

    def open_migrate(self, vms: Sequence[Vm], snapshot: ClusterSnapshot) -> None:
        """Migrate VM(s) for these."""
        from hpconsole.ui.migrate.dialog import MigrateDialog
        from hpconsole.ui.migrate.options_text import from_text, to_text
        from hpconsole.ui.migrate.presenter import MigratePresenter

        presenter = MigratePresenter(
            tuple(vm.uuid for vm in vms), snapshot, lambda: self._console.policy, self._console.reservations
        )
        is_ready = self._console.executor is not None  # before that, asking for advice would wait
        dialog = MigrateDialog(
            presenter,
            self._themes.theme,
            self._frame,
            advice=self._console.advice if is_ready else None,
            options=from_text(self._state.kept(_OPTIONS)),
        )
        dialog.options_changed.connect(lambda options: self._state.keep(_OPTIONS, to_text(options)))
        self._new_snapshots.connect(dialog.refresh)
        self._themes.changed.connect(dialog.set_theme)
        dialog.plan_accepted.connect(self.submit)
        self._show(dialog)

    def open_history(self, sought: str = "") -> None:
        """Migration History, searched for this."""
        from hpconsole.ui.history.dialog import HistoryDialog

        dialog = HistoryDialog(lambda: self._console.journal, self._themes.theme, sought, self._frame)
        self._themes.changed.connect(dialog.set_theme)
        dialog.action_wanted.connect(self.action_wanted)
        self._show(dialog)

    def ask_to_cancel(self, vms: Sequence[Vm]) -> None:
        """Migrations that another console, or a tool, began: their source hosts cancel them, once that is wanted."""
        names = fmt.names([vm.name for vm in vms])
        explanation = (
            f"The migration of {names} was not started by this console, but by another one or by a tool. Its source "
            "host is asked to cancel it; the VM goes on running there. Whoever started it is told so."
        )

        def cancel() -> None:
            for vm in vms:
                self._background.run(partial(self._cancel, vm.uuid), self._messages.status, self._messages.error)

        self._messages.ask(f"Cancel the migration of {names}?", explanation, "Cancel Migration", cancel, "Let It Go On")

    def _cancel(self, vm_uuid: str) -> str:
        from hpconsole.core.execution.foreign_jobs import cancel_job

        return cancel_job(self._console.pool, self._console.store.snapshot, vm_uuid)

    def let_act(self, handlers: TaskHandlers) -> None:
        """Who does what can be done about a migration of the history."""
        self.action_wanted.connect(handlers.act)
        handlers.repaired.connect(self._refresh_history)

    def hear(self, event: Event) -> None:
        """A migration that ended is history."""
        if isinstance(event, StepFinished):
            self._refresh_history()

    def _refresh_history(self) -> None:
        for dialog in self._frame.findChildren(QWidget, "history_dialog"):
            dialog.refresh()  # type: ignore[attr-defined]  # importing the class would load it at the start

    def submit(self, plan: Plan) -> None:
        """Run a plan that was confirmed."""
        self._messages.status(f"{plan.title}…")
        self._background.run(lambda: self._console.submit(plan), failed=self._messages.error)
