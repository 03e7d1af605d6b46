"""The options that the window and every command have in common, as words. Loads nothing but the argument parser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hpconsole import __version__


class NotForTheWindow(Exception):
    """Words that only the whole grammar understands, or can complain about."""


class _WindowParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise NotForTheWindow(message)


def of_the_window(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked of the window.

    Raises:
        NotForTheWindow: there is a command among the words, a wish for help, or a mistake.
    """
    parser = _WindowParser(prog="hpconsole", add_help=False)
    add_main(parser)
    options, others = parser.parse_known_args(arguments)
    if others:
        raise NotForTheWindow(others[0])
    options.command = None
    return options


def add_main(parser: argparse.ArgumentParser) -> None:
    """The options before a command."""
    parser.add_argument("--version", action="version", version=f"hpconsole {__version__}")
    parser.add_argument("--quit-after-first-snapshot", action="store_true", help=argparse.SUPPRESS)
    add_common(parser, is_sub=False)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("a time-out goes from above 0 to 3600 seconds")
    return value


def add_common(parser: argparse.ArgumentParser, *, is_sub: bool) -> None:
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
