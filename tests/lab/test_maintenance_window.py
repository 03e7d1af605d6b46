"""Maintenance in the real window over real hosts, by mouse and keys: 8 guests, 4 pinned, one that fits nowhere else.

Whether it is true is asked of the hosts and the guests themselves (maintenance_scenario.py), never of hpconsole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QPushButton, QTableView
from pytestqt.qtbot import QtBot

from hpconsole.core.planning.drain import DrainAction, DrainItem
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.maintenance.dialog import MaintenanceDialog
from hpconsole.ui.widgets.text_label import TextLabel
from tests.lab.lab import Lab
from tests.lab.maintenance_scenario import a_full_host, check_untouched
from tests.lab.proof import vcpu_pins
from tests.lab.real_window import WAIT_MS, real_window
from tests.ui.gestures import child, click, click_row, press, type_text

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def window(
    lab: Lab, qtbot: QtBot, qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MainWindow]:
    """The real window on the lab's three hosts, all of them answering."""
    with real_window(lab, qtbot, qapp, tmp_path, monkeypatch) as opened:
        yield opened


class Desk:
    """The dialog, and what a person does with it."""

    def __init__(self, qtbot: QtBot, window: MainWindow, dialog: MaintenanceDialog) -> None:
        self.qtbot = qtbot
        self.window = window
        self.dialog = dialog

    def settle(self) -> None:
        """Wait for the plan of what is decided."""
        self.qtbot.waitUntil(
            lambda: self.dialog._plan is not None and self.dialog._plan.intent == self.dialog._intent, timeout=WAIT_MS
        )

    def item(self, name: str) -> DrainItem:
        """What the plan says of a VM."""
        assert self.dialog._plan is not None
        return next(item for item in self.dialog._plan.items if item.vm_name == name)

    def shown(self) -> list[list[str]]:
        """The table as it is drawn, the hidden columns too."""
        model = self.table.model()
        return [[model.index(r, c).data() or "" for c in range(model.columnCount())] for r in range(model.rowCount())]

    @property
    def table(self) -> QTableView:
        return child(self.dialog, QTableView, "maintenance_table")

    def text(self, name: str) -> str:
        """What a label says."""
        return child(self.dialog, TextLabel, f"maintenance_{name}").text()

    def details(self) -> list[str]:
        """The lines about the selected VM."""
        lines = self.dialog.findChildren(TextLabel, "maintenance_line")
        return [line.text() for line in lines if line.isVisible()]

    def select(self, name: str) -> None:
        """Click on the VM's row."""
        click_row(self.table, next(row for row, cells in enumerate(self.shown()) if cells[1] == name))

    def press_button(self, name: str) -> None:
        """Click on a button as soon as it can be."""

        def ready() -> bool:
            button = self.dialog.findChild(QPushButton, f"maintenance_{name}")
            return button is not None and button.isVisible() and button.isEnabled()

        self.qtbot.waitUntil(ready, timeout=WAIT_MS)
        click(child(self.dialog, QPushButton, f"maintenance_{name}"))

    def send_to(self, name: str, host: str) -> None:
        """Choose a destination with the arrow keys."""
        self.select(name)
        box = child(self.dialog, QComboBox, "maintenance_destination")
        self.qtbot.waitUntil(lambda: box.isEnabled() and box.findData(host) > 0, timeout=WAIT_MS)
        box.setFocus()
        press(box, Qt.Key.Key_Home)
        for _ in range(box.findData(host)):
            press(box, Qt.Key.Key_Down)
        self.settle()

    def status(self, host: str) -> str:
        """What the window's table of hosts says of a host."""
        model = self.window.hosts.model
        row = next(row for row in range(model.rowCount()) if model.key_at(row) == host)
        return str(model.index(row, 1).data())


def open_maintenance(qtbot: QtBot, window: MainWindow, host: str, guests: int) -> Desk:
    """Click on the host, Ctrl+Shift+M; the dialog with its first plan."""
    qtbot.waitUntil(lambda: sum(vm.host == host for vm in window._snapshot.vms.values()) == guests, timeout=WAIT_MS)
    model = window.hosts.model
    click_row(window.hosts.view, next(row for row in range(model.rowCount()) if model.key_at(row) == host))
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    press(window.hosts.view, Qt.Key.Key_M, both)
    qtbot.waitUntil(
        lambda: window.frame.findChild(MaintenanceDialog, "maintenance_dialog") is not None, timeout=WAIT_MS
    )
    desk = Desk(qtbot, window, child(window.frame, MaintenanceDialog, "maintenance_dialog"))
    desk.settle()
    return desk


def see_the_one_that_cannot_leave(desk: Desk) -> None:
    """The warning names the pinned ones; why no host takes the wide one is told, host by host."""
    assert child(desk.dialog, TextLabel, "maintenance_warning").isVisible()
    assert {name for name in ("db-1", "db-2", "db-3", "stuck") if name in desk.text("warning")} == {
        "db-1", "db-2", "db-3", "stuck",
    }  # fmt: skip
    assert desk.item("stuck").action is DrainAction.NO_HOST
    desk.select("stuck")
    assert {refusal.host for refusal in desk.item("stuck").refusals} == {"b", "c"}
    desk.qtbot.waitUntil(
        lambda: {"b", "c"} == {line[0] for line in desk.details() if line[1:3] == ": "}, timeout=WAIT_MS
    )
    assert "stuck" in desk.text("consequence")


def edit_the_plan(desk: Desk) -> str:
    """Another destination, a VM left out and in again, another order, a reason; where `web-1` is to go now."""
    other = "c" if desk.item("web-1").destination == "b" else "b"
    desk.send_to("web-1", other)
    assert (desk.item("web-1").destination, desk.item("web-1").is_destination_chosen) == (other, True)
    desk.select("web-2")
    desk.press_button("choice_leave")
    desk.settle()
    assert desk.item("web-2").action is DrainAction.LEAVE
    desk.press_button("choice_plan")
    desk.settle()
    assert desk.item("web-2").action is DrainAction.MOVE
    first = [cells[1] for cells in desk.shown()][1]
    desk.select(first)
    desk.press_button("earlier")
    desk.settle()
    assert desk.shown()[0][1] == first, "one place earlier"
    type_text(child(desk.dialog, QLineEdit, "maintenance_reason"), "new disks")
    return other


def test_a_host_is_emptied_by_an_edited_plan_and_a_choice_about_the_one_that_fits_nowhere(
    qtbot: QtBot, lab: Lab, window: MainWindow
) -> None:
    full = a_full_host(lab, is_too_wide=True)
    desk = open_maintenance(qtbot, window, "a", 8)
    see_the_one_that_cannot_leave(desk)
    other = edit_the_plan(desk)

    # it runs, and waits for the choice
    planned = {item.vm_name: item for item in desk.dialog._plan.moves}  # type: ignore[union-attr]
    assert len(planned) == 7
    with qtbot.waitSignal(desk.dialog.began, timeout=WAIT_MS):
        desk.press_button("run")
    resume = child(desk.dialog, QPushButton, "maintenance_resume")
    qtbot.waitUntil(resume.isVisible, timeout=2 * WAIT_MS)
    assert "stuck" in desk.text("consequence")
    qtbot.waitUntil(lambda: desk.status("a") == "Preparing for maintenance", timeout=WAIT_MS)
    places = check_untouched(lab, full)
    assert places == {name: item.destination for name, item in planned.items()}, "each went where the plan said"
    assert places["web-1"] == other
    assert lab.qemu_processes()[full.stuck.uuid] == ("a",), "nobody stopped it"
    for guest in full.pinned:
        placement = planned[guest.name].placement
        assert placement is not None
        pins = {vcpu: cpus.format() for vcpu, cpus in placement.pinning.vcpus}
        assert vcpu_pins(lab, places[guest.name], guest, "--live") == pins

    desk.select("stuck")
    desk.press_button("choice_power_off")
    desk.settle()
    desk.press_button("resume")
    qtbot.waitUntil(lambda: desk.status("a") == "Maintenance", timeout=WAIT_MS)
    assert full.stuck.uuid not in lab.qemu_processes(), "switched off, as chosen"
    assert check_untouched(lab, full) == places, "nobody was moved again"
    assert window._snapshot.hosts["a"].status_reason == "new disks"
