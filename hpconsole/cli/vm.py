"""`hpconsole vm`: VMs are made, changed, shown, started, paused, shut down and deleted, without a window."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpconsole.app import App
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, describe, placement_json, print_json, refusal_json
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import complain, say
from hpconsole.cli.vm_arguments import FORMAT, edited
from hpconsole.cli.vm_life import live
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost

if TYPE_CHECKING:
    from hpconsole.core.machines.applying import Saved
    from hpconsole.core.machines.checking import Problem
    from hpconsole.core.machines.draft import VmDraft
    from hpconsole.core.machines.surroundings import Surroundings
    from hpconsole.core.model.vm import Vm


def vm(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Answer `hpconsole vm ACTION`."""
    if arguments.action == "delete" and not arguments.yes:
        raise UsageError(
            "Deleting a VM removes its definition (--save-in FOLDER keeps it as a file to define it again): say --yes "
            "to do it. Nothing was deleted."
        )
    with session(options) as app:
        if arguments.action == "create":
            return _create(app, arguments)
        if arguments.action == "edit":
            return _edit(app, arguments)
        if arguments.action == "show":
            return _show(app, arguments)
        return live(app, arguments, around_of(app))


def around_of(app: App, host: str = "") -> Surroundings:
    """The cluster as it is now."""
    from hpconsole.core.machines.surroundings import Surroundings

    return Surroundings(app.store.snapshot, host, app.reservations(), app.policy)


def known_host(app: App, name: str) -> str:
    """This host, which is in this console.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in app.store.snapshot.hosts:
        raise UsageError(f"There is no host named {name}. `hpconsole hosts` lists them all.", subject=name)
    return name


# --- create and edit ---------------------------------------------------------------


def _create(app: App, arguments: argparse.Namespace) -> ExitCode:
    from hpconsole.core.machines import applying
    from hpconsole.core.machines.making import new_draft
    from hpconsole.core.machines.templates import TemplateStore, instantiate

    around = around_of(app, known_host(app, arguments.on) if arguments.on else "")
    if arguments.template:
        template = TemplateStore(app.documents).get(arguments.template)
        draft = instantiate(template, arguments.name, is_linked=not arguments.full_clone)
    else:
        host = around.snapshot.hosts.get(around.host) or next(iter(around.snapshot.hosts.values()))
        draft = new_draft(arguments.name, host=host)
    draft = edited(draft, arguments)
    draft = _with_recommended(draft, around, arguments)
    problems = _checked(draft, around)
    host_name = around.host or _host_for(draft, around, is_trial=arguments.dry_run)
    around = replace(around, host=host_name)
    if arguments.dry_run:
        return _dry_run(app, None, draft, around, arguments)
    saved = applying.create(app.pool, host_name, draft, around, start=arguments.start)
    return report(app, saved, draft, around, problems, as_json=arguments.json, verb="made")


def _host_for(draft: VmDraft, around: Surroundings, *, is_trial: bool) -> str:
    from hpconsole.core.machines.applying import choose_host

    try:
        return choose_host(draft, around)
    except NoSuitableHost:
        if not is_trial:
            raise
        return next(iter(draft.allowed_hosts), "")


def _edit(app: App, arguments: argparse.Namespace) -> ExitCode:
    from hpconsole.core.machines import applying

    known = find_vm(app.store.snapshot, arguments.vm)
    host = known.host or ""
    around = around_of(app, host)
    before = applying.open_vm(app.pool, host, known.uuid)
    after = edited(before, arguments)
    if arguments.rename is not None:
        after = replace(after, name=arguments.rename)
    after = _with_recommended(after, around, arguments)
    problems = _checked(after, around)
    if arguments.dry_run:
        return _dry_run(app, before, after, around, arguments)
    told = change_lines(before, after, known)
    saved = applying.save(app.pool, host, before, after, around)
    if not arguments.json:
        for line in told or ["Nothing changes."]:
            say(line)
    return report(app, saved, after, around, problems, as_json=arguments.json, verb="saved", before=before)


def _with_recommended(draft: VmDraft, around: Surroundings, arguments: argparse.Namespace) -> VmDraft:
    if not arguments.recommended:
        return draft
    from hpconsole.core.machines.recommending import fill_all

    return fill_all(draft, around)


def _checked(draft: VmDraft, around: Surroundings) -> tuple[Problem, ...]:
    """The warnings.

    Raises:
        InvalidEdit: with the first error.
    """
    from hpconsole.core.machines.checking import check

    problems = check(draft, around)
    wrong = next((problem for problem in problems if not problem.is_warning), None)
    if wrong is not None:
        raise InvalidEdit(wrong.field, f"{wrong.field}: {wrong.sentence} Nothing was changed.", subject=draft.name)
    return problems


def change_lines(before: VmDraft, after: VmDraft, known: Vm | None) -> list[str]:
    """Every change in a line, with when it takes effect."""
    from hpconsole.core.machines.changing import changes

    return [change.sentence for change in changes(before, after, known)]


def _dry_run(
    app: App, before: VmDraft | None, after: VmDraft, around: Surroundings, arguments: argparse.Namespace
) -> ExitCode:
    from hpconsole.core.machines.changing import changes
    from hpconsole.core.machines.verdicts import host_verdicts
    from hpconsole.core.machines.writing import difference, render

    known = around.present(after)
    old = before.xml if before is not None else ""
    diff = difference(old, render(after, host=around.host), name=after.name)
    told = changes(before, after, known) if before is not None else ()
    verdicts = host_verdicts(after, around)
    code = ExitCode.DONE if any(verdict.is_suitable for verdict in verdicts) else ExitCode.NO_SUITABLE_HOST
    if arguments.json:
        print_json(
            {
                "format": FORMAT,
                "dry_run": True,
                "host": around.host,
                "fields": fields_json(after),
                "changes": [
                    {"field": c.field, "before": c.before, "after": c.after, "when": c.when.value} for c in told
                ],
                "hosts": [_verdict_json(verdict) for verdict in verdicts],
                "difference": diff,
            }
        )
        return code
    for change in told:
        say(change.sentence)
    for line in diff.splitlines() or ["Nothing changes."]:
        say(line)
    _say_verdicts(verdicts)
    return code


def report(
    app: App,
    saved: Saved,
    draft: VmDraft,
    around: Surroundings,
    problems: Sequence[Problem],
    *,
    as_json: bool,
    verb: str,
    before: VmDraft | None = None,
) -> ExitCode:
    """Say what is true now; the exit code."""
    from hpconsole.core.machines.migration_mode import NAMES, caution, suggestion

    app.poller.refresh(saved.host)
    warnings = [problem.sentence for problem in problems if problem.is_warning] + list(saved.notes)
    hints = [text for text in (caution(draft), suggestion(draft).sentence) if text]
    if as_json:
        print_json(
            {
                "format": FORMAT,
                "uuid": saved.uuid,
                "name": saved.name,
                "host": saved.host,
                "started": saved.is_started,
                "placement": None if saved.placement is None else placement_json(saved.placement),
                "fields": fields_json(draft),
                "warnings": warnings,
                "hints": hints,
            }
        )
    else:
        for text in (*warnings, *hints):
            complain(text)
        started = " and started" if saved.is_started else ""
        say(f"{saved.name} was {verb} on {saved.host}{started}. {NAMES[draft.migration_mode]}.")
        if saved.placement is not None and not saved.placement.is_free:
            say(describe(saved.placement))
    return ExitCode.FAILED if saved.notes else ExitCode.DONE


# --- show ---------------------------------------------------------------------------


def fields_json(draft: VmDraft) -> Json:
    """Every field that can be set, as `--set` and `--from-json` take it."""
    from hpconsole.core.machines.field_values import field_kinds, to_json

    hidden = ("xml", "uuid", "profile", "shape_host", "shape_topology")
    return {field: to_json(getattr(draft, field)) for field in field_kinds() if field not in hidden}


def _show(app: App, arguments: argparse.Namespace) -> ExitCode:
    from hpconsole.core.machines.checking import check
    from hpconsole.core.machines.reading import read_draft
    from hpconsole.core.machines.recommending import recommend
    from hpconsole.core.machines.verdicts import host_verdicts

    known = find_vm(app.store.snapshot, arguments.vm)
    host = known.host or ""
    xml = app.pool.call(host, lambda h: h.domain_xml(known.uuid, inactive=known.is_persistent), deadline_s=30)
    if arguments.xml:
        print(xml, end="")
        return ExitCode.DONE
    around = around_of(app, host)
    draft = read_draft(xml)
    verdicts = host_verdicts(draft, around)
    problems = check(draft, around)
    advice = recommend(draft, around)
    if arguments.json:
        print_json(
            {
                "format": FORMAT,
                "uuid": known.uuid,
                "name": known.name,
                "host": known.host,
                "state": known.state.value,
                "pinned_or_high_performance": draft.is_pinned_or_high_performance,
                "fields": fields_json(draft),
                "problems": [
                    {"field": p.field, "sentence": p.sentence, "warning": p.is_warning, "kind": p.kind}
                    for p in problems
                ],
                "recommendations": [
                    {"key": r.key, "title": r.title, "done": r.is_done, "detail": r.detail, "obstacle": r.obstacle}
                    for r in advice
                ],
                "hosts": [_verdict_json(verdict) for verdict in verdicts],
            }
        )
        return ExitCode.DONE
    _say_draft(draft, known)
    for problem in problems:
        say(f"{'note' if problem.is_warning else 'wrong'}: {problem.sentence}")
    for line in advice:
        mark = "done" if line.is_done else "missing"
        say(f"{mark:>8}  {line.title}: {line.detail or line.obstacle}")
    _say_verdicts(verdicts)
    return ExitCode.DONE


def _say_draft(draft: VmDraft, known: Vm) -> None:
    from hpconsole.core.machines.field_labels import LABELS, shown

    say(f"{known.name}  {known.state.value} on {known.host}  {known.uuid}")
    plain: tuple[object, ...] = ("", None, (), frozenset(), False)
    for field, label in LABELS.items():
        value = getattr(draft, field, None)
        if value not in plain and field not in ("name", "profile", "xml"):
            say(f"  {label}: {shown(field, value)}")


def _say_verdicts(verdicts: Sequence[Any]) -> None:
    for verdict in verdicts:
        say(f"{verdict.tone.value:>8}  {verdict.host}: {verdict.sentence}")
        if verdict.placement is not None and not verdict.placement.is_free:
            say(f"          {describe(verdict.placement)}")


def _verdict_json(verdict: Any) -> Json:
    return {
        "host": verdict.host,
        "verdict": verdict.tone.value,
        "reasons": [refusal_json(reason) for reason in verdict.reasons],
        "warnings": list(verdict.warnings),
        "placement": None if verdict.placement is None else placement_json(verdict.placement),
    }
