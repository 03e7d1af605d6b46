"""Will this migration end, when, and with how long a pause? The forecast that is shown before anything moves: values.

`forecast_reckoning` makes it from the guest's work and the path; `forecast_remedies` says what would help.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.planning.dirtying import WriteCurve

_MANY_S = 3600.0


class Verdict(StrEnum):
    """Whether pre-copy ends by itself."""

    CONVERGES = "converges"
    MAY_CONVERGE = "may converge"  # only just, or only because auto-converge slows the guest down
    POST_COPY = "ends by post-copy"
    DOES_NOT_CONVERGE = "does not converge"
    UNKNOWN = "unknown"  # the dirty rate is not known


@dataclass(frozen=True, slots=True)
class GuestWork:
    """What has to be moved. `writes` None: how fast the guest writes is not known; IDLE: it stands still."""

    vm_name: str
    memory_mib: float
    to_move_mib: float  # pages that are not all zeros
    writes: WriteCurve | None
    basis: str = ""  # how it is known, in words


@dataclass(frozen=True, slots=True)
class Path:
    """What carries it. `bandwidth_mib_s`: what pre-copy may use; `link_mib_s`: with no limit."""

    source: str
    destination: str
    bandwidth_mib_s: float
    link_mib_s: float
    overhead_s: float
    basis: str = ""  # where the figure is from, in words
    is_limited: bool = False  # by the user or a policy, below what the link carries
    is_assumed: bool = False  # nothing is known of this path
    is_unproven: bool = False  # no migration has shown this bandwidth
    capacity_mib_s: float | None = None  # what the network cards could carry
    overhead_range_s: tuple[float, float] | None = None  # the shortest and the longest; None: always as expected


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would let it end, or end sooner. `sentence` says what it brings and what it costs."""

    kind: str  # downtime, bandwidth, parallel, auto_converge, post_copy, pause
    sentence: str
    total_s: float
    downtime_ms: float
    downtime_limit_ms: int | None = None
    bandwidth_mib_s: float | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of one migration. Rates in MiB/s."""

    vm_name: str
    source: str
    destination: str
    policy: str
    verdict: Verdict
    sentence: str
    memory_mib: float
    to_move_mib: float
    dirty_mib_s: float | None  # distinct memory written to in the first second
    working_set_mib: float | None
    bandwidth_mib_s: float
    total_s: float
    total_low_s: float
    total_high_s: float
    passes: int
    downtime_ms: float
    downtime_limit_ms: int  # what the schedule will have allowed by the end
    sent_mib: float
    throttle_pct: int
    basis: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()


def seconds_text(seconds: float) -> str:
    """A duration as people say it.

    >>> [seconds_text(seconds) for seconds in (0.84, 12.3, 90, 5400)]
    ['0.8 s', '12 s', '1 min 30 s', '1 h 30 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < _MANY_S:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def mib_text(mib: float) -> str:
    """An amount of memory as people say it.

    >>> [mib_text(amount) for amount in (65.4, 4096)]
    ['65 MiB', '4.0 GiB']
    """
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"
