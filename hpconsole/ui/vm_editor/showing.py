"""How an answer becomes what the VM dialog shows: remarks at fields, hosts, recommendations, changes. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hpconsole.core.machines.draft import OptimizedFor, VmDraft
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.change_lines import change_line, when
from hpconsole.ui.vm_editor.fields import tab_of
from hpconsole.ui.vm_editor.view import NO_REMARK, Advice, ChangeLine, HostLine, Remark

if TYPE_CHECKING:
    from hpconsole.core.machines.profile import ShownChange
    from hpconsole.ui.vm_editor.survey import Answer

_TONES = {"green": Tone.GOOD, "amber": Tone.WARNING, "red": Tone.BAD}


def remarks(
    draft: VmDraft,
    answer: Answer | None,
    profile: Sequence[ShownChange],
    typed: Mapping[str, tuple[str, str]],
) -> dict[str, Remark]:
    """What is said at each field. Nested fields (`disks.0.path`) keep their own names."""
    said: dict[str, Remark] = {}

    def add(field: str, remark: Remark) -> None:
        old = said.get(field, NO_REMARK)
        said[field] = Remark(
            remark.problem or old.problem,
            remark.is_warning if remark.problem else old.is_warning,
            remark.was or old.was,
            remark.when or old.when,
        )

    for change in profile:
        if not change.is_touched:
            add(change.field, Remark(was=change.before))
    if answer is not None:
        for change_made in answer.changes:
            add(change_made.field, Remark(when=when(change_made)))
        for problem in sorted(answer.problems, key=lambda p: p.is_warning):
            if problem.field not in said or not said[problem.field].problem:
                add(problem.field, Remark(problem.sentence, problem.is_warning))
        if answer.xml_problem and not any(r.problem and not r.is_warning for r in said.values()):
            add("xml", Remark(answer.xml_problem))
    for field, (_, sentence) in typed.items():
        add(field, Remark(sentence))
    return said


def profile_text(profile: Sequence[ShownChange], optimized_for: OptimizedFor) -> str:
    """What High Performance set, line by line."""
    if not profile and optimized_for is OptimizedFor.HIGH_PERFORMANCE:
        return "Nothing is on record: all was set so before, or by another tool. Another type changes nothing back."
    if not profile:
        return "Nothing yet. “High Performance”, at the top, changes several settings, which are then listed here."
    lines = [
        f"{change.label}: {change.now}, was {change.before}"
        + (" (changed by you since: stays when another type is chosen)" if change.is_touched else "")
        for change in profile
    ]
    return "\n".join(lines)


def first_problem(said: Mapping[str, Remark]) -> str:
    """The sentence that stands beside the Save button; empty where nothing is wrong."""
    for field, remark in said.items():
        if remark.problem and not remark.is_warning:
            return f"{tab_of(field).value}: {remark.problem}"
    return ""


def bad_tabs(said: Mapping[str, Remark]) -> dict[str, str]:
    """The tabs with a problem, each with its first."""
    bad: dict[str, str] = {}
    for field, remark in said.items():
        if remark.problem and not remark.is_warning:
            bad.setdefault(tab_of(field).value, remark.problem)
    return bad


def host_lines(draft: VmDraft, answer: Answer | None, snapshot: ClusterSnapshot) -> tuple[HostLine, ...]:
    """Every host of the cluster, those chosen first in their order."""
    verdicts = {verdict.host: verdict for verdict in answer.verdicts} if answer is not None else {}
    chosen = [name for name in draft.allowed_hosts if name in snapshot.hosts]
    rest = sorted((name for name in snapshot.hosts if name not in chosen), key=fmt.natural)
    lines = []
    for name in (*chosen, *rest):
        verdict = verdicts.get(name)
        if verdict is None:
            lines.append(
                HostLine(
                    name,
                    name in chosen,
                    Tone.MUTED,
                    "checking…" if answer is None else "check it to see whether the VM fits",
                )
            )
            continue
        reasons = (*(refusal.sentence for refusal in verdict.reasons), *verdict.warnings)
        short = "Fits" if not reasons else reasons[0]
        if len(reasons) > 1:
            short = f"{short} ({len(reasons) - 1} more)"
        lines.append(HostLine(name, name in chosen, _TONES.get(verdict.tone, Tone.MUTED), short, reasons))
    return tuple(lines)


def advice(answer: Answer | None) -> tuple[Advice, ...]:
    """The recommendations, in their order."""
    if answer is None:
        return ()
    return tuple(
        Advice(r.key, r.title, r.is_done, r.why, r.detail, not r.is_done and r.filled is not None, r.obstacle)
        for r in answer.recommendations
    )


def change_lines(answer: Answer | None) -> tuple[ChangeLine, ...]:
    """What saving would change."""
    if answer is None:
        return ()
    return tuple(change_line(change) for change in answer.changes)


def summary(answer: Answer) -> str:
    """How much changes, and when."""
    later = [change for change in answer.changes if "start" in when(change)]
    count = fmt.count(len(answer.changes), "change")
    vm = answer.question.vm
    if vm is None or not vm.state.is_active:
        return f"{count}."
    if not later:
        return f"{count}, all of which apply at once."
    if len(later) == len(answer.changes):
        return f"{count}, from the next start of {vm.name} on."
    return f"{count}: {len(answer.changes) - len(later)} at once, {len(later)} from the next start of {vm.name} on."
