"""Every command's words, and who answers them. What takes long to load is loaded by the answer."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from hpconsole.cli.afterwards_arguments import add_afterwards, afterwards
from hpconsole.cli.cluster_arguments import (
    add_affinity,
    add_balance,
    add_confirm_off,
    add_fence,
    add_ha,
    add_watch,
    command_of,
)
from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.maintenance_arguments import add_activate, add_maintenance, add_make_room, of_maintenance
from hpconsole.cli.migrate_arguments import (
    add_job,
    add_migrate,
    add_migration_limits,
    add_migration_policy,
    of_migrations,
)
from hpconsole.cli.options import Options
from hpconsole.cli.policy_arguments import add_policy
from hpconsole.cli.vm_arguments import add_pool, add_template, add_vm
from hpconsole.cli.window_options import add_common, add_main

_EPILOG = """\
exit codes: 0 done; 1 something failed, the message says what and where the VM is; 2 wrong usage or input;
3 no suitable host, nothing was changed; 4 a host could not be reached or the outcome is unknown; 5 cancelled;
130 interrupted.
JSON output is documented in docs/command-line.md.
"""
_SCENARIO = "a saved snapshot instead of real hosts"


def parser() -> argparse.ArgumentParser:
    """The whole grammar."""
    whole = argparse.ArgumentParser(
        prog="hpconsole",
        description="Console for high-performance VMs on KVM/libvirt hosts. Without a command: the window.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_main(whole)
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        add_common(command, is_sub=True)
        command.add_argument("--json", action="store_true", help="machine-readable output")
        return command

    for name, text in (
        ("hosts", "list the hosts: state, NUMA nodes, memory, huge pages, load"),
        ("vms", "list the VMs: state, host, size, pinning, migration mode"),
    ):
        add(name, text).add_argument("--scenario", type=Path, metavar="FILE", help=_SCENARIO)
    add_migrate(add("migrate", "migrate running VMs, pinning recomputed for the destination"))
    ways = add("migration-policy", "how hard migrations try: the presets, your own, the default")
    add_migration_policy(ways, _nested)
    add_migration_limits(add("migration-limits", "how many migrations may run at once, and what bandwidth they share"))
    add_job(add("job", "show the running migration of a VM, and change or cancel it"))
    _add_schedule(add("schedule", "rank the hosts for a VM and say why, without moving anything"))
    add_vm(add("vm", "make, change, show, start, shut down and delete VMs"), _nested)
    add_template(add("template", "keep whole configurations, and make VMs from them"), _nested)
    add_policy(add("policy", "the scheduling policies: show, copy, edit, exchange, put in force"), _nested)
    add_pool(add("pool", "keep a number of VMs made from one template"), _nested)
    add_maintenance(add("maintenance", "empty hosts for maintenance: a plan first, then every VM moved by it"))
    add_activate(add("activate", "bring hosts back from maintenance"))
    add_make_room(add("make-room", "make room for a VM that fits nowhere, by the fewest moves of others"))
    add_ha(add("ha", "for each host: which highly available VMs would not come back if it failed, for want of what"))
    add_fence(add("fence", "a host's power: give it a fence device, ask it, or switch the host off"))
    add_confirm_off(add("confirm-off", "confirm that a host has no power, so that its VMs are restarted elsewhere"))
    add_watch(add("watch", "look after hosts that fail, affinity and load, without a display"))
    add_balance(add("balance", "what the balancer would move now, and why, or why nothing; --apply moves it"))
    add_affinity(add("affinity", "affinity groups: list, check, add, edit, remove, suggest"))
    add_afterwards(add)
    snapshot = add("snapshot", "save what the scheduler sees to a file")
    snapshot.add_argument("action", choices=["save"])
    snapshot.add_argument("file", type=Path)
    snapshot.add_argument("--force", action="store_true", help="replace the file if there is one")
    snapshot.add_argument("--anonymise", action="store_true", help="replace names, addresses and UUIDs")
    return whole


def answer_of(command: str) -> Callable[[argparse.Namespace, Options], ExitCode]:
    """Who answers this command."""
    elsewhere = of_migrations(command) or command_of(command) or of_maintenance(command) or afterwards(command)
    if elsewhere is not None:
        return elsewhere
    if command == "hosts":
        from hpconsole.cli.listing import list_hosts as answer
    elif command == "vms":
        from hpconsole.cli.listing import list_vms as answer
    elif command == "schedule":
        from hpconsole.cli.schedule import schedule as answer
    elif command == "vm":
        from hpconsole.cli.vm import vm as answer
    elif command == "template":
        from hpconsole.cli.template import template as answer
    elif command == "policy":
        from hpconsole.cli.policy import policy as answer
    elif command == "pool":
        from hpconsole.cli.pool import pool as answer
    else:
        from hpconsole.cli.schedule import save_snapshot as answer
    return answer


def _nested(action: argparse.ArgumentParser) -> None:
    """The options that every action of a command takes, too."""
    add_common(action, is_sub=True)
    action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable output")


def _add_schedule(command: argparse.ArgumentParser) -> None:
    command.add_argument("--vm", required=True, action="append", metavar="VM", help="name or UUID; repeatable")
    command.add_argument("--scenario", type=Path, metavar="FILE", help=_SCENARIO)
    command.add_argument(
        "--policy", metavar="NAME", help="a policy, or a policy's .json file (default: the one in force)"
    )
    command.add_argument("--explain", action="store_true", help="say why each host stands where it does")
