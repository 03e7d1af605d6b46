"""What is wrong with one field of a draft."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is an attribute of `VmDraft`, with the place in lists ("disks.0.path", "per_host.host-2")."""

    field: str
    sentence: str
    is_warning: bool = False  # it may be saved nevertheless
    kind: str = ""  # the reference's message key, where it has one
