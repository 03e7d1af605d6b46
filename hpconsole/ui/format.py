"""How values become text in the window: what `core.amounts` writes, and ages, versions, sort keys. Knows no Qt."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from hpconsole.core.amounts import (
    UNKNOWN,
    count,
    kib,
    kib_of,
    mib,
    mib_s,
    milliseconds,
    names,
    number,
    page_size,
    pct,
    seconds,
)

__all__ = [
    "UNKNOWN",
    "age",
    "age_s",
    "count",
    "kib",
    "kib_of",
    "mib",
    "mib_s",
    "milliseconds",
    "names",
    "natural",
    "number",
    "ordinal",
    "page_size",
    "pct",
    "seconds",
    "version",
]
STALE_AFTER_S = 5.0  # the poll is every second: five missed rounds are worth a word
NOW_S = 2.0  # data of the last poll is up to a second old, or a little more: what flickers says nothing

_DIGITS = re.compile(r"\d+")


def ordinal(place: int) -> str:
    """A place in an order.

    >>> [ordinal(place) for place in (1, 2, 3, 4, 11, 13, 21, 112)]
    ['1st', '2nd', '3rd', '4th', '11th', '13th', '21st', '112th']
    """
    ending = "th" if place // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def age_s(answered_at: datetime | None, now: datetime) -> float | None:
    """How old a host's data is; None where it never answered."""
    return None if answered_at is None else max(0.0, (now - answered_at).total_seconds())


def age(answered_at: datetime | None, now: datetime) -> str:
    """How old a host's data is, in words; `stale` where it is older than it should be.

    >>> from datetime import UTC, timedelta
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> age(now - timedelta(seconds=2), now), age(now - timedelta(seconds=14), now), age(None, now)
    ('2 s ago', 'stale 14 s', 'no data yet')
    """
    old_s = age_s(answered_at, now)
    if old_s is None:
        return "no data yet"
    if old_s > STALE_AFTER_S:
        return f"stale {seconds(old_s)}"
    return "now" if old_s < NOW_S else f"{int(old_s)} s ago"


def version(number_: int | None) -> str:
    """A version number of libvirt or QEMU as people write it.

    >>> version(9_000_000), version(7_002_022)
    ('9.0.0', '7.2.22')
    """
    if number_ is None:
        return UNKNOWN
    return f"{number_ // 1_000_000}.{number_ // 1000 % 1000}.{number_ % 1000}"


@lru_cache(maxsize=262_144)
def natural(name: str) -> str:
    """A sort key under which host-2 comes before host-10.

    >>> sorted(["host-10", "Host-2", "host-1"], key=natural)
    ['host-1', 'Host-2', 'host-10']
    """
    return _DIGITS.sub(lambda run: run[0].zfill(10), name.casefold())
