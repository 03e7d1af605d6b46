"""The task list: follows events, never runs backwards, and can be stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton
from pytestqt.qtbot import QtBot

from hpconsole.core.events import (
    MigrationProgress,
    Notice,
    PlanFinished,
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepProgressed,
    StepStarted,
)
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.plan import MigrateStep, Plan
from hpconsole.ui.tasks.dock import TaskList
from hpconsole.ui.tasks.task_book import TaskBook, TaskState, summary
from tests.builders import NOW
from tests.ui.gestures import child, click


def a_plan(*names: str) -> Plan:
    steps = tuple(MigrateStep(f"uuid-{n}", n, "host-a", "host-b", Placement(f"uuid-{n}", "host-b"), "…") for n in names)
    return Plan("Migrate", steps, 1)


def some_progress(share: float, **changes: object) -> MigrationProgress:
    progress = MigrationProgress(share, 2, 312, 8192, 940, 100, 5, 4)
    return replace(progress, **changes)  # type: ignore[arg-type]


def test_life_of_a_migration() -> None:
    book, plan = TaskBook(), a_plan("vm-1", "vm-2")
    book.hear(PlanSubmitted(NOW, plan))
    assert [task.state for task in book.tasks] == [TaskState.WAITING] * 2
    assert [task.title for task in book.tasks] == ["Migrate vm-2", "Migrate vm-1"], "newest first"
    book.hear(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    book.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(0.4)))
    task = book.of_vm("uuid-vm-1")
    assert task is not None
    assert task.remark == (
        "Pass 2   ·   sending again what the VM rewrote   ·   312 MiB left   ·   940 MiB/s   ·   about 4 s more"
    )
    assert task.route == "host-a → host-b"
    assert summary(book.tasks) == "2 migrations under way, 20 %"
    book.hear(StepFinished(NOW, plan.plan_id, 0, plan.steps[0], StepOutcome.DONE, "vm-1 runs on host-b."))
    task = book.task((plan.plan_id, 0))
    assert task is not None
    assert (task.state, task.share, task.remark) == (TaskState.DONE, 1.0, "vm-1 runs on host-b.")


def test_progress_of_the_first_pass_and_why_it_stalls() -> None:
    book, plan = TaskBook(), a_plan("vm-1")
    book.hear(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    book.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(0.4, pass_number=1)))
    assert book.tasks[0].remark == "Pass 1   ·   312 MiB of 8 GiB left   ·   940 MiB/s   ·   about 4 s more"
    book.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(0.4, sentence="It writes faster than this is sent.")))
    assert book.tasks[0].remark.startswith("It writes faster than this is sent.   Pass 2   ·   sending again")


def test_progress_never_runs_backwards() -> None:
    book, plan = TaskBook(), a_plan("vm-1")
    book.hear(PlanSubmitted(NOW, plan))
    shares = []
    for share in (0.1, 0.5, 0.3, 0.6, 2.0, 0.0):
        book.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(share)))
        shares.append(book.tasks[0].share)
    assert shares == [0.1, 0.5, 0.5, 0.6, 1.0, 1.0]


def test_late_progress_does_not_revive_what_is_over() -> None:
    book, plan = TaskBook(), a_plan("vm-1")
    book.hear(StepFinished(NOW, plan.plan_id, 0, plan.steps[0], StepOutcome.FAILED, "It failed."))
    book.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(0.5)))
    assert book.tasks[0].state is TaskState.FAILED
    assert book.running == ()


def test_a_step_taken_up_from_the_journal_is_listed() -> None:
    book, plan = TaskBook(), a_plan("vm-1")
    book.hear(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    assert book.running[0].title == "Migrate vm-1"


def test_only_what_is_over_is_cleared() -> None:
    book, plan = TaskBook(), a_plan("vm-1", "vm-2")
    book.hear(PlanSubmitted(NOW, plan))
    book.hear(StepFinished(NOW, plan.plan_id, 0, plan.steps[0], StepOutcome.DONE, "Done."))
    book.clear_finished()
    assert [task.title for task in book.tasks] == ["Migrate vm-2"]


def test_a_notice_is_no_task() -> None:
    assert not TaskBook().hear(Notice(NOW, "info", "…"))


def test_old_tasks_are_forgotten() -> None:
    book = TaskBook()
    for number in range(260):
        plan = a_plan(f"vm-{number}")
        book.hear(StepFinished(NOW, plan.plan_id, 0, plan.steps[0], StepOutcome.DONE, "Done."))
        book.hear(PlanFinished(NOW, plan, (StepOutcome.DONE,)))
    assert len(book.tasks) == 200
    assert book.tasks[0].title == "Migrate vm-259"


class _Heard:
    def __init__(self) -> None:
        self.cancelled: list[tuple[str, int]] = []
        self.details: list[tuple[str, str]] = []


@pytest.fixture
def heard() -> _Heard:
    return _Heard()


@pytest.fixture
def task_list(qtbot: QtBot, heard: _Heard) -> TaskList:
    tasks = TaskList(
        {
            "cancel": lambda task: heard.cancelled.append(task.key),
            "details": lambda task: heard.details.append((task.sentence, task.detail)),
        }
    )
    qtbot.addWidget(tasks)
    tasks.resize(900, 300)
    tasks.show()
    return tasks


def test_cancel_by_mouse(qtbot: QtBot, task_list: TaskList, heard: _Heard) -> None:
    plan = a_plan("vm-1")
    task_list.hear(PlanSubmitted(NOW, plan))
    task_list.hear(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    task_list.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(0.42)))
    qtbot.waitUntil(lambda: bool(task_list.findChildren(QProgressBar)))
    bar = child(task_list, QProgressBar, "task_progress")
    assert bar.value() == 420
    button = child(task_list, QPushButton, "task_cancel")
    qtbot.waitUntil(button.isVisible)
    click(button)
    assert heard.cancelled == [(plan.plan_id, 0)]
    assert not button.isEnabled()
    assert "Cancelling" in child(task_list, QLabel, "task_remark").text()


def test_a_failure_stays_with_its_sentence_and_details(qtbot: QtBot, task_list: TaskList, heard: _Heard) -> None:
    plan = a_plan("<b>vm</b>")
    sentence = "The migration of <b>vm</b> failed; it runs on host-a."
    finished = StepFinished(NOW, plan.plan_id, 0, plan.steps[0], StepOutcome.FAILED, sentence, "internal error")
    task_list.hear(finished)
    qtbot.waitUntil(lambda: bool(task_list.findChildren(QLabel, "task_remark")))
    remark = child(task_list, QLabel, "task_remark")
    assert remark.text() == sentence
    assert remark.textFormat() is Qt.TextFormat.PlainText
    details = child(task_list, QPushButton, "task_details")
    qtbot.waitUntil(details.isVisible)
    click(details)
    assert heard.details == [(sentence, "internal error")]
    click(child(task_list, QPushButton, "task_clear"))
    qtbot.waitUntil(lambda: child(task_list, QLabel, "task_empty").isVisible())
