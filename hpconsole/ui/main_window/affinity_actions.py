"""Affinity Groups: what the window does about who runs together, apart, or where. Loaded when it is first opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpconsole.core.errors import VmNotFound
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui.main_window.topic import Topic

if TYPE_CHECKING:
    from hpconsole.core.cluster_rules import ClusterRules
    from hpconsole.ui.vm_editor.machines import HostMachines


class AffinityActions(Topic):
    """Belongs to one window."""

    def on_affinity(self) -> None:
        """Open Affinity Groups."""
        console = self._console

        def load() -> tuple[ClusterRules, HostMachines]:
            import hpconsole.ui.affinity.dialog  # noqa: F401 - loaded here, not on the window's thread
            from hpconsole.ui.vm_editor.machines import HostMachines

            console.rules.reload()
            machines = HostMachines(
                console.pool, lambda: console.store.snapshot, lambda: console.policy, console.reservations
            )
            return console.rules, machines

        def show(loaded: tuple[ClusterRules, HostMachines]) -> None:
            from hpconsole.ui.affinity.dialog import AffinityDialog

            rules, machines = loaded
            dialog = AffinityDialog(
                rules,
                lambda: console.store.snapshot,
                self._themes.theme,
                give_labels=labels_giver(machines, lambda: console.store.snapshot, console.poller.refresh),
                parent=self._frame,
            )
            self._new_snapshots.connect(dialog.refresh)
            self._themes.changed.connect(dialog.set_theme)
            self._show(dialog)

        self._open_after(load, show)


def labels_giver(
    machines: HostMachines, snapshot: Callable[[], ClusterSnapshot], refresh: Callable[[str], Any]
) -> Callable[[str, frozenset[str]], None]:
    """Gives a VM exactly these labels, in its definition. Blocks; raises HpconsoleError, then nothing was changed."""

    def give(uuid: str, labels: frozenset[str]) -> None:
        vm = snapshot().vms.get(uuid)
        if vm is None or vm.host is None:
            raise VmNotFound("No host has this VM any more; its labels stay as they are.", subject=uuid)
        before = machines.open_vm(vm.host, uuid)
        machines.save(vm.host, before, replace(before, labels=labels))
        refresh(vm.host)

    return give
