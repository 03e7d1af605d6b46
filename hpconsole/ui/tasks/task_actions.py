"""What can be done about a task: while it runs, and about each way it can end. Knows no Qt and does nothing itself."""

from __future__ import annotations

from typing import NamedTuple

from hpconsole.core.execution.end_states import EndAction, EndState
from hpconsole.ui.tasks.task_book import Task


class TaskAction(NamedTuple):
    """One button of a task's card."""

    name: str  # also the name of the button: `task_` + name
    text: str
    tip: str  # of one that is not possible: why
    is_possible: bool = True


CANCEL = TaskAction("cancel", "Cancel", "Stop moving the VM; it goes on where it is")
POST_COPY = TaskAction(
    "post_copy", "Switch to Post-copy…", "Let the VM run on its new host now and fetch the rest of its memory after it"
)
NO_POST_COPY = POST_COPY._replace(
    tip="It was begun without post-copy. Cancel it, and migrate again with “Allow post-copy” among the options",
    is_possible=False,
)
LIMITS = TaskAction("limits", "Limits…", "Change the bandwidth and the pause that are allowed, while it runs")
SOONER = TaskAction("sooner", "Sooner", "Let this one start before the others that wait")
DETAILS = TaskAction("details", "Details…", "What the hypervisor said, word for word")
RECOVER = TaskAction("recover", "Recover…", "Let the VM go on where its memory is")
CLEAN_UP = TaskAction("clean_up", "Clean Up…", "Remove what is left over, once it is proven not to be the live VM")
ASK_AGAIN = TaskAction("ask_again", "Ask Again", "Ask both hosts once more where the VM runs")
TRY_AGAIN = TaskAction("try_again", "Migrate Again…", "Open Migrate VM(s) for this VM")

_AFTER = {EndAction.RECOVER: RECOVER, EndAction.CLEAN_UP: CLEAN_UP, EndAction.ASK_AGAIN: ASK_AGAIN}
_STATES = {state.value: state for state in EndState}


def actions_of(task: Task) -> tuple[TaskAction, ...]:
    """What the card of this task offers, the most helpful first."""
    if task.is_over:
        return (*(() if task.is_done_with else actions_after(task)), *((DETAILS,) if task.detail else ()))
    if task.is_waiting:
        return (SOONER, CANCEL)
    if task.is_in_post_copy:
        return ()  # half of its memory is on each host: there is nothing to go back to
    if task.is_cancelling:
        return (CANCEL,)
    if not task.has_progress:
        return (CANCEL,)
    if task.may_post_copy:
        return (LIMITS, POST_COPY, CANCEL)
    # where it makes no headway, post-copy is looked for
    return (LIMITS, NO_POST_COPY, CANCEL) if task.course.stalls else (LIMITS, CANCEL)


def actions_after(task: Task) -> tuple[TaskAction, ...]:
    """What can be done about the way it ended."""
    state = _STATES.get(task.end_state)
    if state is None:
        return ()
    again = (TRY_AGAIN,) if state.is_as_before and not task.is_moved else ()
    return (*(_AFTER[action] for action in state.actions), *again)
