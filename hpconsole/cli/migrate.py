"""`hpconsole migrate`: the Migrate VM(s) dialog without a window."""

from __future__ import annotations

import argparse
import queue
import sys

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, placement_json, print_json, print_ranking, ranking_json
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import complain, printable, say
from hpconsole.core.errors import PlanningError
from hpconsole.core.events import Event, PlanFinished, StepFinished, StepOutcome, StepProgressed, StepStarted
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migrate import MigrationIntent, choices, plan_migration
from hpconsole.core.planning.plan import Plan

_WORST_FIRST = (
    (StepOutcome.UNKNOWN, ExitCode.UNREACHABLE),
    (StepOutcome.FAILED, ExitCode.FAILED),
    (StepOutcome.SKIPPED, ExitCode.FAILED),
    (StepOutcome.CANCELLED, ExitCode.CANCELLED),
)


def migrate(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Plan, show, and (unless it is a dry run) carry out; the exit code of the worst outcome."""
    with session(options) as app:
        snapshot = app.store.snapshot
        vms = [find_vm(snapshot, text) for text in dict.fromkeys(arguments.vm)]
        intent = MigrationIntent(tuple(vm.uuid for vm in vms), arguments.to)
        if arguments.dry_run:
            return _dry_run(app, vms, intent, as_json=arguments.json)
        plan = plan_migration(intent, snapshot, app.policy, app.reservations())
        return _carry_out(app, plan, as_json=arguments.json)


def _dry_run(app: App, vms: list[Vm], intent: MigrationIntent, *, as_json: bool) -> ExitCode:
    snapshot = app.store.snapshot
    offered = choices(intent, snapshot, app.policy, app.reservations())
    problem = ""
    plan: Plan | None = None
    try:
        plan = plan_migration(intent, snapshot, app.policy, app.reservations())
    except PlanningError as error:
        problem = error.sentence
    if as_json:
        print_json(
            {
                "format": "hpconsole-migrate/1",
                "dry_run": True,
                "vms": [
                    {
                        "uuid": vm.uuid,
                        "name": vm.name,
                        "source": vm.host,
                        "hosts": ranking_json(offered.per_vm[vm.uuid], [vm.uuid], explain=True),
                    }
                    for vm in vms
                    if vm.uuid in offered.per_vm
                ],
                "plan": None if plan is None else _plan_json(plan),
                "problem": problem,
            }
        )
    else:
        for vm in vms:
            if vm.uuid in offered.per_vm:
                say(f"{vm.name} (now on {vm.host}):")
                print_ranking(offered.per_vm[vm.uuid], [vm.uuid], explain=True)
        for step in plan.steps if plan is not None else ():
            say(step.sentence)
        if problem:
            complain(problem)
    return ExitCode.DONE if plan is not None else ExitCode.NO_SUITABLE_HOST


def _plan_json(plan: Plan) -> Json:
    return {
        "title": plan.title,
        "steps": [
            {
                "vm": step.vm_name,
                "uuid": step.vm_uuid,
                "source": step.source,
                "destination": step.destination,
                "sentence": step.sentence,
                "placement": placement_json(step.placement),
            }
            for step in plan.steps
        ],
    }


def _carry_out(app: App, plan: Plan, *, as_json: bool) -> ExitCode:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    stop = app.store.subscribe_events(events.put)
    results: list[Json] = []
    try:
        app.submit(plan)
        outcomes = _follow(app, plan, events, results, quiet=as_json)
    finally:
        stop()
    if as_json:
        print_json({"format": "hpconsole-migrate/1", "dry_run": False, "plan": _plan_json(plan), "results": results})
    return next((code for outcome, code in _WORST_FIRST if outcome in outcomes), ExitCode.DONE)


def _follow(
    app: App, plan: Plan, events: queue.SimpleQueue[Event], results: list[Json], *, quiet: bool
) -> tuple[StepOutcome, ...]:
    is_cancelling = False
    while True:
        try:
            event = events.get()
        except KeyboardInterrupt:
            # once: cancel and wait for the verified end; a second one leaves the hosts to finish by themselves
            if is_cancelling:
                raise
            is_cancelling = True
            print(file=sys.stderr)
            complain("cancelling; press Ctrl-C again to leave it to the hosts")
            if app.executor is not None:
                app.executor.cancel(plan.plan_id)
            continue
        if getattr(event, "plan_id", plan.plan_id) != plan.plan_id:
            continue
        if isinstance(event, StepFinished):
            results.append(
                {
                    "vm": event.step.vm_name,
                    "uuid": event.step.vm_uuid,
                    "source": event.step.source,
                    "destination": event.step.destination,
                    "outcome": event.outcome.value,
                    "sentence": event.sentence,
                    "detail": event.detail,
                    "placement": placement_json(event.step.placement),
                }
            )
        if isinstance(event, PlanFinished) and event.plan.plan_id == plan.plan_id:
            return event.outcomes
        if not quiet:
            _tell(event)


def _tell(event: Event) -> None:
    if isinstance(event, StepStarted):
        say(event.step.sentence)
    elif isinstance(event, StepProgressed):
        progress = event.progress
        line = (
            f"{progress.share:4.0%}  pass {progress.pass_number}, {progress.remaining_mib:.0f} MiB left, "
            f"{progress.throughput_mib_s:.0f} MiB/s  {progress.sentence}"
        )
        # one line that is written over on a terminal, nothing in a file or a pipe
        if sys.stderr.isatty():
            print(f"\r{printable(line[:100]):<100}", end="", file=sys.stderr, flush=True)
    elif isinstance(event, StepFinished):
        if sys.stderr.isatty():
            print(file=sys.stderr)
        say(event.sentence)
