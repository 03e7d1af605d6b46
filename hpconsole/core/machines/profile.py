"""What does "Optimized for" set, and what does leaving High Performance restore? Pure.

The settings are the reference's (behaviour.md B4). Unlike there, leaving the type restores what the user has not
touched since: the draft remembers what was changed (`VmDraft.profile`), also in the VM's metadata.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hpconsole.core.machines.draft import Graphics, OptimizedFor, ProfileChange, VmDraft
from hpconsole.core.machines.editing import with_iothreads, with_multi_queue
from hpconsole.core.machines.field_labels import label_of, shown
from hpconsole.core.machines.migration_mode import settled

_NO_PASSTHROUGH = ("ppc64", "ppc64le")


@dataclass(frozen=True, slots=True)
class ShownChange:
    """One setting that the type changed, in words."""

    field: str
    label: str
    before: str
    now: str
    is_touched: bool  # by the user since then: leaving the type will not restore it


def with_type(draft: VmDraft, kind: OptimizedFor) -> VmDraft:
    """The draft of this type.

    What the type sets is set; what an earlier High Performance had set is restored first, unless the user touched it.
    The migration mode follows, unless the user chose one.
    """
    if kind is draft.optimized_for:
        return draft
    plain = replace(_restored(draft), optimized_for=kind)
    for field, value in _wanted(plain, kind).items():
        plain = _with_field(plain, field, value)
    if kind is OptimizedFor.HIGH_PERFORMANCE:
        plain = replace(plain, profile=_recorded(_restored(draft), plain))
    return settled(draft, plain)


def profile_changes(draft: VmDraft) -> tuple[ShownChange, ...]:
    """What High Performance changed in this draft, with what it was before."""
    return tuple(
        ShownChange(
            change.field,
            label_of(change.field),
            shown(change.field, change.before),
            shown(change.field, getattr(draft, change.field)),
            is_touched=getattr(draft, change.field) != change.after,
        )
        for change in draft.profile
    )


def _wanted(draft: VmDraft, kind: OptimizedFor) -> dict[str, Any]:
    """The values a type sets."""
    if kind is OptimizedFor.HIGH_PERFORMANCE:
        is_kvm = draft.virt_type == "kvm"  # software emulation has no host CPU to pass through
        is_x86 = is_kvm and draft.arch in ("x86_64", "i686", "")
        has_passthrough = is_kvm and draft.arch not in _NO_PASSTHROUGH
        return {
            "graphics": Graphics.NONE,
            "video_model": "",
            "has_serial_console": True,
            "has_usb": False,
            "has_smartcard": False,
            "has_sound": False,
            "has_rng": True,
            "watchdog_model": "",
            "has_balloon": False,
            "iothreads": max(1, draft.iothreads),
            "is_multi_queue": True,
            **({"cpu_mode": "host-passthrough", "cpu_model": ""} if has_passthrough else {}),
            **({"needs_tsc_frequency": True} if is_x86 else {}),
        }
    if kind is OptimizedFor.SERVER:
        return {"iothreads": max(1, draft.iothreads)} if draft.is_new else {}
    return {"has_sound": True} if draft.is_new else {}


def _with_field(draft: VmDraft, field: str, value: Any) -> VmDraft:
    if getattr(draft, field) == value and field != "is_multi_queue":
        return draft
    if field == "iothreads":
        return with_iothreads(draft, value)
    if field == "is_multi_queue":
        return with_multi_queue(draft, is_on=value)
    return replace(draft, **{field: value})


def _recorded(before: VmDraft, after: VmDraft) -> tuple[ProfileChange, ...]:
    names = _wanted(before, OptimizedFor.HIGH_PERFORMANCE)
    return tuple(
        ProfileChange(name, getattr(before, name), getattr(after, name))
        for name in names
        if getattr(before, name) != getattr(after, name)
    )


def _restored(draft: VmDraft) -> VmDraft:
    """Without what the type changed, as far as nobody touched it since."""
    restored = draft
    for change in draft.profile:
        if getattr(draft, change.field) == change.after:
            restored = _with_field(restored, change.field, change.before)
    return replace(restored, profile=())
