"""Numbers as people read them in refusals: sizes, page sizes, lists. No units of policy in here."""

from __future__ import annotations

from collections.abc import Iterable


def mib(kib: float) -> str:
    """A size in MiB with thousands set apart: 12,288 MiB."""
    return f"{kib / 1024:,.0f} MiB"


def page(size_kib: int) -> str:
    """A huge page size as its name: 2-MiB, 1-GiB."""
    if size_kib % (1024 * 1024) == 0:
        return f"{size_kib // (1024 * 1024)}-GiB"
    if size_kib % 1024 == 0:
        return f"{size_kib // 1024}-MiB"
    return f"{size_kib}-KiB"


def listed(words: Iterable[object], limit: int = 8) -> str:
    """Words with commas; what is beyond the limit is counted."""
    items = [str(word) for word in words]
    if len(items) <= limit:
        return ", ".join(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"


def named(name: str, sentence: str) -> str:
    """A sentence with the name it is about in front, unless it says the name itself."""
    return sentence if sentence.startswith((f"{name} ", f"{name}'s ")) else f"{name}: {sentence}"


def counted(number: float, one: str, many: str = "") -> str:
    """1 CPU, 2 CPUs."""
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"
