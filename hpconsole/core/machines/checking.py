"""Is this a VM that can be had? Every field's problems, each a sentence with the reason. Pure.

Called while the user types and again before anything is written; the same for dialogs, command line and API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hpconsole.core.amounts import kib
from hpconsole.core.errors import HpconsoleError, InvalidEdit
from hpconsole.core.machines import checking_devices, checking_pinning
from hpconsole.core.machines.draft import Firmware, MigrationMode, VmDraft
from hpconsole.core.machines.field_labels import size
from hpconsole.core.machines.problem import Problem
from hpconsole.core.machines.reading import read_draft
from hpconsole.core.machines.surroundings import Surroundings, named
from hpconsole.core.machines.writing import render
from hpconsole.core.planning.vcpu_limits import LAST_APIC_ID, is_legacy_machine, most_vcpus

__all__ = ["Problem", "Surroundings", "check", "first", "has_errors"]

LONGEST_NAME = 200  # bytes: libvirt makes file names of it, and adds to them
_MOST_VCPUS = 710  # QEMU's q35 since 8.0; where hosts are known, they are asked
_LEAST_MEMORY_KIB = 1024
_NAME_CHARACTERS = re.compile(r"[\w.+@ -]*", re.UNICODE)
_CONTROL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check(draft: VmDraft, around: Surroundings) -> tuple[Problem, ...]:
    """Every problem, errors and warnings, in the order of the dialog's tabs.

    Threads: any; some milliseconds for a VM of usual size, so dialogs may call it at every key.
    """
    problems = [
        *_names(draft, around),
        *_system(draft, around),
        *_hosts(draft, around),
        *_resources(draft, around),
        *checking_pinning.check(draft, around),
        *checking_devices.check(draft, around),
        *_boot(draft),
    ]
    if not any(not problem.is_warning for problem in problems):
        problems += _writable(draft)
    return tuple(problems)


def first(problems: Sequence[Problem], field: str) -> Problem | None:
    """What is to be said at a field: its first error, else its first warning. Nested fields count for the whole."""
    mine = [p for p in problems if p.field == field or p.field.startswith(f"{field}.")]
    return next((p for p in mine if not p.is_warning), mine[0] if mine else None)


def has_errors(problems: Sequence[Problem]) -> bool:
    """Whether nothing may be saved."""
    return any(not problem.is_warning for problem in problems)


def _names(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    if (
        draft.is_new or not draft.xml or draft.name != read_draft(draft.xml).name
    ):  # a name that other tools gave may be strange
        problem = name_problem(draft.name)
        if problem:
            yield Problem("name", problem)
    other = next((vm for vm in around.names.get(draft.name, ()) if vm.uuid != draft.uuid), None)
    if other is not None:
        yield Problem("name", f"There is a VM named {draft.name[:60]} already, on {other.host}. Choose another name.")
    present = around.present(draft)
    if present is not None and present.state.is_active and present.name != draft.name:
        yield Problem("name", f"{present.name} is {present.state.value}; it can be renamed while it is shut off.")
    for field, text, longest in (("title", draft.title, 250), ("description", draft.description, 4096)):
        if len(text) > longest:
            yield Problem(field, f"{len(text):,} characters are too many: at most {longest:,}.")
        elif _CONTROL.search(text) or (field == "title" and "\n" in text):
            yield Problem(field, "It holds a control character, which the definition cannot keep. Take it out.")


def name_problem(name: str) -> str:
    """What is wrong with a name for a VM, template or pool; empty = nothing."""
    if not name.strip():
        return "A VM needs a name."
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        return (
            f"The name is {len(name)} characters long; at most {LONGEST_NAME} bytes (letters beyond ASCII take more)."
        )
    wrong = next((c for c in name if not _NAME_CHARACTERS.fullmatch(c)), "")
    if wrong:
        shown = f"“{wrong}”" if wrong.isprintable() else f"U+{ord(wrong):04X}"
        return f"The name cannot hold {shown}: only letters, digits, blanks and . _ - + @ are possible."
    if name != name.strip() or name.startswith((".", "-")):
        return "The name cannot begin or end with a blank, nor begin with a full stop or a hyphen."
    return ""


def _system(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    topology = draft.topology
    parts = (topology.sockets, topology.dies, topology.cores, topology.threads)
    if min(parts) < 1:
        yield Problem("topology", "Sockets, dies, cores and threads are at least 1 each.")
    else:
        yield from _vcpus(draft, around)
    yield from _memory(draft, around)
    hosts = around.chosen(draft)
    usable = [host for host in hosts if not host.cpu.usable_models or draft.cpu_model in host.cpu.usable_models]
    if draft.cpu_mode == "custom" and not draft.cpu_model:
        yield Problem("cpu_model", "A named CPU model is wanted: choose one.")
    elif draft.cpu_mode == "custom" and hosts and not usable:
        sentence = f"None of the hosts ({named(hosts)}) offers all of the CPU model {draft.cpu_model[:60]}."
        yield Problem("cpu_model", sentence, is_warning=True)
    if draft.is_passthrough_cpu and draft.arch.startswith("ppc"):
        yield Problem("cpu_mode", "Pass-through host CPU is not possible on POWER.")
    if draft.is_passthrough_cpu and draft.virt_type == "qemu":
        yield Problem("cpu_mode", "Pass-through host CPU needs KVM; software emulation has no host CPU.")
    known = [host for host in hosts if host.machine_types]
    if draft.machine and known and not any(draft.machine in host.machine_types for host in known):
        yield Problem("machine", f"None of the hosts ({named(known)}) knows the machine type {draft.machine[:60]}.")


def _vcpus(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    count = draft.vcpus
    known = [(host.topology.threads or len(host.topology.cpus), host) for host in around.chosen(draft)]
    known = [(threads, host) for threads, host in known if threads]
    if known:
        most, largest = max(known, key=lambda pair: pair[0])
        if count > most:
            yield Problem(
                "topology", f"{count:,} vCPUs are more than any host has CPUs: {largest.name} has the most, {most:,}."
            )
    elif count > _MOST_VCPUS:
        yield Problem("topology", f"{count:,} vCPUs are too many: QEMU takes up to {_MOST_VCPUS}.")
    if draft.arch in {"x86_64", "i686"} and is_legacy_machine(draft.machine):
        shape, limit = draft.topology, LAST_APIC_ID + 1
        most = most_vcpus(shape, max_vcpus=limit, max_sockets=limit, is_legacy_x86=True)
        if count > most:
            cores = shape.dies * shape.cores
            yield Problem(
                "topology",
                f"Machine type {draft.machine[:60]} takes at most {most:,} vCPUs in sockets of {cores:,} cores with "
                f"{shape.threads:,} threads each. Choose q35, or another shape.",
            )
    if not 1 <= draft.vcpus_now <= count:
        yield Problem("vcpus_now", f"{draft.vcpus_now:,} vCPUs cannot be plugged in: 1 to {count:,}.")


def _memory(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    memory = draft.memory_kib
    if memory < _LEAST_MEMORY_KIB:
        yield Problem("memory_kib", "A VM needs memory: at least 1 MiB.")
        return
    known = [(host.memory_kib, host) for host in around.chosen(draft) if host.memory_kib]
    if known:
        most, largest = max(known, key=lambda pair: pair[0])
        if memory > most:
            yield Problem(
                "memory_kib",
                f"{size(memory)} are more than any host has: {largest.name} has the most, {kib(most)}.",
            )
    elif memory > 2**44:
        yield Problem("memory_kib", f"{size(memory)} are more than any host can have.")
    if not 0 < draft.memory_now_kib <= memory:
        yield Problem("memory_now_kib", f"The balloon can give the VM up to {size(memory)}, and not nothing.")


def _hosts(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    unknown = [name for name in draft.allowed_hosts if name not in around.snapshot.hosts]
    if unknown:
        yield Problem("allowed_hosts", f"There is no host named {unknown[0][:60]} in this console.")
    if len(set(draft.allowed_hosts)) < len(draft.allowed_hosts):
        yield Problem("allowed_hosts", "A host is named twice.")
    present = around.present(draft)
    runs_on = present.host if present is not None and present.is_running_somewhere else None
    is_elsewhere = bool(draft.allowed_hosts) and runs_on is not None and runs_on not in draft.allowed_hosts
    if is_elsewhere and draft.migration_mode is MigrationMode.DO_NOT_MIGRATE:
        yield Problem(
            "migration_mode",
            f"It runs on {runs_on}, which is not among its specific hosts, and may not be migrated away. "
            f"Add {runs_on}, or allow manual migration.",
        )
    if not 1 <= draft.priority <= 100:
        yield Problem("priority", "The priority goes from 1 to 100.")
    if draft.high_availability and len(draft.allowed_hosts) == 1:
        only = draft.allowed_hosts[0][:60]
        yield Problem(
            "high_availability",
            f"Only {only} may run it, so it cannot be started anywhere else when {only} fails.",
            is_warning=True,
        )


def _resources(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    if not 0 <= draft.iothreads <= 64:
        yield Problem("iothreads", f"{draft.iothreads:,} IO threads are not possible: 0 to 64.")
    if draft.cpu_shares is not None and not 2 <= draft.cpu_shares <= 262_144:
        yield Problem("cpu_shares", "CPU shares go from 2 to 262,144.")
    page = draft.huge_page_kib
    if page is None:
        return
    if page < 4 or page & (page - 1):
        yield Problem("huge_page_kib", f"{page:,} KiB is no page size: those are powers of two, such as 2,048.")
    elif draft.memory_kib % page:
        yield Problem("huge_page_kib", f"The memory, {size(draft.memory_kib)}, is no multiple of {size(page)}.")
    else:
        hosts = around.chosen(draft)
        told = [host for host in hosts if host.topology.nodes]
        lacking = [h for h in told if not any(s == page for n in h.topology.nodes for s, _ in n.page_totals)]
        if told and len(lacking) == len(told):
            yield Problem("huge_page_kib", f"None of the hosts ({named(told)}) has huge pages of {size(page)}.")
        elif lacking and draft.allowed_hosts:
            yield Problem("huge_page_kib", f"{named(lacking)} has no huge pages of {size(page)}.", is_warning=True)


def _boot(draft: VmDraft) -> Iterator[Problem]:
    unknown = [name for name in draft.boot_devices if name not in ("hd", "cdrom", "network", "fd")]
    if unknown:
        yield Problem("boot_devices", f"“{unknown[0][:30]}” is nothing to boot from: hd, cdrom, network or fd.")
    if len(set(draft.boot_devices)) < len(draft.boot_devices):
        yield Problem("boot_devices", "A boot device is named twice.")
    if "network" in draft.boot_devices and not draft.nics:
        yield Problem("boot_devices", "It is to boot from the network, but has no network interface.", is_warning=True)
    if draft.firmware is Firmware.UEFI_SECURE and draft.machine and "q35" not in draft.machine:
        yield Problem("firmware", f"Secure boot needs a q35 machine, not {draft.machine[:60]}.")


def _writable(draft: VmDraft) -> list[Problem]:
    """Whether it can be written down at all: the last net, for what no rule above names."""
    try:
        render(draft)
    except InvalidEdit as error:
        return [Problem(error.field, error.sentence)]
    except HpconsoleError as error:
        return [Problem("xml", error.sentence)]
    return []
