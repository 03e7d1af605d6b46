"""VM details: what it is meant to have and has, its pinning as a picture, its latest migrations."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.model.vm import AssignedDevice, Disk, Nic, VmDevices
from hpconsole.ui.details.presenter import look_closer, sections
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.migrate.placement_view import PlacementView
from hpconsole.ui.tone import Tone
from tests.builders import a_vm
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, click_row, press
from tests.ui.migrate_cases import cluster, trade_engine
from tests.ui.test_history import an_attempt


def test_intent_and_present_state_are_told_apart() -> None:
    found = {
        section.title: {fact.what: fact.value for fact in section.facts} for section in sections(trade_engine(), None)
    }
    assert found["Meant to have"]["Optimized for"] == "High performance"
    assert found["Meant to have"]["CPU pinning"] == "its present shape, on CPUs of its own on each host"
    assert "virtual node 1 on any one node (strict)" in found["Meant to have"]["NUMA"]
    assert found["Has now"]["Memory"] == "4 GiB in 2M pages"
    assert found["Has now"]["Virtual node 0"] == "vCPU 0-1, 2 GiB on host node 0 (strict)"
    assert "Devices" not in found


def test_devices_and_what_keeps_it_from_moving() -> None:
    devices = VmDevices(
        nics=(Nic("bridge", "br0"),),
        disks=tuple(Disk(f"vd{c}", "file", "disk", f"/images/{c}.qcow2") for c in "abcdefghijklmn"),
        assigned=(AssignedDevice("pci", "0000:3b:00.0"),),
    )
    (facts,) = [
        section.facts for section in sections(replace(a_vm(), devices=devices), None) if section.title == "Devices"
    ]
    assert (facts[0].what, facts[0].value) == ("Disk vda", "/images/a.qcow2")
    assert facts[-1].value == "and 4 more"
    alone = replace(a_vm(), devices=VmDevices(assigned=devices.assigned))
    (facts,) = [section.facts for section in sections(alone, None) if section.title == "Devices"]
    assert (facts[0].value, facts[0].tone) == ("pci 0000:3b:00.0, cannot be migrated", Tone.WARNING)


def test_a_vm_that_is_gone_has_no_picture() -> None:
    assert look_closer("gone", cluster(), None).picture is None
    assert look_closer(trade_engine().uuid, cluster(), None).picture is not None


def test_the_dock_follows_the_selection(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    vm = trade_engine()
    console.journal.begin(replace(an_attempt("trade-1"), vm_uuid=vm.uuid, vm_name=vm.name))
    with qtbot.waitSignal(window.snapshot_shown):
        console.store.publish(cluster(a_vm("web-1", host="host-c")))
    press(window.frame, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    dock = child(window.frame, QWidget, "dock_details")
    qtbot.waitUntil(dock.isVisible)
    assert "Select a VM" in child(dock, QLabel, "details_state").text()
    click_row(window.vms.view, 0)
    assert child(dock, QLabel, "details_title").text() == vm.name
    picture = child(dock, PlacementView, "details_picture")
    qtbot.waitUntil(picture.isVisible, timeout=20_000)
    assert picture.accessibleName() == "Pinned on host-a"
    facts = {label.text() for label in dock.findChildren(QLabel, "details_fact")}
    assert "host-a → host-b: waits" in facts
    click_row(window.vms.view, 1)
    assert child(dock, QLabel, "details_title").text() == "web-1"
    qtbot.waitUntil(lambda: not picture.isVisible())
    click(child(dock, QPushButton, "details_history"))
    dialog = child(window.frame, QWidget, "history_dialog")
    dialog.close()
    press(window.frame, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    assert dock.isHidden()
