"""The words of `hpconsole maintenance`, `activate` and `make-room`. Nothing heavy here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpconsole.cli.exit_codes import ExitCode
    from hpconsole.cli.options import Options


def of_maintenance(name: str) -> Callable[[argparse.Namespace, Options], ExitCode] | None:
    """Who answers this command; None = it is none of these."""
    if name == "maintenance":
        from hpconsole.cli.maintenance import maintenance as command
    elif name == "activate":
        from hpconsole.cli.maintenance import activate as command
    elif name == "make-room":
        from hpconsole.cli.maintenance import make_room as command
    else:
        return None
    return command


def _how(command: argparse.ArgumentParser) -> None:
    how = command.add_mutually_exclusive_group()
    how.add_argument("--plan", action="store_true", help="show the plan, change nothing")
    how.add_argument("--yes", action="store_true", help="carry it out without asking")


def add_maintenance(command: argparse.ArgumentParser) -> None:
    """`maintenance`."""
    command.add_argument("host", nargs="+", metavar="HOST")
    _how(command)
    command.add_argument("--reason", default="", metavar="TEXT", help="kept with the hosts' status and in the log")
    for name, text in (
        ("--shutdown", "shut this VM down instead of moving it; repeatable"),
        ("--power-off", "switch this VM off without asking its guest; repeatable"),
        ("--leave", "leave this VM where it is: its host stays in “preparing for maintenance”; repeatable"),
    ):
        command.add_argument(name, action="append", default=[], metavar="VM", help=text)
    command.add_argument("--to", action="append", default=[], metavar="VM=HOST", help="this VM goes there; repeatable")
    affinity = command.add_mutually_exclusive_group()
    affinity.add_argument("--ignore-affinity", action="store_true", help="hard VM-to-VM affinity does not count")
    affinity.add_argument(
        "--keep-affinity", action="store_true", help="hard VM-to-VM affinity holds (default: cluster)"
    )


def add_activate(command: argparse.ArgumentParser) -> None:
    """`activate`."""
    command.add_argument("host", nargs="+", metavar="HOST")


def add_make_room(command: argparse.ArgumentParser) -> None:
    """`make-room`."""
    command.add_argument("vm", metavar="VM", help="name or UUID of the VM that needs a place")
    command.add_argument("--on", metavar="HOST", help="on this host only")
    _how(command)
