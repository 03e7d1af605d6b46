"""The words of `hpconsole policy`."""

from __future__ import annotations

import argparse

from hpconsole.cli.actions import Common, actions_of


def add_policy(command: argparse.ArgumentParser, common: Common) -> None:
    """The words of the command."""
    add = actions_of(command, common)
    add("list", "list the policies and say which is in force")
    add("show", "show what a policy consists of", "name")
    add("copy", "make an own policy from another one", "old", "new")
    _add_edit(add("edit", "change an own policy", "name"))
    export = add("export", "write a policy to a file", "name", "file")
    export.add_argument("--force", action="store_true", help="replace the file if there is one")
    importing = add("import", "keep a policy from a file", "file")
    importing.add_argument("--force", action="store_true", help="replace an own policy of this name")
    add("delete", "forget an own policy", "name")
    add("use", "put a policy in force", "name")


def _add_edit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--filter", action="append", default=[], metavar="NAME=on|off", help="use a filter or not")
    command.add_argument("--weight", action="append", default=[], metavar="NAME=FACTOR", help="0 takes the weight out")
    command.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="nothing after = takes it out"
    )
    command.add_argument("--selector", metavar="NAME", help="RankSelector or BasicWeighting")
    command.add_argument("--balancer", metavar="NAME", help="how load is balanced; None = not at all")
    command.add_argument("--description", metavar="TEXT")
