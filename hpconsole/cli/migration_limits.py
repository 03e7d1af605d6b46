"""`hpconsole migration-limits`: how many migrations a console runs at once, and what they share. Asks no host."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace

from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.kept_database import kept_database
from hpconsole.cli.options import Options
from hpconsole.cli.output import print_json
from hpconsole.cli.terminal import say
from hpconsole.core.execution.queue_limits import MOST, keep_limits, kept_limits
from hpconsole.core.execution.step_queue import Limits


def migration_limits(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Change what was typed, then say what counts."""
    with kept_database(options) as database:
        kept = kept_limits(database)
        limits = _changed(kept, arguments)
        if limits != kept:
            keep_limits(database, limits)
    _say(limits, as_json=arguments.json)
    if database is None and not arguments.json:
        say("The demo starts anew at each command; with --data-folder DIR it remembers its limits.")
    return ExitCode.DONE


def _changed(limits: Limits, arguments: argparse.Namespace) -> Limits:
    for name, value in (
        ("outgoing", arguments.outgoing),
        ("incoming", arguments.incoming),
        ("total", arguments.total),
        ("bandwidth_mib_s", arguments.bandwidth),
    ):
        if value is None:
            continue
        if not 1 <= value <= MOST:
            raise UsageError(f"{value} is no limit: a number from 1 to {MOST:,} is.")
        limits = replace(limits, **{name: value})
    return replace(limits, bandwidth_mib_s=None) if arguments.no_bandwidth else limits


def _say(limits: Limits, *, as_json: bool) -> None:
    if as_json:
        print_json({"format": "hpconsole-migration-limits/1", **asdict(limits)})
        return
    say(
        f"At once leave a host: {limits.outgoing}; reach a host: {limits.incoming}; run in all: {limits.total}. "
        "A migration policy may allow fewer."
    )
    shared = limits.bandwidth_mib_s
    say(
        "The migrations of a host share what the network carries."
        if shared is None
        else f"The migrations of a host share {shared} MiB/s evenly."
    )
    say("This counts for each console by itself: a window from its next start on, a command from the next one on.")
