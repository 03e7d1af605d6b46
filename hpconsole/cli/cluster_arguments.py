"""The words of `ha`, `fence`, `confirm-off`, `watch`, `balance` and `affinity`. Nothing heavy here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpconsole.cli.exit_codes import ExitCode
    from hpconsole.cli.options import Options

RULES = ("together", "apart", "together-hard", "apart-hard", "none")


def command_of(name: str) -> Callable[[argparse.Namespace, Options], ExitCode] | None:
    """Who answers this command; None = it is none of these."""
    if name == "ha":
        from hpconsole.cli.ha import show_ha as command
    elif name == "fence":
        from hpconsole.cli.ha import fence as command
    elif name == "confirm-off":
        from hpconsole.cli.ha import confirm_off as command
    elif name == "watch":
        from hpconsole.cli.watch import watch as command
    elif name == "balance":
        from hpconsole.cli.balance import balance as command
    elif name == "affinity":
        from hpconsole.cli.affinity import affinity as command
    else:
        return None
    return command


def add_ha(command: argparse.ArgumentParser) -> None:
    """`hpconsole ha`: without options the proof."""
    command.epilog = (
        "Exit code 0: every highly available VM would come back, whichever host failed. Exit code 1: at least one "
        "would not (the answer names it), or something failed (a message says what)."
    )
    command.add_argument("--settings", action="store_true", help="show the settings instead")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting (see --settings); repeatable"
    )


def add_fence(command: argparse.ArgumentParser) -> None:
    """`hpconsole fence HOST`: without options it asks the device whether the host has power."""
    command.add_argument("host", metavar="HOST")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--agent", metavar="AGENT", help="give it a fence device: fence_ipmilan, fence_redfish ...")
    what.add_argument("--off", action="store_true", help="switch the host off")
    what.add_argument("--forget", action="store_true", help="forget its fence device")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the agent; repeatable"
    )
    secret = command.add_mutually_exclusive_group()
    secret.add_argument("--password-file", metavar="FILE", help="holds the password; only its owner may read it")
    secret.add_argument("--password-variable", metavar="NAME", help="environment variable that holds the password")
    command.add_argument("--agent-timeout", type=float, default=60.0, metavar="SECONDS", help="default 60")
    command.add_argument("--yes", action="store_true", help="switch off a host that answers, too")


def add_confirm_off(command: argparse.ArgumentParser) -> None:
    """`hpconsole confirm-off HOST --yes`."""
    command.add_argument("host", metavar="HOST")
    command.add_argument("--yes", action="store_true", help="I made sure that it has no power")


def add_watch(command: argparse.ArgumentParser) -> None:
    """`hpconsole watch`."""
    command.add_argument("--interval", type=float, default=60.0, metavar="SECONDS", help="between rounds (default 60)")
    command.add_argument("--lease", type=float, default=30.0, metavar="SECONDS", help="of who acts (default 30)")
    command.add_argument("--dry-run", action="store_true", help="recommend only; nothing is moved, fenced or started")


def add_balance(command: argparse.ArgumentParser) -> None:
    """`hpconsole balance`."""
    command.add_argument("--apply", action="store_true", help="carry out what is recommended, and wait for its end")
    command.add_argument(
        "--mode",
        choices=["act", "recommend", "off"],
        help="from now on, consoles and `watch` move VMs by themselves, only recommend, or do not look",
    )


def add_affinity(command: argparse.ArgumentParser) -> None:
    """`hpconsole affinity VERB [NAME]`."""
    verbs = ["list", "add", "edit", "remove", "check", "suggest", "label"]
    # the metavar is what somebody who names no verb is told
    command.add_argument("verb", choices=verbs, metavar=f"{{{','.join(verbs)}}}", help="what is done")
    command.add_argument("name", nargs="?", metavar="NAME", help="the group; for label: the host")
    command.add_argument("--vms", choices=RULES, help="rule between the VMs; -hard: enforced")
    command.add_argument("--hosts", choices=RULES, help="rule between VMs and hosts")
    for word, text in (
        ("--vm", "a VM of the group (name or UUID)"),
        ("--host", "a host of the group"),
        ("--vm-label", "every VM with this label"),
        ("--host-label", "every host with this label"),
    ):
        command.add_argument(word, action="append", metavar="NAME", help=f"{text}; repeatable")
    command.add_argument("--priority", type=float, metavar="NUMBER", help="higher wins among soft rules")
    command.add_argument("--description", metavar="TEXT")
    command.add_argument("--apply", action="store_true", help="suggest: keep the suggested groups")
