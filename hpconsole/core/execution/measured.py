"""What a migration that ended says about its path and its guest: figures that the next forecast stands on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpconsole.core.hypervisor.port import JobStats
from hpconsole.core.planning.migration_options import MigrationOptions

_MIB = 1024 * 1024


def path_figures(stats: JobStats, options: MigrationOptions) -> dict[str, float | int | None]:
    """From libvirt's statistics of the end; what cannot be told is None.

    `overhead_s`: what passed while QEMU did not send: its start on the destination, libvirt's handshakes. libvirt's
    bytes per second are QEMU's own, over the time it sent.
    """
    sent, rate, elapsed_ms = stats.memory_processed_bytes, stats.memory_bps, stats.elapsed_ms
    overhead_s = None
    if sent is not None and rate and elapsed_ms is not None:
        overhead_s = round(max(0.0, elapsed_ms / 1000 - sent / rate), 3)
    to_move = None
    if stats.memory_total_bytes is not None and stats.zero_pages is not None:
        zeros = stats.zero_pages * (stats.page_size_bytes or 4096)
        to_move = round(max(0, stats.memory_total_bytes - zeros) / _MIB, 2)
    return {
        "throughput_mib_s": round(rate / _MIB, 2) if rate else None,
        "overhead_s": overhead_s,
        "limit_mib_s": options.bandwidth_mib_s,
        "to_move_mib": to_move,
        "throttle_pct": stats.auto_converge_throttle_pct,
    }


def forecast_error(facts: Mapping[str, Any], statistics: Mapping[str, Any]) -> float | None:
    """How far the expected total time was from the real one, as a share of the real one; below 0: sooner expected
    than it came. None where one of the two is not known, or nothing was moved.
    """
    forecast = facts.get("forecast")
    foreseen = forecast.get("total_s") if isinstance(forecast, Mapping) else None
    took = statistics.get("total_s")
    if not isinstance(foreseen, int | float) or not isinstance(took, int | float) or took <= 0:
        return None
    return float(foreseen) / float(took) - 1
