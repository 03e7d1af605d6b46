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
