"""`hpconsole migrate`: the Migrate VM(s) dialog without a window."""

from __future__ import annotations

import argparse
import queue
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.migration_options import (
    options_of,
    preflight_json,
    print_forecast,
    print_preflight,
)
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, placement_json, print_json, print_ranking, ranking_json
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import complain, printable, say
from hpconsole.core.errors import PlanningError, PlanRefused
from hpconsole.core.events import Event, Notice, PlanFinished, StepFinished, StepOutcome, StepProgressed, StepStarted
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.forecast import Forecast
from hpconsole.core.planning.forecast_json import forecast_json
from hpconsole.core.planning.migrate import MigrationIntent, choices, plan_migration
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.plan import Plan, Step
from hpconsole.core.planning.preflight_findings import Preflight

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
        wanted = options_of(arguments, app.advice.policies.all())
        if arguments.dry_run:
            return _dry_run(app, vms, intent, wanted, arguments)
        plan = _with_options(plan_migration(intent, snapshot, app.policy, app.reservations()), wanted)
        checked = [app.advice.check(step.vm_uuid, step.destination, wanted) for step in plan.steps]
        if arguments.check:
            return _show_checks(checked, as_json=arguments.json)
        blocked = _why_blocked(checked, accepts_warnings=arguments.accept_warnings)
        if blocked:
            raise PlanRefused(blocked)
        return carry_out(app, plan, as_json=arguments.json)


def _with_options(plan: Plan, options: MigrationOptions) -> Plan:
    return replace(plan, steps=tuple(replace(step, options=options) for step in plan.steps))


def _show_checks(checked: list[Preflight], *, as_json: bool) -> ExitCode:
    """Exit code 3 where an error stands in the way."""
    if as_json:
        print_json(
            {
                "format": "hpconsole-check/1",
                "vms": [{"vm": one.vm_name, "uuid": one.vm_uuid, **preflight_json(one)} for one in checked],
            }
        )
    else:
        for one in checked:
            say(f"{one.vm_name} from {one.source} to {one.destination}:")
            print_preflight(one)
    return ExitCode.NO_SUITABLE_HOST if any(one.errors for one in checked) else ExitCode.DONE


def _why_blocked(checked: list[Preflight], *, accepts_warnings: bool) -> str:
    errors = [one for each in checked for one in each.errors]
    warnings = [one for each in checked for one in each.warnings]
    if errors:
        return " ".join(f"{one.sentence} {one.remedy}" for one in errors) + " Nothing was changed."
    if warnings and not accepts_warnings:
        found = " ".join(f"{one.sentence} {one.remedy}" for one in warnings)
        return f"{found} Nothing was changed; with --accept-warnings it is tried all the same."
    return ""


def _dry_run(
    app: App, vms: list[Vm], intent: MigrationIntent, options: MigrationOptions, arguments: argparse.Namespace
) -> ExitCode:
    snapshot, as_json = app.store.snapshot, arguments.json
    offered = choices(intent, snapshot, app.policy, app.reservations())
    problem = ""
    plan: Plan | None = None
    try:
        plan = _with_options(plan_migration(intent, snapshot, app.policy, app.reservations()), options)
    except PlanningError as error:
        problem = error.sentence
    steps = plan.steps if plan is not None else ()
    checked = [app.advice.check(step.vm_uuid, step.destination, options) for step in steps]
    forecasts = _foresee(app, steps, is_measured=not arguments.no_measure)
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
                "plan": None if plan is None else plan_json(plan),
                "checks": [{"uuid": one.vm_uuid, **preflight_json(one)} for one in checked],
                "forecasts": [
                    {"uuid": step.vm_uuid, "destination": step.destination, **forecast_json(seen)}
                    for step, seen in zip(steps, forecasts, strict=True)
                    if seen is not None
                ],
                "problem": problem,
            }
        )
    else:
        for vm in vms:
            if vm.uuid in offered.per_vm:
                say(f"{vm.name} (now on {vm.host}):")
                print_ranking(offered.per_vm[vm.uuid], [vm.uuid], explain=True)
        for step, found, seen in zip(steps, checked, forecasts, strict=True):
            say(step.sentence)
            print_preflight(found)
            if seen is not None:
                print_forecast(seen)
        if problem:
            complain(problem)
    return ExitCode.DONE if plan is not None else ExitCode.NO_SUITABLE_HOST


def _foresee(app: App, steps: tuple[Step, ...], *, is_measured: bool) -> list[Forecast | None]:
    """All guests are measured at the same time."""
    if not is_measured:
        return [app.advice.known_forecast(step.vm_uuid, step.destination, step.options) for step in steps]
    if not steps:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(steps))) as threads:
        asked = [threads.submit(app.advice.forecast, one.vm_uuid, one.destination, one.options) for one in steps]
        return [future.result() for future in asked]


def plan_json(plan: Plan) -> Json:
    """The steps, each with its place."""
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


def carry_out(app: App, plan: Plan, *, as_json: bool) -> ExitCode:
    """Run a plan, tell what happens, and wait for its end; the exit code of the worst outcome."""
    code, results = follow_plan(app, plan, quiet=as_json)
    if as_json:
        print_json({"format": "hpconsole-migrate/1", "dry_run": False, "plan": plan_json(plan), "results": results})
    return code


def follow_plan(app: App, plan: Plan, *, quiet: bool) -> tuple[ExitCode, list[Json]]:
    """Run a plan and wait for its end: the exit code of the worst outcome, and one object for each step."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    stop = app.store.subscribe_events(events.put)
    results: list[Json] = []
    try:
        app.submit(plan)
        outcomes = _follow(app, plan, events, results, quiet=quiet)
    finally:
        stop()
    worst = next((code for outcome, code in _WORST_FIRST if outcome in outcomes), None)
    is_proven = all(result["as_planned"] for result in results)
    return worst or (ExitCode.DONE if is_proven else ExitCode.FAILED), results


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
                    "as_planned": event.outcome is StepOutcome.DONE and event.is_as_planned,
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
    elif isinstance(event, Notice) and event.severity != "info":
        complain(event.sentence)
