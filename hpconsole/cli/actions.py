"""The second word of a command, such as `template list`: which actions it has, and what all of them take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Common = Callable[[argparse.ArgumentParser], None]  # adds the options that every action of a command takes, too


class AddAction(Protocol):
    """Gives a command one more action."""

    def __call__(self, name: str, text: str, *arguments: str) -> argparse.ArgumentParser:
        """`arguments`: what follows the action's name, in order; `file` is a path."""


def actions_of(command: argparse.ArgumentParser, common: Common) -> AddAction:
    """What gives this command its actions. Who names none of them is told them all."""
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, text: str, *arguments: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        common(action)
        for argument in arguments:
            action.add_argument(argument, metavar=argument.upper(), type=Path if argument == "file" else str)
        actions.metavar = f"{{{','.join(actions.choices)}}}"
        return action

    return add
