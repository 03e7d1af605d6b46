"""The window: shows snapshots, says what is possible, and hands gestures on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QTextEdit,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.events import Notice, PlanSubmitted, StepStarted
from hpconsole.core.model.host import HostLink, HostStatus, LinkState
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import VmState
from hpconsole.core.planning.plan import MigrateStep, Plan
from hpconsole.ui.actions import ALL, Selection
from hpconsole.ui.main_window.frame import Frame
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeChoice, ThemeKeeper
from hpconsole.ui.widgets.text_label import ElidedLabel
from hpconsole.ui.window_state import WindowState
from tests.builders import NOW, a_host, a_snapshot, a_vm, virtual_nodes
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, click_row, press, type_text


def a_cluster(serial: int = 1) -> ClusterSnapshot:
    link = HostLink(LinkState.CONNECTED, answered_at=datetime.now(UTC) - timedelta(seconds=2))
    hosts = [a_host("host-a", link=link), a_host("host-b", link=link)]
    vms = [a_vm("trade-1"), a_vm("web-1", host="host-b"), a_vm("off-1", host=None)]
    return a_snapshot(hosts, vms, serial=serial)


def show(qtbot: QtBot, window: MainWindow, console: FakeConsole, snapshot: ClusterSnapshot) -> None:
    with qtbot.waitSignal(window.snapshot_shown):
        console.store.publish(snapshot)


def names(window: MainWindow) -> list[str]:
    return [window.vms.model.row_at(i).vm.name for i in range(window.vms.model.rowCount())]


def action(window: MainWindow, name: str) -> QAction:
    return window.actions_[name]


def test_a_snapshot_is_shown(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    assert names(window) == ["off-1", "trade-1", "web-1"]
    assert window.hosts.model.rowCount() == 2
    assert "2 hosts   ·   3 VMs, 2 running" in child(window.frame, QLabel, "cluster_summary").text()
    assert child(window.frame, QLabel, "vm_table_count").text() == "3"


def test_search_by_keyboard_finds_and_goes_there(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    press(window.frame, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    search = child(window.frame, QLineEdit, "search")
    qtbot.waitUntil(search.hasFocus)
    type_text(search, "trade host-a")
    assert names(window) == ["trade-1"]
    assert [window.hosts.model.key_at(i) for i in range(window.hosts.model.rowCount())] == ["host-a"]
    assert child(window.frame, QLabel, "vm_table_count").text() == "1 of 3 found"
    type_text(search, "zzz")
    assert child(window.frame, QLabel, "vm_table_count").text() == "Nothing matches trade host-azzz (Esc clears)"
    for _ in "zzz":
        press(search, Qt.Key.Key_Backspace)
    press(search, Qt.Key.Key_Down)
    assert window.vms.view.hasFocus()
    assert [vm.name for vm in window.selection.vms] == ["trade-1"]
    press(window.frame, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    press(search, Qt.Key.Key_Escape)
    assert len(names(window)) == 3
    assert [vm.name for vm in window.selection.vms] == ["trade-1"]


def test_actions_say_why_they_are_impossible(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    migrate = action(window, "migrate")
    assert not migrate.isEnabled()
    assert "Select one or more running VMs" in migrate.toolTip()
    click_row(window.vms.view, 0)
    assert not migrate.isEnabled()
    assert "Only running VMs" in migrate.toolTip()
    click_row(window.vms.view, 1)
    assert migrate.isEnabled()
    assert "Ctrl+M" in migrate.toolTip()
    assert not action(window, "remove_host").isEnabled()
    click_row(window.hosts.view, 0)
    assert action(window, "remove_host").isEnabled()


def test_selection_and_focus_survive_polls(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    click_row(window.vms.view, 2)
    moved = a_cluster(serial=2)
    vms = {uuid: replace(vm, host="host-a") if vm.name == "web-1" else vm for uuid, vm in moved.vms.items()}
    show(qtbot, window, console, replace(moved, vms={**vms, "new": a_vm("aaa", uuid="new")}))
    assert names(window) == ["aaa", "off-1", "trade-1", "web-1"]
    assert [vm.host for vm in window.selection.vms] == ["host-a"]
    assert window.vms.view.currentIndex().row() == 3


def test_age_of_data_goes_on_without_snapshots(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    column = next(i for i, column in enumerate(window.hosts.model.columns) if column.title == "Updated")
    before = window.hosts.model.index(0, column).data()
    qtbot.waitUntil(lambda: window.hosts.model.index(0, column).data() != before)


def test_first_start_invites_to_add_a_host(qtbot: QtBot, state: WindowState, themes: ThemeKeeper) -> None:
    console = FakeConsole()
    window = MainWindow(Frame(state), console, state, themes)
    qtbot.addWidget(window.frame)
    window.frame.show()
    assert not child(window.frame, QWidget, "empty_state").isVisible(), "whether there are hosts is not known yet"
    console.start()
    qtbot.waitUntil(child(window.frame, QWidget, "empty_state").isVisible)
    click(child(window.frame, QPushButton, "empty_add_host"))
    dialog = child(window.frame, QWidget, "add_host_dialog")
    type_text(child(dialog, QLineEdit, "host_uri"), "qemu+ssh://root@host-9/system")
    click(child(dialog, QPushButton, "host_accept"))
    qtbot.waitUntil(lambda: ("add_host", "host-9", "qemu+ssh://root@host-9/system") in console.calls)
    qtbot.waitUntil(lambda: not child(window.frame, QWidget, "empty_state").isVisible())
    window.frame.close()


def test_a_refused_host_is_a_sentence(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    console.failure = HpconsoleError("The database is full.")
    window.membership.add("x", "qemu+ssh://x/system")
    qtbot.waitUntil(lambda: "The database is full." in window.messages.shown)
    box = child(window.frame, QMessageBox, "message_box")
    assert box.textFormat() is Qt.TextFormat.PlainText
    box.close()


def test_hosts_are_removed_only_after_a_yes(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    click_row(window.hosts.view, 1)
    action(window, "remove_host").trigger()
    box = child(window.frame, QMessageBox, "message_box")
    click(child(box, QPushButton, "no"))
    assert not [call for call in console.calls if call[0] == "remove_host"]
    action(window, "remove_host").trigger()
    click(child(window.frame.findChildren(QMessageBox, "message_box")[-1], QPushButton, "yes"))
    qtbot.waitUntil(lambda: ("remove_host", "host-b") in console.calls)


def test_context_menu_offers_migrate(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    click_row(window.vms.view, 1)
    window.vms.view.customContextMenuRequested.emit(window.vms.view.visualRect(window.vms.model.index(1, 0)).center())
    menu = child(window.vms.view, QMenu, "context_menu")
    assert [entry.text() for entry in menu.actions()] == [
        "&Migrate VM(s)…",
        "&Cancel Migration",
        "",
        "&New VM…",
        "&Edit VM…",
        "N&UMA Topology…",
        "",
        "S&tart",
        "P&ause",
        "&Resume",
        "Shut &Down",
        "&Force Off…",
        "",
        "Make Tem&plate…",
        "Delete &VM(s)…",
        "",
        "Migration Hi&story…",
    ]
    assert menu.actions()[0].isEnabled()
    menu.close()


def test_vms_of_a_host(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    show(qtbot, window, console, a_cluster())
    click_row(window.hosts.view, 1)
    action(window, "show_vms_of_host").trigger()
    assert names(window) == ["web-1"]


def test_notices_wait_for_the_reader(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    for sentence in ("<b>host-b</b> is lost.", "The database is read-only.", "<b>host-b</b> is lost."):
        console.store.report(Notice(NOW, "warning", sentence))
    qtbot.waitUntil(lambda: child(window.frame, QWidget, "notice_bar").isVisible())
    text = child(window.frame, QLabel, "notice_text")
    qtbot.waitUntil(lambda: child(window.frame, QLabel, "notice_count").text() == "1 more")
    assert text.text() == "<b>host-b</b> is lost."
    assert text.textFormat() is Qt.TextFormat.PlainText
    dismiss = child(window.frame, QToolButton, "notice_dismiss")
    click(dismiss)
    assert text.text() == "The database is read-only."
    click(dismiss)
    assert not child(window.frame, QWidget, "notice_bar").isVisible()


def test_an_info_goes_to_the_status_bar(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    console.store.report(Notice(NOW, "info", "host-b is back."))
    line = child(window.frame, ElidedLabel, "status_line")
    qtbot.waitUntil(lambda: line.full_text() == "host-b is back.")


def a_plan() -> Plan:
    vm = a_vm("trade-1")
    step = MigrateStep(vm.uuid, vm.name, "host-a", "host-b", Placement(vm.uuid, "host-b"), "Move it.")
    return Plan("Migrate trade-1", (step,), 1)


def test_a_submitted_plan_opens_the_task_list(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    assert not child(window.frame, QWidget, "task_list").isVisible()
    console.store.report(PlanSubmitted(NOW, a_plan()))
    qtbot.waitUntil(child(window.frame, QWidget, "task_list").isVisible)
    assert action(window, "show_tasks").isChecked()
    qtbot.waitUntil(lambda: child(window.frame, QWidget, "dock_tasks").windowTitle() == "Tasks   1 migration waiting")


def test_cancel_of_a_selected_vm(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    snapshot, plan = a_cluster(), a_plan()
    moving = {uuid: replace(vm, is_migrating=vm.name == "trade-1") for uuid, vm in snapshot.vms.items()}
    show(qtbot, window, console, replace(snapshot, vms=moving))
    click_row(window.vms.view, 1)
    action(window, "cancel_migration").trigger()
    assert window.messages.shown[-1] == "Cancel the migration of trade-1?", "it was not started by this console"
    click(child(child(window.frame, QMessageBox, "message_box"), QPushButton, "no"))
    console.store.report(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    qtbot.waitUntil(lambda: window.docks.running_count() == 1)
    action(window, "cancel_migration").trigger()
    qtbot.waitUntil(lambda: ("cancel", plan.plan_id, 0) in console.calls)


def test_closing_with_migrations_under_way_is_asked_once(
    qtbot: QtBot, window: MainWindow, console: FakeConsole
) -> None:
    console.store.report(PlanSubmitted(NOW, a_plan()))
    qtbot.waitUntil(lambda: window.docks.running_count() == 1)
    window.frame.close()
    assert window.frame.isVisible()
    assert "1 migration under way. Quit anyway?" in window.messages.shown
    box = child(window.frame, QMessageBox, "message_box")
    assert [button.text() for button in box.buttons()] == ["Quit", "Stay"]
    assert "go on without the console" in box.informativeText()
    click(child(child(window.frame, QMessageBox, "message_box"), QPushButton, "yes"))
    qtbot.waitUntil(lambda: not window.frame.isVisible())


def test_a_simulated_cluster_says_so(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    snapshot = a_cluster()
    show(qtbot, window, console, snapshot)
    assert window.frame.windowTitle() == "hpconsole"
    hosts = {name: replace(host, uri=f"sim://{name}") for name, host in snapshot.hosts.items()}
    show(qtbot, window, console, replace(snapshot, hosts=hosts, serial=2))
    assert "Simulated cluster" in window.frame.windowTitle()
    assert child(window.frame, QLabel, "cluster_summary").text().startswith("simulated cluster")
    console.store.report(PlanSubmitted(NOW, a_plan()))
    qtbot.waitUntil(lambda: window.docks.running_count() == 1)
    window.frame.close()
    box = child(window.frame, QMessageBox, "message_box")
    assert "go on" not in box.informativeText()
    click(child(box, QPushButton, "no"))
    assert window.frame.isVisible()


def test_why_a_host_is_lost_can_be_read_without_a_mouse(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    snapshot = a_cluster()
    lost = replace(snapshot.hosts["host-b"], link=HostLink(LinkState.REFUSED, problem="The key was refused."))
    show(qtbot, window, console, replace(snapshot, hosts=dict(snapshot.hosts) | {"host-b": lost}))
    line = child(window.frame, ElidedLabel, "host_tree_trouble")
    click_row(window.hosts.view, 0)
    assert line.full_text() == ""
    click_row(window.hosts.view, 1)
    assert line.full_text() == line.text() == "host-b is refused. The key was refused."
    click_row(window.hosts.view, 0)
    assert line.full_text() == ""
    window.hosts.selection.select([])
    click_row(window.vms.view, 2)
    assert line.text() == "host-b is refused. The key was refused.", "web-1 is there"


def test_details_are_open_at_once(qtbot: QtBot, window: MainWindow) -> None:
    window.messages.information("It failed.", "error: the whole story")
    box = child(window.frame, QMessageBox, "message_box")
    qtbot.waitUntil(box.isVisible)
    assert child(box, QTextEdit, "").isVisible()
    assert box.defaultButton() is box.button(QMessageBox.StandardButton.Close)
    box.close()


def test_the_docks_of_the_last_run_leave_room_for_the_tables(
    qtbot: QtBot, console: FakeConsole, themes: ThemeKeeper, tmp_path: Path
) -> None:
    path = tmp_path / "window.ini"

    def started() -> MainWindow:
        state = WindowState(path)
        frame = Frame(state)
        qtbot.addWidget(frame)
        frame.show()
        qtbot.waitExposed(frame)
        return MainWindow(frame, console, state, themes)

    first = started()
    show(qtbot, first, console, a_cluster())
    first.docks.show_load()
    console.store.report(PlanSubmitted(NOW, a_plan()))
    qtbot.waitUntil(first.docks.tasks_dock.isVisible)
    first.frame.resizeDocks([first.docks.load_dock], [500], Qt.Orientation.Vertical)
    qtbot.waitUntil(lambda: first.docks.load_dock.height() > 350)
    first._is_leaving = True
    first.frame.close()
    second = started()
    third = second.frame.height() // 3
    qtbot.waitUntil(lambda: 0 < second.docks.load_dock.height() <= third)
    assert not second.docks.tasks_dock.isVisible(), "no tasks, no task list"
    assert not action(second, "show_tasks").isChecked()
    second.frame.close()


def test_what_the_user_arranged_is_remembered(
    qtbot: QtBot, console: FakeConsole, themes: ThemeKeeper, tmp_path: Path
) -> None:
    path = tmp_path / "some" / "window.ini"
    state = WindowState(path)
    first = MainWindow(Frame(state), console, state, themes)
    qtbot.addWidget(first.frame)
    first.frame.show()
    first.frame.resize(700, 520)
    first.vms.view.horizontalHeader().resizeSection(2, 333)
    first.vms.view.sortByColumn(5, Qt.SortOrder.DescendingOrder)
    first.docks.show_load()
    first._on_theme_chosen(ThemeChoice.DARK)
    first.frame.close()
    assert path.exists()
    state = WindowState(path)
    assert state.theme is ThemeChoice.DARK
    second = MainWindow(Frame(state), console, state, themes)
    qtbot.addWidget(second.frame)
    second.frame.show()
    assert (second.frame.width(), second.frame.height()) == (700, 520)
    header = second.vms.view.horizontalHeader()
    assert header.sectionSize(2) == 333
    assert (header.sortIndicatorSection(), header.sortIndicatorOrder()) == (5, Qt.SortOrder.DescendingOrder)
    assert child(second.frame, QWidget, "dock_load").isVisible()
    show(qtbot, second, console, a_cluster())
    assert second.vms.model.row_at(0).vm.memory_kib >= second.vms.model.row_at(1).vm.memory_kib
    second.frame.close()


def test_a_broken_settings_file_is_no_obstacle(
    qtbot: QtBot, console: FakeConsole, themes: ThemeKeeper, tmp_path: Path
) -> None:
    path = tmp_path / "window.ini"
    path.write_bytes(b"[General]\ngeometry=@ByteArray(\\0\\0)\ntheme=purple\nlayout=7\n\xff\xfe")
    state = WindowState(path)
    window = MainWindow(Frame(state), console, state, themes)
    qtbot.addWidget(window.frame)
    window.frame.show()
    assert window.frame.isVisible()
    window.frame.close()


def test_every_action_has_its_method_and_its_own_shortcut(window: MainWindow) -> None:
    shortcuts = [spec.shortcut for spec in ALL if spec.shortcut]
    assert len(set(shortcuts)) == len(shortcuts)
    selections = (
        Selection(("h",), (a_vm(), a_vm("m", is_migrating=True))),
        Selection(vms=(a_vm(virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=64)),)),
        Selection(vms=(a_vm(state=VmState.SHUT_OFF),)),
        Selection(vms=(a_vm(state=VmState.PAUSED),)),
        Selection(("h",), statuses={"h": HostStatus.MAINTENANCE}),
    )
    for spec in ALL:
        assert window.frame.findChild(QAction, f"action_{spec.name}") is not None
        assert any(not spec.why_not(selection) for selection in selections), spec.name


def test_no_menu_has_a_letter_or_a_picture_twice(window: MainWindow) -> None:
    """Nor the menu bar: a letter that two entries share only moves between them."""
    menus = [menu for menu in window.frame.menuBar().findChildren(QMenu) if menu.title()]
    assert {menu.title() for menu in menus} >= {"&Hosts", "&VMs", "&Cluster", "Vie&w", "H&elp"}
    for name, entries in (
        ("menu bar", window.frame.menuBar().actions()),
        *((menu.title(), [entry for entry in menu.actions() if entry.text()]) for menu in menus),
    ):
        letters = [entry.text().partition("&")[2][:1].lower() for entry in entries]
        assert "" not in letters, name
        assert len(set(letters)) == len(letters), (name, letters)
    icons = {spec.name: spec.icon for spec in ALL if spec.icon}
    for menu in menus:
        shown = [icons[key] for entry in menu.actions() if (key := entry.objectName().removeprefix("action_")) in icons]
        assert len(set(shown)) == len(shown), (menu.title(), shown)


def test_a_name_is_never_markup_in_a_tool_tip(window: MainWindow) -> None:
    vm = a_vm("web<img src='x'>")
    window.actions_.follow(Selection.of(a_snapshot([a_host("host-a")], [vm]), (), (vm.uuid,)))
    action = window.frame.findChild(QAction, "action_delete_vm")
    assert action is not None
    assert not action.isEnabled()
    assert "web&lt;img src=" in action.toolTip()
    assert "<img" not in action.toolTip()


def test_a_host_that_is_up_cannot_be_activated_and_the_menu_says_why(window: MainWindow) -> None:
    action = window.frame.findChild(QAction, "action_activate")
    assert action is not None
    away = a_host("host-a", status=HostStatus.MAINTENANCE)
    for snapshot, why_not in (
        (a_snapshot([a_host("host-a")], []), "host-a is not in maintenance."),
        (a_snapshot([away], []), ""),
    ):
        window.actions_.follow(Selection.of(snapshot, ("host-a",), ()))
        assert action.isEnabled() == (not why_not)
        assert not why_not or action.toolTip() == why_not
    both = Selection.of(a_snapshot([away, a_host("host-b")], []), ("host-a", "host-b"), ())
    assert both.activatable == ("host-a",), "those that are up are left as they are"


def test_no_two_entries_of_a_menu_share_a_letter(window: MainWindow) -> None:
    for menu in window.frame.menuBar().findChildren(QMenu):
        letters = [text[text.index("&") + 1].casefold() for text in (a.text() for a in menu.actions()) if "&" in text]
        assert len(set(letters)) == len(letters), menu.title()


def test_theme_menu_changes_everything_at_once(qapp: QApplication, window: MainWindow) -> None:
    dark = window.frame.findChild(QAction, "action_theme_dark")
    assert dark is not None
    dark.trigger()
    assert window._state.theme is ThemeChoice.DARK
    light = window.frame.findChild(QAction, "action_theme_light")
    assert light is not None
    light.trigger()


def test_refresh_asks_every_host_off_the_gui_thread(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    press(window.frame, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: ("refresh", None) in console.calls)
