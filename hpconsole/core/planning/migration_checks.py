"""May these VMs be migrated at all? The reference's checks in its order (behaviour.md D2), over plain facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpconsole.core.model.vm import MigrationMode

# What the user may override: a VM that is only to be migrated by hand.
FORCEABLE = "ACTION_TYPE_FAILED_VM_IS_NON_MIGRTABLE_AND_IS_NOT_FORCED_BY_USER_TO_MIGRATE"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why not. `kind` is the reference's message key; empty where it has none."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class VmFacts:
    """What the checks ask about one VM."""

    exists: bool = True
    is_in_backup: bool = False
    uses_scsi_reservation: bool = False
    is_architecture_supported: bool = True
    migrate_error: str | None = None  # what the VM itself says against it (mode, state), a message key
    has_plugged_snapshot: bool = False
    has_fixed_passthrough_nic: bool = False
    is_in_snapshot: bool = False
    has_locked_disk: bool = False
    cluster: str = ""
    has_possible_host: bool = True


def check_one(vm: VmFacts) -> Obstacle | None:
    """One VM, to a host that the scheduler chooses."""
    rules = (
        (not vm.exists, "ACTION_TYPE_FAILED_VM_NOT_FOUND", "The VM does not exist any more."),
        (vm.is_in_backup, "ACTION_TYPE_FAILED_VM_IS_DURING_BACKUP", "The VM is being backed up."),
        (
            vm.uses_scsi_reservation,
            "ACTION_TYPE_FAILED_VM_USES_SCSI_RESERVATION",
            "A plugged disk of the VM uses SCSI reservations, which do not move with it.",
        ),
        (not vm.is_architecture_supported, "MIGRATION_IS_NOT_SUPPORTED", "This architecture has no live migration."),
        (vm.migrate_error is not None, vm.migrate_error or "", "The VM cannot be migrated as it is."),
        (
            vm.has_plugged_snapshot,
            "ACTION_TYPE_FAILED_VM_HAS_PLUGGED_DISK_SNAPSHOT",
            "A disk snapshot is plugged into the VM.",
        ),
        (
            vm.has_fixed_passthrough_nic,
            "ACTION_TYPE_FAILED_MIGRATION_OF_NON_MIGRATABLE_PASSTHROUGH_VNICS_IS_NOT_SUPPORTED",
            "A passthrough interface of the VM cannot move.",
        ),
        (vm.is_in_snapshot, "ACTION_TYPE_FAILED_VM_IS_DURING_SNAPSHOT", "A snapshot of the VM is being made."),
        (vm.has_locked_disk, "ACTION_TYPE_FAILED_DISKS_LOCKED", "A disk of the VM is in use by another operation."),
        (not vm.has_possible_host, "", "No host can take the VM."),
    )
    return next((Obstacle(kind, sentence) for is_broken, kind, sentence in rules if is_broken), None)


def check_several(requested: int, vms: Sequence[VmFacts], *, is_forced: bool = False) -> Obstacle | None:
    """Several VMs in one go: one that cannot be migrated stops all, one that finds no host only itself.

    Args:
        requested: how many VMs were asked for.
        vms: the facts of those asked for, gone ones included.
        is_forced: the user wants VMs moved that are only to be migrated by hand.
    """
    if not requested:
        return Obstacle("ACTION_TYPE_FAILED_NO_VMS_SPECIFIED", "No VM was chosen.")
    known = [vm for vm in vms if vm.exists]
    if not known:
        return Obstacle("ACTION_TYPE_FAILED_VMS_NOT_FOUND", "None of the VMs exists any more.")
    if len({vm.cluster for vm in known}) > 1:
        return Obstacle(
            "ACTION_TYPE_FAILED_VMS_NOT_RUNNING_ON_SINGLE_CLUSTER", "The VMs are not all in the same cluster."
        )
    if len(known) < requested:
        return Obstacle("ACTION_TYPE_FAILED_VMS_NOT_FOUND", "Some of the VMs do not exist any more.")
    for vm in known:
        if vm.migrate_error is not None and not (is_forced and vm.migrate_error == FORCEABLE):
            return Obstacle(vm.migrate_error, "One of the VMs cannot be migrated as it is.")
    if not any(vm.has_possible_host for vm in known):
        return Obstacle("", "No host can take any of the VMs.")
    return None


def upgrade_problems(
    *,
    mode: MigrationMode,
    is_suspended: bool = False,
    has_cpu_pinning: bool = False,
    has_numa_pinning: bool = False,
    needs_passthrough: bool = False,
) -> tuple[Obstacle, ...]:
    """What speaks against moving a VM around for the sake of others; every reason.

    The reference refuses to upgrade a cluster that has such VMs. Here pins move with their VM, so that none of it
    forbids a move: who has the most of it is the last to be asked to step aside (`drain_room`).
    """
    rules = (
        (is_suspended, "CLUSTER_UPGRADE_DETAIL_VM_SUSPENDED", "It is suspended."),
        (has_cpu_pinning, "CLUSTER_UPGRADE_DETAIL_VM_CPUS_PINNED", "Its vCPUs are pinned."),
        (has_numa_pinning, "CLUSTER_UPGRADE_DETAIL_VM_NUMA_PINNED", "Its virtual NUMA nodes are pinned."),
        (
            mode is not MigrationMode.AUTOMATIC,
            "CLUSTER_UPGRADE_DETAIL_VM_NOT_MIGRATABLE",
            "It may not be migrated automatically.",
        ),
        (needs_passthrough, "CLUSTER_UPGRADE_DETAIL_VM_NEEDS_PASSTHROUGH", "It uses devices of its host."),
    )
    return tuple(Obstacle(kind, sentence) for is_broken, kind, sentence in rules if is_broken)
