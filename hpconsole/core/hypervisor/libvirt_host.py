"""The port over libvirt connections: what hpconsole asks of one host, in libvirt's calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import libvirt

from hpconsole.core.errors import HypervisorError, OperationRefused
from hpconsole.core.hypervisor import libvirt_inquiries as inquiries
from hpconsole.core.hypervisor.intent_xml import KEY, NAMESPACE
from hpconsole.core.hypervisor.libvirt_connection import Connection, connect, freed
from hpconsole.core.hypervisor.libvirt_events import EventFeed
from hpconsole.core.hypervisor.libvirt_lease import drop_lease, read_lease, take_lease
from hpconsole.core.hypervisor.libvirt_machines import MachineCalls, affected
from hpconsole.core.hypervisor.libvirt_migration import migration_terms, read_job_stats
from hpconsole.core.hypervisor.libvirt_sampling import Sampler
from hpconsole.core.hypervisor.port import (
    DirtyRate,
    DomainEvent,
    FileTimes,
    HostSample,
    Hypervisor,
    HypervisorFacts,
    JobStats,
    LeaseRecord,
    MigrationRequest,
    MigrationTransport,
)
from hpconsole.core.hypervisor.uri import parse_uri
from hpconsole.core.hypervisor.xml_editing import escaped_text
from hpconsole.core.model.cpuset import CpuSet

_log = logging.getLogger(__name__)
_UNKNOWN_FLAG = (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED)
_UNDEFINE_TPM, _UNDEFINE_KEEP_TPM = 32, 64  # VIR_DOMAIN_UNDEFINE_*: since libvirt 8.9, unknown to older bindings


def open_libvirt(uri: str, *, allow_local_programs: bool = False, allow_unverified: bool = False) -> LibvirtHost:
    """Connect to a host. Blocks until it answers or is known not to; never asks on a terminal.

    Raises:
        UriRefused: the URI is not accepted.
        AuthenticationFailed: the host, or we, do not accept the other; trying again by itself is pointless.
        HostUnreachable: it cannot be reached now.

    Threads: any.
    """
    parsed = parse_uri(uri, allow_local_programs=allow_local_programs, allow_unverified=allow_unverified)
    return LibvirtHost(uri, lambda: connect(parsed), is_encrypted=parsed.is_encrypted)


class LibvirtHost(MachineCalls):
    """One host, reached through libvirt. Implements `port.Hypervisor`.

    One connection serves everything but migrations and copies of disks. Those get one of their own, because only one
    thread at a time may be in a connection (see `Connection`). Two meet what libvirt's client has wrong: in libvirt 9 a
    call wakes the thread that waits at the socket only if it sleeps already, or else sleeps itself until the next
    keep-alive packet, up to 5 s; before 10.4.0 a host that falls silent crashes the process (CVE-2024-4418). For the
    same reason the connection is replaced when the call for guest statistics hangs in it.
    """

    def __init__(self, uri: str, connect_again: Callable[[], Connection], *, is_encrypted: bool) -> None:
        self._uri = uri
        self._is_encrypted = is_encrypted  # libvirt itself calls only TLS encrypted, and SSH not
        self._connect = connect_again
        self._connection = connect_again()
        self._events = EventFeed()
        self._sampler = Sampler(self._connection.host, lambda: self._connection, self._replace_connection)
        self._node_devices: dict[str, str] = {}  # XML by name: PCI devices do not change while a host is up

    @property
    def uri(self) -> str:
        """The URI this connection was opened with."""
        return self._uri

    # --- reading -----------------------------------------------------------------

    def facts(self) -> HypervisorFacts:
        """Read what stays the same while the connection lives."""
        with self._connection.use() as connection:
            capabilities = connection.getCapabilities()
            self._sampler.learn_layout(capabilities)
            return HypervisorFacts(
                hostname=connection.getHostname(),
                hypervisor=connection.getType(),
                hypervisor_version=connection.getVersion(),
                libvirt_version=connection.getLibVersion(),
                is_encrypted=self._is_encrypted,
                capabilities_xml=capabilities,
                domain_capabilities_xml=self._connection.optional(
                    lambda: connection.getDomainCapabilities(None, None, None, None, 0)
                )
                or "",
            )

    def devices(self) -> Mapping[str, Sequence[str]]:
        """XML of what is active. Of pools only the name: a pool that hangs would hold up everything else."""
        with self._connection.use() as connection:
            networks = self._connection.optional(
                lambda: connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
            )
            pools = self._connection.optional(
                lambda: connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
            )
            interfaces = self._connection.optional(
                lambda: connection.listAllInterfaces(libvirt.VIR_CONNECT_LIST_INTERFACES_ACTIVE)
            )
            return {
                "network": self._descriptions(networks),
                "pool": [f"<pool><name>{escaped_text(pool.name())}</name></pool>" for pool in pools or ()],
                "interface": self._descriptions(interfaces),
                "nodedev": self._node_device_xml(connection),
            }

    def sample(self) -> HostSample:
        """Read everything that changes, in eight calls however many VMs there are."""
        return self._sampler.sample()

    def domain_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The live XML, or the persistent definition, with no secrets in it."""
        with self._domain(uuid) as domain:
            return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0)

    def migratable_xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The live XML (or the definition) as a destination accepts it. Holds secrets: never log or store it."""
        flags = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
        with self._domain(uuid) as domain:
            return domain.XMLDesc(flags | (libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0))

    # --- changing ----------------------------------------------------------------

    def define(self, xml: str) -> str:
        """Define or redefine a VM persistently; returns its UUID."""
        with self._connection.use() as connection:
            return connection.defineXMLFlags(xml, 0).UUIDString()

    def undefine(self, uuid: str, *, keep_nvram: bool = True) -> None:
        """Forget the persistent definition; a running VM goes on as a transient one.

        `keep_nvram` keeps the state of an emulated TPM, too, which libvirt would remove by itself (8.9 and later know
        how to keep it).
        """
        nvram, tpm = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM, _UNDEFINE_TPM
        if keep_nvram:
            nvram, tpm = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM, _UNDEFINE_KEEP_TPM
        with self._domain(uuid) as domain:
            for flags in (nvram | tpm, nvram, 0):  # older ones know no TPM, some drivers no NVRAM
                try:
                    domain.undefineFlags(flags)
                except libvirt.libvirtError as error:
                    if not flags or error.get_error_code() not in _UNKNOWN_FLAG:
                        raise
                else:
                    return

    def start(self, uuid: str, *, paused: bool = False) -> None:
        """Boot a defined VM."""
        with self._domain(uuid) as domain:
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        """Start the VM with its host, or not."""
        with self._domain(uuid) as domain:
            domain.setAutostart(int(on))

    def shut_down(self, uuid: str) -> None:
        """Ask the guest to shut down."""
        with self._domain(uuid) as domain:
            domain.shutdown()

    def force_off(self, uuid: str) -> None:
        """End the VM's process at once."""
        with self._domain(uuid) as domain:
            domain.destroy()

    def suspend(self, uuid: str) -> None:
        """Pause the vCPUs."""
        with self._domain(uuid) as domain:
            domain.suspend()

    def resume(self, uuid: str) -> None:
        """Let the vCPUs run again."""
        with self._domain(uuid) as domain:
            domain.resume()

    def pin_vcpu(self, uuid: str, vcpu_id: int, cpus: str, *, live: bool, config: bool) -> None:
        """Pin a vCPU to a CPU list."""
        wanted = CpuSet.parse(cpus)
        with self._connection.use() as connection:
            count = connection.getCPUMap(0)[0]
        cpu_map = tuple(cpu in wanted for cpu in range(max(count, max(wanted, default=0) + 1)))
        with self._domain(uuid) as domain:
            domain.pinVcpuFlags(vcpu_id, cpu_map, affected(live, config))

    def set_metadata(self, uuid: str, xml: str | None, *, live: bool, config: bool) -> None:
        """Write (None: remove) hpconsole's own metadata element."""
        with self._domain(uuid) as domain:
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, xml, KEY, NAMESPACE, affected(live, config))

    # --- migrating ---------------------------------------------------------------

    def migrate(self, uuid: str, request: MigrationRequest, destination: Hypervisor | None) -> None:
        """Migrate live; returns when libvirt says that the VM runs on the destination."""
        with (
            closing(self._connect()) as own,
            own.use(uuid) as connection,
            freed(connection.lookupByUUIDString(uuid)) as domain,
        ):
            flags, parameters = migration_terms(request, is_persistent=bool(domain.isPersistent()))
            if request.transport is MigrationTransport.PEER_TO_PEER:
                domain.migrateToURI3(request.destination_uri, parameters, flags)
                return
            if not isinstance(destination, LibvirtHost):
                raise OperationRefused("Only a host that is reached through libvirt can take this VM.", subject=uuid)
            with closing(destination._connect()) as theirs, theirs.use() as there:
                domain.migrate3(there, parameters, flags)

    def job_stats(self, uuid: str, *, completed: bool = False) -> JobStats:
        """Statistics of the running job, or of the last completed one."""
        with self._domain(uuid) as domain:
            return read_job_stats(domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED if completed else 0))

    def abort_job(self, uuid: str, *, post_copy: bool = False) -> None:
        """Cancel the running job, or break off a post-copy that hangs."""
        with self._domain(uuid) as domain:
            if post_copy:
                domain.abortJobFlags(libvirt.VIR_DOMAIN_ABORT_JOB_POSTCOPY)
            else:
                domain.abortJob()

    def set_migration_limits(
        self, uuid: str, *, bandwidth_mib_s: int | None = None, downtime_ms: int | None = None
    ) -> None:
        """Change a running migration's bandwidth or allowed downtime."""
        with self._domain(uuid) as domain:
            if bandwidth_mib_s is not None:
                domain.migrateSetMaxSpeed(bandwidth_mib_s)
            if downtime_ms is not None:
                domain.migrateSetMaxDowntime(downtime_ms)

    def start_post_copy(self, uuid: str) -> None:
        """Switch a running migration to post-copy."""
        with self._domain(uuid) as domain:
            domain.migrateStartPostCopy()

    # --- the lease ---------------------------------------------------------------

    def lease(self) -> LeaseRecord | None:
        """Who holds this host's lease; None = nobody."""
        with self._connection.use() as connection:
            return read_lease(connection)

    def take_lease(self, uuid: str, text: str) -> bool:
        """Take the lease, or renew it; False if somebody else holds it."""
        with self._connection.use() as connection:
            return take_lease(connection, uuid, text)

    def drop_lease(self, uuid: str) -> None:
        """Give back the lease of this UUID."""
        with self._connection.use() as connection:
            drop_lease(connection, uuid)

    # --- asking before -----------------------------------------------------------

    def start_dirty_rate(self, uuid: str, seconds: int) -> None:
        """Begin to measure how fast the guest writes to its memory; returns at once."""
        with self._domain(uuid) as domain:
            domain.startDirtyRateCalc(seconds, libvirt.VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING)

    def dirty_rate(self, uuid: str) -> DirtyRate:
        """What the last measurement found."""
        with self._connection.use(uuid) as connection, freed(connection.lookupByUUIDString(uuid)) as domain:
            return inquiries.dirty_rate(connection, domain)

    def compare_cpu(self, cpu_xml: str, *, arch: str, machine: str, virt_type: str) -> str:
        """Why this host's hypervisor cannot give a guest this CPU, in libvirt's words; empty if it can."""
        with self._connection.use() as connection:
            return inquiries.compare_cpu(connection, cpu_xml, arch=arch, machine=machine, virt_type=virt_type)

    def why_no_way(self, uuid: str, destination_uri: str) -> str:
        """Why this host's libvirt cannot connect to the other's, as for moving this VM; empty if it just did."""
        with (
            closing(self._connect()) as own,
            own.use(uuid) as connection,
            freed(connection.lookupByUUIDString(uuid)) as domain,
        ):
            return inquiries.why_no_way(domain, destination_uri)

    def card_speed_mib_s(self) -> float | None:
        """What the fastest network card with a link carries; None where the host does not tell."""
        with self._connection.use() as connection:
            return inquiries.card_speed_mib_s(connection)

    def has_file(self, path: str) -> bool | None:
        """Whether one of the host's active storage pools holds this file or device; None: it has no pool there."""
        with self._connection.use() as connection:
            return inquiries.has_file(connection, path)

    def file_times(self, path: str) -> FileTimes | None:
        """When this file was changed, looked up now; None: no active pool holds it, or the host does not tell."""
        with self._connection.use() as connection:
            return inquiries.file_times(connection, path)

    # --- the connection ----------------------------------------------------------

    def listen(self, handler: Callable[[DomainEvent], None]) -> Callable[[], None]:
        """Call `handler` for each event, on the event thread; returns the way to stop."""
        self._connection.register(self._events)
        return self._events.add(handler)

    def is_alive(self) -> bool:
        """Whether the connection still works, as far as keep-alive knows. Asks nobody."""
        return self._connection.is_alive()

    def close(self) -> None:
        """Close the connection, or have the last call under way close it. Further calls raise HostUnreachable."""
        self._sampler.close()
        self._connection.close()

    def _replace_connection(self) -> None:
        """A call hangs in the connection: leave it to that call, and go on with a new one."""
        try:
            fresh = self._connect()
        except HypervisorError as error:
            _log.warning("%s: no second connection: %s", self._connection.host, error.sentence)
            return
        if self._events.is_heard:
            try:
                fresh.register(self._events)
            except HypervisorError as error:
                _log.warning("%s: a second connection tells no events: %s", self._connection.host, error.sentence)
                fresh.close()
                return
        old, self._connection = self._connection, fresh
        if old.is_closed:  # this host was given up meanwhile
            fresh.close()
        old.close()

    @contextmanager
    def _domain(self, uuid: str) -> Iterator[libvirt.virDomain]:
        with self._connection.use(uuid) as connection, freed(connection.lookupByUUIDString(uuid)) as domain:
            yield domain

    def _descriptions(self, things: Sequence[libvirt.virNetwork | libvirt.virInterface] | None) -> list[str]:
        """Their XML; what is gone by now is left out."""
        return [xml for thing in things or () if (xml := self._connection.optional(thing.XMLDesc)) is not None]

    def _node_device_xml(self, connection: libvirt.virConnect) -> list[str]:
        devices = self._connection.optional(
            lambda: connection.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV)
        )
        typed = self._connection.optional(
            lambda: connection.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_MDEV_TYPES)
        )
        counting = {device.name() for device in typed or ()}  # they tell how many more can be made: read each time
        known, self._node_devices = self._node_devices, {}
        for device in (*(devices or ()), *(typed or ())):
            name = device.name()
            xml = known.get(name) if name not in counting else None
            xml = xml if xml is not None else self._connection.optional(device.XMLDesc)
            if xml is not None:
                self._node_devices[name] = xml
        return list(self._node_devices.values())
