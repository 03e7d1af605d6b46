"""What a text or a mark says by its colour; never by its colour alone. Knows no Qt."""

from __future__ import annotations

from enum import StrEnum


class Tone(StrEnum):
    """The value is the name of the colour in `theme.Theme`."""

    NORMAL = "text"
    MUTED = "muted"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    ACCENT = "accent"
