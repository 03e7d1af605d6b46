"""Edit VM by mouse and keys on a real host: what is pinned is asked from libvirt, never from hpconsole."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QComboBox, QLineEdit, QPushButton, QTableWidget
from pytestqt.qtbot import QtBot

from hpconsole.app import App
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.fields import Tab
from hpconsole.ui.vm_editor.machines import HostMachines
from hpconsole.ui.vm_editor.presenter import VmEditorPresenter
from tests.lab.lab import Lab
from tests.lab.proof import vcpu_pins
from tests.ui.gestures import child, click, press, type_text

WAIT_MS = 60_000

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def test_a_running_guest_is_pinned_by_the_dialog_at_once_and_for_good(qtbot: QtBot, lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "desk-1", vcpus=2, dirty_mib=0)
    app = App({"a": lab.host("a").uri}, data=tmp_path)
    app.start()
    try:
        qtbot.waitUntil(lambda: guest.uuid in app.store.snapshot.vms, timeout=WAIT_MS)
        qtbot.waitUntil(lambda: app.store.snapshot.hosts["a"].usage.cpu_pct is not None, timeout=WAIT_MS)
        machines = HostMachines(app.pool, lambda: app.store.snapshot, lambda: app.policy, app.reservations)
        snapshot = app.store.snapshot
        presenter = VmEditorPresenter(
            machines.open_vm("a", guest.uuid), snapshot, lambda: app.policy, app.reservations,
            vm=snapshot.vms[guest.uuid], host="a",
        )  # fmt: skip
        dialog = VmEditorDialog(presenter, machines, LIGHT)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitUntil(lambda: presenter.is_settled, timeout=WAIT_MS)

        dialog.show_tab(Tab.HOST)
        qtbot.waitUntil(lambda: presenter.is_settled, timeout=WAIT_MS)
        table = child(dialog, QTableWidget, "vm_hosts")
        box = table.visualRect(table.model().index(0, 0))
        click(table.viewport(), QPoint(box.left() + 12, box.center().y()))
        dialog.show_tab(Tab.PINNING)
        policy = child(dialog, QComboBox, "field_cpu_pinning_policy")
        policy.setFocus()
        press(policy, Qt.Key.Key_Home)
        press(policy, Qt.Key.Key_Down)
        type_text(child(dialog, QLineEdit, "pinning_text"), "0#2_1#3")
        save = child(dialog, QPushButton, "editor_save")
        qtbot.waitUntil(lambda: presenter.is_settled and save.isEnabled(), timeout=WAIT_MS)
        with qtbot.waitSignal(dialog.saved, timeout=WAIT_MS) as saved:
            click(save)
        assert not saved.args[0].notes
    finally:
        app.close()
    assert vcpu_pins(lab, "a", guest, "--live") == {0: "2", 1: "3"}, "the running guest, too"
    assert vcpu_pins(lab, "a", guest, "--config") == {0: "2", 1: "3"}
