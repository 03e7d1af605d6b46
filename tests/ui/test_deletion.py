"""Delete VM(s), Pause and Resume in the window by mouse and keys, over simulated hosts that are asked what became."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QLineEdit, QMessageBox, QPushButton
from pytestqt.exceptions import capture_exceptions
from pytestqt.qtbot import QtBot

from hpconsole.core.availability.definitions import KIND
from hpconsole.core.machines.life import Deleted
from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmDevices, VmState
from hpconsole.ui.deletion import presenter
from hpconsole.ui.deletion.dialog import DeletionDialog
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.vm_editor.machines import HostMachines
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.window_state import WindowState
from tests.ui.desk import Desk, desk_over
from tests.ui.gestures import child, click, press


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path, state: WindowState, themes: ThemeKeeper) -> Iterator[Desk]:
    with desk_over(qtbot, tmp_path / "data", state, themes) as desk:
        yield desk


def is_in_state(desk: Desk, name: str, state: VmState) -> bool:
    return desk.demo.vm(name).state is state


def shut_off(desk: Desk, *names: str) -> None:
    for name in names:
        desk.demo.machines.shut_down(desk.demo.vm(name), by_force=True)
    desk.app.poller.refresh()
    desk.wait(lambda: all(is_in_state(desk, name, VmState.SHUT_OFF) for name in names))
    desk.wait(lambda: all(shown_state(desk, name) is VmState.SHUT_OFF for name in names))


def shown_state(desk: Desk, name: str) -> VmState:
    return next(row.vm.state for row in desk.window.vms.model.shown_rows() if row.vm.name == name)


def action(desk: Desk, name: str) -> QAction:
    found = desk.window.frame.findChild(QAction, f"action_{name}")
    assert found is not None
    return found


def ask(desk: Desk, folder: Path) -> DeletionDialog:
    """Open it by its key for what is selected; definitions go to this folder."""
    desk.wait(action(desk, "delete_vm").isEnabled)
    press(desk.window.vms.view, Qt.Key.Key_Delete)
    dialog = desk.dialog(DeletionDialog)
    child(dialog, QLineEdit, "deletion_folder").setText(str(folder))
    return dialog


def texts(dialog: DeletionDialog) -> list[str]:
    return [label.text() for label in dialog.findChildren(TextLabel)]


def test_several_vms_are_paused_and_resumed_at_once(desk: Desk) -> None:
    names = ("web-01", "kafka-1")
    desk.select_vm(names[0])
    desk.select_vm(names[1], also=True)
    assert not action(desk, "resume_vm").isEnabled()
    assert action(desk, "resume_vm").toolTip() == "Select a VM that is paused."
    desk.choose("pause_vm", of_vm=True)
    desk.wait(lambda: all(is_in_state(desk, name, VmState.PAUSED) for name in names))
    desk.wait(lambda: not action(desk, "pause_vm").isEnabled())  # once the window has seen both
    assert action(desk, "resume_vm").isEnabled()
    desk.choose("resume_vm", from_bar=True)
    desk.wait(lambda: all(is_in_state(desk, name, VmState.RUNNING) for name in names))


def test_a_running_vm_cannot_be_deleted_and_the_menu_says_why(desk: Desk) -> None:
    shut_off(desk, "kafka-1")
    desk.select_vm("kafka-1")
    assert action(desk, "delete_vm").isEnabled()
    desk.select_vm("web-01", also=True)
    assert not action(desk, "delete_vm").isEnabled()
    assert action(desk, "delete_vm").toolTip() == "web-01 is running. Only VMs that are shut off can be deleted."


def test_several_vms_are_deleted_and_their_disks_and_definitions_stay(desk: Desk, tmp_path: Path) -> None:
    names = ("kafka-1", "web-01")
    shut_off(desk, *names)
    vms = {name: desk.demo.vm(name) for name in names}
    desk.select_vm(names[0])
    desk.select_vm(names[1], also=True)
    dialog = ask(desk, tmp_path / "kept")
    assert child(dialog, TextLabel, "deletion_question").text() == "Delete 2 VMs?"
    for vm in vms.values():
        assert f"{vm.name}: its definition is removed from {vm.host}" in texts(dialog)
        assert f"Disk stays: {vm.devices.disks[0].source}" in texts(dialog)
    assert not child(dialog, QCheckBox, "deletion_keep_nvram").isEnabled(), "they boot by BIOS"

    press(dialog, Qt.Key.Key_Return)  # Enter is Cancel
    desk.wait(lambda: not dialog.isVisible())
    assert all(desk.demo.has(name) for name in names)

    dialog = ask(desk, tmp_path / "kept")
    click(child(dialog, QPushButton, "deletion_accept"))
    desk.wait(lambda: not any(desk.demo.has(name) for name in names))
    assert sorted(file.name for file in (tmp_path / "kept").iterdir()) == ["kafka-1.xml", "web-01.xml"]
    desk.wait(lambda: any(f"definitions are in {tmp_path / 'kept'}" in said for said in desk.window.messages.shown))
    for vm in vms.values():
        paths = {
            volume.path for volume in desk.app.pool.call(vm.host or "", lambda h: h.volumes("shared"), deadline_s=5)
        }
        assert vm.devices.disks[0].source in paths


def test_the_key_deletes_vms_only_from_their_list(desk: Desk) -> None:
    shut_off(desk, "kafka-1")
    desk.select_vm("kafka-1")
    desk.wait(action(desk, "delete_vm").isEnabled)
    for elsewhere in (desk.window.hosts.view, desk.window.search):
        elsewhere.setFocus()
        press(elsewhere, Qt.Key.Key_Delete)
    assert not desk.window.frame.findChildren(DeletionDialog)


def test_not_saving_says_that_it_cannot_be_undone(desk: Desk, tmp_path: Path) -> None:
    shut_off(desk, "kafka-1")
    desk.select_vm("kafka-1")
    dialog = ask(desk, tmp_path / "kept")
    undo = child(dialog, TextLabel, "deletion_undo")
    host = desk.demo.vm("kafka-1").host or ""
    assert f"virsh -c {desk.app.pool.uri(host)} define FILE" in undo.text()
    press(child(dialog, QCheckBox, "deletion_save"), Qt.Key.Key_Space)
    assert undo.text().startswith("This cannot be undone")
    assert not child(dialog, QLineEdit, "deletion_folder").isEnabled()
    click(child(dialog, QPushButton, "deletion_accept"))
    desk.wait(lambda: not desk.demo.has("kafka-1"))
    assert not (tmp_path / "kept").exists()


def test_a_vm_that_starts_while_one_thinks_stays(desk: Desk, tmp_path: Path) -> None:
    shut_off(desk, "kafka-1")
    desk.select_vm("kafka-1")
    dialog = ask(desk, tmp_path / "kept")
    desk.demo.machines.start(desk.demo.vm("kafka-1"))
    desk.app.poller.refresh()
    accept = child(dialog, QPushButton, "deletion_accept")
    desk.wait(lambda: not accept.isEnabled())
    assert "kafka-1 is running on" in child(dialog, TextLabel, "deletion_problem").text()


def test_of_two_vms_the_one_that_is_held_stays_and_says_why(desk: Desk, tmp_path: Path) -> None:
    """High availability is about to restart one of them, which this window's own list does not show."""
    shut_off(desk, "kafka-1", "db-pg-01")
    desk.app.rules.save_group(AffinityGroup("stores", vms=(desk.demo.vm("db-pg-01").uuid,)))
    desk.app.poller.refresh()
    desk.wait(lambda: bool(desk.app.store.snapshot.affinity_groups))
    desk.app.documents.save(KIND, desk.demo.vm("db-pg-01").uuid, {"died": "an-incident"})
    desk.select_vm("db-pg-01")
    desk.select_vm("kafka-1", also=True)
    dialog = ask(desk, tmp_path / "kept")
    assert "It is highly available: nothing restarts it any more." in texts(dialog)
    assert "Still named in affinity group stores." in texts(dialog)
    click(child(dialog, QPushButton, "deletion_accept"))
    desk.wait(lambda: bool(desk.window.frame.findChildren(QMessageBox, "message_box")))
    (box,) = desk.window.frame.findChildren(QMessageBox, "message_box")
    assert "kafka-1 was deleted." in box.text()
    assert "about to restart db-pg-01" in box.text()
    desk.wait(lambda: not desk.demo.has("kafka-1"))
    assert desk.demo.has("db-pg-01")
    box.reject()


def test_a_home_folder_of_nobody_is_said_and_nothing_is_deleted(desk: Desk, tmp_path: Path) -> None:
    shut_off(desk, "kafka-1")
    desk.select_vm("kafka-1")
    dialog = ask(desk, tmp_path / "kept")
    child(dialog, QLineEdit, "deletion_folder").setText("~nosuchuser/x")
    assert not child(dialog, QPushButton, "deletion_accept").isEnabled()
    assert "no home folder ~nosuchuser" in child(dialog, TextLabel, "deletion_problem").text()
    dialog.reject()


def test_what_an_undo_does_not_bring_back_is_said() -> None:
    vm = Vm("u", "safe", "a", autostart=True, devices=VmDevices(has_tpm_state=True, has_nvram=True))
    told = " ".join(presenter.lines_of(vm, ClusterSnapshot()).details)
    assert "It starts with its host" in told
    assert "It has an emulated TPM: its keys stay on a" in told
    assert "stays on a, and a new UEFI VM of this name takes it over" in told
    assert presenter.nvram_hint([vm]) == ""
    plain = " ".join(presenter.lines_of(Vm("u", "plain", "a"), ClusterSnapshot()).details)
    assert not any(word in plain for word in ("TPM", "NVRAM", "starts with"))


def test_a_mistake_of_ours_hides_nothing_that_was_deleted_before(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("kafka-1", "web-01")
    shut_off(desk, *names)
    desk.select_vm(names[0])
    desk.select_vm(names[1], also=True)
    dialog = ask(desk, tmp_path / "kept")
    really, calls = HostMachines.delete, []

    def delete(machines: HostMachines, vm: Vm, *args: Any, **options: Any) -> Deleted:
        calls.append(vm.name)
        if len(calls) == 2:
            raise ValueError("a mistake")
        return really(machines, vm, *args, **options)

    monkeypatch.setattr(HostMachines, "delete", delete)
    with capture_exceptions():
        click(child(dialog, QPushButton, "deletion_accept"))
        desk.wait(lambda: bool(desk.window.frame.findChildren(QMessageBox, "message_box")))
    (box,) = desk.window.frame.findChildren(QMessageBox, "message_box")
    assert f"{calls[0]} was deleted." in box.text()
    assert f"made a mistake while it deleted {calls[1]}: look whether it is still there." in box.text()
    assert "nothing was changed" not in box.text()
    box.reject()


def test_those_after_a_mistake_are_named() -> None:
    vms = [Vm(name, name, "a") for name in ("one", "two", "three")]
    assert "deleted two: look whether it is still there. three was not touched." in presenter.broken_off_sentence(
        vms, 1
    )
