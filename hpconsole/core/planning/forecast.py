"""Will this migration end, when, and with how long a pause? The forecast that is shown before anything moves. Pure.

The course is `precopy_model`'s; this module says what goes into it and what comes out, in numbers and in sentences.
Expected total time = overhead of the path (the destination's QEMU starts, both hosts agree) + the course. It is
computed three times: as measured, and with writes and bandwidth 15 % and 10 % better and worse, which gives the range
and decides how sure the verdict is: "converges" is said only where the worse course ends as well, by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from hpconsole.core.planning.dirtying import IDLE, WriteCurve
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.core.planning.precopy_model import Conditions, Ending, Run, foresee

_WORSE = (1.15, 0.9)  # writes, bandwidth
_BETTER = (0.87, 1.1)
_UNPROVEN = (1.15, 0.25)  # of a path that carried no migration yet: cards promise more than hosts send
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


def forecast(work: GuestWork, path: Path, policy: MigrationPolicy, *, may_post_copy: bool = False) -> Forecast:
    """What to expect of moving this guest over this path in this way. Some milliseconds; any thread."""
    from hpconsole.core.planning.forecast_remedies import remedies

    given = conditions(work, path, policy, may_post_copy=may_post_copy)
    likely = replace(given, writes=given.writes.likely())
    expected = foresee(likely)
    worse = _UNPROVEN if path.is_unproven else _WORSE
    runs = (foresee(_varied(likely, *_BETTER)), expected, foresee(_varied(given, *worse)))
    verdict = _verdict(work, path, given, runs)
    totals = sorted(path.overhead_s + run.seconds for run in runs)
    is_ending = verdict in (Verdict.CONVERGES, Verdict.UNKNOWN)
    writes = work.writes
    return Forecast(
        vm_name=work.vm_name,
        source=path.source,
        destination=path.destination,
        policy=policy.policy_id,
        verdict=verdict,
        sentence=_sentence(work, path, verdict, expected, path.overhead_s + expected.seconds),
        memory_mib=work.memory_mib,
        to_move_mib=work.to_move_mib,
        dirty_mib_s=None if writes is None else writes.written_mib(1.0),
        working_set_mib=None if writes is None else writes.working_set_mib,
        bandwidth_mib_s=path.bandwidth_mib_s,
        total_s=path.overhead_s + expected.seconds,
        total_low_s=totals[0],
        total_high_s=totals[2],
        passes=expected.passes,
        downtime_ms=expected.downtime_ms,
        downtime_limit_ms=expected.downtime_limit_ms,
        sent_mib=expected.sent_mib,
        throttle_pct=expected.throttle_pct,
        basis=tuple(words for words in (work.basis, path.basis) if words),
        remedies=() if is_ending else remedies(work, path, policy, given),
    )


def conditions(work: GuestWork, path: Path, policy: MigrationPolicy, *, may_post_copy: bool = False) -> Conditions:
    """What the course is computed from."""
    return Conditions(
        to_move_mib=work.to_move_mib,
        writes=work.writes or IDLE,
        bandwidth_mib_s=path.bandwidth_mib_s,
        link_mib_s=path.link_mib_s,
        schedule=policy.schedule,
        auto_converge=policy.auto_converge,
        may_post_copy=may_post_copy,
    )


def ends_by_itself(given: Conditions, *, is_unproven: bool = False) -> bool:
    """Whether it ends without slowing the guest down, even where writes and bandwidth are worse than measured."""
    worse = _UNPROVEN if is_unproven else _WORSE
    return foresee(_varied(replace(given, auto_converge=False), *worse)).ending is Ending.CONVERGED


def _varied(given: Conditions, writes: float, bandwidth: float) -> Conditions:
    return replace(
        given,
        writes=given.writes.times(writes),
        bandwidth_mib_s=given.bandwidth_mib_s * bandwidth,
        link_mib_s=given.link_mib_s * bandwidth,
    )


def _verdict(work: GuestWork, path: Path, given: Conditions, runs: tuple[Run, ...]) -> Verdict:
    if work.writes is None:
        return Verdict.UNKNOWN
    if ends_by_itself(given, is_unproven=path.is_unproven):
        return Verdict.CONVERGES
    _, expected, _ = runs
    if expected.ending is Ending.POST_COPY:
        return Verdict.POST_COPY
    return Verdict.MAY_CONVERGE if expected.ending is Ending.CONVERGED else Verdict.DOES_NOT_CONVERGE


def _sentence(work: GuestWork, path: Path, verdict: Verdict, expected: Run, total_s: float) -> str:
    load = f"{mib_text(work.to_move_mib)} to move at {path.bandwidth_mib_s:.0f} MiB/s"
    if work.writes is None:
        return (
            f"{work.vm_name}: {load}, at least {seconds_text(total_s)}; how fast it writes to its memory is not known."
        )
    writes = f"it writes to {work.writes.written_mib(1.0):.0f} MiB of its memory in a second"
    course = (
        f"about {seconds_text(total_s)}, {expected.passes} passes, then a pause of about {expected.downtime_ms:.0f} ms"
    )
    match verdict:
        case Verdict.CONVERGES:
            return f"{work.vm_name}: {load}, {writes}: {course}."
        case Verdict.MAY_CONVERGE:
            slowed = f", with its vCPUs slowed down by up to {expected.throttle_pct} %" if expected.throttle_pct else ""
            return f"{work.vm_name}: {load}, {writes}: it may take {course[6:]}{slowed}, or not end by itself."
        case Verdict.POST_COPY:
            return (
                f"{work.vm_name}: {load}, {writes}: pre-copy does not end, post-copy ends it after about "
                f"{seconds_text(total_s)}; until then a broken network would cost the VM."
            )
        case _:
            given_up = (
                f"it is given up after about {seconds_text(total_s)}"
                if expected.ending is Ending.ABORTED
                else "it goes on until it is cancelled"
            )
            return f"{work.vm_name}: {load}, {writes}: pre-copy does not end; {given_up}."


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
