"""Making and editing VMs on a simulated host: the part of `SimulatedHost` behind `machine_port`.

Every host has the pools `images`, its own, and `shared`, the same on all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from lxml import etree

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import lent_mark
from hpconsole.core.hypervisor.lent_mark import LentMark
from hpconsole.core.hypervisor.machine_port import NewVolume, PoolRecord, VolumeRecord
from hpconsole.core.hypervisor.port import DomainEventKind
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.simulated.daemon import Daemon
from hpconsole.core.hypervisor.simulated.demand import read_domain
from hpconsole.core.hypervisor.simulated.edits import insert_after, with_metadata
from hpconsole.core.hypervisor.simulated.guests import inactive_xml
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err
from hpconsole.core.hypervisor.simulated.refusals import refused
from hpconsole.core.hypervisor.simulated.world import World
from hpconsole.core.hypervisor.simulated.xml_format import format_xml
from hpconsole.core.hypervisor.xml_values import some_number_set

POOLS = {"images": "/var/lib/libvirt/images", "shared": "/srv/shared"}
_POOL_KIB = 4 << 30  # 4 TiB


class SimulatedMachineCalls:
    """See the module. What connects it to the host is `SimulatedHost`'s."""

    _world: World

    def _calling(self) -> AbstractContextManager[Daemon]:
        raise NotImplementedError

    @staticmethod
    def _edit(daemon: Daemon, uuid: str, edit: Callable[[str], str], *, live: bool, config: bool) -> None:
        raise NotImplementedError

    def definition(self, uuid: str) -> str:
        """The persistent definition. Simulated VMs hold no secrets."""
        with self._calling() as daemon:
            domain = daemon.domain(uuid)
            if domain.definition is not None:
                return domain.definition
            return format_xml(inactive_xml_of(daemon, domain.document))

    def rename(self, uuid: str, name: str) -> None:
        """Give a VM that is shut off another name."""
        with self._calling() as daemon:
            domain = daemon.domain(uuid)
            if domain.is_active or domain.definition is None:
                raise refused(daemon.name, Err.OPERATION_INVALID, "cannot rename active domain", vm=domain.name)
            if any(other.name == name for other in daemon.domains.values() if other is not domain):
                words = f"domain with name '{name}' already exists"
                raise refused(daemon.name, Err.OPERATION_INVALID, words, vm=domain.name)
            root, _ = read_domain(daemon.name, domain.definition)
            tag = root.find("name")
            if tag is not None:
                tag.text = name
            domain.define(*read_domain(daemon.name, format_xml(root)))
            daemon.changed()

    def pin_emulator(self, uuid: str, cpus: str, *, live: bool, config: bool) -> None:
        """Pin the emulator threads."""
        with self._calling() as daemon:
            pin = _thread_pin(daemon, "emulatorpin", {}, cpus)
            self._edit(daemon, uuid, pin, live=live, config=config)

    def pin_iothread(self, uuid: str, thread: int, cpus: str, *, live: bool, config: bool) -> None:
        """Pin an IO thread."""
        with self._calling() as daemon:
            pin = _thread_pin(daemon, "iothreadpin", {"iothread": str(thread)}, cpus)
            self._edit(daemon, uuid, pin, live=live, config=config)

    def mark_lent(self, uuid: str, mark: LentMark | None) -> None:
        """Say in the running VM's metadata which CPUs its emulator threads are lent."""
        own = None if mark is None else lent_mark.format_mark(mark)
        key, namespace = lent_mark.KEY, lent_mark.NAMESPACE
        with self._calling() as daemon:
            domain = daemon.domain(uuid)

            def edit(xml: str) -> str:
                return with_metadata(daemon.name, xml, own, key=key, namespace=namespace)

            self._edit(daemon, uuid, edit, live=True, config=False)
            self._world.tell(daemon, DomainEventKind.METADATA, domain, namespace)

    def set_memory(self, uuid: str, memory_kib: int, *, live: bool, config: bool) -> None:
        """Ask the balloon, which does it at once."""
        with self._calling() as daemon:
            name = daemon.domain(uuid).name

            def edit(xml: str) -> str:
                root, demand = read_domain(daemon.name, xml)
                if memory_kib > demand.memory_kib:
                    words = "cannot set memory higher than max memory"
                    raise refused(daemon.name, Err.INVALID_ARG, words, vm=name)
                now = root.find("currentMemory")
                if now is None:
                    now = etree.Element("currentMemory", unit="KiB")
                    insert_after(root, now, ("memory",))
                now.set("unit", "KiB")
                now.text = str(memory_kib)
                return format_xml(root)

            self._edit(daemon, uuid, edit, live=live, config=config)

    # --- storage -----------------------------------------------------------------

    def storage_pools(self) -> tuple[PoolRecord, ...]:
        """Every storage pool, by name."""
        with self._calling() as daemon:
            return tuple(
                PoolRecord(name, "dir", path, True, _POOL_KIB, _POOL_KIB - self._used_kib(daemon, name))
                for name, path in POOLS.items()
            )

    def volumes(self, pool: str) -> tuple[VolumeRecord, ...]:
        """The volumes of a pool."""
        with self._calling() as daemon:
            return tuple(sorted(self._volumes(daemon, pool).values(), key=lambda volume: volume.name))

    def create_volume(self, wanted: NewVolume) -> VolumeRecord:
        """Make a volume at once."""
        with self._calling() as daemon:
            volumes = self._volumes(daemon, wanted.pool)
            if wanted.name in volumes:
                words = wanted.name
                raise refused(daemon.name, Err.STORAGE_VOL_EXIST, words, vm=wanted.name)
            source = _volume(daemon, volumes, wanted.clone_from) if wanted.clone_from else None
            made = VolumeRecord(
                wanted.name,
                f"{POOLS[wanted.pool]}/{wanted.name}",
                wanted.format,
                wanted.capacity_kib or (source.capacity_kib if source is not None else 0),
                196,
                source.path if source is not None and wanted.is_linked else "",
            )
            volumes[made.name] = made
            return made

    def delete_volume(self, pool: str, name: str) -> None:
        """Delete a volume."""
        with self._calling() as daemon:
            volumes = self._volumes(daemon, pool)
            _volume(daemon, volumes, name)
            del volumes[name]

    def _volumes(self, daemon: Daemon, pool: str) -> dict[str, VolumeRecord]:
        if pool not in POOLS:
            words = f"no storage pool with matching name '{pool}'"
            raise refused(daemon.name, Err.NO_STORAGE_POOL, words, vm=pool)
        return self._world.volumes.setdefault(("" if pool == "shared" else daemon.name, pool), {})

    def _used_kib(self, daemon: Daemon, pool: str) -> int:
        return sum(volume.used_kib for volume in self._volumes(daemon, pool).values())


def inactive_xml_of(daemon: Daemon, xml: str) -> Element:
    """The document of a transient VM as a definition."""
    root, _ = read_domain(daemon.name, inactive_xml(read_domain(daemon.name, xml)[0]))
    return root


def _volume(daemon: Daemon, volumes: dict[str, VolumeRecord], name: str) -> VolumeRecord:
    if name not in volumes:
        words = f"no storage vol with matching name '{name}'"
        raise refused(daemon.name, Err.NO_STORAGE_VOL, words, vm=name)
    return volumes[name]


def _thread_pin(daemon: Daemon, tag: str, key: dict[str, str], cpus: str) -> Callable[[str], str]:
    def edit(xml: str) -> str:
        root, demand = read_domain(daemon.name, xml)
        try:
            wanted = some_number_set(cpus, "a thread's CPUs") & daemon.model.online
        except InvalidXml as error:
            raise refused(
                daemon.name, Err.INVALID_ARG, f"Failed to parse bitmap '{cpus[:80]}'", vm=demand.name
            ) from error
        tune = root.find("cputune")
        if tune is None:
            tune = etree.Element("cputune")
            insert_after(root, tune, ("iothreads", "vcpu"))
        pin = next((pin for pin in tune.findall(tag) if all(pin.get(k) == v for k, v in key.items())), None)
        if pin is None:
            pin = etree.SubElement(tune, tag, key)
        pin.set("cpuset", wanted.format())
        return format_xml(root)

    return edit
