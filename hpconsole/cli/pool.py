"""`hpconsole pool`: N VMs kept from one template."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, print_json, print_table
from hpconsole.cli.session import session
from hpconsole.cli.terminal import complain, say
from hpconsole.cli.vm import around_of
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.machines.pools import PoolStore, VmPool, members
from hpconsole.core.machines.templates import TemplateStore
from hpconsole.core.model.vm import Vm

FORMAT = "hpconsole-pools/1"


def pool(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Answer `hpconsole pool ACTION`."""
    with session(options) as app:
        store = PoolStore(app.documents)
        if arguments.action == "list":
            return _tell(app, store.all(), as_json=arguments.json)
        if arguments.action == "create":
            if any(known.name == arguments.name for known in store.all()):
                raise InvalidEdit("name", f"There is a pool named {arguments.name} already. Choose another name.")
            made = _with_options(VmPool(arguments.name, arguments.template), arguments)
            TemplateStore(app.documents).get(made.template)
            store.save(made)
            return _apply(app, made, as_json=arguments.json)
        known = store.get(arguments.name)
        if arguments.action == "delete":
            if not arguments.yes:
                raise UsageError("Say --yes to forget the pool. Nothing was changed.")
            store.remove(known.name)
            say(f"The pool {known.name} is forgotten; its VMs stay.")
            return ExitCode.DONE
        if arguments.action == "edit":
            known = _with_options(known, arguments)
            TemplateStore(app.documents).get(known.template)
            store.save(known)
        return _apply(app, known, as_json=arguments.json)


def _with_options(known: VmPool, arguments: argparse.Namespace) -> VmPool:
    wanted = {
        "template": arguments.template,
        "size": arguments.size,
        "prestarted": arguments.prestarted,
        "name_pattern": arguments.names,
        "is_linked": None if arguments.full_clone is None else not arguments.full_clone,
    }
    return replace(known, **{field: value for field, value in wanted.items() if value is not None})


def _apply(app: App, known: VmPool, *, as_json: bool) -> ExitCode:
    from hpconsole.core.machines.pool_filling import fill

    template = TemplateStore(app.documents).get(known.template)
    report = fill(app.pool, known, template, around_of(app))
    if as_json:
        print_json(
            {
                "format": FORMAT,
                "pool": known.name,
                "made": [
                    {"uuid": s.uuid, "name": s.name, "host": s.host, "started": s.is_started} for s in report.made
                ],
                "started": [{"uuid": s.uuid, "name": s.name, "host": s.host} for s in report.started],
                "surplus": [vm.name for vm in report.surplus],
                "notes": list(report.notes),
            }
        )
    else:
        for saved in (*report.made, *report.started):
            say(f"{saved.name} on {saved.host}{' runs' if saved.is_started else ' was made'}.")
        for note in report.notes:
            complain(note)
        if not report.made and not report.started and not report.notes:
            say(f"The pool {known.name} has its {known.size} VMs.")
    return ExitCode.FAILED if report.notes else ExitCode.DONE


def _tell(app: App, pools: Sequence[VmPool], *, as_json: bool) -> ExitCode:
    snapshot = app.store.snapshot
    mine = {known.name: members(known, snapshot) for known in pools}
    if as_json:
        print_json({"format": FORMAT, "pools": [_json(known, mine[known.name]) for known in pools]})
        return ExitCode.DONE
    if not pools:
        say("There is no pool. Make one from a template: hpconsole pool create NAME --template TEMPLATE --size N")
        return ExitCode.DONE
    rows = []
    for known in pools:
        running = sum(1 for vm in mine[known.name] if vm.state.is_active)
        counts = (str(known.size), str(len(mine[known.name])), str(running), str(known.prestarted))
        rows.append((known.name, known.template, *counts))
    print_table(("POOL", "TEMPLATE", "SIZE", "MADE", "RUNNING", "KEPT RUNNING"), rows, right=(2, 3, 4, 5))
    return ExitCode.DONE


def _json(known: VmPool, vms: Sequence[Vm]) -> Json:
    return {
        "name": known.name,
        "template": known.template,
        "size": known.size,
        "prestarted": known.prestarted,
        "name_pattern": known.pattern,
        "linked": known.is_linked,
        "vms": [{"uuid": vm.uuid, "name": vm.name, "host": vm.host, "state": vm.state.value} for vm in vms],
    }
