"""The command line's own grammar: which words there are, and who answers them. Imports no Qt on any command's path."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpconsole import __version__
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
from hpconsole.cli.exit_codes import ExitCode, UsageError
from hpconsole.cli.maintenance_arguments import add_activate, add_maintenance, add_make_room, of_maintenance
from hpconsole.cli.migrate_arguments import add_job, add_migrate, add_migration_policy, of_migrations
from hpconsole.cli.options import Options, hosts_from_arguments
from hpconsole.cli.policy_arguments import add_policy
from hpconsole.cli.terminal import PrintableFormatter, complain
from hpconsole.cli.vm_arguments import add_pool, add_template, add_vm
from hpconsole.core.errors import HpconsoleError

if TYPE_CHECKING:
    from hpconsole.app import App

_EPILOG = """\
exit codes: 0 done; 1 something failed, the message says what and where the VM is; 2 wrong usage or input;
3 no suitable host, nothing was changed; 4 a host could not be reached or the outcome is unknown; 5 cancelled;
130 interrupted.
JSON output is documented in docs/command-line.md.
"""
_SCENARIO = "a saved snapshot instead of real hosts"


def run(arguments: Sequence[str]) -> int:
    """Parse and carry out; the exit code."""
    options = _parser().parse_args(arguments)
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(PrintableFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.CRITICAL, handlers=[log])
    try:
        return int(_answer(options))
    except HpconsoleError as error:
        if options.command and getattr(options, "json", False):
            print(json.dumps({"format": "hpconsole-error/1", "error": error.sentence, "subject": error.subject}))
        complain(error.sentence)
        return int(ExitCode.of(error))
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output went away (`hpconsole vms | head`)
        sys.stderr.close()
        return int(ExitCode.FAILED)


def _answer(options: argparse.Namespace) -> ExitCode | int:
    if options.command is None:
        return _open_window(options)
    elsewhere = (
        of_migrations(options.command)
        or command_of(options.command)
        or of_maintenance(options.command)
        or afterwards(options.command)
    )
    if elsewhere is not None:
        return elsewhere(options, _session_options(options))
    if options.command == "hosts":
        from hpconsole.cli.listing import list_hosts as command
    elif options.command == "vms":
        from hpconsole.cli.listing import list_vms as command
    elif options.command == "schedule":
        from hpconsole.cli.schedule import schedule as command
    elif options.command == "vm":
        from hpconsole.cli.vm import vm as command
    elif options.command == "template":
        from hpconsole.cli.template import template as command
    elif options.command == "policy":
        from hpconsole.cli.policy import policy as command
    elif options.command == "pool":
        from hpconsole.cli.pool import pool as command
    else:
        from hpconsole.cli.schedule import save_snapshot as command
    return command(options, _session_options(options))


def _session_options(options: argparse.Namespace) -> Options:
    if options.demo and options.connect:
        raise UsageError("--demo and --connect exclude each other: the simulated cluster has its own hosts.")
    return Options(
        hosts=hosts_from_arguments(options.connect),
        demo_seed=options.demo_seed if options.demo else None,
        data=options.data_folder,
        timeout_s=options.timeout,
    )


def _open_window(options: argparse.Namespace) -> int:
    chosen = _session_options(options)
    gc.disable()  # until the window is filled: nothing that is loaded goes away again
    from hpconsole.ui.desktop import run as show_window

    def build() -> App:
        # only now: the window is on the screen by then
        from hpconsole.cli.session import build_app

        app = build_app(chosen, watches=True)
        app.connect()  # hosts answer while the window is being filled
        return app

    return show_window(build, arguments=["--quit-after-first-snapshot"] if options.quit_after_first_snapshot else [])


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("a time-out goes from above 0 to 3600 seconds")
    return value


def _common(parser: argparse.ArgumentParser, *, is_sub: bool) -> None:
    """The options that may stand before or after the command."""
    default = argparse.SUPPRESS if is_sub else None
    parser.add_argument(
        "--connect",
        action="append" if not is_sub else _Extend,
        default=argparse.SUPPRESS if is_sub else [],
        metavar="[NAME=]URI",
        help="a host, for this run only; repeatable (default: the configured hosts)",
    )
    parser.add_argument(
        "--demo", action="store_true", default=argparse.SUPPRESS if is_sub else False, help="the simulated cluster"
    )
    parser.add_argument(
        "--demo-seed",
        type=int,
        default=argparse.SUPPRESS if is_sub else 1,
        metavar="N",
        help="another simulated cluster of the same kind (default 1)",
    )
    parser.add_argument("--data-folder", type=Path, default=default, metavar="DIR", help="where the database lives")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=argparse.SUPPRESS if is_sub else 15.0,
        metavar="SECONDS",
        help="how long to wait for hosts that do not answer (default 15)",
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS if is_sub else False,
        help="log to the terminal",
    )


class _Extend(argparse.Action):
    """Append to the list that the main parser began."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        known = getattr(namespace, self.dest, None) or []
        setattr(namespace, self.dest, [*known, values])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hpconsole",
        description="Console for high-performance VMs on KVM/libvirt hosts. Without a command: the window.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hpconsole {__version__}")
    parser.add_argument("--quit-after-first-snapshot", action="store_true", help=argparse.SUPPRESS)
    _common(parser, is_sub=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        _common(command, is_sub=True)
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
    return parser


def _nested(action: argparse.ArgumentParser) -> None:
    """The options that every action of a command takes, too."""
    _common(action, is_sub=True)
    action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="machine-readable output")


def _add_schedule(command: argparse.ArgumentParser) -> None:
    command.add_argument("--vm", required=True, action="append", metavar="VM", help="name or UUID; repeatable")
    command.add_argument("--scenario", type=Path, metavar="FILE", help=_SCENARIO)
    command.add_argument(
        "--policy", metavar="NAME", help="a policy, or a policy's .json file (default: the one in force)"
    )
    command.add_argument("--explain", action="store_true", help="say why each host stands where it does")
