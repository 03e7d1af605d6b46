"""What may be sent to a terminal: names and messages come from hosts, and some characters steer terminals."""

from __future__ import annotations

import logging
import sys


def printable(text: str) -> str:
    """The text on one line; control characters and those that turn the direction of writing are shown as such."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


class PrintableFormatter(logging.Formatter):
    """The log on a terminal: each line of an entry as it may be sent there."""

    def format(self, record: logging.LogRecord) -> str:
        """The entry."""
        return "\n".join(map(printable, super().format(record).split("\n")))


def say(text: str) -> None:
    """A line on standard output."""
    print(printable(text))


def complain(text: str) -> None:
    """A line on standard error, with the program's name."""
    print(f"hpconsole: {printable(text)}", file=sys.stderr)
