"""What the VM dialog shows, as values. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpconsole.core.machines.draft import VmDraft
from hpconsole.ui.tone import Tone


@dataclass(frozen=True, slots=True)
class Remark:
    """What is said beside or below a field."""

    problem: str = ""
    is_warning: bool = False
    was: str = ""  # what it was before the type changed it
    when: str = ""  # when the change takes effect


NO_REMARK = Remark()


@dataclass(frozen=True, slots=True)
class HostLine:
    """One host on the Host tab."""

    name: str
    is_chosen: bool
    tone: Tone
    verdict: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation of the Performance panel. `obstacle` says why it cannot be filled in."""

    key: str
    title: str
    is_done: bool
    why: str
    detail: str
    can_fill: bool
    obstacle: str


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One changed field."""

    label: str
    before: str
    after: str
    when: str


@dataclass(frozen=True)
class EditorView:
    """Everything but the values of the fields, which are the draft's."""

    title: str
    draft: VmDraft
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    bad_tabs: Mapping[str, str] = field(default_factory=dict)  # tab -> its first problem
    hosts: tuple[HostLine, ...] = ()
    advice: tuple[Advice, ...] = ()
    is_new: bool = False
    host: str = ""  # where it is defined or will be made
    profile_text: str = ""  # what the type set
    mode_suggestion: str = ""
    mode_caution: str = ""
    changes: tuple[ChangeLine, ...] = ()
    summary: str = ""
    problem: str = ""
    can_save: bool = False
    save_text: str = "Save"
    can_undo: bool = False
    can_redo: bool = False
