"""The course of a migration: passes, stalls, when it may end; and the card that unfolds it. Never unbounded."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from PySide6.QtWidgets import QDialog, QLabel, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from hpconsole.core.events import (
    MigrationProgress,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.plan import MigrateStep
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.tasks.course import Course, rest_text
from hpconsole.ui.tasks.dock import TaskList
from hpconsole.ui.tasks.task_actions import TaskAction, actions_of
from hpconsole.ui.tasks.task_book import Task
from hpconsole.ui.theme import DARK
from hpconsole.ui.widgets.sparkline import Sparkline
from tests.builders import NOW
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click
from tests.ui.migrate_cases import cluster, trade_engine
from tests.ui.test_tasks import a_plan

NO_TASKS = ("task_clear", "task_history")
EVERY_ACTION = ("cancel", "details", "limits", "post_copy", "sooner", "recover", "clean_up", "ask_again", "try_again")


def look(
    elapsed_s: float, pass_number: int, left: float, *, sent: float = 1000.0, dirty: float | None = None
) -> MigrationProgress:
    return MigrationProgress(0.5, pass_number, left, 8192, sent, dirty, elapsed_s, None, 100)


def course_of(looks: Iterable[MigrationProgress]) -> Course:
    course = Course()
    for one in looks:
        course.add(one)
    return course


def test_passes_are_told_apart() -> None:
    course = course_of(
        [
            look(1, 1, 7000),
            look(8, 1, 200),
            look(8.5, 2, 900, dirty=120),
            look(9.4, 2, 30),
            look(9.6, 3, 100, dirty=110),
        ]
    )
    assert [(one.number, one.to_send_mib) for one in course.passes] == [(1, 8192), (2, 900), (3, 100)]
    assert course.passes[0].seconds == 8.5
    assert course.passes[1].left_mib == 30
    assert course.passes[1].dirty_mib_s == 120, "what is not told again stays"
    assert course.stalls == 0


def test_a_pass_that_leaves_no_less_is_a_stall() -> None:
    course = course_of([look(8, 1, 200), look(9, 2, 900), look(10, 3, 950), look(11, 4, 920), look(12, 5, 100)])
    assert course.stalls == 2


def test_the_end_is_as_uncertain_as_the_rates_are() -> None:
    steady = course_of([look(t, 2, 4000 - 100 * t, dirty=100) for t in range(1, 6)])
    assert rest_text(steady, 4.0) == "about 4 s more"
    wavering = course_of([look(t, 2, 9000, sent=500 + 500 * (t % 2), dirty=100) for t in range(1, 9)])
    assert rest_text(wavering, 12.0) == "about 12 s more (10 s to 22 s)"
    hopeless = course_of([look(t, 2, 4000, sent=500, dirty=700) for t in range(1, 6)])
    assert rest_text(hopeless, None) == "no end in sight: the VM rewrites as much as is sent"
    assert rest_text(Course(), None) == ""


def test_what_is_kept_is_bounded_and_spans_the_whole_course() -> None:
    course = course_of(look(t, 1 + t // 50, 100) for t in range(20_000))
    assert len(course.samples) <= 240
    assert len(course.passes) <= 60
    assert course.samples[0].elapsed_s == 0
    assert course.samples[-1].elapsed_s == 19_999
    seconds = [sample.elapsed_s for sample in course.samples]
    assert seconds == sorted(seconds)


@pytest.fixture
def acted() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def tasks(qtbot: QtBot, acted: list[tuple[str, str]]) -> TaskList:
    def handler(name: str) -> object:
        return lambda task: acted.append((name, task.step.vm_name))

    panel = TaskList({name: handler(name) for name in EVERY_ACTION})  # type: ignore[misc]  # lambdas in a loop
    qtbot.addWidget(panel)
    panel.resize(900, 420)
    panel.show()
    return panel


def begin(tasks: TaskList, *names: str) -> str:
    plan = a_plan(*names)
    tasks.hear(PlanSubmitted(NOW, plan))
    for index, step in enumerate(plan.steps):
        tasks.hear(StepStarted(NOW, plan.plan_id, index, step))
        tasks.hear(StepProgressed(NOW, plan.plan_id, index, look(3, 1, 5000)))
        tasks.hear(StepProgressed(NOW, plan.plan_id, index, look(9, 2, 900, dirty=120)))
    return plan.plan_id


def test_the_course_of_the_only_task_is_unfolded_and_can_be_folded(qtbot: QtBot, tasks: TaskList) -> None:
    begin(tasks, "vm-1")
    qtbot.waitUntil(lambda: tasks.findChild(Sparkline, "course_left") is not None)
    left = child(tasks, Sparkline, "course_left")
    qtbot.waitUntil(left.isVisible)
    qtbot.waitUntil(lambda: "900 MiB" in left.accessibleDescription())
    assert "900 MiB" in left.accessibleDescription()
    assert child(tasks, Sparkline, "course_rates").accessibleDescription() == "sent: 1000 MiB/s, rewritten: 120 MiB/s"
    assert child(tasks, QLabel, "course_passes").text().splitlines()[0].startswith("Pass 1: 8 GiB in 9 s")
    light = left.grab().toImage()
    tasks.set_theme(DARK)
    assert left.grab().toImage() != light
    click(child(tasks, QToolButton, "task_unfold"))
    assert not left.isVisible()


def test_the_courses_of_many_are_folded(qtbot: QtBot, tasks: TaskList) -> None:
    begin(tasks, "vm-1", "vm-2")
    qtbot.waitUntil(lambda: len(tasks.findChildren(QToolButton, "task_unfold")) == 2)
    assert tasks.findChild(Sparkline, "course_left") is None
    qtbot.waitUntil(child(tasks, QToolButton, "task_unfold").isVisible)
    click(child(tasks, QToolButton, "task_unfold"))
    assert len(tasks.findChildren(Sparkline, "course_left")) == 1


ENDS = {
    EndState.ON_DESTINATION: (StepOutcome.DONE, []),
    EndState.LEFT_OVER_ON_SOURCE: (StepOutcome.DONE, ["clean_up"]),
    EndState.ON_SOURCE: (StepOutcome.FAILED, ["try_again"]),
    EndState.LEFT_OVER_ON_DESTINATION: (StepOutcome.FAILED, ["clean_up", "try_again"]),
    EndState.PAUSED_ON_SOURCE: (StepOutcome.FAILED, ["recover", "ask_again"]),
    EndState.PAUSED_ON_DESTINATION: (StepOutcome.FAILED, ["recover", "ask_again"]),
    EndState.BROKEN_POST_COPY: (StepOutcome.FAILED, ["recover", "ask_again"]),
    EndState.LOST_POST_COPY: (StepOutcome.FAILED, ["recover", "ask_again"]),
    EndState.ELSEWHERE: (StepOutcome.FAILED, []),
    EndState.STILL_MIGRATING: (StepOutcome.UNKNOWN, ["ask_again"]),
    EndState.NOWHERE: (StepOutcome.FAILED, ["recover", "ask_again"]),
    EndState.TWICE: (StepOutcome.FAILED, ["ask_again"]),
    EndState.UNKNOWN: (StepOutcome.UNKNOWN, ["ask_again"]),
}


@pytest.mark.parametrize("state", list(EndState))
def test_every_end_has_its_sentence_and_what_can_be_done(
    qtbot: QtBot, tasks: TaskList, acted: list[tuple[str, str]], state: EndState
) -> None:
    outcome, expected = ENDS[state]
    plan_id = begin(tasks, "vm-1")
    step = tasks.book.tasks[0].step
    sentence = f"vm-1: {state.value}."
    tasks.hear(StepFinished(NOW, plan_id, 0, step, outcome, sentence, "", state.value, "m-1"))
    remark = child_when_there(qtbot, tasks)
    qtbot.waitUntil(lambda: remark.text() == sentence)
    wanted = [f"task_{name}" for name in expected]
    qtbot.waitUntil(lambda: remark.isVisible() and [button.objectName() for button in offered_by(tasks)] == wanted)
    offered = offered_by(tasks)
    assert all(button.toolTip() and "vm-1" in button.accessibleName() for button in offered)
    for button in offered:
        click(button)
    assert acted == [(name, "vm-1") for name in expected]


def offered_by(tasks: TaskList) -> list[QPushButton]:
    buttons = [button for button in tasks.findChildren(QPushButton) if button.objectName().startswith("task_")]
    return [button for button in buttons if button.isVisible() and button.objectName() not in NO_TASKS]


def child_when_there(qtbot: QtBot, tasks: TaskList) -> QLabel:
    qtbot.waitUntil(lambda: tasks.findChild(QLabel, "task_remark") is not None)
    return child(tasks, QLabel, "task_remark")


def test_an_end_that_is_taken_care_of_is_offered_no_more(qtbot: QtBot, tasks: TaskList) -> None:
    plan_id = begin(tasks, "vm-1")
    state = EndState.UNKNOWN.value
    step = tasks.book.tasks[0].step
    tasks.hear(StepFinished(NOW, plan_id, 0, step, StepOutcome.UNKNOWN, "Not known.", "", state, "m-1"))
    qtbot.waitUntil(lambda: tasks.findChild(QPushButton, "task_ask_again") is not None)
    tasks.done_with((plan_id, 0))
    assert not child(tasks, QPushButton, "task_ask_again").isVisible()


def test_what_a_waiting_task_waits_for(qtbot: QtBot, tasks: TaskList) -> None:
    plan = a_plan("vm-1")
    tasks.hear(PlanSubmitted(NOW, plan))
    remark = child_when_there(qtbot, tasks)
    tasks.wait({(plan.plan_id, 0): "2 migrations leave host-a already."})
    assert remark.text() == "Waiting, 1st in the queue: 2 migrations leave host-a already."


def test_actions_that_nobody_carries_out_get_no_button(qtbot: QtBot) -> None:
    panel = TaskList({"cancel": lambda _task: None})
    qtbot.addWidget(panel)
    panel.show()
    begin(panel, "vm-1")
    qtbot.waitUntil(lambda: panel.findChild(QPushButton, "task_cancel") is not None)
    assert panel.findChild(QPushButton, "task_limits") is None


def test_buttons_are_ordered(tasks: TaskList) -> None:
    names = [action.name for action in actions_of(Task("p", 0, a_plan("vm-1").steps[0]))]
    assert names == ["sooner", "cancel"]
    assert all(isinstance(a, TaskAction) for a in actions_of(Task("p", 0, a_plan("vm-1").steps[0])))


def test_where_it_stalls_it_is_said_why_post_copy_is_not_possible(qtbot: QtBot, tasks: TaskList) -> None:
    plan_id = begin(tasks, "vm-1")
    qtbot.waitUntil(lambda: tasks.findChild(QPushButton, "task_limits") is not None)
    assert tasks.findChild(QPushButton, "task_post_copy") is None
    for number in (3, 4):
        tasks.hear(StepProgressed(NOW, plan_id, 0, look(9.0 + number, number, 950, dirty=900)))
    qtbot.waitUntil(lambda: tasks.findChild(QPushButton, "task_post_copy") is not None)
    button = child(tasks, QPushButton, "task_post_copy")
    assert not button.isEnabled()
    assert "was begun without post-copy" in button.toolTip()


def test_the_window_does_what_a_card_offers(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    """Unknown: the hosts are asked again. Failed: Migrate VM(s) opens for that VM."""
    with qtbot.waitSignal(window.snapshot_shown):
        console.store.publish(cluster())
    vm = trade_engine()
    step = MigrateStep(vm.uuid, vm.name, "host-a", "host-b", Placement(vm.uuid, "host-b"), "…")
    unknown, failed = EndState.UNKNOWN.value, EndState.ON_SOURCE.value
    console.store.report(StepFinished(NOW, "p1", 0, step, StepOutcome.UNKNOWN, "Not known.", "", unknown, "m-7"))
    window.on_show_tasks(True)
    qtbot.waitUntil(lambda: window.frame.findChild(QPushButton, "task_ask_again") is not None)
    button = child(window.frame, QPushButton, "task_ask_again")
    qtbot.waitUntil(button.isVisible)
    click(button)
    qtbot.waitUntil(lambda: ("ask_again", "m-7") in console.calls)
    assert not button.isVisible()
    console.store.report(StepFinished(NOW, "p2", 0, step, StepOutcome.FAILED, "It stays.", "", failed, "m-8"))
    qtbot.waitUntil(lambda: window.frame.findChild(QPushButton, "task_try_again") is not None)
    again = child(window.frame, QPushButton, "task_try_again")
    qtbot.waitUntil(again.isVisible)
    click(again)
    dialog = child(window.frame, QDialog, "migrate_dialog")
    assert "trade-engine-1" in child(dialog, QLabel, "migrate_title").text()
    dialog.reject()
