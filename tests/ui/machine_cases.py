"""A console over a simulated cluster, with the dialogs about VMs opened on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from hpconsole.app import App
from hpconsole.core.hypervisor.simulated import demo
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.making import new_draft
from hpconsole.core.model.vm import Vm
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.fields import Tab
from hpconsole.ui.vm_editor.machines import HostMachines
from hpconsole.ui.vm_editor.presenter import VmEditorPresenter

WAIT_MS = 30_000
HOSTS = ("host-01", "host-02", "host-04", "host-05", "host-07", "host-10")
GUESTS = frozenset(
    {"web-01", "trade-engine-1", "db-pg-01", "oracle-fin-1", "kafka-1", "trade-risk-1", "trade-engine-2"}
)


class Waiter(Protocol):
    """The part of `QtBot` that is needed to open a shop."""

    def waitUntil(self, condition: Callable[[], bool | None], /, *, timeout: int) -> None:
        """Until it holds."""


class Patience:
    """Waits without Qt: for a cluster that serves all tests of a module."""

    def waitUntil(self, condition: Callable[[], object], *, timeout: int) -> None:
        """Until it holds; the cluster polls on its own threads."""
        until = time.monotonic() + timeout / 1000
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < until, "what was waited for did not happen"
            pause.wait(0.02)


class Shop:
    """A part of the demo, polled."""

    def __init__(self, qtbot: Any, app: App, cluster: SimulatedCluster) -> None:
        self.qtbot = qtbot
        self.app = app
        self.cluster = cluster
        self.machines = HostMachines(app.pool, lambda: app.store.snapshot, lambda: app.policy, app.reservations)

    def vm(self, name: str) -> Vm:
        """The only VM of this name, as polled last."""
        return next(self.app.store.snapshot.vm_named(name))

    def draft(self, name: str) -> VmDraft:
        """As it is defined now."""
        vm = self.vm(name)
        return self.machines.open_vm(vm.host or "", vm.uuid)

    def definition(self, name: str) -> str:
        """Its XML, asked from its host."""
        vm = self.vm(name)
        host = vm.host or ""
        return self.app.pool.call(host, lambda h: h.definition(vm.uuid), deadline_s=10)

    def has(self, name: str) -> bool:
        """Whether a poll has seen a VM of this name."""
        return any(self.app.store.snapshot.vm_named(name))

    def edit(self, name: str) -> VmEditorDialog:
        """Edit VM, settled."""
        vm = self.vm(name)
        return self._open(self.draft(name), vm, vm.host or "")

    def new(self, name: str, host: str = "host-01") -> VmEditorDialog:
        """New VM, settled."""
        return self._open(new_draft(name, host=self.app.store.snapshot.hosts[host]), None, host)

    def _open(self, draft: VmDraft, vm: Vm | None, host: str) -> VmEditorDialog:
        presenter = VmEditorPresenter(
            draft, self.app.store.snapshot, lambda: self.app.policy, self.app.reservations, vm=vm, host=host
        )
        dialog = VmEditorDialog(presenter, self.machines, LIGHT)
        self.qtbot.addWidget(dialog)
        dialog.show()
        self.qtbot.waitExposed(dialog)
        self.settle(dialog)
        return dialog

    def settle(self, dialog: VmEditorDialog) -> None:
        """Wait until everything is computed for what is edited."""
        self.qtbot.waitUntil(lambda: dialog._presenter.is_settled, timeout=WAIT_MS)

    def go(self, dialog: VmEditorDialog, tab: Tab) -> None:
        """To a tab."""
        dialog.show_tab(tab)
        self.settle(dialog)


@contextmanager
def shop(
    qtbot: Waiter,
    data: Path | None = None,
    *,
    link_mib_s: int = 2_800,
    before_start: Callable[[App], object] = lambda _app: None,
) -> Iterator[Shop]:
    """Open it, and close it. `link_mib_s`: how fast VMs move; tests that are not about that need not wait."""
    guests = {host: [guest for guest in demo.guests(1)[host] if guest.name in GUESTS] for host in HOSTS}
    models = [replace(model, link_mib_s=link_mib_s) for model in demo.HOSTS if model.name in HOSTS]
    cluster = SimulatedCluster(hosts=models, guests=guests)
    app = App(cluster.uris(), opener=cluster.open, data=data)
    before_start(app)
    app.start()

    def is_polled() -> bool:
        snapshot = app.store.snapshot
        return len(snapshot.vms) == len(GUESTS) and all(
            host.usage.cpu_pct is not None for host in snapshot.hosts.values()
        )

    try:
        qtbot.waitUntil(is_polled, timeout=WAIT_MS)
        yield Shop(qtbot, app, cluster)
    finally:
        app.close()
        cluster.close()
