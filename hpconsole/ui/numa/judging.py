"""What is wrong with what is drawn, what was wrong before, and what each host of the strip says to it. No Qt."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from hpconsole.core.machines.checking_pinning import node_edit, node_problems
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.surroundings import Surroundings
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui.numa.survey import NumaAnswer
from hpconsole.ui.numa.view import HostMark
from hpconsole.ui.tone import Tone

_TONES = {"green": Tone.GOOD, "amber": Tone.WARNING, "red": Tone.BAD}
_WORST = (Tone.BAD, Tone.WARNING, Tone.GOOD, Tone.MUTED)
_WORDS = {Tone.GOOD: "fits", Tone.WARNING: "fits with remarks", Tone.BAD: "does not fit"}

Broken = tuple[VmDraft, str]  # which VM breaks a rule, and the sentence


def first_broken_rule(changed: Iterable[tuple[VmDraft, VmDraft]], snapshot: ClusterSnapshot) -> Broken | None:
    """What the first VM that was changed (before, now) cannot have, by the rules about virtual nodes."""
    around = Surroundings(snapshot)
    for before, now in changed:
        operation, nodes = node_edit(before.numa_nodes, now.numa_nodes)
        edited = replace(now, numa_nodes=before.numa_nodes)
        is_gone = bool(now.uuid) and now.uuid not in snapshot.vms
        broken = next(iter(node_problems(edited, around, operation, nodes, is_gone=is_gone)), None)
        if broken is not None:
            return now, broken.sentence
    return None


def errors(answer: NumaAnswer | None) -> tuple[Broken, ...]:
    """What breaks a rule as answered last."""
    problems = answer.problems if answer is not None else ()
    return tuple((draft, problem.sentence) for draft, problem in problems if not problem.is_warning)


def standing(answer: NumaAnswer | None, changed: Collection[str]) -> str:
    """Which VMs break a rule as they are, without an edit here: worth knowing, and no error of this dialog."""
    found = {draft.uuid: (draft, sentence) for draft, sentence in errors(answer) if draft.uuid not in changed}
    if not found:
        return ""
    draft, sentence = next(iter(found.values()))
    rest = tuple(other.name for other, _ in found.values())[1:]
    too = f" Likewise {fmt.names(rest)}." if rest else ""
    return f" As it is now, {draft.name or 'the new VM'}: {sentence}{too}"


def host_marks(names: Iterable[str], shown: str, answer: NumaAnswer | None) -> tuple[HostMark, ...]:
    """Every host of the strip with its verdict; `shown` is the one that is drawn."""
    return tuple(_mark(name, answer, is_shown=name == shown) for name in names)


def _mark(name: str, answer: NumaAnswer | None, *, is_shown: bool) -> HostMark:
    verdicts = answer.verdicts.get(name, ()) if answer is not None else ()
    broken = answer.broken.get(name, ()) if answer is not None else ()
    tones = {_TONES.get(verdict.tone, Tone.MUTED) for verdict in verdicts} | ({Tone.BAD} if broken else set())
    tone = next((tone for tone in _WORST if tone in tones), Tone.MUTED)
    told = [
        sentence for verdict in verdicts for sentence in (*(r.sentence for r in verdict.reasons), *verdict.warnings)
    ]
    words = _WORDS.get(tone, "checking…" if answer is None else "not reached")
    return HostMark(name, tone, words, tuple(dict.fromkeys((*broken, *told))), is_shown)
