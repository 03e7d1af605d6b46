"""`hpconsole history`, `recover`, `cleanup`, `return-home`: what became of migrations, what can be done about it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.migrate import carry_out, plan_json
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, print_json, print_table
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import complain, say
from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.homeward import plan_home
from hpconsole.core.execution.journal import MigrationRecord
from hpconsole.core.planning.plan import Plan


def _records(app: App, limit: int) -> tuple[MigrationRecord, ...]:
    if app.journal is None:
        raise HpconsoleError("The console is still starting. Try again in a moment.")
    return app.journal.records(limit)


# --- history ----------------------------------------------------------------------------------------------------------


def history(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Every attempt to move a VM, newest first, with what came of it."""
    with session(options) as app:
        records = [
            record
            for record in _records(app, 100_000 if arguments.vm else arguments.limit)
            if arguments.vm is None or arguments.vm in (record.vm_name, record.vm_uuid)
        ][: arguments.limit]
        if arguments.json:
            print_json({"format": "hpconsole-history/1", "migrations": [_json(app, record) for record in records]})
        elif records:
            _print(records)
        else:
            say(_nothing_of(arguments.vm, is_forgetful=options.demo_seed is not None and options.data is None))
    return ExitCode.DONE


def _nothing_of(vm: str | None, *, is_forgetful: bool) -> str:
    """A table of nothing but titles would leave open whether anything went wrong."""
    sentence = "No migration is recorded." if vm is None else f"No migration of {vm} is recorded."
    hint = " The demo starts anew at each command; with --data-folder DIR it remembers its migrations."
    return sentence + (hint if is_forgetful else "")


def _json(app: App, record: MigrationRecord) -> Json:
    lines = app.journal.lines(record.migration_id) if app.journal is not None else ()
    state = _state(record)
    return {
        "id": record.migration_id,
        "vm": record.vm_name,
        "uuid": record.vm_uuid,
        "source": record.source,
        "destination": record.destination,
        "attempt": record.attempt,
        "began_at": _time(record.created_at),
        "changed_at": _time(record.updated_at),
        "phase": record.phase.value,
        "outcome": None if record.outcome is None else record.outcome.value,
        "end_state": None if state is None else state.value,
        "actions": [] if state is None else [action.value for action in state.actions],
        "sentence": record.sentence,
        "detail": record.detail,
        "facts": dict(record.facts),
        "statistics": dict(record.statistics),
        "lines": [{"at": _time(line.at), "phase": line.phase.value, "sentence": line.sentence} for line in lines],
    }


def _state(record: MigrationRecord) -> EndState | None:
    try:
        return EndState(str(record.statistics.get("end_state", "")))
    except ValueError:
        return None


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _print(records: Sequence[MigrationRecord]) -> None:
    titles = ("BEGAN", "VM", "FROM", "TO", "ENDED", "TOTAL", "DOWNTIME", "WHAT CAME OF IT")
    print_table(titles, [_row(record) for record in records])


def _row(record: MigrationRecord) -> tuple[str, ...]:
    began = record.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if record.created_at is not None else ""
    total, downtime = record.statistics.get("total_s"), record.statistics.get("downtime_ms")
    return (
        began,
        record.vm_name,
        record.source,
        record.destination,
        record.outcome.value if record.outcome is not None else f"open: {record.phase.value}",
        f"{total:.1f} s" if isinstance(total, int | float) else "",
        f"{downtime} ms" if isinstance(downtime, int) else "",
        record.sentence,
    )


# --- repairs ----------------------------------------------------------------------------------------------------------


def recover(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Let a VM go on where its memory is: after a broken post-copy, or where it stands still."""
    with session(options) as app:
        situation = app.repairs.recover(_uuid(app, arguments.vm), may_start_anew=arguments.start_anew)
        if app.executor is not None and situation.record.is_open:
            app.executor.ask_again(situation.record.migration_id)
        is_good = situation.state.is_moved or situation.state.is_as_before
        if arguments.json:
            state = situation.state.value
            print_json({"format": "hpconsole-recover/1", "end_state": state, "sentence": situation.sentence})
        else:
            say(situation.sentence)
    return ExitCode.DONE if is_good else ExitCode.FAILED


def cleanup(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Remove what is left of a VM on a host where it provably does not live."""
    with session(options) as app:
        if arguments.host not in app.pool.names():
            raise _unknown_host(arguments.host)
        sentence = app.repairs.clean_up(_uuid(app, arguments.vm), arguments.host)
        if arguments.json:
            print_json({"format": "hpconsole-cleanup/1", "sentence": sentence})
        else:
            say(sentence)
    return ExitCode.DONE


def _unknown_host(name: str) -> UsageError:
    return UsageError(f"There is no host named {name}. `hpconsole hosts` lists them all.", subject=name)


def _uuid(app: App, text: str) -> str:
    """Of a VM that is seen, or that the journal knows: one that stands still half on each host may not be seen."""
    try:
        return find_vm(app.store.snapshot, text).uuid
    except HpconsoleError:
        known = next((r.vm_uuid for r in _records(app, 5000) if text in (r.vm_name, r.vm_uuid)), None)
        if known is None:
            raise
        return known


# --- home -------------------------------------------------------------------------------------------------------------


def go_home(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Move VMs back to where they came from, with the pins they had there."""
    with session(options) as app:
        plan = _homeward(app, arguments)
        for warning in plan.warnings:
            complain(warning)
        if arguments.dry_run or not plan.steps:
            if arguments.json:
                print_json({"format": "hpconsole-return-home/1", "plan": plan_json(plan), "problems": [*plan.warnings]})
            else:
                for step in plan.steps:
                    say(step.sentence)
                if not plan.steps:
                    say("No VM has to go back.")
            return ExitCode.DONE if not plan.warnings else ExitCode.NO_SUITABLE_HOST
        return carry_out(app, plan, as_json=arguments.json)


def _homeward(app: App, arguments: argparse.Namespace) -> Plan:
    if arguments.host is not None and arguments.host not in app.pool.names():
        raise _unknown_host(arguments.host)
    since = datetime.now(UTC) - timedelta(hours=arguments.hours)
    records = _records(app, 100_000)
    hosts = () if arguments.host is None else (arguments.host,)
    return plan_home(
        records, app.store.snapshot, app.policy, app.reservations(), hosts=hosts, since=since,
        forecaster=lambda vm, _source, host: app.advice.known_forecast(vm.uuid, host),
    )  # fmt: skip
