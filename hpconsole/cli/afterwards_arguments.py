"""The words of `hpconsole history`, `recover`, `cleanup`, `return-home`; who answers is loaded only when asked."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.options import Options


def afterwards(name: str) -> Callable[[argparse.Namespace, Options], ExitCode] | None:
    """Who answers this command; None = it is none of these."""
    if name == "history":
        from hpconsole.cli.afterwards import history as command
    elif name == "recover":
        from hpconsole.cli.afterwards import recover as command
    elif name == "cleanup":
        from hpconsole.cli.afterwards import cleanup as command
    elif name == "return-home":
        from hpconsole.cli.afterwards import go_home as command
    else:
        return None
    return command


def add_afterwards(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """All four."""
    add_history(add("history", "list migrations, and what became of them"))
    add_recover(add("recover", "let a VM go on that stands still after a migration"))
    add_cleanup(add("cleanup", "remove what a migration left on a host, where it is provably not the live VM"))
    add_return_home(add("return-home", "move VMs back to where they came from, with the pins they had there"))


def add_history(command: argparse.ArgumentParser) -> None:
    """`hpconsole history [VM]`."""
    command.add_argument("vm", nargs="?", metavar="VM", help="name or UUID (default: all)")
    command.add_argument("--limit", type=int, default=50, metavar="N", help="the newest N (default 50)")


def add_recover(command: argparse.ArgumentParser) -> None:
    """`hpconsole recover VM`."""
    command.add_argument("vm", metavar="VM", help="name or UUID")
    command.add_argument(
        "--start-anew",
        action="store_true",
        help="where part of its memory is lost: end what is left of it, and boot it",
    )


def add_cleanup(command: argparse.ArgumentParser) -> None:
    """`hpconsole cleanup VM --host HOST`."""
    command.add_argument("vm", metavar="VM", help="name or UUID")
    command.add_argument("--host", required=True, metavar="HOST", help="where something is left over")


def add_return_home(command: argparse.ArgumentParser) -> None:
    """`hpconsole return-home [HOST]`."""
    command.add_argument("host", nargs="?", metavar="HOST", help="only VMs that left this host (default: all)")
    command.add_argument("--hours", type=float, default=168.0, help="how old a move may be (default 168: a week)")
    command.add_argument("--dry-run", action="store_true", help="show what would be moved, move nothing")
