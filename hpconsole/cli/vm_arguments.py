"""The words of `hpconsole vm`, `template` and `pool`, and how the options of a VM change its draft."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpconsole.cli.actions import Common, actions_of
from hpconsole.cli.exit_codes import UsageError

if TYPE_CHECKING:
    from hpconsole.core.machines.draft import DiskDraft, VmDraft

FORMAT = "hpconsole-vm/1"
_LONGEST_FILE = 4 * 1024 * 1024
_UNITS = {"": 1 << 10, "k": 1, "m": 1 << 10, "g": 1 << 20, "t": 1 << 30}  # KiB; a plain number is MiB


def add_vm(command: argparse.ArgumentParser, common: Common) -> None:
    """The words of `hpconsole vm`."""
    add = actions_of(command, common)
    create = add("create", "make a VM: disk, definition, and with --start its process", "name")
    create.add_argument("--on", metavar="HOST", help="where it is made (default: the best host for it)")
    create.add_argument("--template", metavar="NAME", help="begin with everything this template says")
    create.add_argument("--full-clone", action="store_true", help="copy the template's disks instead of linking")
    create.add_argument("--start", action="store_true", help="start it, pinning computed for what is free now")
    edit = add("edit", "change a VM; a running one at once, where libvirt can")
    edit.add_argument("vm", metavar="VM", help="name or UUID")
    edit.add_argument("--rename", metavar="NAME", help="another name (of a VM that is shut off)")
    for parser in (create, edit):
        _add_fields(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    show = add("show", "everything a VM is meant to have, its verdict on each of its hosts, and what would help")
    show.add_argument("vm", metavar="VM", help="name or UUID")
    show.add_argument("--xml", action="store_true", help="its definition, as libvirt has it (without passwords)")
    for name, text in (
        ("start", "start a VM where it is defined, its pinning computed for what is free there now"),
        ("pause", "stop the vCPUs of a running VM; its memory stays"),
        ("resume", "let a paused VM run again"),
        ("shutdown", "ask the guest to shut down"),
        ("delete", "forget a VM that is shut off; its disks stay"),
    ):
        action = add(name, text)
        action.add_argument("vm", nargs="+", metavar="VM", help="name or UUID")
        if name == "shutdown":
            action.add_argument("--force", action="store_true", help="end its process at once")
        if name == "delete":
            action.add_argument("--yes", action="store_true", help="really")
            action.add_argument("--with-disks", action="store_true", help="also its volumes in storage pools")
            action.add_argument(
                "--remove-nvram", action="store_true", help="also its NVRAM (firmware settings) and TPM state"
            )
            action.add_argument(
                "--save-in", type=Path, metavar="FOLDER", help="first write its definition there, to define it again"
            )


def add_template(command: argparse.ArgumentParser, common: Common) -> None:
    """The words of `hpconsole template`."""
    add = actions_of(command, common)
    add("list", "list the templates")
    add("show", "everything a template says", "name")
    create = add("create", "make a template of a VM: its whole configuration, pinning included", "name")
    create.add_argument("--from", dest="vm", required=True, metavar="VM", help="name or UUID")
    create.add_argument("--description", default="", metavar="TEXT")
    disks = create.add_mutually_exclusive_group()
    disks.add_argument("--empty-disks", action="store_true", help="new VMs get empty disks of the same size")
    disks.add_argument("--no-disks", action="store_true", help="new VMs get no disks but CD drives")
    edit = add("edit", "change what a template says; VMs made from it stay as they are", "name")
    _add_fields(edit)
    add("export", "write a template to a file", "name", "file")
    add("import", "keep the template of a file", "file")
    delete = add("delete", "forget a template; VMs made from it stay", "name")
    delete.add_argument("--yes", action="store_true", help="really")


def add_pool(command: argparse.ArgumentParser, common: Common) -> None:
    """The words of `hpconsole pool`."""
    add = actions_of(command, common)
    add("list", "list the pools with their VMs")
    for name, text in (("create", "keep N VMs made from a template"), ("edit", "change a pool")):
        action = add(name, text, "name")
        action.add_argument("--template", required=name == "create", metavar="NAME")
        action.add_argument("--size", type=int, metavar="N", help="how many VMs")
        action.add_argument("--prestarted", type=int, metavar="N", help="how many of them are kept running")
        action.add_argument("--names", metavar="PATTERN", help="name of each VM; {n} is its number")
        action.add_argument("--full-clone", action="store_true", default=None, help="copy disks instead of linking")
    add("apply", "make and start what is missing in a pool", "name")
    delete = add("delete", "forget a pool; its VMs stay", "name")
    delete.add_argument("--yes", action="store_true", help="really")


def _add_fields(parser: argparse.ArgumentParser) -> None:
    """The options that stand for fields of a VM."""
    own = parser.add_argument_group("what the VM has")
    own.add_argument("--memory", type=size_kib, metavar="SIZE", help="8G, 512M; a plain number is MiB")
    own.add_argument("--vcpus", type=int, metavar="N")
    own.add_argument("--topology", metavar="SxCxT", help="virtual sockets x cores x threads, such as 2x4x2")
    own.add_argument("--optimized-for", choices=["desktop", "server", "high-performance"])
    own.add_argument("--migration-mode", choices=["automatic", "manual", "do-not-migrate", "suggested"])
    own.add_argument("--hosts", metavar="A,B", help="Specific Host(s), in order; “any” = any host")
    own.add_argument("--huge-pages", metavar="SIZE", help="2M, 1G; “none”")
    own.add_argument("--iothreads", type=int, metavar="N")
    own.add_argument("--description", dest="text", metavar="TEXT")
    own.add_argument("--high-availability", action=argparse.BooleanOptionalAction, default=None)
    own.add_argument("--priority", type=int, metavar="1-100")
    own.add_argument("--headless", action="store_true", help="no graphical console")
    own.add_argument("--firmware", choices=["bios", "uefi", "uefi-secure"])
    own.add_argument("--boot", metavar="LIST", help="hd,cdrom,network in order")
    pins = parser.add_argument_group("pinning")
    pins.add_argument(
        "--pinning-policy",
        choices=["none", "manual", "resize-and-pin-numa", "dedicated", "isolate-threads", "keep-shape"],
    )
    pins.add_argument("--pin", action="append", metavar="[HOST:]MAP", help="vCPU#CPUs joined by “_”: 0#2_1#3-5,^4")
    pins.add_argument("--emulator", metavar="CPUS", help="CPUs of the emulator threads")
    pins.add_argument("--io", action="append", metavar="N#CPUS", help="CPUs of an IO thread; repeatable")
    pins.add_argument(
        "--numa",
        action="append",
        metavar="[HOST:]N or MAP",
        help="so many virtual nodes (0 = none), or their host nodes: 0#0_1#1",
    )
    pins.add_argument("--numa-mode", choices=["strict", "interleave", "preferred", "restrictive"])
    pins.add_argument("--recommended", action="store_true", help="fill in everything hpconsole recommends")
    devices = parser.add_argument_group("disks and interfaces (added; repeatable)")
    devices.add_argument("--disk", action="append", metavar="POOL:SIZE[:FORMAT]|POOL/VOLUME|PATH")
    devices.add_argument("--cdrom", action="append", metavar="POOL/VOLUME|PATH")
    devices.add_argument("--network", action="append", metavar="NAME", help="a libvirt network; “none” takes all away")
    devices.add_argument("--bridge", action="append", metavar="NAME")
    devices.add_argument("--no-disk", action="store_true", help="take all disks away, those offered by default too")
    any_field = parser.add_argument_group("any field")
    any_field.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="see `vm show --json`")
    any_field.add_argument(
        "--from-json", metavar="FILE", help="fields of a file as `vm show --json` writes them; - reads stdin"
    )


def size_kib(text: str) -> int:
    """`8G`, `512M`, `2048` (MiB) in KiB."""
    plain = text.strip().lower().removesuffix("ib").removesuffix("b")
    unit = plain[-1:] if plain[-1:].isalpha() else ""
    number = plain.removesuffix(unit)
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or len(number) > 12:
        raise argparse.ArgumentTypeError(f"“{text[:30]}” is no size such as 8G or 512M")
    return int(number) * _UNITS[unit]


# --- options -> draft --------------------------------------------------------------


def edited(draft: VmDraft, options: argparse.Namespace) -> VmDraft:
    """The draft with everything the options say.

    Raises:
        UsageError, InvalidEdit, InvalidPinning: an option that cannot be meant.
    """
    from hpconsole.core.machines import editing
    from hpconsole.core.machines.draft import Firmware, Graphics, MigrationMode, OptimizedFor
    from hpconsole.core.machines.profile import with_type

    for field, value in _json_fields(options):
        draft = _with_field(draft, field, value)
    if options.optimized_for is not None:
        draft = with_type(draft, OptimizedFor(options.optimized_for.replace("-", "_")))
    if options.memory is not None:
        draft = editing.with_memory(draft, options.memory)
    if options.vcpus is not None:
        draft = editing.with_vcpus(draft, options.vcpus)
    if options.topology is not None:
        draft = editing.with_topology(draft, _topology(options.topology))
    if options.hosts is not None:
        draft = editing.with_hosts(draft, [] if options.hosts == "any" else options.hosts.split(","))
    if options.huge_pages is not None:
        page = None if options.huge_pages == "none" else _page(options.huge_pages)
        draft = editing.with_huge_pages(draft, page)
    if options.iothreads is not None:
        draft = editing.with_iothreads(draft, options.iothreads)
    if options.headless:
        draft = replace(draft, graphics=Graphics.NONE, video_model="")
    plain = {
        "description": options.text,
        "high_availability": options.high_availability,
        "priority": options.priority,
        "firmware": Firmware(options.firmware) if options.firmware else None,
        "boot_devices": tuple(options.boot.split(",")) if options.boot else None,
    }
    draft = replace(draft, **{field: value for field, value in plain.items() if value is not None})
    draft = _with_devices(draft, options)
    draft = _pinned(draft, options)
    if options.migration_mode == "suggested":
        return editing.without_chosen_mode(draft)
    if options.migration_mode is not None:
        return editing.with_migration_mode(draft, MigrationMode(options.migration_mode.replace("-", "_")))
    return draft


def _json_fields(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    if options.from_json:
        try:
            text = sys.stdin.read(_LONGEST_FILE) if options.from_json == "-" else _file(Path(options.from_json))
            value = json.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{options.from_json} cannot be read as JSON: {error}.") from error
        fields = value.get("fields", value) if isinstance(value, dict) else None
        if not isinstance(fields, dict):
            raise UsageError(f"{options.from_json} holds no fields of a VM: an object is expected.")
        yield from (
            (str(field), item) for field, item in fields.items() if field not in ("format", "uuid", "xml", "template")
        )
    for item in options.set:
        field, equals, text = item.partition("=")
        if not equals:
            raise UsageError(f"--set takes FIELD=JSON, not “{item[:60]}”.")
        try:
            yield field, json.loads(text)
        except ValueError:
            yield field, text  # a plain word needs no quotes


def _file(path: Path) -> str:
    if path.stat().st_size > _LONGEST_FILE:
        raise UsageError(f"{path} is larger than 4 MiB and was not read.")
    return path.read_text(encoding="utf-8")


def _with_field(draft: VmDraft, field: str, value: Any) -> VmDraft:
    from hpconsole.core.machines import editing
    from hpconsole.core.machines.field_values import from_json
    from hpconsole.core.machines.migration_mode import settled
    from hpconsole.core.machines.profile import with_type

    if field in ("uuid", "xml", "template", "profile", "shape_host", "shape_topology"):
        raise UsageError(f"The field {field} cannot be set.")
    new = from_json(field, value)
    if field == "optimized_for":
        return with_type(draft, new)
    if field == "memory_kib":
        return editing.with_memory(draft, new)
    if field == "topology":
        return editing.with_topology(draft, new)
    if field == "migration_mode":
        return editing.with_migration_mode(draft, new) if new is not draft.migration_mode else draft
    return settled(draft, replace(draft, **{field: new}))


def _topology(text: str) -> Any:
    from hpconsole.core.machines.draft import VcpuTopology

    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise UsageError(f"--topology takes sockets x cores x threads such as 2x4x2, not “{text[:40]}”.")
    sockets, cores, threads = map(int, parts)
    return VcpuTopology(sockets=sockets, cores=cores, threads=threads)


def _page(text: str) -> int:
    try:
        return size_kib(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"--huge-pages: {error}.") from error


def _pinned(draft: VmDraft, options: argparse.Namespace) -> VmDraft:
    from hpconsole.core.machines import editing
    from hpconsole.core.machines.draft import CpuPinningPolicy
    from hpconsole.core.model.vm import NumaMode

    for text in options.numa or ():
        draft = _with_numa(draft, text)
    if options.numa_mode is not None:
        mode = NumaMode(options.numa_mode)
        draft = replace(draft, numa_nodes=tuple(replace(node, mode=mode) for node in draft.numa_nodes))
    if options.pinning_policy is not None:
        draft = editing.with_policy(draft, CpuPinningPolicy(options.pinning_policy.replace("-", "_")))
    for text in options.pin or ():
        host, pins = _for_host(text)
        if draft.cpu_pinning_policy is CpuPinningPolicy.NONE:
            draft = editing.with_policy(draft, CpuPinningPolicy.MANUAL)
        draft = editing.with_pinning_text(draft, pins, host=host)
    if options.emulator is not None:
        draft = replace(draft, emulator_text=options.emulator)
    for text in options.io or ():
        thread, _, cpus = text.partition("#")
        if not thread.isdigit() or len(thread) > 5:
            raise UsageError(f"--io takes the number of an IO thread and its CPUs, such as 1#2-3, not “{text[:40]}”.")
        others = tuple(item for item in draft.iothread_texts if item[0] != int(thread))
        draft = replace(draft, iothread_texts=tuple(sorted((*others, (int(thread), cpus)))))
    return draft


def _for_host(text: str) -> tuple[str, str]:
    host, colon, rest = text.rpartition(":")
    return (host, rest) if colon else ("", text)


def _with_numa(draft: VmDraft, text: str) -> VmDraft:
    from hpconsole.core.machines import editing
    from hpconsole.core.planning.pinning_text import parse

    host, wanted = _for_host(text)
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 5 and not host:
        return editing.with_node_count(draft, int(wanted))
    for rule in parse(wanted):
        if rule.vcpu_id >= len(draft.numa_nodes):
            raise UsageError(
                f"There is no virtual node {rule.vcpu_id}: the VM has {len(draft.numa_nodes)}. Give their number "
                "first: --numa 2 --numa 0#0_1#1."
            )
        draft = editing.pin_node(draft, rule.vcpu_id, tuple(rule.cpus), host=host)
    return draft


def _with_devices(draft: VmDraft, options: argparse.Namespace) -> VmDraft:
    from hpconsole.core.machines.draft import NicDraft

    if options.no_disk:
        draft = replace(draft, disks=())
    elif options.disk and draft.is_new and not draft.template:
        draft = replace(draft, disks=())  # in the place of the one that is offered by default
    for text in options.disk or ():
        draft = replace(draft, disks=(*draft.disks, _disk(draft, text)))
    for text in options.cdrom or ():
        pool, slash, volume = text.partition("/")
        source: dict[str, Any] = (
            {"path": text} if not slash or text.startswith("/") else {"pool": pool, "volume": volume}
        )
        draft = replace(draft, disks=(*draft.disks, _cdrom(source)))
    networks = [("network", name) for name in options.network or ()] + [
        ("bridge", name) for name in options.bridge or ()
    ]
    if networks and draft.is_new and not draft.template:
        draft = replace(draft, nics=())
    for kind, name in networks:
        nics = () if name == "none" else (*draft.nics, NicDraft(kind=kind, source=name))
        draft = replace(draft, nics=nics)
    return draft


def _cdrom(source: dict[str, Any]) -> DiskDraft:
    from hpconsole.core.machines.draft import DiskDraft

    return DiskDraft(device="cdrom", bus="sata", format="raw", is_readonly=True, **source)


def _disk(draft: VmDraft, text: str) -> DiskDraft:
    from hpconsole.core.machines.draft import DiskDraft, volume_name

    if text.startswith("/"):
        return DiskDraft(path=text, format="raw" if text.endswith((".raw", ".img")) else "qcow2")
    pool, slash, volume = text.partition("/")
    if slash:
        return DiskDraft(pool=pool, volume=volume)
    pool, colon, rest = text.partition(":")
    if not colon:
        raise UsageError(f"--disk takes POOL:SIZE, POOL/VOLUME or a path, not “{text[:60]}”.")
    amount, _, form = rest.partition(":")
    form = form or "qcow2"
    try:
        size = size_kib(amount)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"--disk: {error}.") from error
    return DiskDraft(pool=pool, volume=volume_name(draft.name, len(draft.disks), form), format=form, create_kib=size)
