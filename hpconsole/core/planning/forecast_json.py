"""A forecast as JSON: the figures that the journal keeps, and everything that is shown."""

from __future__ import annotations

from typing import Any

from hpconsole.core.planning.forecast import Forecast


def as_facts(seen: Forecast) -> dict[str, Any]:
    """What was expected, as the journal keeps it beside what came."""
    return {
        "verdict": seen.verdict.value,
        "policy": seen.policy,
        "to_move_mib": round(seen.to_move_mib, 1),
        "memory_mib": round(seen.memory_mib, 1),
        "dirty_mib_s": None if seen.dirty_mib_s is None else round(seen.dirty_mib_s, 1),
        "working_set_mib": None if seen.working_set_mib is None else round(seen.working_set_mib, 1),
        "bandwidth_mib_s": round(seen.bandwidth_mib_s, 1),
        "total_s": round(seen.total_s, 2),
        "total_low_s": round(seen.total_low_s, 2),
        "total_high_s": round(seen.total_high_s, 2),
        "passes": seen.passes,
        "downtime_ms": round(seen.downtime_ms),
        "throttle_pct": seen.throttle_pct,
        "sentence": seen.sentence,
    }


def forecast_json(seen: Forecast) -> dict[str, Any]:
    """All of it: also what it rests on, and what would help."""
    return as_facts(seen) | {
        "downtime_limit_ms": seen.downtime_limit_ms,
        "basis": list(seen.basis),
        "remedies": [
            {
                "kind": one.kind,
                "sentence": one.sentence,
                "total_s": round(one.total_s, 2),
                "downtime_ms": round(one.downtime_ms),
                "downtime_limit_ms": one.downtime_limit_ms,
                "bandwidth_mib_s": None if one.bandwidth_mib_s is None else round(one.bandwidth_mib_s, 1),
            }
            for one in seen.remedies
        ],
    }
