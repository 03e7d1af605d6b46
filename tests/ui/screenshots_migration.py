"""Pictures of migrations: the pages of the dialog, the course of one under way, every end, history, VM details."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QCheckBox, QMessageBox, QPushButton, QTabBar, QTableView, QWidget

from hpconsole.app import App
from hpconsole.core.events import (
    MigrationProgress,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.forecast import Remedy, Verdict
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.plan import MigrateStep, Plan
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import ThemeKeeper
from tests.builders import NOW
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child
from tests.ui.migrate_cases import cluster
from tests.ui.test_history import FORECAST, MEASURED, an_attempt
from tests.ui.test_migrate_outlook import ERROR, NOTE, WARNING, FakeAdvice, a_forecast

Shoot = Callable[[QWidget, str], None]
Wait = Callable[..., None]
_ENDS = (
    ("trade-engine-1", StepOutcome.DONE, EndState.ON_DESTINATION, "runs on host-b; nothing of it is left on host-a."),
    ("trade-engine-2", StepOutcome.DONE, EndState.LEFT_OVER_ON_SOURCE,
     "runs on host-b. Its definition is left on host-a: remove it there."),
    ("risk-db-1", StepOutcome.FAILED, EndState.ON_SOURCE,
     "still runs on host-a, unchanged. The destination ran out of memory."),
    ("risk-db-2", StepOutcome.FAILED, EndState.LEFT_OVER_ON_DESTINATION,
     "still runs on host-a, unchanged. An incomplete guest is on host-b."),
    ("web-1", StepOutcome.FAILED, EndState.BROKEN_POST_COPY,
     "stands still: the network broke while its memory was following it to host-b."),
    ("web-2", StepOutcome.UNKNOWN, EndState.UNKNOWN,
     "could not be looked for: host-b does not answer. Last known: it ran on host-a."),
    ("web-3", StepOutcome.CANCELLED, EndState.ON_SOURCE, "still runs on host-a, unchanged."),
)  # fmt: skip


def _step(name: str, options: MigrationOptions | None = None) -> MigrateStep:
    how = options or MigrationOptions(post_copy=True)
    return MigrateStep(f"uuid-{name}", name, "host-a", "host-b", Placement(f"uuid-{name}", "host-b"), "…", options=how)


def _course(console: FakeConsole, plan: Plan) -> None:
    """A migration that stalls in its fourth pass."""
    console.store.report(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    seconds, share = 0.0, 0.0
    for number, begin in ((1, 8192.0), (2, 2600.0), (3, 900.0), (4, 980.0)):
        left = begin
        while left > begin * 0.12 and (number < 4 or left > 500):
            sent = 620.0 + 90 * ((int(seconds * 2) % 5) - 2)
            progress = MigrationProgress(
                share, number, left, 8192, sent, None if number == 1 else 210.0 + 40 * number, seconds, left / 400,
                100 if number < 3 else 150 if number < 4 else 300,
                "It writes about as fast as this is sent; allowing a pause of 300 ms." if number == 4 else "",
            )  # fmt: skip
            console.store.report(StepProgressed(NOW, plan.plan_id, 0, progress))
            seconds, left, share = seconds + 0.5, left - sent / 2, min(0.93, share + 0.03)


def task_pictures(application: QApplication, window: MainWindow, tone: str, shoot: Shoot, wait: Wait) -> None:
    """One under way with its course, some that wait, every end, and what is asked before risks."""
    console = window._console
    assert isinstance(console, FakeConsole)
    plan = Plan("Migrate", (_step("db-master"),), 1)
    console.store.report(PlanSubmitted(NOW, plan))
    window.on_show_tasks(True)
    _course(console, plan)
    wait(application, lambda: window.frame.findChild(QPushButton, "task_limits") is not None)
    waiting = Plan("Migrate", (_step("cache-1"), _step("cache-2")), 1)
    console.store.report(PlanSubmitted(NOW, waiting))
    reasons = {(waiting.plan_id, index): "2 migrations leave host-a already." for index in (0, 1)}
    wait(application, lambda: len(window.docks.tasks.book.running) == 3)
    window.docks.tasks.wait(reasons)
    window.frame.resizeDocks([window.docks.tasks_dock], [400], Qt.Orientation.Vertical)
    wait(application, lambda: True)
    shoot(window.frame, f"tasks-running-{tone}")
    child(window.frame, QPushButton, "task_limits").click()
    wait(application, lambda: True)
    dialog = window.frame.findChildren(QWidget, "limits_dialog")[-1]
    for box in dialog.findChildren(QCheckBox):
        box.setChecked(True)
    shoot(dialog, f"limits-{tone}")
    dialog.close()
    child(window.frame, QPushButton, "task_post_copy").click()
    wait(application, lambda: True)
    question = window.frame.findChildren(QMessageBox)[-1]
    shoot(question, f"post-copy-question-{tone}")
    question.close()
    for name, outcome, state, words in _ENDS:
        one = Plan("Migrate", (_step(name),), 1)
        finished = StepFinished(NOW, one.plan_id, 0, one.steps[0], outcome, f"{name} {words}", "", state.value, "m")
        console.store.report(finished)
    wait(application, lambda: len(window.docks.tasks.book.tasks) == 3 + len(_ENDS))
    window.frame.resizeDocks([window.docks.tasks_dock], [560], Qt.Orientation.Vertical)
    wait(application, lambda: True)
    shoot(window.frame, f"tasks-ended-{tone}")
    window.docks.show_tasks(False)


def history_pictures(application: QApplication, window: MainWindow, tone: str, shoot: Shoot, wait: Wait) -> None:
    """Attempts with their reasons, forecast beside outcome."""
    journal = window._console.journal
    assert journal is not None
    for number in range(12):
        name = f"web-{number:02}"
        journal.begin(an_attempt(name, facts={"forecast": {**FORECAST, "total_s": 9 + number / 4}}))
        outcome = StepOutcome.CANCELLED if number % 5 == 3 else StepOutcome.DONE
        journal.finish(f"{name}-1", outcome, f"{name} runs on host-b; nothing of it is left on host-a.")
        journal.measure(f"{name}-1", {**MEASURED, "total_s": 9.5})
    journal.begin(an_attempt("trade-1"))
    journal.finish("trade-1-1", StepOutcome.FAILED, "host-b refused: no free huge pages.", "internal error: no pages")
    journal.begin(an_attempt("trade-1", 2, "host-c", facts={"forecast": FORECAST}))
    journal.finish("trade-1-2", StepOutcome.DONE, "trade-1 runs on host-c; nothing of it is left on host-a.")
    journal.measure("trade-1-2", MEASURED)
    window.migrations.open_history()
    dialog = window.frame.findChildren(QWidget, "history_dialog")[-1]
    table = child(dialog, QTableView, "history_table")
    wait(application, lambda: table.model().rowCount() == 13)
    row = next(row for row in range(13) if table.model().index(row, 1).data() == "trade-1")
    table.selectRow(row)
    wait(application, lambda: True)
    shoot(dialog, f"history-{tone}")
    dialog.close()


def outlook_pictures(application: QApplication, window: MainWindow, tone: str, shoot: Shoot, wait: Wait) -> None:
    """A migration that does not end by itself, checks of every kind, all options."""
    advice = FakeAdvice()
    advice.findings = (ERROR, WARNING, NOTE)
    sentences = (
        ("downtime", "Allow a pause of 2 s: then it takes about 14 s; the VM stands still for that long at most."),
        ("auto_converge", "Turn auto-converge on: its vCPUs are slowed down by up to 40 % meanwhile."),
        ("post_copy", "Allow post-copy: it ends after about 11 s; a broken network or host may cost the VM."),
        ("pause", "Pause the VM while it moves: it stands still for about 9 s."),
    )
    remedies = tuple(Remedy(kind, text, 14, 1900, downtime_limit_ms=2000) for kind, text in sentences)
    advice.measured = a_forecast(
        Verdict.DOES_NOT_CONVERGE, remedies=remedies, dirty_mib_s=640.0, basis=("writes sampled for 7 s",)
    )
    console = window._console
    assert isinstance(console, FakeConsole)
    console.advice = advice
    window.vms.view.selectRow(0)
    window.on_migrate()
    dialog = window.frame.findChildren(QWidget, "migrate_dialog")[-1]
    tabs = child(dialog, QTabBar, "migrate_tabs")
    wait(application, lambda: "error" in tabs.tabText(2))
    child(dialog, QPushButton, "migration_options").setChecked(True)
    for tab, name in ((1, "forecast"), (2, "checks")):
        tabs.setCurrentIndex(tab)
        wait(application, lambda: True, 0.8)
        shoot(dialog, f"migrate-{name}-{tone}")
    advice.findings = (
        WARNING,
        replace(WARNING, sentence="Disk vda uses cache mode writeback.", remedy="Set it to none."),
    )
    child(dialog, QPushButton, "check_again").click()
    child(dialog, QPushButton, "migration_options").setChecked(False)
    wait(application, lambda: "warning" in tabs.tabText(2), 0.6)
    shoot(dialog, f"migrate-warnings-{tone}")
    dialog.close()


def migration_pictures(application: QApplication, window: MainWindow, tone: str, *, shoot: Shoot, wait: Wait) -> None:
    """All of them, in a window over made-up hosts."""
    window._console.store.publish(cluster())
    wait(application, lambda: window.vms.model.rowCount() == 1)
    outlook_pictures(application, window, tone, shoot, wait)
    history_pictures(application, window, tone, shoot, wait)
    task_pictures(application, window, tone, shoot, wait)


def details_pictures(
    application: QApplication, keeper: ThemeKeeper, folder: Path, tone: str, *, shoot: Shoot, wait: Wait
) -> None:
    """The details of a pinned VM beside the demo cluster; the whole window on a large screen."""
    from tests.ui.screenshots import window_of

    cluster_ = SimulatedCluster.demo()
    app = App(cluster_.uris(), opener=cluster_.open, data=None)
    window = window_of(app, keeper, folder)
    app.start()
    wait(application, lambda: window.vms.model.rowCount() == 120 and app.executor is not None, 2)
    window.search.setText("trade-engine-1")
    window.vms.view.selectRow(0)
    window.on_show_details(True)
    wait(application, lambda: child(window.frame, QWidget, "details_picture").isVisible(), 1)
    shoot(window.frame, f"details-{tone}")
    window.search.clear()
    window.frame.resize(2560, 1440)
    window.on_show_load(True)
    wait(application, lambda: window.frame.findChild(QWidget, "load_charts") is not None, 3)
    shoot(window.frame, f"large-{tone}")
    window._is_leaving = True
    window.frame.close()
    app.close()
    cluster_.close()
