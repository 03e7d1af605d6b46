"""Templates and pools by mouse and keys on a real host: whose CPUs are whose is asked from libvirt."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton, QSpinBox, QTableWidget
from pytestqt.qtbot import QtBot

from hpconsole.app import App
from hpconsole.core.machines import applying, editing
from hpconsole.core.machines.draft import DiskDraft, OptimizedFor, VmDraft
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.profile import with_type
from hpconsole.core.machines.recommending import fill_all
from hpconsole.core.machines.templates import instantiate
from hpconsole.core.model.vm import Vm
from hpconsole.ui.pools.dialog import PoolsDialog
from hpconsole.ui.templates.dialog import TemplatesDialog
from hpconsole.ui.templates.make_dialog import MakeTemplateDialog
from hpconsole.ui.templates.shelf import Shelf
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.machines import HostMachines
from hpconsole.ui.vm_editor.presenter import VmEditorPresenter
from tests.lab.lab import Lab
from tests.lab.test_machines import cpus_of, images  # noqa: F401 - the fixture is used by its name
from tests.ui.gestures import child, click, type_text

WAIT_MS = 60_000
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


class Desk:
    """A console on host a of the lab, its window's dialogs opened one by one."""

    def __init__(self, qtbot: QtBot, app: App) -> None:
        self.qtbot = qtbot
        self.app = app
        self.machines = HostMachines(app.pool, lambda: app.store.snapshot, lambda: app.policy, app.reservations)
        self.shelf = Shelf(lambda: app.documents, app.pool, self.machines, lambda: app.store.snapshot)

    def seen(self, name: str, *, is_running: bool = False) -> Vm:
        """The VM of this name, as soon as a poll has seen it."""

        def found() -> Vm | None:
            vm = next(iter(self.app.store.snapshot.vm_named(name)), None)
            return vm if vm is not None and (vm.state.is_active or not is_running) else None

        self.app.poller.refresh()
        self.qtbot.waitUntil(lambda: found() is not None, timeout=WAIT_MS)
        vm = found()
        assert vm is not None
        return vm

    def golden(self) -> Vm:
        """A small High Performance VM with everything that is recommended, shut off: what a template is made from."""
        around = self.machines.around("a")
        plain = replace(new_draft("golden", host=around.snapshot.hosts["a"]), nics=(), virt_type="qemu", machine="pc")
        plain = replace(plain, cpu_mode="custom", cpu_model="qemu64")
        disk = DiskDraft(pool="images", volume="golden.qcow2", create_kib=2048)
        draft = editing.with_memory(editing.with_vcpus(replace(plain, disks=(disk,)), 4), 64 << 10)
        draft = with_type(draft, OptimizedFor.HIGH_PERFORMANCE)
        draft = replace(draft, virt_type="qemu", cpu_mode="custom", cpu_model="qemu64", needs_tsc_frequency=False)
        applying.create(self.app.pool, "a", fill_all(draft, around), around)
        return self.seen("golden")

    def make_template(self, vm: Vm, name: str) -> None:
        """By the dialog, with its disk."""
        dialog = MakeTemplateDialog(vm, lambda n, text, full: self.shelf.make(vm, n, text, with_content=full), LIGHT)
        self.qtbot.addWidget(dialog)
        dialog.show()
        field = child(dialog, QLineEdit, "template_name")
        field.selectAll()
        type_text(field, name)
        with self.qtbot.waitSignal(dialog.made, timeout=WAIT_MS):
            click(child(dialog, QPushButton, "template_accept"))

    def use_template(self, vm_name: str) -> None:
        """New VM from the only template: named by keys, started by a click."""
        dialog = TemplatesDialog(self.shelf, LIGHT)
        self.qtbot.addWidget(dialog)
        dialog.show()
        table = child(dialog, QTableWidget, "templates_table")
        self.qtbot.waitUntil(lambda: table.rowCount() == 1, timeout=WAIT_MS)
        field = child(dialog, QLineEdit, "template_vm_name")
        field.selectAll()
        type_text(field, "unnamed")
        with self.qtbot.waitSignal(dialog.use_wanted, timeout=WAIT_MS) as wanted:
            click(child(dialog, QPushButton, "template_use"))
        draft = instantiate(self.shelf.template(wanted.args[0]), wanted.args[1])
        editor = self.editor(draft)
        name = child(editor, QLineEdit, "field_name")
        name.setFocus()
        name.selectAll()
        type_text(name, vm_name)
        click(child(editor, QCheckBox, "editor_start"), QPoint(8, 8))
        save = child(editor, QPushButton, "editor_save")
        self.qtbot.waitUntil(lambda: editor._presenter.is_settled and save.isEnabled(), timeout=WAIT_MS)
        with self.qtbot.waitSignal(editor.saved, timeout=WAIT_MS) as saved:
            click(save)
        assert saved.args[0].notes == ()
        assert saved.args[0].is_started
        self.seen(vm_name, is_running=True)

    def editor(self, draft: VmDraft) -> VmEditorDialog:
        presenter = VmEditorPresenter(
            draft, self.app.store.snapshot, lambda: self.app.policy, self.app.reservations, host="a"
        )
        dialog = VmEditorDialog(presenter, self.machines, LIGHT)
        self.qtbot.addWidget(dialog)
        dialog.show()
        self.qtbot.waitUntil(lambda: presenter.is_settled, timeout=WAIT_MS)
        return dialog


@pytest.fixture
def desk(qtbot: QtBot, lab: Lab, images: Path, tmp_path: Path) -> Iterator[Desk]:  # noqa: F811 - the same
    app = App({"a": lab.host("a").uri}, data=tmp_path)
    app.start()
    try:
        hosts = app.store
        qtbot.waitUntil(
            lambda: "a" in hosts.snapshot.hosts and hosts.snapshot.hosts["a"].usage.cpu_pct is not None, timeout=WAIT_MS
        )
        qtbot.waitUntil(lambda: "images" in hosts.snapshot.hosts["a"].devices.storage_pools, timeout=WAIT_MS)
        yield Desk(qtbot, app)
    finally:
        app.close()


def test_vms_of_one_template_run_side_by_side_and_a_pool_of_four_is_filled(desk: Desk, lab: Lab) -> None:
    desk.make_template(desk.golden(), "gold")
    desk.use_template("one")
    desk.use_template("two")
    one, two = cpus_of(lab, "one"), cpus_of(lab, "two")
    assert (len(one), len(two)) == (4, 4)
    assert one.isdisjoint(two)
    for name in ("one", "two"):
        disk = ElementTree.fromstring(lab.virsh("a", "dumpxml", name)).find("./devices/disk/source")
        assert disk is not None
        assert (disk.get("file") or "").endswith(f"/{name}.qcow2"), "named after the VM, whose name was given last"

    dialog = PoolsDialog(desk.shelf, LIGHT)
    desk.qtbot.addWidget(dialog)
    dialog.show()
    box = child(dialog, QComboBox, "pool_template")
    desk.qtbot.waitUntil(lambda: box.count() == 1, timeout=WAIT_MS)
    type_text(child(dialog, QLineEdit, "pool_name"), "farm")
    for name, number in (("pool_size", "4"), ("pool_prestarted", "2")):
        spin = child(dialog, QSpinBox, name)
        spin.selectAll()
        type_text(spin, number)
    with desk.qtbot.waitSignal(dialog.filled, timeout=WAIT_MS) as filled:
        click(child(dialog, QPushButton, "pool_save"))
    assert filled.args[0].notes == []
    farm = [f"farm-{number}" for number in range(1, 5)]
    assert set(farm) <= set(lab.virsh("a", "list", "--all", "--name").split())
    running = [name for name in farm if lab.virsh("a", "domstate", name).strip() == "running"]
    assert len(running) == 2
    taken = one | two
    for name in running:
        mine = cpus_of(lab, name)
        assert len(mine) == 4
        assert mine.isdisjoint(taken), f"{name} has CPUs of its own"
        taken |= mine
