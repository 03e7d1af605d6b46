"""Scheduling policies, load balancing, migration policies: what the window does about rules for all VMs.

Dialogs are loaded when they are first opened, on a worker thread: they need the scheduler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.ui.main_window.topic import Topic

if TYPE_CHECKING:
    from hpconsole.core.balancing.watch import Watch
    from hpconsole.core.execution.advice import MigrationPolicies
    from hpconsole.core.scheduler.policy_book import PolicyBook


class PolicyActions(Topic):
    """Belongs to one window."""

    policies_changed = Signal()  # what is kept of scheduling policies, or which is in force

    def _open(self, dialog: QWidget) -> None:
        self._themes.changed.connect(dialog.set_theme)  # type: ignore[attr-defined]  # every dialog here has it
        self._show(dialog)

    def on_policies(self) -> None:
        """Open Scheduling Policies; its effect is shown for the selected VM."""

        def load() -> PolicyBook:
            import hpconsole.ui.policies.dialog  # noqa: F401 - loaded here, not on the window's thread

            book = self._console.policies
            book.reload()
            return book

        def show(book: PolicyBook) -> None:
            from hpconsole.ui.policies.dialog import PoliciesDialog

            vms = self._selection().vms
            store = self._console.store
            dialog = PoliciesDialog(
                book,
                self._themes.theme,
                snapshot=lambda: store.snapshot,
                reservations=self._console.reservations,
                vm_uuid=vms[0].uuid if vms else "",
                parent=self._frame,
            )
            dialog.chosen.connect(lambda name: self._messages.status(f"The scheduling policy {name} is in force."))
            dialog.kept.connect(self.policies_changed)
            self._open(dialog)

        self._open_after(load, show)

    def on_balancing(self) -> None:
        """Open Load Balancing."""

        def load() -> tuple[PolicyBook, Watch]:
            import hpconsole.ui.balancing.dialog  # noqa: F401 - loaded here, not on the window's thread

            console = self._console
            console.policies.reload()
            return console.policies, console.start_watching()

        def show(parts: tuple[PolicyBook, Watch]) -> None:
            from hpconsole.ui.balancing.dialog import BalancingDialog

            dialog = BalancingDialog(*parts, self._themes.theme, self._frame)
            dialog.policies_wanted.connect(self.on_policies)
            self.policies_changed.connect(dialog.reload)
            self._open(dialog)

        self._open_after(load, show)

    def on_migration_policies(self) -> None:
        """Open Migration Policies."""

        def load() -> MigrationPolicies:
            import hpconsole.ui.migration_policies.dialog  # noqa: F401 - loaded here, not on the window's thread

            advice = self._console.advice
            if advice is None:
                raise HpconsoleError("The console is still starting. Try again in a moment.")
            return advice.policies

        def show(ways: MigrationPolicies) -> None:
            from hpconsole.ui.migration_policies.dialog import MigrationPoliciesDialog

            dialog = MigrationPoliciesDialog(ways, self._themes.theme, self._frame)
            dialog.kept.connect(lambda: self._offer(ways))
            self._open(dialog)

        self._open_after(load, show)

    def _offer(self, ways: MigrationPolicies) -> None:
        """Migrate dialogs that are open offer what is kept now."""
        for dialog in self._frame.findChildren(QWidget, "migrate_dialog"):
            dialog.offer_policies(ways.all(), ways.default_id)  # type: ignore[attr-defined]  # not loaded for its type
