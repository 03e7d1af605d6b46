"""The way back after maintenance, and a drain that an earlier console left, in the window by mouse and keys.

Over simulated hosts: the app is asked what became of VMs, hosts and drains.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QTableWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.drain_record import KIND, DrainState, new_record, record_to_json
from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.drain import DrainIntent
from hpconsole.ui.maintenance.dialog import MaintenanceDialog
from hpconsole.ui.return_home.dialog import ReturnHomeDialog
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.window_state import WindowState
from tests.ui.desk import Desk, desk_over
from tests.ui.gestures import child, click, click_row, press

CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the console keeps things."""
    return tmp_path / "data"


@pytest.fixture
def desk(qtbot: QtBot, folder: Path, state: WindowState, themes: ThemeKeeper) -> Iterator[Desk]:
    with desk_over(qtbot, folder, state, themes) as desk:
        yield desk
        for dialog in desk.window.frame.findChildren(MaintenanceDialog):
            dialog.reject()


def is_in_maintenance(desk: Desk, host: str) -> bool:
    return desk.app.statuses.of(host).status is HostStatus.MAINTENANCE


def cells(dialog: ReturnHomeDialog) -> list[list[str]]:
    """The table as it is shown."""
    table = child(dialog, QTableWidget, "return_home_table")
    rows, columns = range(table.rowCount()), range(table.columnCount())
    return [[table.model().index(row, column).data() for column in columns] for row in rows]


def test_after_activate_the_vms_are_offered_the_way_back_and_get_their_pins_again(desk: Desk) -> None:
    home = desk.host_of("trade-engine-1")
    assert home is not None
    before = desk.demo.vm("trade-engine-1").pinning
    there = {vm.name for vm in desk.app.store.snapshot.vms_on(home)}
    desk.select(home)
    press(desk.window.hosts.view, Qt.Key.Key_M, CONTROL_SHIFT)
    maintenance = desk.dialog(MaintenanceDialog)
    run = child(maintenance, QPushButton, "maintenance_run")
    desk.wait(run.isEnabled)
    click(run)
    desk.wait(lambda: desk.app.store.snapshot.hosts[home].status is HostStatus.MAINTENANCE)
    press(maintenance, Qt.Key.Key_Escape)
    away = desk.host_of("trade-engine-1")

    desk.select(home)
    desk.choose("activate")
    desk.wait(lambda: desk.app.store.snapshot.hosts[home].status is HostStatus.UP)
    desk.take_offer(f"left {home}")
    dialog = desk.dialog(ReturnHomeDialog)
    desk.wait(lambda: {row[0] for row in cells(dialog)} == there)
    (row,) = (row for row in cells(dialog) if row[0] == "trade-engine-1")
    assert row[1:3] == [away, home]
    assert before.all_vcpu_cpus.format() in row[3]
    assert "migrated while running" in child(dialog, TextLabel, "return_home_consequence").text()
    assert desk.host_of("trade-engine-1") == away, "nothing is done before it is confirmed"

    press(dialog, Qt.Key.Key_Return)
    desk.wait(lambda: all(desk.host_of(name) == home for name in there))
    assert desk.demo.vm("trade-engine-1").pinning == before


def test_a_vm_is_left_out_and_one_that_cannot_go_back_says_why(desk: Desk) -> None:
    names = ("web-01", "trade-risk-1")
    homes = {name: desk.host_of(name) for name in names}
    for name in names:
        plan = desk.demo.app.maintenance.plan(DrainIntent((homes[name] or "",)))
        desk.app.maintenance.start(plan)
        desk.wait(partial(is_in_maintenance, desk, homes[name] or ""))
    refusing, open_ = homes["trade-risk-1"] or "", homes["web-01"] or ""
    desk.app.maintenance.activate(open_)
    desk.wait(lambda: desk.app.store.snapshot.hosts[open_].status is HostStatus.UP)

    desk.window.hosts.view.clearSelection()
    desk.wait(lambda: not desk.window.selection.hosts)
    desk.choose("return_home", from_bar=True)
    dialog = desk.dialog(ReturnHomeDialog)
    desk.wait(lambda: any(row[0] == "web-01" for row in cells(dialog)))
    stays = child(dialog, TextLabel, "return_home_stays")
    assert stays.isVisible()
    assert any(line.startswith("trade-risk-1 stays on ") for line in stays.text().splitlines())
    assert refusing in stays.text()

    table = child(dialog, QTableWidget, "return_home_table")
    row = next(row for row, texts in enumerate(cells(dialog)) if texts[0] == "web-01")
    click_row(table, row)
    press(table, Qt.Key.Key_Space)
    away = desk.host_of("web-01")
    accept = child(dialog, QPushButton, "return_home_accept")
    others = [texts[0] for texts in cells(dialog) if texts[0] != "web-01"]
    assert others
    assert accept.text() == f"&Move {len(others)} VM{'s' if len(others) > 1 else ''} Back"
    click(accept)
    desk.wait(lambda: all(desk.host_of(name) == open_ for name in others))
    assert desk.host_of("web-01") == away


class TestADrainOfAConsoleThatWasKilled:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A database with a drain in the middle, of a process that is not there any more."""
        from hpconsole.core.database.database import Database

        folder = tmp_path / "data"
        folder.mkdir()
        database = Database.open(folder / "hpconsole.sqlite3")
        gone = ConsoleIdentity("gone", "a-machine-that-is-not-this-one", 1)
        record = new_record("d" * 32, "Maintenance of host-01", DrainIntent(("host-01",), "new disks"), gone, 3)
        database.documents.save(KIND, record.drain_id, record_to_json(record.with_line("It began.")))
        database.close()
        return folder

    def test_it_is_shown_paused_and_goes_on_by_resume(self, desk: Desk) -> None:
        there = [vm.name for vm in desk.app.store.snapshot.vms_on("host-01")]
        assert there
        record = desk.app.maintenance.get("d" * 32)
        assert record is not None
        assert record.state is DrainState.PAUSED
        desk.take_offer("The console ended in the middle of it. Paused")
        dialog = desk.dialog(MaintenanceDialog)
        assert child(dialog, TextLabel, "maintenance_question").text() == "Maintenance of host-01"
        assert not child(dialog, QPushButton, "maintenance_run").isVisible()
        resume = child(dialog, QPushButton, "maintenance_resume")
        desk.wait(lambda: resume.isVisible() and dialog._plan is not None)
        assert {item.vm_name for item in dialog._plan.items} == set(there)  # type: ignore[union-attr]
        assert [desk.host_of(name) for name in there] == ["host-01"] * len(there), "nothing goes on by itself"
        click(resume)
        desk.wait(lambda: desk.app.statuses.of("host-01").status is HostStatus.MAINTENANCE)
        assert desk.app.statuses.of("host-01").reason == "new disks"
        assert all(desk.host_of(name) != "host-01" for name in there)
