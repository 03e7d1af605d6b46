"""Pictures of the dialogs about VMs, both themes, 1366x768 and 2560x1440: `python -m tests.ui.screenshots_machines`.

They go to build/screens/. Nothing is asserted here; people judge.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QApplication, QCheckBox, QDialog, QLineEdit, QPushButton, QWidget

from hpconsole.app import App
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.machines.draft import CpuPinningPolicy, MigrationMode, OptimizedFor, VmDraft
from hpconsole.core.machines.editing import with_hosts, with_migration_mode, with_policy
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.pools import VmPool
from hpconsole.core.machines.profile import with_type
from hpconsole.core.machines.templates import Template
from hpconsole.core.model.vm import Vm
from hpconsole.ui.deletion.dialog import DeletionDialog
from hpconsole.ui.desktop import make_application
from hpconsole.ui.numa.dialog import NumaDialog
from hpconsole.ui.numa.presenter import NumaPresenter
from hpconsole.ui.pools.dialog import PoolsDialog
from hpconsole.ui.templates.dialog import TemplatesDialog
from hpconsole.ui.templates.make_dialog import MakeTemplateDialog
from hpconsole.ui.templates.shelf import Shelf
from hpconsole.ui.theme import Theme, ThemeChoice, ThemeKeeper
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.fields import Tab
from hpconsole.ui.vm_editor.machines import HostMachines
from hpconsole.ui.vm_editor.presenter import VmEditorPresenter
from tests.ui.gestures import child
from tests.ui.screenshots import OUT, shoot, wait

SMALL, LARGE = QSize(1366, 768), QSize(2560, 1440)


class Studio:
    """One application over the demo cluster."""

    def __init__(self, application: QApplication, app: App) -> None:
        self.application = application
        self.app = app
        self.machines = HostMachines(app.pool, lambda: app.store.snapshot, lambda: app.policy, app.reservations)
        self.shelf = Shelf(lambda: app.documents, app.pool, self.machines, lambda: app.store.snapshot)

    def vm(self, name: str) -> Vm:
        return next(self.app.store.snapshot.vm_named(name))

    def draft(self, name: str) -> VmDraft:
        vm = self.vm(name)
        return self.machines.open_vm(vm.host or "", vm.uuid)

    def wait(self, condition: Callable[[], object] = lambda: True, settle_s: float = 0.2) -> None:
        wait(self.application, condition, settle_s)

    def presenter(self, draft: VmDraft, vm: Vm | None, host: str) -> VmEditorPresenter:
        return VmEditorPresenter(
            draft, self.app.store.snapshot, lambda: self.app.policy, self.app.reservations, vm=vm, host=host
        )

    def size(self, dialog: QDialog, screen: QSize) -> None:
        """As large as it is by itself on the small screen, nearly all of the large one."""
        dialog.resize(dialog.size().boundedTo(screen) if screen is SMALL else QSize(2400, 1300))


def every_tab(studio: Studio, theme: Theme, screen: QSize, name: str) -> None:
    """A High Performance VM, pinned."""
    vm = studio.vm("trade-engine-1")
    presenter = studio.presenter(studio.draft("trade-engine-1"), vm, vm.host or "")
    dialog = VmEditorDialog(presenter, studio.machines, theme)
    studio.size(dialog, screen)
    dialog.show()
    studio.wait(lambda: presenter.is_settled)
    for tab in Tab:
        dialog.show_tab(tab)
        studio.wait(lambda: presenter.is_settled)
        shoot(dialog, f"vm-{tab.name.lower()}-{name}")
    dialog.close()


def being_edited(studio: Studio, theme: Theme, screen: QSize, name: str) -> None:
    """A plain VM that was just made High Performance, with problems and cautions; and what would be filled in."""
    vm = studio.vm("web-01")
    presenter = studio.presenter(studio.draft("web-01"), vm, vm.host or "")
    dialog = VmEditorDialog(presenter, studio.machines, theme)
    studio.size(dialog, screen)
    dialog.show()
    draft = with_migration_mode(with_type(presenter.draft, OptimizedFor.HIGH_PERFORMANCE), MigrationMode.AUTOMATIC)
    presenter.change(with_hosts(draft, ("host-01", "host-07")))
    dialog._on_panel_wanted(True)
    dialog._gesture(lambda: None)
    studio.wait(lambda: presenter.is_settled)
    for tab in (Tab.GENERAL, Tab.RESOURCES, Tab.HOST):
        dialog.show_tab(tab)
        studio.wait(lambda: presenter.is_settled)
        shoot(dialog, f"edit-{tab.name.lower()}-{name}")
    dialog._on_fill("")
    studio.wait(lambda: dialog.findChild(QDialog, "changes_dialog") is not None)
    shoot(child(dialog, QDialog, "changes_dialog"), f"fill-in-{name}")
    child(dialog, QDialog, "changes_dialog").accept()
    studio.wait(lambda: presenter.is_settled)
    dialog.show_tab(Tab.PINNING)
    studio.wait(lambda: presenter.is_settled)
    shoot(dialog, f"filled-pinning-{name}")
    presenter.change(replace(with_policy(presenter.draft, CpuPinningPolicy.MANUAL), pinning_text="0#1_9#2", name="a/b"))
    dialog._gesture(lambda: None)
    studio.wait(lambda: presenter.is_settled)
    shoot(dialog, f"bad-pinning-{name}")
    dialog.close()


def new_vm(studio: Studio, theme: Theme, screen: QSize, name: str) -> None:
    """New VM, with a name."""
    presenter = studio.presenter(new_draft("shop-9", host=studio.app.store.snapshot.hosts["host-05"]), None, "host-05")
    dialog = VmEditorDialog(presenter, studio.machines, theme)
    studio.size(dialog, screen)
    dialog.show()
    studio.wait(lambda: presenter.is_settled)
    for tab in (Tab.GENERAL, Tab.DEVICES, Tab.HOST):
        dialog.show_tab(tab)
        studio.wait(lambda: presenter.is_settled)
        shoot(dialog, f"new-{tab.name.lower()}-{name}")
    dialog.close()


def numa(studio: Studio, theme: Theme, screen: QSize, name: str) -> None:
    """A VM on hosts of two, four and eight nodes; and a host with all its VMs."""
    draft = with_hosts(studio.draft("trade-engine-1"), ("host-02", "host-05", "host-07", "host-10"))
    for host in ("host-02", "host-05", "host-07", "host-10"):
        presenter = _numa_presenter(studio, (draft,), draft.allowed_hosts, is_for_host=False)
        presenter.show_host(host)
        presenter.unpin((draft.uuid, 1))
        _shoot_numa(studio, presenter, theme, screen, f"numa-{host}-{name}")
    snapshot = studio.app.store.snapshot
    there = [vm for vm in snapshot.vms.values() if vm.virtual_nodes and vm.host == "host-10"]
    drafts = tuple(studio.draft(vm.name) for vm in there)
    presenter = _numa_presenter(studio, drafts, ("host-10", *sorted(snapshot.hosts)), is_for_host=True)
    _shoot_numa(studio, presenter, theme, screen, f"numa-of-host-{name}")


def _numa_presenter(
    studio: Studio, drafts: tuple[VmDraft, ...], hosts: tuple[str, ...], *, is_for_host: bool
) -> NumaPresenter:
    app = studio.app
    return NumaPresenter(
        drafts, app.store.snapshot, lambda: app.policy, app.reservations, hosts=hosts, is_for_host=is_for_host
    )


def _shoot_numa(studio: Studio, presenter: NumaPresenter, theme: Theme, screen: QSize, name: str) -> None:
    dialog = NumaDialog(presenter, theme)
    studio.size(dialog, screen)
    dialog.show()
    studio.wait(lambda: presenter._answer is not None and not presenter._is_computing)
    shoot(dialog, name)
    dialog.close()


def templates_and_pools(studio: Studio, theme: Theme, screen: QSize, name: str) -> None:
    """A template and a pool of it, and the dialogs that make them."""
    vm = studio.vm("trade-engine-1")
    if not studio.shelf.templates():
        studio.shelf.make(vm, "trading", "Order matching, low latency", with_content=False)
        studio.shelf.make(studio.vm("db-pg-01"), "database", "", with_content=False)
        studio.shelf.keep_pool(VmPool("desk", "trading", 4, 2))
    dialogs: tuple[tuple[str, QDialog, str, type[QWidget]], ...] = (
        ("templates", TemplatesDialog(studio.shelf, theme), "template_use", QPushButton),
        ("pools", PoolsDialog(studio.shelf, theme), "pool_save", QPushButton),
        ("make-template", MakeTemplateDialog(vm, _unmade, theme), "template_name", QLineEdit),
    )
    for what, dialog, widget, kind in dialogs:
        if screen is LARGE and what != "make-template":
            dialog.resize(1600, 900)
        dialog.show()
        studio.wait(child(dialog, kind, widget).isEnabled)
        shoot(dialog, f"{what}-{name}")
        dialog.close()


def deletion(studio: Studio, theme: Theme, _screen: QSize, name: str) -> None:
    """One VM, and all that are shut off with nothing saved."""
    snapshot = studio.app.store.snapshot
    vms = [vm for vm in snapshot.vms.values() if not vm.state.is_active]
    for what, chosen, is_saved in (("one", vms[:1], True), ("many", vms, False)):
        dialog = DeletionDialog(chosen, snapshot, Path("/home/admin/deleted-vms"), theme)
        child(dialog, QCheckBox, "deletion_save").setChecked(is_saved)
        dialog.show()
        studio.wait()
        shoot(dialog, f"delete-{what}-{name}")
        dialog.close()


def _unmade(name: str, text: str, has_content: bool) -> Template:
    raise AssertionError((name, text, has_content))


def main() -> None:
    """Every picture, in both themes and sizes."""
    OUT.mkdir(parents=True, exist_ok=True)
    application = make_application()
    cluster = SimulatedCluster.demo()
    app = App(cluster.uris(), opener=cluster.open, data=None)
    app.start()
    studio = Studio(application, app)

    def is_polled() -> bool:
        snapshot = app.store.snapshot
        return len(snapshot.vms) == 120 and all(host.usage.cpu_pct is not None for host in snapshot.hosts.values())

    studio.wait(is_polled, 1)
    for choice in (ThemeChoice.LIGHT, ThemeChoice.DARK):
        theme = ThemeKeeper(application, choice).theme
        for screen in (SMALL, LARGE):
            name = f"{screen.width()}-{choice.value}"
            for picture in (every_tab, being_edited, new_vm, numa, templates_and_pools, deletion):
                picture(studio, theme, screen, name)
    app.close()
    cluster.close()


if __name__ == "__main__":
    main()
