"""The words of `migrate`, `job` the policies and limits of both; loads nothing, so that `--help` stays quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from hpconsole.cli.actions import Common, actions_of
from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.options import Options

AUTO_CONNECTIONS = 0  # as in core.planning.migration_options


def of_migrations(name: str) -> Callable[[argparse.Namespace, Options], ExitCode] | None:
    """What carries out a command of this module; None for others."""
    if name == "migrate":
        from hpconsole.cli.migrate import migrate as command
    elif name == "migration-policy":
        from hpconsole.cli.migration_policy import migration_policy as command
    elif name == "migration-limits":
        from hpconsole.cli.migration_limits import migration_limits as command
    elif name == "job":
        from hpconsole.cli.job import job as command
    else:
        return None
    return command


def add_migrate(command: argparse.ArgumentParser) -> None:
    """`hpconsole migrate`."""
    command.add_argument("vm", nargs="+", metavar="VM", help="name or UUID")
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--auto", action="store_true", help="let the scheduler choose the host")
    where.add_argument("--to", metavar="HOST", help="the destination")
    command.add_argument(
        "--dry-run", action="store_true", help="show verdicts, placement, checks and the forecast; move nothing"
    )
    command.add_argument("--check", action="store_true", help="only check both hosts and say what was found")
    command.add_argument("--no-measure", action="store_true", help="foresee without measuring the guest (saves 7 s)")
    command.add_argument("--accept-warnings", action="store_true", help="migrate although there are warnings")
    _add_options(command)


def add_job(command: argparse.ArgumentParser) -> None:
    """`hpconsole job`."""
    command.add_argument("vm", metavar="VM", help="name or UUID")
    command.add_argument("--bandwidth", type=int, metavar="MIB_S", help="from now on at most so many MiB/s")
    command.add_argument("--downtime", type=int, metavar="MS", help="from now on so long a pause is allowed")
    command.add_argument("--post-copy", action="store_true", help="switch over now; the rest of the memory follows")
    command.add_argument("--cancel", action="store_true", help="cancel it; the VM goes on where it is")


def add_migration_policy(command: argparse.ArgumentParser, common: Common) -> None:
    """`hpconsole migration-policy`."""
    add = actions_of(command, common)
    add("list", "list the policies and say which is the default")
    export = add("export", "write a policy to a file", "name", "file")
    export.add_argument("--force", action="store_true", help="replace the file if there is one")
    add("import", "keep a policy of your own from a file", "file")
    add("delete", "forget a policy of your own", "name")
    add("use", "make a policy the default", "name")


def add_migration_limits(command: argparse.ArgumentParser) -> None:
    """`hpconsole migration-limits`."""
    command.add_argument("--outgoing", type=int, metavar="N", help="so many may leave a host at once")
    command.add_argument("--incoming", type=int, metavar="N", help="so many may reach a host at once")
    command.add_argument("--total", type=int, metavar="N", help="so many may run at once in all")
    bandwidth = command.add_mutually_exclusive_group()
    bandwidth.add_argument(
        "--bandwidth", type=int, metavar="MIB_S", help="what the migrations of a host may use together, shared evenly"
    )
    bandwidth.add_argument("--no-bandwidth", action="store_true", help="let them use what the network carries")


def _add_options(command: argparse.ArgumentParser) -> None:
    """What a user can want of one migration."""
    how = command.add_argument_group("how it is moved")
    how.add_argument("--policy", metavar="NAME", help="migration policy: a preset or one of your own, by name or id")
    how.add_argument("--bandwidth", type=int, metavar="MIB_S", help="use at most so many MiB/s")
    how.add_argument("--downtime", type=int, metavar="MS", help="allow so long a pause from the start")
    how.add_argument(
        "--parallel",
        type=int,
        nargs="?",
        const=AUTO_CONNECTIONS,
        metavar="N",
        help="send over N connections (without N: as many as the link is worth)",
    )
    how.add_argument("--compress", action=argparse.BooleanOptionalAction, help="compress pages that are sent again")
    how.add_argument("--auto-converge", action=argparse.BooleanOptionalAction, help="slow the vCPUs down if need be")
    how.add_argument("--tls", action="store_true", help="encrypt the memory on its way (the hosts need certificates)")
    how.add_argument(
        "--post-copy", action="store_true", help="allow switching to post-copy: a broken network may then cost the VM"
    )
    how.add_argument("--priority", type=int, metavar="N", help="1 to 100: higher ones start first (default: the VM's)")
