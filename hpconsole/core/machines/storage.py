"""Which storage pools and volumes has a host, in which volume lies a disk, and a template's own copies of disks.

Every function blocks and asks the host: never on the GUI thread.
"""

from __future__ import annotations

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.hypervisor.machine_port import NewVolume, PoolRecord, VolumeRecord
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.machines.draft import VmDraft, volume_name
from hpconsole.core.machines.templates import TemplateDisk

DEADLINE_S = 30.0


def pools(pool: ConnectionPool, host: str) -> tuple[PoolRecord, ...]:
    """Every storage pool of a host, by name.

    Raises:
        HypervisorError: the host does not answer.
    """
    return pool.call(host, lambda h: h.storage_pools(), deadline_s=DEADLINE_S)


def volumes(pool: ConnectionPool, host: str, name: str) -> tuple[VolumeRecord, ...]:
    """The volumes of a pool, by name.

    Raises:
        HypervisorError: the host does not answer, or has no such active pool.
    """
    return pool.call(host, lambda h: h.volumes(name), deadline_s=DEADLINE_S)


def located(pool: ConnectionPool, host: str, paths: frozenset[str]) -> dict[str, tuple[str, VolumeRecord]]:
    """The pool and volume of each of these paths, as far as they lie in active pools."""
    found: dict[str, tuple[str, VolumeRecord]] = {}
    for record in pools(pool, host):
        if not record.is_active or paths <= set(found):
            continue
        for volume in volumes(pool, host, record.name):
            for path in (volume.path, f"{record.name}/{volume.name}"):
                if path in paths:
                    found.setdefault(path, (record.name, volume))
    return found


def template_disks(
    pool: ConnectionPool, host: str, draft: VmDraft, template: str, *, with_content: bool
) -> tuple[TemplateDisk, ...]:
    """What becomes of each disk in VMs from the template; with content, copies are made now.

    Args:
        with_content: Copy what is on the disks (the VM has to be shut off); else new VMs get empty ones of this size.

    Raises:
        InvalidEdit: a disk lies in no storage pool, so nothing can be made of it.
        HypervisorError: the host refused; copies that were made stay and are named in no template.
    """
    own = [disk for disk in draft.disks if disk.device == "disk" and not disk.is_shareable]
    sources = {disk.key: disk.path or f"{disk.pool}/{disk.volume}" for disk in own}
    where = located(pool, host, frozenset(sources.values()))
    result = []
    for place, disk in enumerate(own):
        if sources[disk.key] not in where:
            raise InvalidEdit(
                "disks",
                f"{sources[disk.key]} lies in no active storage pool of {host}, so no copy of it can be made. "
                "Move it into a pool, or take the disk out.",
            )
        place_, volume = where[sources[disk.key]]
        if with_content:
            name = volume_name(f"template-{template}", place, volume.format)
            wanted = NewVolume(place_, name, volume.format, None, volume.name)
            pool.hypervisor(host).create_volume(wanted)  # takes as long as copying takes: not on the lane
            result.append(TemplateDisk(disk.key, place_, name, volume.format))
        else:
            result.append(TemplateDisk(disk.key, place_, "", volume.format, volume.capacity_kib))
    return tuple(result)
