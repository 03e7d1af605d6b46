"""What was typed of a migration's options as a value, and what is shown of checks and forecasts."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from hpconsole.cli.output import Json
from hpconsole.cli.terminal import say
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.planning.forecast import Forecast, Verdict, seconds_text
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.core.planning.preflight_findings import Preflight, Severity

_MARKS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def options_of(arguments: argparse.Namespace, policies: Iterable[MigrationPolicy]) -> MigrationOptions:
    """The options that were typed.

    Raises:
        InvalidEdit: they cannot be had together, or there is no such policy.
    """
    policy_id = None
    if arguments.policy is not None:
        wanted = arguments.policy.strip().lower()
        known = {name: one.policy_id for one in policies for name in (one.policy_id.lower(), one.name.lower())}
        if wanted not in known:
            names = ", ".join(sorted(set(known.values())))
            raise InvalidEdit("policy", f"There is no migration policy {arguments.policy}. There are: {names}.")
        policy_id = known[wanted]
    options = MigrationOptions(
        policy_id=policy_id,
        bandwidth_mib_s=arguments.bandwidth,
        downtime_ms=arguments.downtime,
        parallel_connections=arguments.parallel,
        compressed=arguments.compress,
        auto_converge=arguments.auto_converge,
        tls=arguments.tls,
        post_copy=arguments.post_copy,
        priority=arguments.priority,
    )
    if options.problem():
        raise InvalidEdit("options", options.problem())
    return options


def preflight_json(found: Preflight) -> Json:
    """`preflight` of a step."""
    return {
        "destination": found.destination,
        "errors": len(found.errors),
        "warnings": len(found.warnings),
        "findings": [
            {"kind": one.kind, "severity": one.severity.value, "sentence": one.sentence, "remedy": one.remedy}
            for one in found.findings
        ],
    }


def forecast_json(seen: Forecast) -> Json:
    """`forecast` of a step."""
    return {
        "verdict": seen.verdict.value,
        "sentence": seen.sentence,
        "policy": seen.policy,
        "memory_mib": round(seen.memory_mib, 1),
        "to_move_mib": round(seen.to_move_mib, 1),
        "dirty_mib_s": None if seen.dirty_mib_s is None else round(seen.dirty_mib_s, 1),
        "working_set_mib": None if seen.working_set_mib is None else round(seen.working_set_mib, 1),
        "bandwidth_mib_s": round(seen.bandwidth_mib_s, 1),
        "total_s": round(seen.total_s, 2),
        "total_low_s": round(seen.total_low_s, 2),
        "total_high_s": round(seen.total_high_s, 2),
        "passes": seen.passes,
        "downtime_ms": round(seen.downtime_ms),
        "downtime_limit_ms": seen.downtime_limit_ms,
        "throttle_pct": seen.throttle_pct,
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


def print_preflight(found: Preflight) -> None:
    """The findings, a line each."""
    for one in found.findings:
        say(f"  {_MARKS[one.severity]}: {one.sentence} {one.remedy}".rstrip())
    if not found.errors and not found.warnings:
        say(f"  Nothing stands against moving {found.vm_name} to {found.destination}.")


def print_forecast(seen: Forecast) -> None:
    """The forecast, its basis and what would help."""
    say(f"  {seen.sentence}")
    if seen.total_high_s > seen.total_low_s * 1.05 and seen.verdict is not Verdict.UNKNOWN:
        say(f"  Expected between {seconds_text(seen.total_low_s)} and {seconds_text(seen.total_high_s)}.")
    for basis in seen.basis:
        say(f"  From: {basis}.")
    for one in seen.remedies:
        say(f"  - {one.sentence}")
