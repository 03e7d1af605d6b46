"""What stands against a migration, or should be known before it: every check over what the snapshot knows. Pure.

What only the hosts can answer (is the CPU good enough there, is the disk there) is asked by `execution.checking`, which
adds its findings to these. Errors block; warnings can be accepted; notes only tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.model.host import Host, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode, Vm
from hpconsole.core.planning.migration_checks import VmFacts, check_one
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.migration_threads import UNCHANGED, ThreadPlaces
from hpconsole.core.scheduler.units import Refusal

_SAFE_CACHE = ("", "default", "none", "directsync")
_LOCAL_DISKS = ("file", "block", "dir")


class Severity(StrEnum):
    """What a finding means for the migration."""

    ERROR = "error"  # it cannot be done, or would lose something
    WARNING = "warning"  # it may fail, or hurt; the user may accept it
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `remedy`: what to do about it, a sentence; empty for notes."""

    kind: str  # stable, for scripts: cpu, storage, device ...
    severity: Severity
    sentence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Preflight:
    """All findings about moving one VM to one host, errors first."""

    vm_uuid: str
    vm_name: str
    source: str
    destination: str
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What blocks it."""
        return tuple(one for one in self.findings if one.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What has to be accepted."""
        return tuple(one for one in self.findings if one.severity is Severity.WARNING)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, warnings, notes; each once."""
    order = list(Severity)
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: order.index(one.severity)))


def findings_of(
    vm: Vm,
    destination: str,
    snapshot: ClusterSnapshot,
    refusals: Iterable[Refusal] = (),
    options: MigrationOptions | None = None,
    *,
    will_help: str = "",
    threads: ThreadPlaces = UNCHANGED,
) -> tuple[Finding, ...]:
    """Everything the snapshot knows against moving this VM there.

    Args:
        refusals: why the scheduler refuses the destination: CPU, memory, huge pages, networks, devices, machine type,
            TSC frequency, pinning, rules.
        will_help: what would make it accept, in a sentence.
        threads: where its migration threads would run.
    """
    there = snapshot.hosts.get(destination)
    if there is None:
        return (
            Finding("destination", Severity.ERROR, f"There is no host named {destination}.", "Choose another host."),
        )
    source = snapshot.hosts.get(vm.host or "")
    found = [*_of_vm(vm, snapshot), *_of_destination(vm, there, snapshot)]
    found += [
        Finding(_KINDS.get(one.unit, "scheduler"), Severity.ERROR, one.sentence, will_help or "Choose another host.")
        for one in refusals
    ]
    found += [*_of_disks(vm), *_of_devices(vm)]
    if source is not None:
        found += _of_versions(source, there)
    found += _of_threads(vm, there, options or MigrationOptions(), threads)
    return in_order(found)


_KINDS = {
    "CPU-Level": "cpu",
    "Emulated-Machine": "machine_type",
    "Network": "network",
    "HostDevice": "device",
    "MDevice": "device",
    "Migration-Tsc-Frequency": "tsc",
    "HugePages": "huge_pages",
    "Memory": "memory",
    "Swap": "memory",
    "NUMA": "numa",
    "CpuPinning": "cpu_pinning",
    "PinToHost": "rule",
    "Host status": "destination",
}


def _of_vm(vm: Vm, snapshot: ClusterSnapshot) -> list[Finding]:
    # Not at the top: the scheduler (numpy) comes with it, and a window loads this module for its values.
    from hpconsole.core.planning.migrate import why_not_movable

    problem = why_not_movable(vm, snapshot)
    if problem:
        return [Finding("vm", Severity.ERROR, problem, "Mend that first, then check again.")]
    obstacle = check_one(facts_of(vm))
    if obstacle is not None:
        return [Finding("vm", Severity.ERROR, f"{vm.name}: {obstacle.sentence}", "Change the VM, then check again.")]
    if vm.intent.migration_mode is MigrationMode.MANUAL:
        return [Finding("migration_mode", Severity.NOTE, f"{vm.name} is only ever moved by hand.")]
    return []


def facts_of(vm: Vm) -> VmFacts:
    """What the reference's checks ask, of a VM as libvirt has it."""
    fixed = [nic for nic in vm.devices.nics if nic.kind == "hostdev"]
    can_all_move = all(device.is_migratable for device in vm.devices.assigned)
    return VmFacts(
        uses_scsi_reservation=any(disk.has_reservation for disk in vm.devices.disks),
        has_fixed_passthrough_nic=bool(fixed) and not can_all_move,
        is_in_backup="backup" in vm.state_reason,
        is_in_snapshot="snapshot" in vm.state_reason,
    )


def _of_destination(vm: Vm, there: Host, snapshot: ClusterSnapshot) -> list[Finding]:
    found = []
    if there.link.state is not LinkState.CONNECTED:
        words = f"{there.name} is {there.link.state.value}. {there.link.problem}".strip()
        found.append(Finding("destination", Severity.ERROR, words, "Choose another host, or wait until it answers."))
    for other in snapshot.vms.values():
        is_there = other.host == there.name or there.name in other.other_hosts
        if other.uuid != vm.uuid and other.name == vm.name and is_there:
            found.append(
                Finding(
                    "name",
                    Severity.ERROR,
                    f"{there.name} has another VM named {vm.name} ({other.uuid}).",
                    "Rename one of the two.",
                )
            )
    if there.name in vm.other_hosts:
        found.append(
            Finding(
                "uuid",
                Severity.WARNING,
                f"{there.name} has a definition of {vm.name} already; it will be replaced by the one that runs now.",
                f"Undefine it on {there.name} if it should not be.",
            )
        )
    return found


def _of_disks(vm: Vm) -> list[Finding]:
    found = []
    for disk in vm.devices.disks:
        if disk.cache not in _SAFE_CACHE and not disk.is_readonly and disk.kind in _LOCAL_DISKS:
            found.append(
                Finding(
                    "cache",
                    Severity.WARNING,
                    f"Disk {disk.target} of {vm.name} uses cache mode {disk.cache}: what the source has in its memory "
                    "may be missing on the destination, and libvirt may refuse.",
                    "Set its cache mode to none or directsync.",
                )
            )
    return found


def _of_devices(vm: Vm) -> list[Finding]:
    found = [
        Finding(
            "device",
            Severity.ERROR,
            f"{vm.name} has the host device {device.kind} {device.address}, whose state cannot be moved.",
            "Unplug it first, or shut the VM down to move it.",
        )
        for device in vm.devices.assigned
        if not device.is_migratable
    ]
    if vm.devices.has_tpm_state:
        found.append(
            Finding(
                "tpm",
                Severity.WARNING,
                f"{vm.name} has a TPM, whose state moves only where both hosts run the same swtpm.",
                "See that swtpm is installed on the destination, and keep a copy of the TPM's state.",
            )
        )
    if vm.devices.has_nvram:
        found.append(
            Finding(
                "nvram",
                Severity.NOTE,
                f"The UEFI variables of {vm.name} move with its memory; the destination writes a file of its own, and "
                "libvirt leaves the source's where it is.",
            )
        )
    return found


def _of_versions(source: Host, there: Host) -> list[Finding]:
    found = []
    for name, ours, theirs in (
        ("QEMU", source.hypervisor_version, there.hypervisor_version),
        ("libvirt", source.libvirt_version, there.libvirt_version),
    ):
        if ours is not None and theirs is not None and theirs < ours:
            found.append(
                Finding(
                    "version",
                    Severity.WARNING,
                    f"{there.name} has {name} {_version(theirs)}, {source.name} the newer {_version(ours)}: a guest "
                    "that was started on the newer one may not be taken by the older.",
                    f"Update {there.name} first.",
                )
            )
    return found


def _of_threads(vm: Vm, there: Host, options: MigrationOptions, threads: ThreadPlaces) -> list[Finding]:
    """Migration threads run where the emulator's may: kept off guests' CPUs meanwhile, unless there are no others."""
    kind, source = "migration_threads", vm.host or ""
    if threads.is_crowded:
        is_parallel = options.parallel_connections is not None
        words = "its parallel connections take" if is_parallel else "its migration thread takes"
        severity = Severity.WARNING if is_parallel else Severity.NOTE
        words = f"Guests own every CPU of {source}: {words} time from them while {vm.name} moves."
        return [Finding(kind, severity, words, f"Leave a core of each node of {source} to the host.")]
    sentence = threads.sentence(source, there.name)
    return [Finding(kind, Severity.NOTE, sentence)] if sentence else []


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
