"""Which volumes go with a VM that is deleted: its own that nobody else needs. Deletes them once it is gone.

Every function blocks and asks hosts: never on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hpconsole.core.amounts import names
from hpconsole.core.errors import HypervisorError, InvalidEdit
from hpconsole.core.hypervisor.domain_state import state_of
from hpconsole.core.hypervisor.machine_port import VolumeRecord
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.model.vm import Vm

_DEADLINE_S = 30.0
_ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class OwnVolumes:
    """`found`: the pool and the volume. `notes`: why a disk will be left, a sentence each."""

    found: tuple[tuple[str, VolumeRecord], ...] = ()
    notes: tuple[str, ...] = ()


def removable_disks(vm: Vm) -> tuple[str, ...]:
    """Where its disks lie that it may write to alone."""
    disks = (disk for disk in vm.devices.disks if disk.device == "disk" and not disk.is_shareable)
    return tuple(disk.source for disk in disks if disk.source and not disk.is_readonly)


def own_volumes(pool: ConnectionPool, vm: Vm, known: Iterable[Vm]) -> OwnVolumes:
    """What lies at the paths of its disks in the storage pools of its host.

    Args:
        known: Every VM the console knows.

    Raises:
        InvalidEdit: another VM names one of them, or another volume is an overlay over it.
        HypervisorError: the host cannot tell.
    """
    wanted = removable_disks(vm)
    if not wanted:
        return OwnVolumes()
    host = vm.host or ""
    named = {
        disk.source: other.name
        for other in known
        if other.uuid != vm.uuid
        for disk in other.devices.disks
        if disk.source
    }
    _refuse_named(vm, wanted, named)
    there: list[tuple[str, VolumeRecord]] = []
    for record in pool.call(host, lambda h: h.storage_pools(), deadline_s=_DEADLINE_S):
        if record.is_active:
            listed = pool.call(host, partial(_listing, pool_name=record.name), deadline_s=_DEADLINE_S)
            there += [(record.name, volume) for volume in listed]
    found = {volume.path: (place, volume) for place, volume in there if set(_names(place, volume)) & set(wanted)}
    _refuse_named(vm, [name for place, volume in found.values() for name in _names(place, volume)], named)
    for _, volume in there:
        if volume.backing_path in found and volume.path not in found:
            raise _kept(vm, volume.backing_path, f"{volume.path} is an overlay over it")
    taken = {name for place, volume in found.values() for name in _names(place, volume)}
    notes = tuple(f"{path} is left: it lies in no storage pool of {host}." for path in sorted({*wanted} - taken))
    return OwnVolumes(tuple(found.values()), notes)


def refuse_elsewhere(pool: ConnectionPool, vm: Vm) -> None:
    """Ask every host, at this moment, whether it has a process of this VM that writes to the disks.

    Raises:
        InvalidEdit: one has, or one does not answer.
    """
    silent: list[str] = []
    for host in pool.names():
        try:
            domains = pool.call(host, lambda h: h.sample().domains, deadline_s=_ASK_S)
        except HypervisorError:
            silent.append(host)
            continue
        if any(record.uuid == vm.uuid and state_of(record.state).is_active for record in domains):
            raise InvalidEdit(
                "vm",
                f"{vm.name} has a process on {host}, which writes to its disks: shut it down first. Nothing was "
                "deleted.",
                subject=vm.name,
            )
    if silent:
        raise InvalidEdit(
            "vm",
            f"{names(silent)} cannot be asked, and {vm.name} might run there and write to its disks. Nothing was "
            "deleted. Delete it with its disks once every host answers, or delete it without them.",
            subject=vm.name,
        )


def delete_volumes(pool: ConnectionPool, host: str, volumes: OwnVolumes) -> tuple[str, ...]:
    """A sentence for each disk that is left: the VM itself is gone already, so nothing here is an error."""
    notes = list(volumes.notes)
    for place, volume in volumes.found:
        try:
            pool.call(host, partial(_delete, pool_name=place, name=volume.name), deadline_s=_DEADLINE_S)
        except HypervisorError as error:
            notes.append(f"{volume.path} is left: {error.sentence}")
    return tuple(notes)


def _names(place: str, volume: VolumeRecord) -> tuple[str, str]:
    """How the disk of a VM may name it."""
    return volume.path, f"{place}/{volume.name}"


def _refuse_named(vm: Vm, sources: Sequence[str], named: Mapping[str, str]) -> None:
    for source in sources:
        if source in named:
            raise _kept(vm, source, f"it is a disk of {named[source]}, too")


def _kept(vm: Vm, path: str, why: str) -> InvalidEdit:
    return InvalidEdit(
        "vm",
        f"The disk {path} of {vm.name} cannot be deleted: {why}. Nothing was deleted. Delete {vm.name} without its "
        "disks.",
        subject=vm.name,
    )


def _listing(host: Hypervisor, *, pool_name: str) -> tuple[VolumeRecord, ...]:
    return host.volumes(pool_name)


def _delete(host: Hypervisor, *, pool_name: str, name: str) -> None:
    host.delete_volume(pool_name, name)
