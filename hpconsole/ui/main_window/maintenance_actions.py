"""Maintenance and Activate: what the window does about whole hosts. Dialogs are loaded when they are first opened."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hpconsole.ui import format as fmt
from hpconsole.ui.main_window.topic import Topic

if TYPE_CHECKING:
    from hpconsole.core.execution.maintenance import Maintenance


class MaintenanceActions(Topic):
    """Maintenance and Activate."""

    def on_maintenance(self) -> None:
        """Maintenance host(s), for the selected ones."""
        hosts = self._selection().hosts
        if not hosts:
            return

        def load() -> Maintenance:
            import hpconsole.ui.maintenance.dialog  # noqa: F401 - loaded here, not on the window's thread

            return self._console.maintenance

        self._background.run(load, partial(self._open, hosts), self._messages.error)

    def _open(self, hosts: tuple[str, ...], maintenance: Maintenance) -> None:
        from hpconsole.ui.maintenance.dialog import MaintenanceDialog

        console = self._console

        def destinations() -> tuple[str, ...]:
            return tuple(name for name, host in console.store.snapshot.hosts.items() if host.is_candidate)

        dialog = MaintenanceDialog(
            hosts, maintenance, console.store, self._themes.theme, destinations=destinations, parent=self._frame
        )
        self._themes.changed.connect(dialog.set_theme)
        self._show(dialog)

    def on_activate(self) -> None:
        """Bring the selected hosts back."""
        hosts = self._selection().hosts

        def activate() -> None:
            for host in hosts:
                self._console.maintenance.activate(host)

        def done(_: None) -> None:
            verb = "is" if len(hosts) == 1 else "are"
            self._messages.status(f"{fmt.names(hosts)} {verb} up again: VMs may be placed there.")

        if hosts:
            self._background.run(activate, done, self._messages.error)
