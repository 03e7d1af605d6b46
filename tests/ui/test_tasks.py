"""The task list: follows events, never runs backwards, and can be stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QScrollArea, QWidget
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
from hpconsole.ui.tasks.task_card import TaskCard
from hpconsole.ui.tone import Tone
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
    assert [task.title for task in book.tasks] == ["Migrate vm-1", "Migrate vm-2"], "as they will be begun"
    book.hear(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    book.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(0.4)))
    task = book.of_vm("uuid-vm-1")
    assert task is not None
    assert task.remark == (
        "Pass 2   ·   sending again what the VM rewrote   ·   312 MiB left   ·   940 MiB/s   ·   about 4 s more"
    )
    assert task.route == "host-a → host-b"
    assert summary(book.tasks) == "1 migration under way, 40 %   ·   1 waiting"
    book.hear(StepFinished(NOW, plan.plan_id, 0, plan.steps[0], StepOutcome.DONE, "vm-1 runs on host-b."))
    task = book.task((plan.plan_id, 0))
    assert task is not None
    assert (task.state, task.share, task.remark) == (TaskState.DONE, 1.0, "vm-1 runs on host-b.")


def test_what_runs_comes_first_then_the_queue_in_its_order_then_what_is_over() -> None:
    book, plan = TaskBook(), a_plan(*(f"vm-{number}" for number in range(1, 7)))
    keys = [(plan.plan_id, index) for index in range(6)]
    book.hear(PlanSubmitted(NOW, plan))
    for index in (0, 1, 2):
        book.hear(StepStarted(NOW, plan.plan_id, index, plan.steps[index]))
    for index in (0, 1):
        book.hear(StepFinished(NOW, plan.plan_id, index, plan.steps[index], StepOutcome.DONE, "Done."))
    assert book.wait({keys[5]: "2 leave host-a already.", keys[3]: "2 leave host-a already."})
    titles = [task.title.removeprefix("Migrate vm-") for task in book.tasks]
    assert titles == ["3", "6", "4", "5", "2", "1"], "vm-6 was let pass, of vm-5 nothing is known yet"
    assert book.tasks[1].remark == "Waiting, 1st in the queue: 2 leave host-a already."
    assert not book.wait({keys[5]: "2 leave host-a already.", keys[3]: "2 leave host-a already."}), "nothing is new"


def test_another_attempt_says_what_was_tried_before() -> None:
    book, plan = TaskBook(), a_plan("vm-1")
    key = (plan.plan_id, 0)
    book.hear(PlanSubmitted(NOW, plan))
    book.hear(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    book.hear(StepProgressed(NOW, plan.plan_id, 0, some_progress(0.4)))
    book.wait({key: "2 migrations arrive at host-c already."})
    assert book.tasks[0].remark == "Waiting to try another host: 2 migrations arrive at host-c already."
    again = replace(plan.steps[0], destination="host-c")
    book.hear(StepStarted(NOW, plan.plan_id, 0, again))
    assert book.tasks[0].remark == "Tried before: host-b. Preparing…"
    assert book.tasks[0].course.samples == [], "its course is its own"
    book.hear(StepFinished(NOW, plan.plan_id, 0, again, StepOutcome.DONE, "vm-1 runs on host-c."))
    assert book.tasks[0].remark == "vm-1 runs on host-c. Tried before: host-b."


def test_a_move_that_is_not_as_planned_is_no_plain_success() -> None:
    book, plan = TaskBook(), a_plan("vm-1")
    end = StepFinished(NOW, plan.plan_id, 0, plan.steps[0], StepOutcome.DONE, "But not all is as planned: …")
    book.hear(end)
    assert (book.tasks[0].mark, book.tasks[0].is_trouble) == (("good", Tone.GOOD), False)
    book.hear(replace(end, is_as_planned=False))
    assert (book.tasks[0].mark, book.tasks[0].is_trouble) == (("warning", Tone.WARNING), True)
    assert summary(book.tasks) == "1 not as planned"


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


def test_cards_stand_in_the_order_of_the_queue_but_not_under_the_pointer(qtbot: QtBot, task_list: TaskList) -> None:
    plan = a_plan("vm-1", "vm-2")
    keys = [(plan.plan_id, index) for index in (0, 1)]

    def shown() -> list[str]:
        cards = sorted(task_list.findChildren(TaskCard), key=lambda card: card.y())
        return [child(card, QLabel, "task_title").text() for card in cards]

    task_list.hear(PlanSubmitted(NOW, plan))
    qtbot.waitUntil(lambda: shown() == ["Migrate vm-1", "Migrate vm-2"])
    task_list.wait({keys[1]: "…", keys[0]: "…"})
    qtbot.waitUntil(lambda: shown() == ["Migrate vm-2", "Migrate vm-1"])
    scroll = child(task_list, QScrollArea, "task_scroll")
    scroll.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)  # as Qt does when the pointer enters
    task_list.wait({keys[0]: "…", keys[1]: "…"})
    assert task_list.book.tasks[0].title == "Migrate vm-1"
    qtbot.waitUntil(lambda: "1st" in child(task_list.findChildren(TaskCard)[0], QLabel, "task_remark").text())
    assert shown() == ["Migrate vm-2", "Migrate vm-1"], "nothing moves away from under it"
    scroll.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, False)
    task_list.leaveEvent(QEvent(QEvent.Type.Leave))
    qtbot.waitUntil(lambda: shown() == ["Migrate vm-1", "Migrate vm-2"])


def test_nothing_is_empty_below_the_last_card(qtbot: QtBot, task_list: TaskList) -> None:
    """Long sentences need several lines in a narrow list; in a wide one no room is kept for those."""
    plan = a_plan("vm-1", "vm-2", "vm-3")
    words = "The migration failed for a reason that takes rather long to tell, and the VM runs where it was. " * 3
    for index, step in enumerate(plan.steps):
        task_list.hear(StepFinished(NOW, plan.plan_id, index, step, StepOutcome.FAILED, words))
    qtbot.waitUntil(lambda: len(task_list.findChildren(TaskCard)) == 3)
    inner = child(child(task_list, QScrollArea, "task_scroll"), QWidget, "plain")
    cards = task_list.findChildren(TaskCard)

    def is_filled() -> bool:
        has_width = inner.width() > task_list.width() - 40
        return has_width and inner.height() - max(card.geometry().bottom() for card in cards) < 16

    for width in (420, 1600):
        task_list.resize(width, 120)
        qtbot.waitUntil(is_filled)


def test_all_that_wait_are_cancelled_at_once_and_what_runs_goes_on(
    qtbot: QtBot, task_list: TaskList, heard: _Heard
) -> None:
    plan = a_plan("vm-1", "vm-2", "vm-3")
    task_list.hear(PlanSubmitted(NOW, plan))
    task_list.hear(StepStarted(NOW, plan.plan_id, 0, plan.steps[0]))
    button = child(task_list, QPushButton, "cancel_waiting")
    qtbot.waitUntil(button.isVisible)
    click(button)
    assert heard.cancelled == [(plan.plan_id, 1), (plan.plan_id, 2)]
    assert not button.isVisible()
    assert task_list.book.task((plan.plan_id, 0)).state is TaskState.RUNNING  # type: ignore[union-attr]  # it is there
