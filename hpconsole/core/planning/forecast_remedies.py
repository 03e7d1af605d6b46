"""What would let a migration end that does not end by itself, and what does each way cost? Pure.

Every remedy was tried in the model first: what is offered here ends there.
"""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.planning.dirtying import IDLE
from hpconsole.core.planning.forecast import GuestWork, Path, Remedy, seconds_text
from hpconsole.core.planning.forecast_margins import ends_by_itself
from hpconsole.core.planning.migration_policy import MigrationPolicy, Schedule, downtime
from hpconsole.core.planning.precopy_model import Conditions, Ending, foresee

_PAUSES_MS = (200, 500, 1000, 2000, 5000, 10_000, 30_000)
_STREAM_MIB_S = 1200.0  # about what one migration thread of QEMU sends, encryption aside
_CLEARLY = 1.2


def remedies(work: GuestWork, path: Path, policy: MigrationPolicy, given: Conditions) -> tuple[Remedy, ...]:
    """Each way that helps, the gentlest first."""
    found = (
        _bandwidth(work, path, given),
        _parallel(work, path, given),
        _downtime(work, path, given),
        None if policy.auto_converge else _auto_converge(work, path, given),
        _post_copy(work, path, given),
        _pause(work, path, given),
    )
    return tuple(remedy for remedy in found if remedy is not None)


def _downtime(work: GuestWork, path: Path, given: Conditions) -> Remedy | None:
    for pause_ms in _PAUSES_MS:
        tried = replace(given, schedule=Schedule((downtime(pause_ms),)), auto_converge=False)
        if not ends_by_itself(tried):
            continue
        run = foresee(tried)
        total_s = path.overhead_s + run.seconds
        return Remedy(
            "downtime",
            f"Allow a pause of {pause_ms / 1000:g} s: then it takes about {seconds_text(total_s)}; "
            f"{work.vm_name} stands still for that long at most.",
            total_s,
            run.downtime_ms,
            downtime_limit_ms=pause_ms,
        )
    return None


def _bandwidth(work: GuestWork, path: Path, given: Conditions) -> Remedy | None:
    """Lift the limit, where there is one."""
    if not path.is_limited:
        return None
    rate = given.bandwidth_mib_s
    while rate < path.link_mib_s:
        rate = min(rate * 1.5, path.link_mib_s)
        tried = replace(given, bandwidth_mib_s=rate)
        if ends_by_itself(tried):
            run = foresee(tried)
            total_s = path.overhead_s + run.seconds
            return Remedy(
                "bandwidth",
                f"Allow {rate:.0f} MiB/s instead of {given.bandwidth_mib_s:.0f}: then it takes about "
                f"{seconds_text(total_s)}; what else uses the link has less meanwhile.",
                total_s,
                run.downtime_ms,
                bandwidth_mib_s=rate,
            )
    return None


def _parallel(work: GuestWork, path: Path, given: Conditions) -> Remedy | None:
    """Several connections, where the cards could carry more than one stream reached."""
    capacity = path.capacity_mib_s
    if path.is_limited or capacity is None or capacity < _CLEARLY * given.bandwidth_mib_s:
        return None
    if given.bandwidth_mib_s < _STREAM_MIB_S / 2:
        return None  # something else than the one stream is in the way
    rate = min(capacity, 2 * given.bandwidth_mib_s)
    tried = replace(given, bandwidth_mib_s=rate, link_mib_s=max(given.link_mib_s, rate))
    if not ends_by_itself(tried):
        return None
    run = foresee(tried)
    total_s = path.overhead_s + run.seconds
    return Remedy(
        "parallel",
        f"Use several parallel connections: at about {rate:.0f} MiB/s it takes about {seconds_text(total_s)}; "
        "each needs a CPU on both hosts.",
        total_s,
        run.downtime_ms,
        bandwidth_mib_s=rate,
    )


def _auto_converge(work: GuestWork, path: Path, given: Conditions) -> Remedy | None:
    run = foresee(replace(given, auto_converge=True))
    if run.ending is not Ending.CONVERGED:
        return None
    total_s = path.overhead_s + run.seconds
    return Remedy(
        "auto_converge",
        f"Turn auto-converge on: then it may take about {seconds_text(total_s)}; the vCPUs of {work.vm_name} are "
        f"slowed down by up to {run.throttle_pct} % meanwhile.",
        total_s,
        run.downtime_ms,
    )


def _post_copy(work: GuestWork, path: Path, given: Conditions) -> Remedy:
    first_s = given.to_move_mib / given.bandwidth_mib_s
    again_s = given.writes.written_mib(first_s) / path.link_mib_s
    total_s = path.overhead_s + first_s + again_s
    return Remedy(
        "post_copy",
        f"Allow post-copy: it ends after about {seconds_text(total_s)}, whatever {work.vm_name} writes; while the rest "
        f"follows (about {seconds_text(again_s)}) it is slower, and a broken network or host may cost the VM.",
        total_s,
        50.0,
    )


def _pause(work: GuestWork, path: Path, given: Conditions) -> Remedy:
    run = foresee(replace(given, writes=IDLE))
    total_s = path.overhead_s + run.seconds
    return Remedy(
        "pause",
        f"Pause {work.vm_name} while it moves: it stands still for about {seconds_text(total_s)}.",
        total_s,
        total_s * 1000,
    )
