"""`hpconsole balance`: what the next round would move and why, or why nothing; on request it is moved, by hand."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.migrate import follow_plan
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, placement_json, print_json
from hpconsole.cli.session import session
from hpconsole.cli.terminal import say
from hpconsole.cli.watch import round_sentence
from hpconsole.core.balancing.mode import Mode, read_mode, save_mode
from hpconsole.core.balancing.moves_log import BY_HAND, REST_KIND, REST_NAME, line_json, read_log, remember_move
from hpconsole.core.balancing.report import Recommendation, RoundReport
from hpconsole.core.balancing.resting import rests_from_json
from hpconsole.core.balancing.rounds import run_round
from hpconsole.core.balancing.worth import foreseen


def balance(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """One round, looked at; with `--apply` carried out, which needs no lease: a person does it."""
    with session(options) as app:
        documents = app.availability.documents
        if arguments.mode is not None:
            save_mode(documents, Mode(arguments.mode))
        rests = rests_from_json(documents.get(REST_KIND, REST_NAME) or {})
        report = run_round(
            app.store.snapshot,
            app.policy,
            app.reservations(),
            rests=rests,
            duration=foreseen(app.advice.known_forecast),
        )
        found = report.recommendation
        document = {
            "format": "hpconsole-balance/1",
            "policy": app.policy.name,
            "mode": read_mode(documents).value,
            **_report_json(report),
        }
        if not arguments.json:
            _tell(report, is_applied=arguments.apply)
        code = ExitCode.DONE
        if arguments.apply and found is not None:
            code, results = _apply(app, found, quiet=arguments.json)
            document["results"] = results
        document["log"] = [line_json(line) for line in read_log(documents)]
    if arguments.json:
        print_json(document)
    return code


def _tell(report: RoundReport, *, is_applied: bool) -> None:
    say(round_sentence(report))
    found = report.recommendation
    if found is not None and not is_applied:
        say(f"`hpconsole balance --apply` moves it; so does `hpconsole migrate {found.vm_name} --to "
            f"{found.destination}`.")  # fmt: skip


def _apply(app: App, found: Recommendation, *, quiet: bool) -> tuple[ExitCode, list[Json]]:
    """Exit code of the migration; the VM rests afterwards, and the log has a line, as in the window."""
    remember_move(app.availability.documents, found, BY_HAND, datetime.now(UTC))
    return follow_plan(app, found.plan, quiet=quiet)


def _report_json(report: RoundReport) -> Json:
    found = report.recommendation
    return {
        "at": report.at.isoformat(),
        "recommendation": None
        if found is None
        else {
            "cause": found.cause.value,
            "vm": found.vm_name,
            "uuid": found.vm_uuid,
            "source": found.source,
            "destination": found.destination,
            "reason": found.reason,
            "gain": found.gain,
            "cost": found.cost,
            "placement": placement_json(found.plan.steps[0].placement),
        },
        "why_nothing": list(report.why_nothing),
    }
