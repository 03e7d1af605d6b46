"""Migrate VM(s) by mouse and keyboard: verdicts, choice, plan; and the window goes on while hosts are judged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer
from PySide6.QtWidgets import QApplication, QLabel, QRadioButton, QTableView, QWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.migrate.dialog import MigrateDialog
from hpconsole.ui.migrate.placement_view import PlacementView
from hpconsole.ui.theme import DARK, LIGHT, style_sheet
from hpconsole.ui.widgets.text_label import ElidedLabel
from tests.builders import a_vm
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, click_row, press
from tests.ui.migrate_cases import cluster
from tests.ui.migrate_dialogs import VM, accept_button, migrate_dialogs

Opener = Callable[..., MigrateDialog]


@pytest.fixture
def opened(qtbot: QtBot) -> Iterator[Opener]:
    with migrate_dialogs(qtbot) as open_:
        yield open_


def host_names(dialog: MigrateDialog) -> list[str]:
    view = child(dialog, QTableView, "migrate_hosts")
    return [view.model().index(row, 1).data() for row in range(view.model().rowCount())]


def judged(qtbot: QtBot, dialog: MigrateDialog) -> None:
    qtbot.waitUntil(lambda: "can take" in child(dialog, QLabel, "migrate_status").text(), timeout=20_000)


def test_its_table_is_dressed_once_while_it_is_made(qtbot: QtBot, opened: Opener, qapp: QApplication) -> None:
    """With a style sheet each parent that a widget goes through dresses it anew: that took two thirds of the time."""

    class Dressings(QObject):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            self.count += event.type() is QEvent.Type.StyleChange and isinstance(watched, QTableView)
            return False

    before, seen = qapp.styleSheet(), Dressings()
    qapp.setStyleSheet(style_sheet(LIGHT))
    qapp.installEventFilter(seen)
    try:
        opened()
    finally:
        qapp.removeEventFilter(seen)
        qapp.setStyleSheet(before)
    assert seen.count <= 1


def test_opens_at_once_and_fills_in_the_verdicts(qtbot: QtBot, opened: Opener) -> None:
    gate = threading.Event()

    def slow_policy() -> Any:
        gate.wait(10)
        return DEFAULT_POLICY

    dialog = opened(policy=slow_policy)
    assert child(dialog, QLabel, "migrate_status").text() == "Checking 6 hosts…"
    assert not accept_button(dialog).isEnabled()
    ticks: list[int] = []
    timer = QTimer(interval=5)
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start()
    qtbot.waitUntil(lambda: len(ticks) > 10)  # the event loop turns while the hosts are being judged
    click_row(child(dialog, QTableView, "migrate_hosts"), 2)
    gate.set()
    judged(qtbot, dialog)
    timer.stop()
    assert host_names(dialog) == ["host-b", "host-c", "host-e", "host-f", "host-d", "host-a"]
    view = child(dialog, QTableView, "migrate_hosts")
    assert view.model().index(view.currentIndex().row(), 1).data() == "host-c", "the row clicked meanwhile stays"


def test_enter_migrates_to_the_best_host(qtbot: QtBot, opened: Opener) -> None:
    dialog = opened()
    judged(qtbot, dialog)
    assert accept_button(dialog).text() == "Migrate trade-engine-1 to host-b"
    assert child(dialog, ElidedLabel, "automatic_text").full_text().startswith("Now: host-b")
    with qtbot.waitSignal(dialog.plan_accepted) as signal:
        press(child(dialog, QTableView, "migrate_hosts"), Qt.Key.Key_Return)
    assert signal.args is not None
    plan = signal.args[0]
    assert isinstance(plan, Plan)
    assert [step.destination for step in plan.steps] == ["host-b"]
    assert not dialog.isVisible()


def test_a_host_is_chosen_by_keyboard_alone(qtbot: QtBot, opened: Opener) -> None:
    dialog = opened()
    judged(qtbot, dialog)
    table = child(dialog, QTableView, "migrate_hosts")
    qtbot.waitUntil(table.hasFocus)
    press(table, Qt.Key.Key_Down)
    chosen = child(dialog, QRadioButton, "choose_host")
    assert chosen.text() == "Migrate to the host selected below: host-c"
    chosen.setFocus()
    press(chosen, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: accept_button(dialog).text() == "Migrate trade-engine-1 to host-c")
    with qtbot.waitSignal(dialog.plan_accepted) as signal:
        press(chosen, Qt.Key.Key_Return)
    assert signal.args is not None
    assert [step.is_destination_chosen for step in signal.args[0].steps] == [True]


def test_double_click_chooses(qtbot: QtBot, opened: Opener) -> None:
    dialog = opened()
    judged(qtbot, dialog)
    table = child(dialog, QTableView, "migrate_hosts")
    click_row(table, 1)
    table.doubleClicked.emit(table.model().index(1, 0))
    qtbot.waitUntil(lambda: accept_button(dialog).text() == "Migrate trade-engine-1 to host-c")
    assert child(dialog, QRadioButton, "choose_host").isChecked()


def test_an_unsuitable_host_shows_every_reason_with_its_numbers(qtbot: QtBot, opened: Opener) -> None:
    dialog = opened()
    judged(qtbot, dialog)
    click_row(child(dialog, QTableView, "migrate_hosts"), 4)
    heading = child(dialog, QLabel, "refusal_heading")
    assert heading.text().startswith("Not host-d, for ")
    reasons = [label.text() for label in dialog.findChildren(QLabel, "refusal_sentence")]
    assert len(reasons) >= 2
    assert any("missing" in label.text() for label in dialog.findChildren(QLabel, "shortage"))
    assert child(dialog, QLabel, "will_help").text().startswith("What would help: ")
    click(child(dialog, QRadioButton, "choose_host"), QPoint(8, 8))
    qtbot.waitUntil(lambda: not accept_button(dialog).isEnabled())
    qtbot.waitUntil(lambda: "cannot go to host-d" in child(dialog, QLabel, "migrate_remark").text())
    accept_button(dialog).click()
    dialog.accept()
    assert dialog.isVisible(), "nothing is handed over"


def test_the_picture_is_there(qtbot: QtBot, opened: Opener) -> None:
    dialog = opened()
    judged(qtbot, dialog)
    there = child(dialog, PlacementView, "picture_there")
    qtbot.waitUntil(there.isVisible)
    assert there.accessibleName() == "Then, on host-b"
    assert "of this VM" in there.accessibleDescription()
    light = there.grab().toImage()
    there.set_theme(DARK)
    assert there.grab().toImage() != light
    pins = child(dialog, QTableView, "pin_rows").model()
    assert [pins.index(row, 0).data().strip() for row in range(pins.rowCount())] == [
        "Virtual node 0", "vCPU 0", "vCPU 1", "Virtual node 1", "vCPU 2", "vCPU 3",
    ]  # fmt: skip


def test_several_vms_have_their_own_list(qtbot: QtBot, opened: Opener) -> None:
    web = a_vm("web-1", host="host-c")
    dialog = opened((VM, web.uuid))
    judged(qtbot, dialog)
    vms = child(dialog, QTableView, "migrate_vms")
    assert vms.isVisible()
    assert accept_button(dialog).text().startswith("Migrate 2 VMs")
    rows = {vms.model().index(row, 0).data(): vms.model().index(row, 2).data() for row in range(2)}
    assert rows["trade-engine-1"] == "host-b"
    click_row(vms, 1)
    qtbot.waitUntil(lambda: "web-1 is not pinned" in child(dialog, QLabel, "detail_remark").text())


def test_new_snapshots_keep_what_the_user_looks_at(qtbot: QtBot, opened: Opener) -> None:
    dialog = opened()
    judged(qtbot, dialog)
    click_row(child(dialog, QTableView, "migrate_hosts"), 4)
    before = dialog.findChildren(QLabel, "refusal_sentence")
    dialog._next_survey.setInterval(0)
    asked: list[int] = []
    dialog.refresh(cluster(serial=2))
    qtbot.waitUntil(lambda: not dialog._next_survey.isActive())
    qtbot.waitUntil(lambda: dialog._presenter.next_question() is None and not asked)
    assert child(dialog, QLabel, "refusal_heading").text().startswith("Not host-d")
    assert dialog.findChildren(QLabel, "refusal_sentence") == before, "what is being read is not built anew"


def test_escape_leaves_everything_as_it_was(qtbot: QtBot, opened: Opener) -> None:
    dialog = opened()
    press(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_from_the_window_to_the_submitted_plan(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    with qtbot.waitSignal(window.snapshot_shown):
        console.store.publish(cluster())
    click_row(window.vms.view, 0)
    press(window.frame, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    dialog = child(window.frame, MigrateDialog, "migrate_dialog")
    judged(qtbot, dialog)
    qtbot.waitUntil(accept_button(dialog).isEnabled)
    click(accept_button(dialog))
    qtbot.waitUntil(lambda: any(call[0] == "submit" for call in console.calls))
    plan = next(call[1] for call in console.calls if call[0] == "submit")
    assert plan.steps[0].destination == "host-b"
    qtbot.waitUntil(lambda: window.frame.findChild(QWidget, "migrate_dialog") is None)
