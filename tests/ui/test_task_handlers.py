"""What the cards of the task list offer, done by mouse and key in the window: steering, repairs, the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QLabel, QMessageBox, QPushButton, QSpinBox
from pytestqt.qtbot import QtBot

from hpconsole.core.errors import ExecutionError
from hpconsole.core.events import PlanSubmitted, StepFinished, StepOutcome, StepProgressed, StepStarted
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.steering import JobChange
from hpconsole.core.execution.step_queue import Limits
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.migration_policy import MINIMAL_DOWNTIME, POST_COPY_POLICY
from hpconsole.core.planning.plan import MigrateStep, Plan
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.tasks.limits_dialog import LimitsDialog
from hpconsole.ui.tasks.queue_limits_dialog import QueueLimitsDialog
from tests.builders import NOW
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, press
from tests.ui.test_migrate_outlook import a_forecast
from tests.ui.test_task_course import look


def a_plan(*names: str, options: MigrationOptions | None = None) -> Plan:
    how = options or MigrationOptions(post_copy=True)
    places = {name: Placement(f"uuid-{name}", "host-b") for name in names}
    steps = tuple(MigrateStep(f"uuid-{n}", n, "host-a", "host-b", places[n], "…", options=how) for n in names)
    return Plan("Migrate", steps, 1)


def button(qtbot: QtBot, window: MainWindow, name: str) -> QPushButton:
    qtbot.waitUntil(lambda: any(found.isVisible() for found in window.frame.findChildren(QPushButton, name)))
    return next(found for found in window.frame.findChildren(QPushButton, name) if found.isVisible())


@pytest.fixture
def run(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> Callable[[Plan], None]:
    def run_(plan: Plan) -> None:
        console.store.report(PlanSubmitted(NOW, plan))
        console.store.report(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
        console.store.report(StepProgressed(NOW, plan.plan_id, 0, look(3, 1, 5000)))

    return run_


def ended(console: FakeConsole, plan: Plan, outcome: StepOutcome, state: EndState) -> None:
    step = plan.steps[0]
    console.store.report(StepFinished(NOW, plan.plan_id, 0, step, outcome, f"It is {state}.", "", state.value, "m-1"))


def answer(qtbot: QtBot, window: MainWindow, name: str) -> str:
    """Press this button of the question; returns what it explained."""
    qtbot.waitUntil(lambda: bool(window.frame.findChildren(QMessageBox)))
    box = window.frame.findChildren(QMessageBox)[-1]
    said = box.informativeText()
    click(child(box, QPushButton, name))
    return said


def test_limits_are_changed_while_it_runs(
    qtbot: QtBot, window: MainWindow, console: FakeConsole, run: Callable[[Plan], None]
) -> None:
    plan = a_plan("vm-1")
    run(plan)
    click(button(qtbot, window, "task_limits"))
    dialog = child(window.frame, LimitsDialog, "limits_dialog")
    accept = child(dialog, QPushButton, "limits_accept")
    assert not accept.isEnabled()
    assert "Now: sends 1000 MiB/s, a pause of 100 ms is allowed" in child(dialog, QLabel, "limits_note").text()
    press(child(dialog, QCheckBox, "limits_bandwidth"), Qt.Key.Key_Space)
    spin = child(dialog, QSpinBox, "limits_bandwidth_value")
    assert spin.value() == 1000, "what it has now"
    spin.setValue(250)
    press(child(dialog, QCheckBox, "limits_pause"), Qt.Key.Key_Space)
    child(dialog, QSpinBox, "limits_pause_value").setValue(2000)
    assert "stand still for 2 s" in child(dialog, QLabel, "limits_note").text()
    press(spin, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: ("steer", plan.plan_id, 0, JobChange(250, 2000)) in console.calls)


def test_post_copy_is_asked_for_with_its_risk(
    qtbot: QtBot, window: MainWindow, console: FakeConsole, run: Callable[[Plan], None]
) -> None:
    plan = a_plan("vm-1")
    run(plan)
    click(button(qtbot, window, "task_post_copy"))
    said = answer(qtbot, window, "no")
    assert "cannot be cancelled" in said
    assert "lost" in said
    assert not any(call[0] == "steer" for call in console.calls)
    click(button(qtbot, window, "task_post_copy"))
    answer(qtbot, window, "yes")
    qtbot.waitUntil(lambda: ("steer", plan.plan_id, 0, JobChange(post_copy=True)) in console.calls)


def test_what_was_foreseen_stands_beside_the_course(
    qtbot: QtBot, window: MainWindow, run: Callable[[Plan], None]
) -> None:
    plan = a_plan("vm-1")
    run(replace(plan, steps=(replace(plan.steps[0], forecast=a_forecast()),)))
    qtbot.waitUntil(lambda: window.frame.findChild(QLabel, "course_passes") is not None)
    lines = child(window.frame, QLabel, "course_passes").text().splitlines()
    assert lines[-1] == "Foreseen: converges, about 12 s in 3 passes, pause of about 98 ms"


def test_in_post_copy_there_is_no_way_back(
    qtbot: QtBot, window: MainWindow, console: FakeConsole, run: Callable[[Plan], None]
) -> None:
    plan = a_plan("vm-1")
    run(plan)
    cancel = button(qtbot, window, "task_cancel")
    switched = replace(look(9, 2, 900), is_post_copy=True, sentence="vm-1 runs on its new host.")
    console.store.report(StepProgressed(NOW, plan.plan_id, 0, switched))
    qtbot.waitUntil(lambda: not cancel.isVisible())
    assert "vm-1 runs on its new host." in child(window.frame, QLabel, "task_remark").text()


@pytest.mark.parametrize(
    ("options", "is_offered"),
    [
        (MigrationOptions(), False),
        (MigrationOptions(policy_id="post_copy"), True),
        (MigrationOptions(policy_id="post_copy", parallel_connections=4), False),
        (MigrationOptions(policy_id="my_hasty"), True),
        (MigrationOptions(policy_id="my_gentle"), False),
    ],
)
def test_post_copy_is_offered_where_it_was_begun_with(
    qtbot: QtBot,
    window: MainWindow,
    console: FakeConsole,
    run: Callable[[Plan], None],
    options: MigrationOptions,
    is_offered: bool,
) -> None:
    own = MigrationPolicies()
    own.save(replace(POST_COPY_POLICY, policy_id="my_hasty", name="My hasty one"))
    own.save(replace(MINIMAL_DOWNTIME, policy_id="my_gentle", name="My gentle one"))
    console.advice = SimpleNamespace(policies=own)
    run(a_plan("vm-1", options=options))
    button(qtbot, window, "task_limits")
    assert bool(window.frame.findChildren(QPushButton, "task_post_copy")) is is_offered


def test_limits_of_the_queue_are_seen_and_changed(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    window.on_show_tasks(True)
    click(button(qtbot, window, "queue_limits"))
    qtbot.waitUntil(lambda: window.frame.findChild(QueueLimitsDialog, "queue_limits_dialog") is not None)
    dialog = child(window.frame, QueueLimitsDialog, "queue_limits_dialog")
    accept = child(dialog, QPushButton, "queue_accept")
    assert not accept.isEnabled()
    assert accept.toolTip() == "Nothing was changed."
    outgoing, total = child(dialog, QSpinBox, "queue_outgoing"), child(dialog, QSpinBox, "queue_total")
    assert (outgoing.value(), total.value()) == (2, 8)
    outgoing.setValue(12)
    assert "No more than 8 run at once in all" in child(dialog, QLabel, "queue_note").text()
    press(child(dialog, QCheckBox, "queue_is_shared"), Qt.Key.Key_Space)
    child(dialog, QSpinBox, "queue_bandwidth").setValue(750)
    press(outgoing, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: ("limits", Limits(12, 2, 8, 750)) in console.calls)


def test_a_broken_post_copy_is_recovered(
    qtbot: QtBot, window: MainWindow, console: FakeConsole, run: Callable[[Plan], None]
) -> None:
    plan = a_plan("vm-1")
    run(plan)
    ended(console, plan, StepOutcome.FAILED, EndState.BROKEN_POST_COPY)
    recover = button(qtbot, window, "task_recover")
    console.failure = ExecutionError("host-a does not answer. Nothing was changed.")
    click(recover)
    assert "provably safe" in answer(qtbot, window, "yes")
    qtbot.waitUntil(lambda: "host-a does not answer. Nothing was changed." in window.messages.shown)
    qtbot.waitUntil(recover.isVisible)
    console.failure = None
    click(recover)
    answer(qtbot, window, "yes")
    qtbot.waitUntil(lambda: ("recover", "uuid-vm-1") in console.calls)
    qtbot.waitUntil(lambda: "It runs again." in window.messages.shown)
    assert not recover.isVisible()


def test_what_lost_its_memory_is_started_anew_only_knowing_that(
    qtbot: QtBot, window: MainWindow, console: FakeConsole, run: Callable[[Plan], None]
) -> None:
    plan = a_plan("vm-1")
    run(plan)
    ended(console, plan, StepOutcome.FAILED, EndState.LOST_POST_COPY)
    click(button(qtbot, window, "task_recover"))
    assert "in memory is lost" in answer(qtbot, window, "yes")
    qtbot.waitUntil(lambda: ("start anew", "uuid-vm-1") in console.calls)


@pytest.mark.parametrize(
    ("end", "outcome", "where"),
    [
        (EndState.LEFT_OVER_ON_DESTINATION, StepOutcome.FAILED, "host-b"),
        (EndState.LEFT_OVER_ON_SOURCE, StepOutcome.DONE, "host-a"),
    ],
)
def test_what_is_left_over_is_cleaned_up(
    qtbot: QtBot,
    window: MainWindow,
    console: FakeConsole,
    run: Callable[[Plan], None],
    end: EndState,
    outcome: StepOutcome,
    where: str,
) -> None:
    plan = a_plan("vm-1")
    run(plan)
    ended(console, plan, outcome, end)
    click(button(qtbot, window, "task_clean_up"))
    assert "Its disks are not touched" in answer(qtbot, window, "yes")
    qtbot.waitUntil(lambda: ("clean_up", "uuid-vm-1", where) in console.calls)
    qtbot.waitUntil(lambda: f"Nothing of it is left on {where}." in window.messages.shown)


def test_the_queue_is_paused_resumed_and_reordered(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    plan = a_plan("vm-1", "vm-2")
    console.store.report(PlanSubmitted(NOW, plan))
    pause = button(qtbot, window, "task_pause")
    click(pause)
    qtbot.waitUntil(lambda: ("pause",) in console.calls)
    assert pause.text() == "Resume &Queue"
    assert window.docks.tasks_dock.windowTitle().endswith("queue paused")
    click(button(qtbot, window, "task_sooner"))
    qtbot.waitUntil(lambda: any(call[0] == "sooner" for call in console.calls))
    click(pause)
    qtbot.waitUntil(lambda: ("resume",) in console.calls)
