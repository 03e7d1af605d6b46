"""`hpconsole migration-policy`: the presets and your own ways to migrate, and which is the default. Asks no host."""

from __future__ import annotations

import argparse
import json

from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.kept_database import kept_database
from hpconsole.cli.options import Options
from hpconsole.cli.output import print_json, print_table
from hpconsole.cli.terminal import say
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.planning.migration_policy import BUILT_IN, MigrationPolicy
from hpconsole.core.planning.migration_policy_json import from_json, to_json


def migration_policy(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Do what was asked."""
    with kept_database(options) as database:
        _act(arguments, MigrationPolicies(database))
    return ExitCode.DONE


def _act(arguments: argparse.Namespace, policies: MigrationPolicies) -> None:
    match arguments.action:
        case "list":
            _list(policies, as_json=arguments.json)
        case "export":
            policy = _named(policies, arguments.name)
            if arguments.file.exists() and not arguments.force:
                raise UsageError(f"There is a file {arguments.file} already; --force replaces it.")
            arguments.file.write_text(json.dumps(to_json(policy), indent=2) + "\n")
            say(f"Written to {arguments.file}.")
        case "import":
            policy = from_json(_read(arguments))
            policies.save(policy)
            say(f"{policy.name} is kept as {policy.policy_id}.")
        case "delete":
            policy = _named(policies, arguments.name)
            if policy in BUILT_IN:
                raise UsageError(f"{policy.name} is a preset and stays.")
            policies.remove(policy.policy_id)
            say(f"{policy.name} is deleted.")
        case _:
            policy = _named(policies, arguments.name)
            policies.set_default(policy.policy_id)
            say(f"Migrations that name no policy follow {policy.name} from now on.")


def _read(arguments: argparse.Namespace) -> dict[str, object]:
    try:
        document = json.loads(arguments.file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{arguments.file} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{arguments.file} holds no migration policy.")
    return document


def _named(policies: MigrationPolicies, text: str) -> MigrationPolicy:
    wanted = text.strip().lower()
    for policy in policies.all():
        if wanted in (policy.policy_id.lower(), policy.name.lower()):
            return policy
    names = ", ".join(policy.policy_id for policy in policies.all())
    raise UsageError(f"There is no migration policy {text}. There are: {names}.")


def _list(policies: MigrationPolicies, *, as_json: bool) -> None:
    default_id = policies.default_id
    if as_json:
        listed = [
            to_json(one) | {"is_default": one.policy_id == default_id, "is_preset": one in BUILT_IN}
            for one in policies.all()
        ]
        print_json({"format": "hpconsole-migration-policies/1", "policies": listed})
        return
    rows = [
        (
            "*" if one.policy_id == default_id else "",
            one.policy_id,
            one.name,
            "preset" if one in BUILT_IN else "own",
            one.description,
        )
        for one in policies.all()
    ]
    print_table(("DEFAULT", "ID", "NAME", "KIND", "DESCRIPTION"), rows)
