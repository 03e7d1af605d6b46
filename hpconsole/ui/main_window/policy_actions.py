"""Scheduling policies, load balancing, migration policies: what the window does about rules for all VMs.

Dialogs are loaded when they are first opened, on a worker thread: they need the scheduler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpconsole.ui.main_window.topic import Topic

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from hpconsole.core.scheduler.policy_book import PolicyBook


class PolicyActions(Topic):
    """Belongs to one window."""

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
            self._open(dialog)

        self._background.run(load, show, self._messages.error)
