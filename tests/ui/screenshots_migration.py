"""Pictures of migrations: the pages of the dialog, the course of one under way, every end, history, VM details."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QTabBar,
    QTableView,
    QWidget,
)

from hpconsole.app import App
from hpconsole.core.events import (
    MigrationProgress,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.execution.end_sentences import describe
from hpconsole.core.execution.end_states import EndState, HostView
from hpconsole.core.hypervisor.port import DomainRecord
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
from tests.ui.test_history import FORECAST, MEASURED, an_attempt, place
from tests.ui.test_migrate_outlook import ERROR, NOTE, WARNING, FakeAdvice, a_forecast

Shoot = Callable[[QWidget, str], None]
Wait = Callable[..., None]
_FAILED = "{vm} could not be moved to host-b: host-b has no memory left for it."
_OUTCOMES = {
    EndState.ON_DESTINATION: StepOutcome.DONE,
    EndState.LEFT_OVER_ON_SOURCE: StepOutcome.DONE,
    EndState.BROKEN_POST_COPY: StepOutcome.UNKNOWN,
    EndState.UNKNOWN: StepOutcome.UNKNOWN,
    EndState.ELSEWHERE: StepOutcome.SKIPPED,
}
_NAMES = ("trade-engine", "risk-db", "web", "cache-redis", "batch-risk", "build-hpc", "kafka")


def _ends() -> list[StepFinished]:
    """Every end in the core's own words, one that is not as planned, one that was cancelled."""
    here = HostView("host-a", record=DomainRecord("u", "vm", 1, 1, is_persistent=True, autostart=False))
    there = HostView("host-b", is_reachable=False)
    found = []
    for number, state in enumerate(EndState):
        outcome, name = _OUTCOMES.get(state, StepOutcome.FAILED), f"{_NAMES[number % len(_NAMES)]}-{number}"
        silent = replace(there, is_reachable=state is not EndState.UNKNOWN)
        said = describe(state, name, here, silent)
        if outcome is StepOutcome.FAILED:
            said = f"{_FAILED.format(vm=name)} {said}"
        is_as_planned = state is not EndState.LEFT_OVER_ON_SOURCE
        found.append(replace(_end(name, outcome, state, said, detail="verified: …"), is_as_planned=is_as_planned))
    wrong = "But not all is as planned: vCPU 2 is pinned to 0-1, not 18 as planned."
    found.append(_end("db-pg-1", StepOutcome.DONE, EndState.ON_DESTINATION, f"db-pg-1 runs on host-b. {wrong}"))
    found[-1] = replace(found[-1], is_as_planned=False)
    cancelled = "The migration of app-1 to host-b was cancelled. app-1 still runs on host-a, unchanged."
    found.append(_end("app-1", StepOutcome.CANCELLED, EndState.ON_SOURCE, cancelled))
    return found


def _end(name: str, outcome: StepOutcome, state: EndState, said: str, *, detail: str = "") -> StepFinished:
    plan = Plan("Migrate", (_step(name),), 1)
    return StepFinished(NOW, plan.plan_id, 0, plan.steps[0], outcome, said, detail, state.value, "m")


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
    child(window.frame, QPushButton, "queue_limits").click()
    wait(application, lambda: bool(window.frame.findChildren(QWidget, "queue_limits_dialog")))
    limits = window.frame.findChildren(QWidget, "queue_limits_dialog")[-1]
    shoot(limits, f"queue-limits-{tone}")
    limits.close()
    _phases(console)
    wait(application, lambda: len(window.docks.tasks.book.tasks) == 7)
    window.frame.resizeDocks([window.docks.tasks_dock], [560], Qt.Orientation.Vertical)
    wait(application, lambda: True)
    shoot(window.frame, f"tasks-phases-{tone}")
    ends = _ends()
    for finished in ends:
        console.store.report(finished)
    wait(application, lambda: len(window.docks.tasks.book.tasks) == 7 + len(ends))
    scroll = child(window.frame, QScrollArea, "task_scroll")
    scroll.verticalScrollBar().setValue(scroll.verticalScrollBar().maximum())
    wait(application, lambda: True)
    shoot(window.frame, f"tasks-ended-{tone}")
    window.frame.resize(2560, 1440)
    window.frame.resizeDocks([window.docks.tasks_dock], [1150], Qt.Orientation.Vertical)
    wait(application, lambda: True)
    scroll.verticalScrollBar().setValue(scroll.verticalScrollBar().maximum())
    wait(application, lambda: True)
    shoot(window.frame, f"tasks-ended-{tone}-large")
    window.frame.resize(1366, 768)
    window.docks.show_tasks(False)


def _phases(console: FakeConsole) -> None:
    """Being prepared, being cancelled, after the switch to post-copy, on its second host."""
    for name in ("app-1", "app-2", "app-3", "app-4"):
        plan = Plan("Migrate", (_step(name),), 1)
        console.store.report(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
        if name == "app-1":
            continue
        progress = MigrationProgress(0.3, 1, 5000.0, 8192, 940.0, None, 3.0, 6.0, 100, "")
        if name == "app-3":
            words = f"{name} runs on its new host while the rest of its memory follows."
            progress = replace(progress, is_post_copy=True, sentence=words, expected_rest_s=2.0)
        console.store.report(StepProgressed(NOW, plan.plan_id, 0, progress))
        if name == "app-4":
            again = replace(plan.steps[0], destination="host-c")
            console.store.report(StepStarted(NOW, plan.plan_id, 0, again))
            console.store.report(StepProgressed(NOW, plan.plan_id, 0, progress))


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
    planned = place({str(vcpu): str(16 + vcpu) for vcpu in range(8)})
    proof = {"planned": planned, "live": planned, "next_start": planned}
    journal.measure("trade-1-2", MEASURED | {"is_as_planned": True, "proof": proof})
    journal.begin(an_attempt("db-1", facts={"forecast": FORECAST}))
    journal.finish(
        "db-1-1", StepOutcome.DONE, "db-1 runs on host-b. Its definition is left on host-a: remove it there."
    )
    proof = proof | {"live": place({"0": "16", "1": "17"}, node=1)}
    left = EndState.LEFT_OVER_ON_SOURCE.value
    journal.measure("db-1-1", MEASURED | {"is_as_planned": False, "proof": proof, "end_state": left})
    window.migrations.open_history()
    dialog = window.frame.findChildren(QWidget, "history_dialog")[-1]
    table = child(dialog, QTableView, "history_table")
    wait(application, lambda: table.model().rowCount() == 14)
    for name in ("db-1", "trade-1"):
        table.selectRow(next(row for row in range(14) if table.model().index(row, 1).data() == name))
        wait(application, lambda: True)
        child(dialog, QTabBar, "history_tabs").setCurrentIndex(int(name == "db-1"))
        shoot(dialog, f"history-{name}-{tone}")
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
