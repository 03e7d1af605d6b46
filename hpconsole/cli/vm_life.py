"""`hpconsole vm start|pause|resume|shutdown|delete`: one VM after the other, and what is true of each afterwards."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.output import Json, print_json
from hpconsole.cli.session import find_vm
from hpconsole.cli.terminal import complain, say
from hpconsole.cli.vm_arguments import FORMAT
from hpconsole.core.errors import HpconsoleError

if TYPE_CHECKING:
    from hpconsole.app import App
    from hpconsole.core.machines.surroundings import Surroundings
    from hpconsole.core.model.vm import Vm


def live(app: App, arguments: argparse.Namespace, around: Surroundings) -> ExitCode:
    """Start, pause, resume, shut down or delete them, one after the other; the first refusal ends it."""
    known = [find_vm(app.store.snapshot, text) for text in dict.fromkeys(arguments.vm)]
    done: list[Json] = []
    notes: list[str] = []
    for one in known:
        more: Json = {}
        try:
            if arguments.action == "start":
                around = _started(app, one, around)
                words = f"{one.name} was started on {one.host}."
            elif arguments.action == "delete":
                words, more, left = _deleted(app, one, arguments)
                notes += left
            else:
                words = _changed(app, one, arguments)
        except HpconsoleError as error:
            if not done:
                raise
            return _stopped(error, known[len(done) :], done, notes, arguments)
        done.append({"uuid": one.uuid, "name": one.name, "host": one.host, "sentence": words, **more})
        if not arguments.json:
            say(words)
    if arguments.json:
        print_json({"format": FORMAT, "action": arguments.action, "vms": done, "notes": notes})
    else:
        for note in notes:
            complain(note)
    return ExitCode.FAILED if notes else ExitCode.DONE


def _stopped(
    error: HpconsoleError, rest: Sequence[Vm], done: list[Json], notes: list[str], arguments: argparse.Namespace
) -> ExitCode:
    """Say what was done before one VM was refused, and that those after it were not touched."""
    untouched = [one.name for one in rest[1:]]
    if arguments.json:
        document: Json = {"format": FORMAT, "action": arguments.action, "vms": done, "notes": notes}
        print_json({**document, "error": error.sentence, "subject": rest[0].name, "not_touched": untouched})
    for note in (*(() if arguments.json else notes), error.sentence):
        complain(note)
    if untouched:
        complain(f"Not touched: {', '.join(untouched)}.")
    return ExitCode.of(error)


def _started(app: App, one: Vm, around: Surroundings) -> Surroundings:
    """What the next VM is judged against."""
    from hpconsole.core.machines import applying
    from hpconsole.core.scheduler.reservations import reserve

    saved = applying.start_vm(app.pool, one, around)
    promise = reserve(one, saved.host, saved.placement)
    return replace(around, reservations=(*around.reservations, promise))


def _changed(app: App, one: Vm, arguments: argparse.Namespace) -> str:
    from hpconsole.core.machines import applying, life

    if arguments.action == "pause":
        life.pause(app.pool, one)
        return f"{one.name} was paused on {one.host}."
    if arguments.action == "resume":
        life.resume(app.pool, one)
        return f"{one.name} runs again on {one.host}."
    applying.shut_down(app.pool, one, by_force=arguments.force)
    return f"{one.name} was {'ended' if arguments.force else 'asked to shut down'} on {one.host}."


def _deleted(app: App, one: Vm, arguments: argparse.Namespace) -> tuple[str, Json, tuple[str, ...]]:
    """What was done, what of it goes into the document, and what is left."""
    from hpconsole.core.availability.holding import why_held
    from hpconsole.core.machines import life
    from hpconsole.core.machines.own_volumes import removable_disks

    deleted = life.delete(
        app.pool,
        one,
        held=lambda: why_held(one.uuid, app.store.snapshot, app.reservations(), app.documents),
        keep_nvram=not arguments.remove_nvram,
        with_volumes=app.store.snapshot if arguments.with_disks else None,
        save_in=arguments.save_in,
    )
    kept = f" Its definition is in {deleted.file}." if deleted.file else ""
    stay = [disk for disk in deleted.disks if not arguments.with_disks or disk not in removable_disks(one)]
    kept += f" Its disks stay: {', '.join(stay)}." if stay else ""
    stores = (("NVRAM", one.devices.has_nvram), ("TPM state", one.devices.has_tpm_state))
    stored = [what for what, is_there in stores if is_there]
    if stored and not arguments.remove_nvram:
        verb = "stays" if len(stored) == 1 else "stay"
        kept += f" Its {' and '.join(stored)} {verb} on {one.host}, for whoever defines it again there."
    file = str(deleted.file) if deleted.file else None
    return (
        f"{one.name} was deleted from {one.host}.{kept}",
        {"file": file, "disks": list(deleted.disks)},
        deleted.notes,
    )
