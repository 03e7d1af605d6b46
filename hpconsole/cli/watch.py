"""`hpconsole watch`: the same looking after the cluster as in the window, without a display."""

from __future__ import annotations

import argparse
import json
import queue
import signal
from contextlib import suppress
from datetime import UTC, datetime

from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.session import session
from hpconsole.cli.terminal import printable
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.watch import Pace
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
            sentence = round_sentence(event)
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


def round_sentence(report: RoundReport) -> str:
    """What a round found, in a line."""
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
