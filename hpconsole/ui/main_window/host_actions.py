"""Which hosts this console has: added and removed in the window, asked again when somebody does not want to wait."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal

from hpconsole.ui import format as fmt
from hpconsole.ui.main_window.topic import Topic


class HostActions(Topic):
    """Belongs to one window. Emits `added` when there is a host more."""

    added = Signal()

    def on_refresh(self) -> None:
        """Ask every host at once."""
        self._background.run(self._console.poller.refresh)

    def on_add_host(self) -> None:
        """Ask for a host, and add it."""
        from hpconsole.ui.main_window.add_host_dialog import AddHostDialog

        dialog = AddHostDialog(tuple(self._console.hosts), self._frame)
        dialog.host_accepted.connect(self.add)
        self._show(dialog)

    def add(self, name: str, uri: str) -> None:
        """Add this host, and say so."""

        def on_done(_: None) -> None:
            self.added.emit()
            self._messages.status(f"Connecting to {name}…")

        self._background.run(lambda: self._console.add_host(name, uri), on_done, self._messages.error)

    def on_remove_host(self) -> None:
        """Ask, then forget the selected hosts."""
        names = self._selection().hosts
        self._messages.ask(
            f"Remove {fmt.names(names)} from this console?",
            "Nothing is changed on it, and its VMs go on. It can be added again at any time.",
            "Remove",
            lambda: self._remove(names),
        )

    def _remove(self, names: Sequence[str]) -> None:
        def remove() -> None:
            for name in names:
                self._console.remove_host(name)

        self._background.run(remove, failed=self._messages.error)
