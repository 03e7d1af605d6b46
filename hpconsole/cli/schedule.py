"""`hpconsole schedule` and `hpconsole snapshot save`: the scheduler's answer without moving anything."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.options import Options
from hpconsole.cli.output import print_json, print_ranking, ranking_json
from hpconsole.cli.session import find_vm, session, snapshot_of
from hpconsole.cli.terminal import complain, say
from hpconsole.core.errors import StorageError

if TYPE_CHECKING:
    from hpconsole.core.scheduler.policies import Policy


def schedule(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Rank every host for the named VMs (several: as one group, on one host)."""
    from hpconsole.core.scheduler.engine import rank
    from hpconsole.core.scheduler.request import Request

    policy = _policy(arguments.policy, options, is_saved=arguments.scenario is not None)
    with snapshot_of(arguments.scenario, options) as (snapshot, _):
        vms = [find_vm(snapshot, text) for text in dict.fromkeys(arguments.vm)]
        uuids = tuple(vm.uuid for vm in vms)
        ranking = rank(Request(uuids), snapshot, policy)
    if arguments.json:
        print_json(
            {
                "format": "hpconsole-schedule/1",
                "policy": policy.name,
                "vms": [{"uuid": vm.uuid, "name": vm.name, "host": vm.host} for vm in vms],
                "best": ranking.best,
                "hosts": ranking_json(ranking, uuids, explain=arguments.explain),
            }
        )
    else:
        say(f"Best: {ranking.best}" if ranking.best is not None else "No host is suitable.")
        print_ranking(ranking, uuids, explain=arguments.explain)
    return ExitCode.DONE if ranking.best is not None else ExitCode.NO_SUITABLE_HOST


def save_snapshot(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Write what the scheduler sees now to a file (format: docs/scenario-format.md)."""
    from hpconsole.core.scheduler.scenario import save

    if arguments.file.exists() and not arguments.force:
        raise UsageError(f"{arguments.file} exists already and was left as it is; --force replaces it.")
    with session(options) as app:
        save(app.store.snapshot, arguments.file, anonymise=arguments.anonymise)
    hosts, vms = len(app.store.snapshot.hosts), len(app.store.snapshot.vms)
    if arguments.json:
        print_json({"format": "hpconsole-snapshot/1", "file": str(arguments.file), "hosts": hosts, "vms": vms})
    else:
        print(f"Saved {hosts} hosts and {vms} VMs to {arguments.file}.")
    return ExitCode.DONE


def _policy(name: str | None, options: Options, *, is_saved: bool) -> Policy:
    """The policy of this name or file; without one that in force, or for a saved cluster the default one."""
    from hpconsole.cli.policy import named_policy, policy_book
    from hpconsole.core.scheduler.policies import DEFAULT_POLICY, built_in
    from hpconsole.core.scheduler.policy_book import PolicyBook

    if name is None and is_saved:
        return DEFAULT_POLICY
    if name is not None and (name.endswith(".json") or built_in(name)):
        return named_policy(PolicyBook(), name)  # nothing of it is in the database
    try:
        with policy_book(options) as book:
            return named_policy(book, name)
    except StorageError as error:
        if name is not None:
            raise
        complain(f"{error.sentence} The policy {DEFAULT_POLICY.name} counts.")
        return DEFAULT_POLICY
