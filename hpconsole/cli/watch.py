"""`hpconsole watch` and `hpconsole balance`: the same looking after the cluster as in the window, without a display."""

from __future__ import annotations

import argparse
import json
import queue
import signal
from contextlib import suppress
from datetime import UTC, datetime

from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, placement_json, print_json
from hpconsole.cli.session import session
from hpconsole.cli.terminal import printable, say
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.resting import rests_from_json
from hpconsole.core.balancing.rounds import run_round
from hpconsole.core.balancing.watch import REST_KIND, REST_NAME, Pace
from hpconsole.core.events import Event, HostStatusChanged, Notice, PlanSubmitted, StepFinished


def watch(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Look after the cluster until SIGTERM or Ctrl-C; every event is a line on standard output."""
    if arguments.lease < 3 or arguments.interval < 1:
        raise UsageError("A round takes at least 1 s, a lease lasts at least 3 s.")
    lines: queue.SimpleQueue[Event | RoundReport | None] = queue.SimpleQueue()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: lines.put(None))
    try:
        with session(options) as app:
            stop = app.store.subscribe_events(lines.put)
            app.start_watching(
                acts=not arguments.dry_run,
                pace=Pace(round_s=arguments.interval, look_s=min(5.0, arguments.interval, arguments.lease / 3)),
                life_s=arguments.lease,
                on_round=lines.put,
            )
            mode = "recommends only" if arguments.dry_run else f"round every {arguments.interval:g} s"
            _line(f"Watching {len(app.pool.names())} hosts, {mode}.", as_json=arguments.json)
            with suppress(KeyboardInterrupt):
                _follow(lines, as_json=arguments.json)
            stop()
    finally:
        signal.signal(signal.SIGTERM, before)
    return ExitCode.DONE


def _follow(lines: queue.SimpleQueue[Event | RoundReport | None], *, as_json: bool) -> None:
    last = ""
    while True:
        event = lines.get()
        if event is None:
            return
        if isinstance(event, RoundReport):
            sentence = _of_round(event)
            if sentence != last:
                _line(sentence, as_json=as_json, kind="round")
            last = sentence
        elif isinstance(event, Notice):
            _line(event.sentence, as_json=as_json, severity=event.severity, subject=event.subject)
        elif isinstance(event, PlanSubmitted):
            _line(f"{event.plan.title}. {event.plan.reason}".strip(), as_json=as_json, kind="plan")
        elif isinstance(event, StepFinished):
            _line(event.sentence, as_json=as_json, kind="step", subject=event.step.vm_name)
        elif isinstance(event, HostStatusChanged):
            sentence = f"{event.host} is {event.status.value} now. {event.reason}".strip()
            _line(sentence, as_json=as_json, subject=event.host)


def _of_round(report: RoundReport) -> str:
    found = report.recommendation
    if found is None:
        return "Nothing is moved: " + " ".join(report.why_nothing)
    word = "Move" if report.is_acting else "Recommended: move"
    return f"{word} {found.vm_name} from {found.source} to {found.destination}. {found.reason}"


def _line(sentence: str, *, as_json: bool, kind: str = "notice", severity: str = "info", subject: str = "") -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    if as_json:
        line = {"format": "hpconsole-watch/1", "at": at, "kind": kind, "severity": severity, "subject": subject}
        print(json.dumps({**line, "sentence": sentence}), flush=True)
    else:
        print(f"{at} {printable(sentence)}", flush=True)


def balance(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """What the next round would do, and why; nothing is moved."""
    with session(options) as app:
        documents = app.availability.documents
        rests = rests_from_json(documents.get(REST_KIND, REST_NAME) or {})
        report = run_round(app.store.snapshot, app.policy, app.reservations(), rests=rests)
        policy = app.policy.name
    if arguments.json:
        print_json({"format": "hpconsole-balance/1", "policy": policy, **_report_json(report)})
    else:
        say(_of_round(report))
        if report.recommendation is not None:
            say(f"hpconsole migrate {report.recommendation.vm_name} --to {report.recommendation.destination}")
    return ExitCode.DONE


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
