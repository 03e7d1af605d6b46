"""Whether a migration or high availability holds a VM, so that it must not be deleted now. Asks no host."""

from __future__ import annotations

from collections.abc import Iterable

from hpconsole.core.availability.definitions import KIND
from hpconsole.core.keeping import Documents
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.reservations import Reservation


def why_held(vm_uuid: str, snapshot: ClusterSnapshot, reservations: Iterable[Reservation], documents: Documents) -> str:
    """Why this VM is not to be deleted, a sentence; empty where nothing speaks against it.

    Raises:
        StorageError: what high availability has written down cannot be read.
    """
    vm = snapshot.vms.get(vm_uuid)
    if vm is None:
        return ""
    busy = [reservation.host for reservation in reservations if reservation.vm_uuid == vm_uuid]
    if busy:
        return f"{vm.name} is about to move to {busy[0]}: wait for the end of that migration, or cancel it."
    if vm.is_migrating:
        return f"{vm.name} is being migrated: wait for the end, or cancel it."
    if vm.process_hosts:
        return f"{vm.name} has a process on {vm.process_hosts[0]}: shut it down first."
    kept = documents.get(KIND, vm_uuid) if vm.intent.high_availability else None
    if kept is not None and kept.get("died"):
        return (
            f"High availability is about to restart {vm.name}, which ended without being asked to. Switch its high "
            "availability off (Edit VM) or shut it down once it runs, then delete it."
        )
    return ""
