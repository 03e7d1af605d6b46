"""Makes the forecast of a migration: what goes into the course of `precopy_model`, and what comes out of it. Pure.

Expected total time = overhead of the path (the destination's QEMU starts, both hosts agree) + the course. The margins
(`forecast_margins`) give its range and decide how sure the verdict is: "converges" is said only where the worse course
ends as well, by itself.
"""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.planning.dirtying import IDLE
from hpconsole.core.planning.forecast import Forecast, GuestWork, Path, Verdict, mib_text, seconds_text
from hpconsole.core.planning.forecast_margins import BETTER, UNPROVEN, WORSE, ends_by_itself, varied
from hpconsole.core.planning.forecast_remedies import remedies
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.core.planning.precopy_model import Conditions, Ending, Run, foresee


def forecast(work: GuestWork, path: Path, policy: MigrationPolicy, *, may_post_copy: bool = False) -> Forecast:
    """What to expect of moving this guest over this path in this way. Some milliseconds; any thread."""
    given = conditions(work, path, policy, may_post_copy=may_post_copy)
    likely = replace(given, writes=given.writes.likely())
    expected = foresee(likely)
    worse = UNPROVEN if path.is_unproven else WORSE
    runs = (foresee(varied(likely, *BETTER)), expected, foresee(varied(given, *worse)))
    verdict = _verdict(work, path, given, runs)
    shortest_s, longest_s = path.overhead_range_s or (path.overhead_s, path.overhead_s)
    courses = [run.seconds for run in runs]
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
        total_low_s=shortest_s + min(courses),
        total_high_s=longest_s + max(courses),
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
            f"{work.vm_name}: {load}, about {seconds_text(total_s)} if it hardly writes to its memory; how fast it "
            "does is not known."
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
                f"{seconds_text(total_s)}; until then a broken network or host may cost the VM."
            )
        case _:
            given_up = (
                f"it is given up after about {seconds_text(total_s)}"
                if expected.ending is Ending.ABORTED
                else "it goes on until it is cancelled"
            )
            return f"{work.vm_name}: {load}, {writes}: pre-copy does not end; {given_up}."
