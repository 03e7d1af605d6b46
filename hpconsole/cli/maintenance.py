"""`hpconsole maintenance`, `activate` and `make-room`: hosts emptied and brought back without a window."""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, print_json
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import complain, printable, say
from hpconsole.core.events import DrainChanged, Event
from hpconsole.core.planning import drain as edits
from hpconsole.core.planning.drain import DrainIntent, DrainOptions, DrainPlan
from hpconsole.core.planning.drain_export import plan_json, plan_text

if TYPE_CHECKING:
    from hpconsole.core.execution.drain_record import DrainRecord


def maintenance(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Plan, show, ask, and (unless only the plan was wanted) carry out."""
    with session(options) as app:
        intent = _intent(arguments, app)
        plan = app.maintenance.plan(intent)
        if arguments.plan:
            return _show(plan, as_json=arguments.json)
        return _carry_out(app, plan, arguments)


def activate(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Bring a host back; a drain of it is stopped."""
    with session(options) as app:
        for host in arguments.host:
            _known_host(app, host)
        for host in arguments.host:
            app.maintenance.activate(host)
            if not arguments.json:
                say(f"{host} is up: VMs may be placed on it again.")
        if arguments.json:
            print_json({"format": "hpconsole-activate/1", "hosts": list(arguments.host)})
    return ExitCode.DONE


def make_room(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """The fewest moves of others that give a VM its place."""
    with session(options) as app:
        vm = find_vm(app.store.snapshot, arguments.vm)
        plan = app.maintenance.plan_room(vm.uuid, on=arguments.on)
        if arguments.plan or not plan.moves:
            return _show(plan, as_json=arguments.json)
        return _carry_out(app, plan, arguments)


def _intent(arguments: argparse.Namespace, app: App) -> DrainIntent:
    hosts = tuple(dict.fromkeys(arguments.host))
    for host in hosts:
        _known_host(app, host)
    kept = next((record for host in hosts if (record := app.maintenance.of_host(host)) is not None), None)
    intent = DrainIntent(hosts, arguments.reason or (kept.intent.reason if kept is not None else ""))
    if arguments.ignore_affinity:
        intent = replace(intent, options=DrainOptions(ignores_vm_affinity=True))
    if arguments.keep_affinity:
        intent = replace(intent, options=DrainOptions(ignores_vm_affinity=False))
    snapshot = app.store.snapshot
    for text in arguments.shutdown:
        intent = edits.shutting_down(intent, find_vm(snapshot, text).uuid)
    for text in arguments.power_off:
        intent = edits.powering_off(intent, find_vm(snapshot, text).uuid)
    for text in arguments.leave:
        intent = edits.leaving_out(intent, find_vm(snapshot, text).uuid)
    for text in arguments.to:
        name, equals, host = text.rpartition("=")
        if not equals or not name or not host:
            raise UsageError(f"--to {text} is not of the form VM=HOST.")
        intent = edits.with_destination(intent, find_vm(snapshot, name).uuid, host)
    return intent


def _known_host(app: App, host: str) -> None:
    if host not in app.pool.names():
        raise UsageError(f"There is no host named {host}. `hpconsole hosts` lists them all.", subject=host)


def _show(plan: DrainPlan, *, as_json: bool) -> ExitCode:
    if as_json:
        print_json(plan_json(plan))
    else:
        _say_plan(plan)
    return ExitCode.DONE if plan.is_complete or not plan.intent.hosts else ExitCode.NO_SUITABLE_HOST


def _say_plan(plan: DrainPlan) -> None:
    for line in plan_text(plan).splitlines():
        say(line)


def _carry_out(app: App, plan: DrainPlan, arguments: argparse.Namespace) -> ExitCode:
    if not arguments.json:
        _say_plan(plan)
    if not arguments.yes and not _agrees():
        complain("nothing was changed")
        return ExitCode.CANCELLED
    for host in plan.intent.hosts:
        earlier = app.maintenance.of_host(host)
        if earlier is not None:
            app.maintenance.stop(earlier.drain_id)  # this one goes on in its place, with what was decided now
    record = _follow(app, plan, quiet=arguments.json)
    if arguments.json:
        print_json({"format": "hpconsole-maintenance/1", "plan": plan_json(plan), "result": record_json(record, app)})
    elif record.stuck:
        for stuck in record.stuck:
            complain(f"{stuck.vm_name} on {stuck.host}: {stuck.sentence}")
    if record.state.value == "done":
        return ExitCode.DONE
    return ExitCode.CANCELLED if record.state.value == "stopped" else ExitCode.FAILED


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("Give --yes to carry the plan out, or --plan to see it only.")
    print("Carry it out? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _follow(app: App, plan: DrainPlan, *, quiet: bool) -> DrainRecord:
    """Start it, say what happens, and wait until it is over or needs somebody."""
    changed = threading.Event()

    def hear(event: Event) -> None:
        if isinstance(event, DrainChanged):
            changed.set()

    stop = app.store.subscribe_events(hear)
    said = 0
    is_stopping = False
    try:
        record = app.maintenance.start(plan)
        while True:
            try:
                changed.wait()
                changed.clear()
                record = app.maintenance.get(record.drain_id) or record
                lines = record.lines[said:]
                said = len(record.lines)
                for line in lines if not quiet else ():
                    say(line.sentence)
                if record.state.value in ("done", "waiting") or (record.state.value == "stopped" and _is_idle(app)):
                    return record
            except KeyboardInterrupt:
                # once: begin nothing new and cancel; a second one leaves the rest to the hosts and the next console
                if is_stopping:
                    raise
                is_stopping = True
                complain("stopping; press Ctrl-C again to leave it to the hosts")
                app.maintenance.stop(record.drain_id)
    finally:
        stop()


def _is_idle(app: App) -> bool:
    return app.executor is None or not app.executor.running()


def record_json(record: DrainRecord, app: App) -> Json:
    """How a drain ended or stands."""
    return {
        "id": record.drain_id,
        "state": record.state.value,
        "sentence": record.sentence,
        "hosts": {host: app.statuses.of(host).status.value for host in record.intent.hosts},
        "done": [
            {"vm": one.vm_name, "uuid": one.vm_uuid, "source": one.source, "destination": one.destination or None}
            for one in record.done
        ],
        "stuck": [
            {
                "vm": one.vm_name,
                "uuid": one.vm_uuid,
                "host": one.host,
                "sentence": one.sentence,
                "chosen": one.is_chosen,
            }
            for one in record.stuck
        ],
        "log": [{"at": line.at.isoformat(), "sentence": printable(line.sentence)} for line in record.lines],
    }
