"""`hpconsole policy`: the scheduling policies: shown, copied, edited, exchanged as files, and put in force.

Needs no host: policies are in the console's database.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.kept_database import kept_database
from hpconsole.cli.options import Options
from hpconsole.cli.output import print_json, print_table
from hpconsole.cli.terminal import complain, say

if TYPE_CHECKING:
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.policy_book import PolicyBook


def policy(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Carry out one action."""
    with policy_book(options, will_change=arguments.action not in ("list", "show", "export")) as book:
        return _ACTIONS[arguments.action](book, arguments)


@contextmanager
def policy_book(options: Options, *, will_change: bool = False) -> Iterator[PolicyBook]:
    """The policies of this user; of the demo, unless it has a data folder, only the built-in ones."""
    from hpconsole.core.scheduler.policy_book import PolicyBook

    book = PolicyBook()
    with kept_database(options) as database:
        if database is None and will_change:
            raise UsageError("The demo remembers nothing: give it a folder by --data-folder DIR.")
        for sentence in () if database is None else book.keep_in(database):
            complain(sentence)
        yield book


def named_policy(book: PolicyBook, name: str | None) -> Policy:
    """The policy of this name, or in the file of this name; None = the one in force.

    Raises:
        ScenarioError: there is none, or the file holds none.
    """
    if name is None:
        return book.chosen
    if name.endswith(".json"):
        from hpconsole.core.scheduler.policy_files import load_policy

        return load_policy(Path(name))
    return book.named(name)


def _list(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    policies = book.all()
    if arguments.json:
        summaries = [_summary(item, book) for item in policies]
        print_json({"format": "hpconsole-policies/1", "in_force": book.chosen.name, "policies": summaries})
        return ExitCode.DONE
    from hpconsole.core.scheduler.unit_titles import title

    rows = [
        (
            "*" if item.name == book.chosen.name else "",
            item.name,
            "built-in" if item.is_built_in else "own",
            title(item.balancer) if item.balancer == "None" else f"{title(item.balancer)} ({item.balancer})",
            item.description,
        )
        for item in policies
    ]
    print_table(("IN FORCE", "NAME", "KIND", "BALANCING", "DESCRIPTION"), rows)
    return ExitCode.DONE


def _summary(item: Policy, book: PolicyBook) -> dict[str, Any]:
    return {
        "name": item.name,
        "description": item.description,
        "built_in": item.is_built_in,
        "in_force": item.name == book.chosen.name,
    }


def _show(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    from hpconsole.core.scheduler.policy_files import parameters, policy_data
    from hpconsole.core.scheduler.unit_titles import heading

    item = named_policy(book, arguments.name)
    if arguments.json:
        print_json({**policy_data(item), "format": "hpconsole-policy/1", **_summary(item, book)})
        return ExitCode.DONE
    kind = "built-in" if item.is_built_in else "own"
    say(f"{item.name} ({kind}{', in force' if item.name == book.chosen.name else ''})")
    if item.description:
        say(item.description)
    say(f"Hosts are ordered: {heading(item.selector)} ({item.selector}). Load is balanced: {heading(item.balancer)}.")
    say("Filters, beside the mandatory ones:")
    for name in item.filters:
        say(f"  {name}  ({heading(name)})")
    say("Weights:")
    for name, factor in item.weights:
        say(f"  {factor:>4} x {name}  ({heading(name)})")
    known = parameters()
    say("Parameters:" if item.parameters else "Parameters: none")
    for name, value in sorted(item.parameters.items()):
        unit = f" {known[name].unit}" if name in known and known[name].unit else ""
        say(f"  {name} = {value:g}{unit}")
    return ExitCode.DONE


def _copy(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    made = book.copy(arguments.old, arguments.new)
    return _done(f"{made.name} is a copy of {arguments.old}. `hpconsole policy use {made.name}` puts it in force.",
                 made, book, arguments)  # fmt: skip


def _edit(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    from dataclasses import replace

    from hpconsole.core.scheduler.policy_editing import with_filter, with_parameter, with_weight

    changed = book.named(arguments.name)
    if changed.is_built_in:
        raise UsageError(
            f"{changed.name} is built in and stays as it is. `hpconsole policy copy {changed.name} NEW` makes your own."
        )
    for name, text in map(_pair, arguments.filter):
        if text not in ("on", "off"):
            raise UsageError(f"--filter {name}: on or off, not {text!r}.")
        changed = with_filter(changed, name, is_on=text == "on")
    for name, text in map(_pair, arguments.weight):
        changed = with_weight(changed, name, _whole(name, text))
    for name, text in map(_pair, arguments.parameter):
        changed = with_parameter(changed, name, _number(name, text) if text else None)
    given = {field: getattr(arguments, field) for field in ("selector", "balancer", "description")}
    changed = replace(changed, **{field: value for field, value in given.items() if value is not None})
    if changed == book.named(arguments.name):
        raise UsageError("Nothing to change: say what by --filter, --weight, --parameter and so on.")
    book.save(changed)
    return _done(f"{changed.name} was changed.", changed, book, arguments)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals or not name:
        raise UsageError(f"{text!r} is not of the form NAME=VALUE.")
    return name, value


def _whole(name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise UsageError(f"--weight {name}: a factor is a whole number from 0, not {text!r}.")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"--parameter {name}: {text!r} is not a number.") from error


def _export(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    from hpconsole.core.scheduler.policy_files import save_policy

    item = book.named(arguments.name)
    if arguments.file.exists() and not arguments.force:
        raise UsageError(f"{arguments.file} exists already and was left as it is; --force replaces it.")
    save_policy(item, arguments.file)
    return _done(f"{item.name} was written to {arguments.file}.", item, book, arguments)


def _import(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    from hpconsole.core.scheduler.policy_files import load_policy

    item = load_policy(arguments.file)
    if any(known.name == item.name for known in book.all()) and not arguments.force:
        raise UsageError(f"There is a policy named {item.name} already; --force replaces it.", subject=item.name)
    book.save(item)
    return _done(f"{item.name} is there. `hpconsole policy use {item.name}` puts it in force.", item, book, arguments)


def _delete(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    book.remove(arguments.name)
    if arguments.json:
        print_json({"format": "hpconsole-policy-change/1", "name": arguments.name, "in_force": book.chosen.name})
    else:
        say(f"{arguments.name} is gone.")
    return ExitCode.DONE


def _use(book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    book.choose(arguments.name)
    return _done(f"{arguments.name} is in force from now on.", book.chosen, book, arguments)


def _done(sentence: str, item: Policy, book: PolicyBook, arguments: argparse.Namespace) -> ExitCode:
    if arguments.json:
        print_json({"format": "hpconsole-policy-change/1", "name": item.name, "in_force": book.chosen.name})
    else:
        say(sentence)
    return ExitCode.DONE


_ACTIONS = {
    "list": _list,
    "show": _show,
    "copy": _copy,
    "edit": _edit,
    "export": _export,
    "import": _import,
    "delete": _delete,
    "use": _use,
}
