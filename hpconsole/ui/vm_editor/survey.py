"""What the VM dialog has computed for it: problems, verdicts, recommendations, changes, XML. Called on a worker thread.

Pure and without Qt. Apart from the presenter because the scheduler behind it (numpy) takes its time to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.reading import read_draft
from hpconsole.core.machines.writing import difference, render
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, Vm
from hpconsole.ui.vm_editor.change_lines import change_line
from hpconsole.ui.vm_editor.view import ChangeLine

if TYPE_CHECKING:
    from hpconsole.core.machines.changing import Change
    from hpconsole.core.machines.checking import Problem
    from hpconsole.core.machines.recommending import Recommendation
    from hpconsole.core.machines.surroundings import Surroundings
    from hpconsole.core.machines.verdicts import HostVerdict
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation

_MOST_OTHERS = 100  # beyond, only the chosen hosts are judged


@dataclass(frozen=True)
class Question:
    """What to compute; calling it does so."""

    before: VmDraft
    draft: VmDraft
    vm: Vm | None
    host: str
    snapshot: ClusterSnapshot
    policy: Callable[[], Policy]
    reservations: Callable[[], Sequence[Reservation]]

    def __call__(self) -> Answer:
        """Compute. Raises: HpconsoleError."""
        return answer(self)


@dataclass(frozen=True)
class Answer:
    """What a question brought."""

    question: Question
    problems: tuple[Problem, ...] = ()
    verdicts: tuple[HostVerdict, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    changes: tuple[Change, ...] = ()
    xml: str = ""
    xml_problem: str = ""
    previews: Mapping[str, CpuPinning] = field(default_factory=dict)


def answer(question: Question) -> Answer:
    """Everything the dialog shows beside the values."""
    from hpconsole.core.machines.changing import changes
    from hpconsole.core.machines.checking import check
    from hpconsole.core.machines.recommending import recommend
    from hpconsole.core.machines.surroundings import Surroundings
    from hpconsole.core.machines.verdicts import host_verdicts

    draft = question.draft
    around = Surroundings(question.snapshot, question.host, tuple(question.reservations()), question.policy())
    xml, xml_problem = rendered(draft, question.host)
    verdicts = host_verdicts(draft, around) + _of_others(draft, around)
    is_computed = draft.cpu_pinning_policy not in (CpuPinningPolicy.MANUAL, CpuPinningPolicy.NONE)
    return Answer(
        question,
        problems=check(draft, around),
        verdicts=verdicts,
        recommendations=recommend(draft, around),
        changes=changes(question.before, draft, question.vm),
        xml=xml,
        xml_problem=xml_problem,
        previews={v.host: v.placement.pinning for v in verdicts if v.placement is not None} if is_computed else {},
    )


def _of_others(draft: VmDraft, around: Surroundings) -> tuple[HostVerdict, ...]:
    """The hosts that are not chosen, as if they were: who chooses wants to know before."""
    from hpconsole.core.machines.verdicts import host_verdicts

    others = tuple(name for name in around.snapshot.hosts if name not in draft.allowed_hosts)
    if not draft.allowed_hosts or len(others) > _MOST_OTHERS:
        return ()
    return host_verdicts(replace(draft, allowed_hosts=()), around, others)


def rendered(draft: VmDraft, host: str = "") -> tuple[str, str]:
    """The definition a draft makes, or why there is none."""
    try:
        return render(draft, host=host), ""
    except HpconsoleError as error:
        return "", error.sentence


def xml_difference(before: VmDraft, after: VmDraft) -> str:
    """The XML difference between two drafts; a sentence where one of them makes no definition."""
    old = before.xml if before.xml and read_draft(before.xml) == before else rendered(before)[0]
    new, problem = rendered(after)
    return problem or difference(old, new, name=after.name or "definition")


def compared(before: VmDraft, after: VmDraft, vm: Vm | None) -> tuple[ChangeLine, ...]:
    """What one edit changes, field by field."""
    from hpconsole.core.machines.changing import changes

    return tuple(change_line(change) for change in changes(before, after, vm))
