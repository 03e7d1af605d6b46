"""The lab by hand: `python -m tests.lab up`, `guest`, `fault`, `virsh`, `status`, `down`, or all in one with `run`.

A lab started by `up` stays until `down`. `run` starts one with two guests and ends it on Ctrl-C, or after a command:
`python -m tests.lab run -- hpconsole` appends the hosts' URIs to the command as `--connect URI` arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab.commands import LabError
from tests.lab.lab import Lab, running_folders
from tests.lab.prerequisites import missing
from tests.lab.topology import DEFAULT_HOSTS, HostSpec

FAULTS = (
    *("cut", "heal", "shape", "block", "kill-daemon", "start-daemon", "freeze-daemon", "thaw-daemon"),
    *("kill-qemu", "crash", "boot"),
)


def say(line: str) -> None:
    """One line for the user, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def describe(lab: Lab) -> None:
    """Print where the lab's hosts are."""
    say(f"lab in {lab.folder}")
    for host in lab.hosts:
        spec = host.spec
        state = "up" if host.is_up and host.answers() else "not answering" if host.is_up else "down"
        shape = f"{spec.nodes} NUMA nodes, {spec.cpus} CPUs, {spec.huge_2m_per_node} huge pages of 2 MiB per node"
        say(f"  {host.name}: {state}; {shape}")
        for uri in (host.uri, host.uri_ssh, host.uri_tls):
            say(f"     {uri}")
    say(f"  for qemu+ssh: export PATH={lab.folder}/client/bin:$PATH")


def chosen(folder: str | None) -> Lab:
    """The lab a command means: the named one, or the only one that was started by hand."""
    if folder:
        return Lab.attach(Path(folder))
    labs = [lab for lab in attached() if lab.outlives_owner]
    if len(labs) != 1:
        many = "several are; name one with --lab" if labs else "run `python -m tests.lab up` first"
        raise LabError(f"no single lab was started by hand: {many}")
    return labs[0]


def attached() -> list[Lab]:
    """All labs of this machine that are up."""
    labs = []
    for folder in running_folders():
        with contextlib.suppress(LabError):
            labs.append(Lab.attach(folder))
    return labs


def do_up(arguments: argparse.Namespace) -> int:
    """Start a lab that stays."""
    describe(Lab.start(arguments.host or DEFAULT_HOSTS, resolves_names=not arguments.no_names, outlives_me=True))
    return 0


def do_down(arguments: argparse.Namespace) -> int:
    """End the labs that were started by hand, or the named one."""
    labs = [Lab.attach(Path(arguments.lab))] if arguments.lab else [lab for lab in attached() if lab.outlives_owner]
    for lab in labs:
        lab.close()
        say(f"{lab.folder} is gone")
    return 0


def do_status(_arguments: argparse.Namespace) -> int:
    """Print all labs, those of running tests too."""
    for lab in attached():
        describe(lab)
        for guest, hosts in lab.qemu_processes().items():
            say(f"  guest {guest} runs on {', '.join(hosts)}")
    return 0


def do_guest(arguments: argparse.Namespace) -> int:
    """Define and start a guest."""
    guest = chosen(arguments.lab).guest(
        arguments.on,
        arguments.name,
        vcpus=arguments.vcpus,
        cells=arguments.cells,
        memory_mib=arguments.memory_mib,
        dirty_mib=arguments.dirty_mib,
        dirty_mib_s=arguments.dirty_mib_s,
        pin=arguments.pin,
        huge_pages=arguments.huge_pages,
    )
    say(f"{guest.name} {guest.uuid} runs on {guest.host}")
    return 0


def do_fault(arguments: argparse.Namespace) -> int:
    """Make something go wrong, or well again."""
    fault, host = chosen(arguments.lab).fault, arguments.on
    with_value = {"shape": fault.shape, "block": fault.block_management, "kill-qemu": fault.kill_qemu}
    plain = {
        "cut": fault.cut,
        "heal": fault.heal,
        "kill-daemon": fault.kill_daemon,
        "start-daemon": fault.start_daemon,
        "freeze-daemon": fault.freeze_daemon,
        "thaw-daemon": fault.thaw_daemon,
        "crash": fault.crash,
        "boot": fault.boot,
    }
    if arguments.kind in plain:
        plain[arguments.kind](host)
    elif arguments.value is None:
        raise LabError(f"{arguments.kind} needs a value: a rate (50mbit), the other host, or the guest")
    else:
        with_value[arguments.kind](host, arguments.value)
    return 0


def do_virsh(arguments: argparse.Namespace) -> int:
    """Ask a host's own virsh."""
    say(chosen(arguments.lab).virsh(arguments.on, *arguments.words))
    return 0


def do_run(arguments: argparse.Namespace) -> int:
    """Start a lab with two guests; end it after the command, or on Ctrl-C."""
    with Lab.start(arguments.host or DEFAULT_HOSTS, resolves_names=not arguments.no_names) as lab:
        first, last = lab.hosts[0], lab.hosts[-1]
        cells = min(2, first.spec.nodes)
        lab.guest(first.name, "database", vcpus=2 * cells, cells=cells, dirty_mib=32, pin=True)
        lab.guest(last.name, "web", vcpus=2, dirty_mib=0)
        if not arguments.command:
            describe(lab)
            say("guests: database (pinned), web. Ctrl-C ends the lab.")
            signal.pause()
        connects = [word for uri in lab.uris().values() for word in ("--connect", uri)]
        process = subprocess.Popen([*arguments.command, *connects], env={**os.environ, **lab.environment()})
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the command got it as well: wait for what it makes of it
                return process.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, call in (("up", do_up), ("run", do_run)):
        verb = verbs.add_parser(name, help=call.__doc__)
        verb.add_argument("--host", action="append", type=HostSpec.parse, help="as a=2x1x8x2:65536:1024; repeatable")
        verb.add_argument("--no-names", action="store_true", help="hosts do not know each other's names")
        verb.set_defaults(call=call, command=[])
    verbs.add_parser("status", help=do_status.__doc__).set_defaults(call=do_status)
    for name, call in (("down", do_down), ("guest", do_guest), ("fault", do_fault), ("virsh", do_virsh)):
        verb = verbs.add_parser(name, help=call.__doc__)
        verb.add_argument("--lab", help="the folder of the lab that is meant")
        verb.set_defaults(call=call)
        if name != "down":
            verb.add_argument("on", metavar="HOST")
    guest, fault, virsh = verbs.choices["guest"], verbs.choices["fault"], verbs.choices["virsh"]
    guest.add_argument("name")
    for option, default in (("vcpus", 2), ("cells", 1), ("memory-mib", 128), ("dirty-mib", 16)):
        guest.add_argument(f"--{option}", type=int, default=default)
    guest.add_argument("--dirty-mib-s", type=float, default=20.0)
    guest.add_argument("--pin", action="store_true", help="cell N's vCPUs and memory to host node N")
    guest.add_argument("--huge-pages", type=int, metavar="KIB")
    fault.add_argument("kind", choices=FAULTS)
    fault.add_argument("value", nargs="?", help="shape: a rate (50mbit); block: the other host; kill-qemu: the guest")
    virsh.add_argument("words", nargs=argparse.REMAINDER)
    return parser


def main(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit code."""
    own = list(words)
    command: list[str] = []
    if "--" in own and own[0] == "run":
        own, command = own[: own.index("--")], own[own.index("--") + 1 :]
    arguments = _parser().parse_args(own)
    arguments.command = command
    if reason := missing():
        say(f"{reason}.")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return int(arguments.call(arguments))
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
