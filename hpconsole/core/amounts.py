"""How amounts become text: memory, rates, shares, durations, counts. One source for window, command line and sentences.

Knows no terminal, no Qt and no locale.
"""

from __future__ import annotations

UNKNOWN = "–"


def kib(amount: float | None) -> str:
    """Memory in the largest fitting binary unit, three digits at most.

    >>> kib(1_572_864), kib(4096), kib(None), kib(268_435_456), kib(0)
    ('1.5 GiB', '4 MiB', '–', '256 GiB', '0')
    """
    if amount is None:
        return UNKNOWN
    if amount == 0:
        return "0"
    size = float(amount)
    for unit in ("KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{_short(size)} {unit}"
        size /= 1024
    return f"{_short(size)} TiB"


def mib(amount: float | None) -> str:
    """As `kib`, from MiB.

    >>> mib(312.4)
    '312 MiB'
    """
    return UNKNOWN if amount is None else kib(amount * 1024)


def kib_of(part: float | None, whole: float | None) -> str:
    """A part of a whole, the unit written once.

    >>> kib_of(118 * 1024**2, 256 * 1024**2)
    '118 / 256 GiB'
    """
    if part is None or whole is None:
        return UNKNOWN
    total = kib(whole)
    number, _, unit = total.partition(" ")
    scale = {"KiB": 1, "MiB": 1024, "GiB": 1024**2, "TiB": 1024**3}.get(unit)
    return f"{_short(part / scale)} / {number} {unit}" if scale else f"{kib(part)} / {total}"


def _short(size: float) -> str:
    text = f"{size:.0f}" if size >= 99.95 else f"{size:.1f}"
    return text.removesuffix(".0")


def page_size(size_kib: int) -> str:
    """A huge-page size as the kernel's command line writes it.

    >>> page_size(2048), page_size(1_048_576), page_size(64)
    ('2M', '1G', '64K')
    """
    return kib(size_kib).replace(" ", "").removesuffix("iB")


def pct(share_pct: float | None) -> str:
    """A percentage without decimals.

    >>> pct(12.6), pct(None)
    ('13 %', '–')
    """
    return UNKNOWN if share_pct is None else f"{share_pct:.0f} %"


def mib_s(rate: float | None) -> str:
    """A transfer rate.

    >>> mib_s(940.2), mib_s(1536)
    ('940 MiB/s', '1.5 GiB/s')
    """
    return UNKNOWN if rate is None else f"{kib(rate * 1024)}/s"


def milliseconds(duration_ms: float | None) -> str:
    """A pause: milliseconds, seconds from one second on.

    >>> milliseconds(300), milliseconds(5000), milliseconds(1500), milliseconds(None), milliseconds(0.4)
    ('300 ms', '5 s', '1.5 s', '–', '0.4 ms')
    """
    if duration_ms is None:
        return UNKNOWN
    if duration_ms >= 1000:
        return f"{_short(duration_ms / 1000)} s" if duration_ms < 60_000 else seconds(duration_ms / 1000)
    return f"{_short(duration_ms)} ms"


def seconds(duration_s: float | None) -> str:
    """A duration in its two largest units.

    >>> seconds(0.27), seconds(14.2), seconds(75), seconds(3600), seconds(90_000)
    ('0.3 s', '14 s', '1 min 15 s', '1 h', '1 d 1 h')
    """
    if duration_s is None:
        return UNKNOWN
    if duration_s < 1:
        return f"{duration_s:.1f} s" if duration_s >= 0.05 else "0 s"
    left = round(duration_s)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> count(1, "VM"), count(3, "VM"), count(2, "virtual node")
    ('1 VM', '3 VMs', '2 virtual nodes')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def names(items: list[str] | tuple[str, ...], limit: int = 3) -> str:
    """A few names, and how many more there are.

    >>> names(["a", "b"]), names(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    if len(items) > limit + 1:
        return f"{', '.join(items[:limit])} and {len(items) - limit} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def number(value: float) -> str:
    """A count or a measure: no decimals where there are none.

    >>> number(512.0), number(65536), number(1.25)
    ('512', '65,536', '1.2')
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
