"""Making and editing VMs in libvirt's calls: the part of `LibvirtHost` behind `machine_port`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing

import libvirt

from hpconsole.core.hypervisor import lent_mark
from hpconsole.core.hypervisor.lent_mark import LentMark
from hpconsole.core.hypervisor.libvirt_connection import Connection
from hpconsole.core.hypervisor.machine_port import NewVolume, PoolRecord, VolumeRecord
from hpconsole.core.hypervisor.storage_xml import read_pool, read_volume, volume_xml
from hpconsole.core.model.cpuset import CpuSet


class MachineCalls:
    """See the module. What connects it to the host is `LibvirtHost`'s."""

    _connection: Connection
    _connect: Callable[[], Connection]

    def _domain(self, uuid: str) -> AbstractContextManager[libvirt.virDomain]:
        raise NotImplementedError

    def definition(self, uuid: str) -> str:
        """The persistent definition with its secrets."""
        with self._domain(uuid) as domain:
            return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)

    def rename(self, uuid: str, name: str) -> None:
        """Give a VM that is shut off another name."""
        with self._domain(uuid) as domain:
            domain.rename(name, 0)

    def pin_emulator(self, uuid: str, cpus: str, *, live: bool, config: bool) -> None:
        """Pin the emulator threads."""
        cpu_map = self._cpu_map(cpus)
        with self._domain(uuid) as domain:
            domain.pinEmulator(cpu_map, affected(live, config))

    def pin_iothread(self, uuid: str, thread: int, cpus: str, *, live: bool, config: bool) -> None:
        """Pin an IO thread."""
        cpu_map = self._cpu_map(cpus)
        with self._domain(uuid) as domain:
            domain.pinIOThread(thread, cpu_map, affected(live, config))

    def mark_lent(self, uuid: str, mark: LentMark | None) -> None:
        """Say in the running VM's metadata which CPUs its emulator threads are lent."""
        xml = None if mark is None else lent_mark.format_mark(mark)
        kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
        with self._domain(uuid) as domain:
            domain.setMetadata(kind, xml, lent_mark.KEY, lent_mark.NAMESPACE, affected(live=True, config=False))

    def set_memory(self, uuid: str, memory_kib: int, *, live: bool, config: bool) -> None:
        """Ask the balloon."""
        with self._domain(uuid) as domain:
            domain.setMemoryFlags(memory_kib, affected(live, config))

    def _cpu_map(self, cpus: str) -> tuple[bool, ...]:
        wanted = CpuSet.parse(cpus)
        with self._connection.use() as connection:
            count = connection.getCPUMap(0)[0]
        return tuple(cpu in wanted for cpu in range(max(count, max(wanted, default=0) + 1)))

    # --- storage -----------------------------------------------------------------

    def storage_pools(self) -> tuple[PoolRecord, ...]:
        """Every storage pool, by name."""
        with self._connection.use() as connection:
            pools = self._connection.optional(lambda: connection.listAllStoragePools(0)) or []
            records = []
            for pool in pools:
                xml = self._connection.optional(pool.XMLDesc)
                if xml is not None:
                    records.append(read_pool(xml, is_active=bool(pool.isActive())))
            return tuple(sorted(records, key=lambda record: record.name))

    def volumes(self, pool: str) -> tuple[VolumeRecord, ...]:
        """The volumes of a pool, which is looked through again first."""
        with self._connection.use(pool) as connection:
            place = connection.storagePoolLookupByName(pool)
            self._connection.optional(place.refresh)  # busy with another job: what it knew will do
            records = []
            for volume in place.listAllVolumes(0):
                xml = self._connection.optional(volume.XMLDesc)
                if xml is not None:
                    records.append(read_volume(xml))
            return tuple(sorted(records, key=lambda record: record.name))

    def create_volume(self, wanted: NewVolume) -> VolumeRecord:
        """Make a volume, on a connection of its own: a copy takes long (see `LibvirtHost`)."""
        with closing(self._connect()) as own, own.use(wanted.name) as connection:
            place = connection.storagePoolLookupByName(wanted.pool)
            if not wanted.clone_from:
                return read_volume(place.createXML(volume_xml(wanted), 0).XMLDesc(0))
            own.optional(place.refresh)
            original = place.storageVolLookupByName(wanted.clone_from)
            source = read_volume(original.XMLDesc(0))
            xml = volume_xml(wanted, source)
            made = place.createXML(xml, 0) if wanted.is_linked else place.createXMLFrom(xml, original, 0)
            return read_volume(made.XMLDesc(0))

    def delete_volume(self, pool: str, name: str) -> None:
        """Delete a volume and what is in it."""
        with self._connection.use(name) as connection:
            connection.storagePoolLookupByName(pool).storageVolLookupByName(name).delete(0)


def affected(live: bool, config: bool) -> int:
    """VIR_DOMAIN_AFFECT_*."""
    return (libvirt.VIR_DOMAIN_AFFECT_LIVE if live else 0) | (libvirt.VIR_DOMAIN_AFFECT_CONFIG if config else 0)
