"""`hpconsole template`: whole configurations kept, shown, changed, exported and imported."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, print_json, print_table
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import say
from hpconsole.cli.vm import around_of, fields_json
from hpconsole.cli.vm_arguments import edited
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.machines.field_labels import size
from hpconsole.core.machines.templates import (
    Template,
    TemplateDisk,
    TemplateStore,
    export_text,
    import_text,
    template_of,
)
from hpconsole.core.machines.templates import edited as with_draft

FORMAT = "hpconsole-templates/1"
_LONGEST_FILE = 4 * 1024 * 1024


def template(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Answer `hpconsole template ACTION`."""
    with session(options) as app:
        store = TemplateStore(app.documents)
        if arguments.action == "list":
            return _tell(store.all(), as_json=arguments.json)
        if arguments.action == "create":
            return _tell([_create(app, store, arguments)], as_json=arguments.json, verb="was made")
        if arguments.action == "import":
            made = import_text(_text(arguments.file))
            store.save(made)
            return _tell([made], as_json=arguments.json, verb="was imported")
        known = store.get(arguments.name)
        if arguments.action == "export":
            _write(arguments.file, export_text(known))
        elif arguments.action == "edit":
            store.save(known := _edit(app, known, arguments))
        elif arguments.action == "delete":
            if not arguments.yes:
                raise UsageError("Say --yes to delete the template. Nothing was deleted.")
            store.remove(known.name)
        verbs = {"export": f"was written to {getattr(arguments, 'file', '')}", "edit": "was saved", "delete": "is gone"}
        return _tell([known], as_json=arguments.json, verb=verbs.get(arguments.action, ""))


def _create(app: App, store: TemplateStore, arguments: argparse.Namespace) -> Template:
    from hpconsole.core.machines.reading import read_draft
    from hpconsole.core.machines.storage import template_disks

    if any(known.name == arguments.name for known in store.all()):
        raise InvalidEdit("name", f"There is a template named {arguments.name} already. Choose another name.")
    vm = find_vm(app.store.snapshot, arguments.vm)
    host = vm.host or ""
    draft = read_draft(app.pool.call(host, lambda h: h.domain_xml(vm.uuid, inactive=True), deadline_s=30))
    disks: tuple[TemplateDisk, ...] = ()
    if arguments.no_disks:
        draft = replace(draft, disks=tuple(disk for disk in draft.disks if disk.device != "disk"))
    else:
        if vm.state.is_active and not arguments.empty_disks:
            raise InvalidEdit(
                "disks",
                f"{vm.name} is {vm.state.value}: copies of its disks would be torn. Shut it down first, or say "
                "--empty-disks or --no-disks. Nothing was made.",
            )
        disks = template_disks(app.pool, host, draft, arguments.name, with_content=not arguments.empty_disks)
    made = template_of(
        draft,
        arguments.name,
        description=arguments.description,
        disks=disks,
        source_host=host,
        topology=app.store.snapshot.hosts[host].topology,
    )
    store.save(made)
    return made


def _edit(app: App, known: Template, arguments: argparse.Namespace) -> Template:
    from hpconsole.core.machines.checking import check

    draft = edited(known.draft, arguments)
    around = around_of(app)
    before = {(problem.field, problem.sentence) for problem in check(known.draft, around)}
    wrong = next((p for p in check(draft, around) if not p.is_warning and (p.field, p.sentence) not in before), None)
    if wrong is not None:
        raise InvalidEdit(wrong.field, f"{wrong.field}: {wrong.sentence} Nothing was changed.")
    return with_draft(known, draft)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise UsageError(f"{path} is larger than 4 MiB and was not read.")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}.") from error


def _json(one: Template) -> Json:
    return {
        "name": one.name,
        "description": one.description,
        "source_host": one.source_host,
        "disks": [{"pool": d.pool, "volume": d.volume, "format": d.format, "size_kib": d.size_kib} for d in one.disks],
        "fields": fields_json(one.draft),
    }


def _tell(templates: list[Template] | tuple[Template, ...], *, as_json: bool, verb: str = "") -> ExitCode:
    if as_json:
        print_json({"format": FORMAT, "templates": [_json(one) for one in templates]})
    elif verb:
        say(f"The template {templates[0].name} {verb}.")
    elif not templates:
        say("There is no template. Make one of a VM: hpconsole template create NAME --from VM")
    else:
        rows = []
        for one in templates:
            draft = one.draft
            policy = draft.cpu_pinning_policy.value.replace("_", " ")
            rows.append(
                (
                    one.name,
                    draft.optimized_for.value.replace("_", " "),
                    str(draft.vcpus),
                    size(draft.memory_kib),
                    policy,
                )
            )
        print_table(("TEMPLATE", "OPTIMIZED FOR", "VCPUS", "MEMORY", "CPU PINNING"), rows, right=(2, 3))
    return ExitCode.DONE
