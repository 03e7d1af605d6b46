"""Migration History: what the journal holds, grouped by attempt, forecast beside outcome; found by search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtCore import QRegularExpression, Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QMessageBox, QPushButton, QTabBar, QTableView
from pytestqt.qtbot import QtBot

from hpconsole.core.errors import StorageError
from hpconsole.core.events import StepFinished, StepOutcome
from hpconsole.core.execution.console_identity import this_console
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.journal import MemoryJournal, MigrationRecord, Phase
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.plan import MigrateStep
from hpconsole.ui.history.dialog import HistoryDialog
from hpconsole.ui.history.presenter import Entry, grouped, measures, when
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import LIGHT
from tests.builders import NOW
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, click_row, press, type_text

FORECAST = {"total_s": 8.0, "downtime_ms": 100, "passes": 3, "bandwidth_mib_s": 900.0, "sent_mib": "many"}
MEASURED = {"total_s": 10.0, "downtime_ms": 140, "passes": 3, "throughput_mib_s": 880.0, "sent_mib": 9000.0}


def an_attempt(name: str, attempt: int = 1, destination: str = "host-b", **changes: object) -> MigrationRecord:
    record = MigrationRecord(
        migration_id=f"{name}-{attempt}",
        plan_id=f"plan-{name}",
        step_index=0,
        attempt=attempt,
        vm_uuid=f"uuid-{name}",
        vm_name=name,
        source="host-a",
        source_uri="",
        destination=destination,
        destination_uri="",
        placement=Placement(f"uuid-{name}", destination),
        console=this_console(),
        sentence=f"Move {name} to {destination}.",
    )
    return replace(record, **changes)  # type: ignore[arg-type]  # a test's own changes


@pytest.fixture
def journal() -> MemoryJournal:
    """trade-1: failed to host-b, then moved to host-c; web-1: still under way."""
    journal = MemoryJournal()
    journal.begin(an_attempt("trade-1"))
    journal.advance("trade-1-1", Phase.MIGRATING, "Asked host-a to migrate.")
    journal.finish("trade-1-1", StepOutcome.FAILED, "host-b refused: no huge pages.", "internal error: pages")
    journal.begin(an_attempt("trade-1", 2, "host-c", facts={"forecast": FORECAST}))
    journal.finish("trade-1-2", StepOutcome.DONE, "trade-1 runs on host-c; nothing of it is left on host-a.")
    journal.measure("trade-1-2", MEASURED)
    journal.begin(an_attempt("web-1"))
    journal.advance("web-1-1", Phase.MIGRATING, "Asked host-a to migrate.")
    return journal


def test_attempts_of_one_vm_are_one_entry(journal: MemoryJournal) -> None:
    web, trade = grouped(journal.records())
    assert [record.destination for record in trade.attempts] == ["host-b", "host-c"]
    assert trade.outcome_text == "moved"
    assert web.outcome_text == "under way"
    assert trade.total_s == 10.0
    assert trade.forecast_error == pytest.approx(0.25)
    assert web.total_s is None, "what has not ended took no time yet"


def test_a_share_is_one_of_what_was_foreseen() -> None:
    """Nothing takes 1653 % less time than foreseen."""
    record = replace(an_attempt("x"), facts={"forecast": {"total_s": 150, "bandwidth_mib_s": 110}})
    lines = {
        one.what: one.remark for one in measures(replace(record, statistics={"total_s": 9, "throughput_mib_s": 2750}))
    }
    assert lines == {"Total time": "94 % less than foreseen", "Throughput": "25 times as much as foreseen"}


def test_forecast_beside_outcome(journal: MemoryJournal) -> None:
    trade = grouped(journal.records())[1]
    lines = {one.what: (one.foreseen, one.measured, one.remark) for one in measures(trade.last)}
    assert lines["Total time"] == ("8 s", "10 s", "25 % more than foreseen")
    assert lines["Pause"] == ("100 ms", "140 ms", "40 % more than foreseen")
    assert lines["Passes"] == ("3", "3", "as foreseen")
    assert lines["Memory sent"][0] == "–", "what is no number is not known"


def test_a_guest_whose_writes_were_not_known_was_foretold_nothing(journal: MemoryJournal) -> None:
    unknown = replace(grouped(journal.records())[1].last, facts={"forecast": FORECAST | {"verdict": "unknown"}})
    assert Entry((unknown,)).forecast_error is None
    lines = {one.what: (one.foreseen, one.measured, one.remark) for one in measures(unknown)}
    assert lines["Total time"] == ("8 s or more", "10 s", "what it writes was not known")
    assert lines["Pause"] == ("–", "140 ms", "")


def test_moments_are_told_as_short_as_they_can_be() -> None:
    now = datetime(2026, 3, 4, 12, tzinfo=UTC).astimezone()
    assert when(now - timedelta(minutes=1), now) == "11:59:00" or ":" in when(now - timedelta(minutes=1), now)
    assert when(now - timedelta(days=2), now).startswith("02 Mar")
    assert when(now - timedelta(days=400), now).startswith("2025-")
    assert when(None, now) == "–"


@pytest.fixture
def dialog(qtbot: QtBot, journal: MemoryJournal) -> HistoryDialog:
    dialog = HistoryDialog(lambda: journal, LIGHT)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: child(dialog, QTableView, "history_table").model().rowCount() == 2)
    return dialog


def story_of(dialog: HistoryDialog) -> list[str]:
    return [label.text() for label in dialog.findChildren(QLabel, "history_line") if not label.isHidden()]


def test_every_attempt_with_its_reason(qtbot: QtBot, dialog: HistoryDialog) -> None:
    table = child(dialog, QTableView, "history_table")
    row = next(row for row in range(2) if table.model().index(row, 1).data() == "trade-1")
    click_row(table, row)
    qtbot.waitUntil(lambda: any("no huge pages" in line for line in story_of(dialog)))
    text = "\n".join(story_of(dialog))
    assert text.index("Attempt 1, to host-b") < text.index("no huge pages") < text.index("Attempt 2, to host-c")
    assert "internal error: pages" in text
    assert child(dialog, QLabel, "history_sentence").text().startswith("trade-1 runs on host-c")
    figures = child(dialog, QTableView, "history_measures")
    assert figures.isVisible()
    assert figures.model().index(0, 2).data() == "10 s"
    row = 1 - row
    click_row(table, row)
    qtbot.waitUntil(lambda: not figures.isVisible())


def test_searching(qtbot: QtBot, dialog: HistoryDialog) -> None:
    type_text(child(dialog, QLineEdit, "history_search"), "host-c moved")
    assert child(dialog, QTableView, "history_table").model().rowCount() == 1
    assert child(dialog, QLabel, "history_note").text() == "1 of 2 migrations"
    assert child(dialog, QLabel, "history_in_vain").isHidden()


def test_opened_for_a_vm_that_was_never_migrated_it_names_the_filter_and_the_way_out(
    qtbot: QtBot, journal: MemoryJournal
) -> None:
    dialog = HistoryDialog(lambda: journal, LIGHT, "db-7")
    qtbot.addWidget(dialog)
    dialog.show()
    said = child(dialog, QLabel, "history_in_vain")
    qtbot.waitUntil(said.isVisible)
    assert "“db-7”" in said.text()
    assert "clear the search box" in said.text()
    child(dialog, QLineEdit, "history_search").clear()
    assert said.isHidden()
    assert child(dialog, QTableView, "history_table").model().rowCount() == 2
    dialog.reject()


def test_a_journal_that_cannot_be_read_is_a_sentence(qtbot: QtBot) -> None:
    class Broken(MemoryJournal):
        def records(self, limit: int = 200) -> tuple[MigrationRecord, ...]:
            raise StorageError("The database is locked by another program.")

    dialog = HistoryDialog(Broken, LIGHT)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: "locked" in child(dialog, QLabel, "history_sentence").text())
    dialog.reject()


def place(cpus: Mapping[str, str], *, node: int = 0) -> dict[str, object]:
    nodes = {"0": {"host_nodes": [node], "mode": "strict"}}
    free: dict[str, object] = {"emulator": None, "iothreads": {}, "numa_tune": None}
    return {"vm_uuid": "u", "host": "host-b", "nodes": nodes, "vcpus": dict(cpus)} | free


def with_proof(live: Mapping[str, object], *, is_as_planned: bool) -> MemoryJournal:
    planned = place({"0": "4", "1": "5"})
    journal = MemoryJournal()
    journal.begin(an_attempt("db-1"))
    journal.finish("db-1-1", StepOutcome.DONE, "db-1 runs on host-b.")
    proof = {"planned": planned, "live": live, "next_start": planned}
    journal.measure("db-1-1", MEASURED | {"is_as_planned": is_as_planned, "proof": proof})
    return journal


def opened(qtbot: QtBot, journal: MemoryJournal) -> HistoryDialog:
    dialog = HistoryDialog(lambda: journal, LIGHT)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: child(dialog, QTableView, "history_table").model().rowCount() == 1)
    return dialog


def test_the_proof_is_shown_per_vcpu_and_node(qtbot: QtBot) -> None:
    dialog = opened(qtbot, with_proof(place({"0": "4", "1": "5"}), is_as_planned=True))
    tabs = child(dialog, QTabBar, "history_tabs")
    assert tabs.tabText(1) == "Pinning (as planned)"
    tabs.setCurrentIndex(1)
    table = child(dialog, QTableView, "history_proof")
    assert table.isVisible()
    cells = [[table.model().index(row, column).data() for column in range(4)] for row in range(3)]
    assert cells[0] == ["Virtual node 0", "node 0, strict", "node 0, strict", "node 0, strict"]
    assert cells[2] == ["vCPU 1", "CPU 5", "CPU 5", "CPU 5"]


def test_what_is_not_as_planned_is_seen_at_once(qtbot: QtBot) -> None:
    dialog = opened(qtbot, with_proof(place({"0": "4"}, node=1), is_as_planned=False))
    tabs = child(dialog, QTabBar, "history_tabs")
    assert tabs.tabText(1) == "Pinning (2 of 3 not as planned)"
    assert tabs.currentIndex() == 1
    table = child(dialog, QTableView, "history_proof").model()
    assert (table.index(0, 2).data(), table.index(2, 2).data()) == ("node 1, strict", "any CPU")
    assert child(dialog, QTableView, "history_table").model().index(0, 4).data() == "not as planned"


def offered(dialog: HistoryDialog) -> list[QPushButton]:
    buttons = dialog.findChildren(QPushButton, QRegularExpression("^history_"))
    return [button for button in buttons if button.isVisible()]


def test_what_can_be_done_about_an_end_is_offered_here_too(
    qtbot: QtBot, window: MainWindow, console: FakeConsole, journal: MemoryJournal
) -> None:
    """After a restart of the console its task list is empty; of an older migration of the VM nothing is offered."""
    console.journal = journal
    journal.begin(an_attempt("db-1", plan_id="an older plan"))
    journal.finish("db-1-1", StepOutcome.FAILED, "db-1 still runs on host-a.")
    journal.measure("db-1-1", {"end_state": EndState.LEFT_OVER_ON_DESTINATION.value})
    journal.begin(an_attempt("db-1", 2, plan_id="the newest plan"))
    journal.finish("db-1-2", StepOutcome.FAILED, "db-1 stands still on host-b.")
    journal.measure("db-1-2", {"end_state": EndState.PAUSED_ON_DESTINATION.value})
    window.migrations.open_history("db-1")
    dialog = child(window.frame, HistoryDialog, "history_dialog")
    table = child(dialog, QTableView, "history_table")
    qtbot.waitUntil(lambda: table.model().rowCount() == 2)
    rows = {table.model().index(row, 9).data(): row for row in range(2)}
    click_row(table, rows["db-1 still runs on host-a."])
    qtbot.waitUntil(lambda: offered(dialog) == [])
    click_row(table, rows["db-1 stands still on host-b."])
    qtbot.waitUntil(lambda: [button.text() for button in offered(dialog)] == ["Recover…", "Ask Again"])
    press(table, Qt.Key.Key_Tab)
    assert dialog.focusWidget() is offered(dialog)[0], "by keyboard, too"
    press(offered(dialog)[0], Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bool(window.frame.findChildren(QMessageBox)))
    journal.measure("db-1-2", {"end_state": EndState.ON_DESTINATION.value})
    click(child(window.frame.findChildren(QMessageBox)[-1], QPushButton, "yes"))
    qtbot.waitUntil(lambda: ("recover", "uuid-db-1") in console.calls)
    qtbot.waitUntil(lambda: offered(dialog) == [])
    dialog.reject()


def test_from_the_window_and_kept_up_to_date(
    qtbot: QtBot, window: MainWindow, console: FakeConsole, journal: MemoryJournal
) -> None:
    console.journal = journal
    press(window.frame, Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier)
    dialog = child(window.frame, HistoryDialog, "history_dialog")
    table = child(dialog, QTableView, "history_table")
    qtbot.waitUntil(lambda: table.model().rowCount() == 2)
    journal.finish("web-1-1", StepOutcome.CANCELLED, "web-1 runs on host-a, unchanged.")
    step = MigrateStep("uuid-web-1", "web-1", "host-a", "host-b", Placement("uuid-web-1", "host-b"), "…")
    console.store.report(StepFinished(NOW, "plan-web-1", 0, step, StepOutcome.CANCELLED, "It stays."))
    qtbot.waitUntil(lambda: "cancelled" in {table.model().index(row, 4).data() for row in range(2)})
    press(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.frame.findChild(HistoryDialog, "history_dialog") is None)


def test_earlier_ones_from_the_task_list(qtbot: QtBot, window: MainWindow) -> None:
    window.on_show_tasks(True)
    qtbot.waitUntil(child(window.frame, QPushButton, "task_history").isVisible)
    click(child(window.frame, QPushButton, "task_history"))
    dialog = child(window.frame, HistoryDialog, "history_dialog")
    qtbot.waitUntil(lambda: child(dialog, QLabel, "history_note").text() == "Nothing was migrated yet.")
    dialog.reject()
