"""Everything that is known of one VM, as sections of facts: what it is meant to have, what it has now. No Qt.

The picture of its pinning and its past migrations are asked on a worker thread (`look_closer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from hpconsole.core.errors import StorageError
from hpconsole.core.execution.journal import Journal
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinningPolicy, NumaPin, Vm, VmLoad
from hpconsole.ui import format as fmt
from hpconsole.ui.history.presenter import grouped, of_vm, when
from hpconsole.ui.main_window.vm_rows import MODE_TEXT, TYPE_TEXT, nodes_text
from hpconsole.ui.migrate.picture import HostPicture, picture, present_placement
from hpconsole.ui.tone import Tone

_MOST_DEVICES = 12
_MOST_PAST = 5
_LOOKED_THROUGH = 1000
_POLICIES = {
    CpuPinningPolicy.NONE: "not pinned",
    CpuPinningPolicy.MANUAL: "the same CPU numbers on every host",
    CpuPinningPolicy.RESIZE_AND_PIN_NUMA: "resized and pinned to the host's nodes",
    CpuPinningPolicy.DEDICATED: "CPUs of its own, computed for each host",
    CpuPinningPolicy.ISOLATE_THREADS: "a whole core for each vCPU",
    CpuPinningPolicy.KEEP_SHAPE: "its present shape, on CPUs of its own on each host",
}


class Fact(NamedTuple):
    """One line."""

    what: str
    value: str
    tone: Tone = Tone.NORMAL


class Section(NamedTuple):
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Closer:
    """What takes a moment: the picture of its pinning now, and its latest migrations."""

    vm_uuid: str
    picture: HostPicture | None
    past: tuple[Fact, ...]


def sections(vm: Vm, load: VmLoad | None) -> tuple[Section, ...]:
    """What can be said at once."""
    found = (
        Section("Meant to have", tuple(_meant(vm))),
        Section("Has now", tuple(_now(vm, load))),
        Section("Devices", tuple(_devices(vm))),
    )
    return tuple(section for section in found if section.facts)


def look_closer(vm_uuid: str, snapshot: ClusterSnapshot, journal: Journal | None) -> Closer:
    """The rest. Computes and reads a disk: worker threads only."""
    vm = snapshot.vms.get(vm_uuid)
    return Closer(vm_uuid, _picture(vm, snapshot) if vm is not None else None, _past(vm_uuid, journal))


def _meant(vm: Vm) -> list[Fact]:
    intent = vm.intent
    facts = [
        Fact("Optimized for", TYPE_TEXT[intent.optimized_for]),
        Fact("Migration", MODE_TEXT[intent.migration_mode]),
        Fact("Hosts", fmt.names(intent.allowed_hosts, 6) if intent.allowed_hosts else "any in the cluster"),
        Fact("CPU pinning", _POLICIES[intent.cpu_pinning_policy]),
    ]
    if intent.numa_pins:
        facts.append(Fact("NUMA", "; ".join(_numa(pin) for pin in intent.numa_pins)))
    if intent.high_availability:
        facts.append(Fact("High availability", f"restarted elsewhere, priority {intent.priority}"))
    if intent.template:
        facts.append(Fact("Made from", intent.template))
    if intent.labels:
        facts.append(Fact("Labels", ", ".join(sorted(intent.labels))))
    if intent.problem:
        facts.append(Fact("Problem", intent.problem, Tone.WARNING))
    elif not intent.is_stored:
        facts.append(Fact("", "Read from its definition; nothing was written to it.", Tone.MUTED))
    return facts


def _numa(pin: NumaPin) -> str:
    where = f"host {nodes_text(CpuSet.of(pin.host_nodes))}" if pin.host_nodes else "any one node"
    return f"virtual node {pin.node_id} on {where} ({pin.mode.value})"


def _now(vm: Vm, load: VmLoad | None) -> list[Fact]:
    topology = vm.topology
    shape = f"{topology.sockets} × {topology.cores * topology.dies} × {topology.threads}"
    facts = [
        Fact("vCPUs", f"{vm.vcpus}  ({shape} sockets, cores, threads)"),
        Fact(
            "Memory",
            fmt.kib(vm.memory_kib) + (f" in {fmt.page_size(vm.huge_page_kib)} pages" if vm.huge_page_kib else ""),
        ),
    ]
    if load is not None and vm.state.is_active:
        facts.append(Fact("CPU load", f"{fmt.pct(load.cpu_pct / max(1, vm.vcpus))} of its vCPUs"))
    for node in vm.virtual_nodes:
        where = f" on host {nodes_text(CpuSet.of(node.host_nodes))} ({node.mode.value})" if node.host_nodes else ""
        facts.append(
            Fact(f"Virtual node {node.node_id}", f"vCPU {node.vcpus.format()}, {fmt.kib(node.memory_kib)}{where}")
        )
    if vm.numa_tune is not None:
        facts.append(Fact("Memory bound to", f"{nodes_text(vm.numa_tune.nodeset)} ({vm.numa_tune.mode.value})"))
    for helper, cpus in (("Emulator", vm.pinning.emulator), *((f"IO thread {i}", c) for i, c in vm.pinning.iothreads)):
        if cpus is not None:
            facts.append(Fact(helper, f"CPU {cpus.format()}"))
    machine = " ".join(word for word in (vm.machine, vm.arch, vm.virt_type) if word)
    cpu = " ".join(word for word in (vm.cpu.mode, vm.cpu.model) if word)
    facts += [Fact("CPU model", cpu)] * bool(cpu) + [Fact("Machine", machine)] * bool(machine)
    if vm.other_hosts:
        facts.append(Fact("Also defined on", fmt.names(vm.other_hosts, 6), Tone.WARNING))
    if vm.also_running_on:
        facts.append(Fact("Also running on", fmt.names(vm.also_running_on, 6), Tone.BAD))
    if vm.problem:
        facts.append(Fact("Problem", vm.problem, Tone.WARNING))
    return facts


def _devices(vm: Vm) -> list[Fact]:
    devices = vm.devices
    facts = [Fact(f"Disk {disk.target}", disk.source or disk.kind) for disk in devices.disks]
    facts += [Fact("Network", " ".join((nic.kind, nic.source)).strip()) for nic in devices.nics]
    facts += [
        Fact(
            "Host device",
            f"{device.kind} {device.address}{'' if device.is_migratable else ', cannot be migrated'}",
            Tone.NORMAL if device.is_migratable else Tone.WARNING,
        )
        for device in devices.assigned
    ]
    facts += [Fact("TPM", "has a state that moves with it")] * devices.has_tpm_state
    facts += [Fact("UEFI", "has variables that move with it")] * devices.has_nvram
    more = len(facts) - _MOST_DEVICES
    return facts if more <= 0 else [*facts[:_MOST_DEVICES], Fact("", f"and {more} more", Tone.MUTED)]


def _picture(vm: Vm, snapshot: ClusterSnapshot) -> HostPicture | None:
    present = present_placement(vm)
    host = snapshot.hosts.get(vm.host or "")
    if host is None or not vm.state.is_active or present.is_free:
        return None
    from hpconsole.core.scheduler.occupancy import occupancy  # numpy comes with it

    taken = occupancy(host, tuple(snapshot.vms.values()), without=frozenset({vm.uuid}))
    return picture(f"Pinned on {host.name}", taken, present)


def _past(vm_uuid: str, journal: Journal | None) -> tuple[Fact, ...]:
    if journal is None:
        return ()
    try:
        entries = of_vm(grouped(journal.records(_LOOKED_THROUGH)), vm_uuid)
    except StorageError as error:
        return (Fact("", error.sentence, Tone.WARNING),)
    now = datetime.now(UTC)
    return tuple(
        Fact(
            when(entry.began_at, now),
            f"{entry.last.source} → {entry.last.destination}: {entry.outcome_text}"
            + (f" in {fmt.seconds(entry.total_s)}" if entry.total_s is not None else ""),
            entry.mark[1] if entry.mark[1] is not Tone.GOOD else Tone.NORMAL,
        )
        for entry in entries[:_MOST_PAST]
    )
