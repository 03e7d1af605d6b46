"""Keeps what a highly available VM can be started from elsewhere: its definition, pinning and host, as documents.

The XML is read without secrets. A graphics device with a password would come back open to everybody, so it is left out
of what is kept, and that is said. The database file is the user's own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from hpconsole.core.errors import HpconsoleError, InvalidPinning, InvalidXml, ScenarioError, VmNotFound
from hpconsole.core.hypervisor.domain_xml import read_vm, with_placement
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DomainRecord, Hypervisor
from hpconsole.core.hypervisor.safe_xml import parse
from hpconsole.core.hypervisor.xml_editing import XmlDocument
from hpconsole.core.keeping import Documents
from hpconsole.core.model.host import Host, HostTopology, LinkState
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmState
from hpconsole.core.planning.placement_json import placement_from_json, placement_to_json
from hpconsole.core.scheduler.value_json import from_json, to_json

_log = logging.getLogger(__name__)

KIND = "ha_definition"  # one document per VM, named after its UUID
HOST_KIND = "ha_host"  # a host's topology: what the shape of a pinning is read from
_READ_S = 5.0
_SHUT_OFF = 5  # VIR_DOMAIN_SHUTOFF
_FORGET_AFTER_S = 120.0  # a migrating VM may be seen nowhere for a moment
# Words of `Vm.state_reason`; libvirt gives none after a boot of the host.
_DEATHS = ("", "crashed", "the host's daemon decided so")


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """One VM as it was last seen. `placement` is where it ran on `host`, pins included."""

    vm_uuid: str
    name: str
    host: str
    is_active: bool  # it ran, or it ended without being asked to
    xml: str
    placement: Placement
    autostart: bool = False
    lost_graphics: int = 0  # devices with a password, left out
    died: str = ""  # when its host answers and it ended without being asked to: the name of this loss
    at: datetime | None = None

    def as_vm(self) -> Vm:
        """The VM as a stopped one of its old host.

        Raises:
            InvalidXml: the definition cannot be read.
        """
        record = DomainRecord(self.vm_uuid, self.name, _SHUT_OFF, 0, is_persistent=True, autostart=self.autostart)
        vm = read_vm(record, with_placement(self.xml, self.placement), host=self.host)
        return replace(vm, state=VmState.SHUT_OFF)


def stored_definitions(documents: Documents) -> dict[str, StoredDefinition]:
    """Every definition by VM; one that cannot be read is left out, and logged.

    Raises:
        StorageError: the database cannot be read.
    """
    found: dict[str, StoredDefinition] = {}
    for uuid, body in documents.all(KIND).items():
        try:
            found[uuid] = _read(uuid, body)
        except (KeyError, TypeError, ValueError, InvalidPinning) as error:
            _log.warning("the definition kept of VM %s cannot be read: %r", uuid, error)
    return found


def stored_topology(documents: Documents, host: str) -> HostTopology | None:
    """The topology a host had when it was last seen."""
    body = documents.get(HOST_KIND, host)
    try:
        topology: HostTopology | None = from_json(HostTopology, body["topology"], "topology") if body else None
    except (KeyError, ScenarioError) as error:
        _log.warning("the topology kept of %s cannot be read: %r", host, error)
        return None
    return topology


def has_died(vm: Vm) -> bool:
    """Whether a VM that ran before ended without anybody asking: its process was killed, or its host rebooted."""
    return vm.state is VmState.CRASHED or (vm.state is VmState.SHUT_OFF and vm.state_reason in _DEATHS)


def placement_of(vm: Vm) -> Placement:
    """Where a VM is bound and pinned now."""
    bindings = tuple(
        NodeBinding(node.node_id, node.host_nodes, node.mode) for node in vm.virtual_nodes if node.host_nodes
    )
    return Placement(vm.uuid, vm.host or "", bindings, vm.pinning, vm.numa_tune)


class DefinitionKeeper:
    """Writes down every highly available VM whenever it changed. For one thread at a time.

    Args:
        pool: Where definitions are read.
        documents: Where they are kept.
    """

    def __init__(
        self, pool: ConnectionPool, documents: Documents, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._documents = documents
        self._clock = clock
        self._kept: dict[str, Vm] = {}
        self._topologies: dict[str, HostTopology] = {}
        self._missing_since_s: dict[str, float] = {}

    def keep_up(self, snapshot: ClusterSnapshot) -> None:
        """Write down what changed since the last call. VMs of hosts that do not answer stay as they were.

        Raises:
            StorageError: the database fails.
        """
        for vm in snapshot.vms.values():
            if self._kept.get(vm.uuid) is vm:
                continue
            host = snapshot.hosts.get(vm.host or "")
            if host is None or host.link.state is not LinkState.CONNECTED:
                continue
            if not vm.intent.high_availability:
                if self._kept.pop(vm.uuid, None) is not None:
                    self._documents.remove(KIND, vm.uuid)
            elif not vm.is_migrating and not vm.problem and self._keep(vm, host):
                self._kept[vm.uuid] = vm
        self._forget_removed(snapshot)

    def _forget_removed(self, snapshot: ClusterSnapshot) -> None:
        """A VM that its host, which answers, has not had for a while was removed: nothing is to be restarted."""
        now_s = self._clock()
        gone = {
            uuid
            for uuid, stored in stored_definitions(self._documents).items()
            if uuid not in snapshot.vms
            and (host := snapshot.hosts.get(stored.host)) is not None
            and host.link.state is LinkState.CONNECTED
        }
        self._missing_since_s = {uuid: self._missing_since_s.get(uuid, now_s) for uuid in gone}
        for uuid, since_s in list(self._missing_since_s.items()):
            if now_s - since_s >= _FORGET_AFTER_S:
                self._documents.remove(KIND, uuid)
                self._kept.pop(uuid, None)

    def _keep(self, vm: Vm, host: Host) -> bool:
        if self._topologies.get(host.name) is not host.topology:
            self._documents.save(HOST_KIND, host.name, {"topology": to_json(host.topology)})
            self._topologies[host.name] = host.topology
        try:
            xml, lost = self._pool.call(host.name, lambda at: _definition(at, vm.uuid), deadline_s=_READ_S)
        except (HpconsoleError, TimeoutError) as error:
            _log.info("%s: its definition is not known yet: %s", vm.name, error)
            return isinstance(error, VmNotFound)
        known = self._documents.get(KIND, vm.uuid) or {}
        died = str(known.get("died", "")) if not vm.state.is_active else ""
        if not died and known.get("is_active") is True and has_died(vm):
            died = uuid4().hex
        self._documents.save(
            KIND,
            vm.uuid,
            {
                "name": vm.name,
                "host": host.name,
                "is_active": vm.state.is_active or bool(died),
                "died": died,
                "autostart": vm.autostart,
                "xml": xml,
                "placement": placement_to_json(placement_of(vm)),
                "lost_graphics": lost,
                "at": datetime.now(UTC).isoformat(),
            },
        )
        return True


def _definition(at: Hypervisor, uuid: str) -> tuple[str, int]:
    """On the host's lane: the definition without secrets, and how many graphics devices that cost."""
    xml = at.domain_xml(uuid, inactive=True)
    secret = parse(at.migratable_xml(uuid, inactive=True))
    protected = [number for number, device in enumerate(secret.iterfind("devices/graphics")) if device.get("passwd")]
    return (without_graphics(xml, protected), len(protected)) if protected else (xml, 0)


def without_graphics(xml: str, numbers: list[int]) -> str:
    """The definition without these graphics devices, counted from 0.

    Raises:
        InvalidXml: it cannot be read.
    """
    document = XmlDocument(xml, what="The VM's definition")
    devices = document.root.child("devices")
    if devices is None:
        raise InvalidXml("The VM's definition has no devices.")
    for number, device in enumerate(list(devices.children_named("graphics"))):
        if number in numbers:
            document.remove(device)
    return document.edited()


def _read(uuid: str, body: Mapping[str, Any]) -> StoredDefinition:
    return StoredDefinition(
        vm_uuid=uuid,
        name=str(body["name"]),
        host=str(body["host"]),
        is_active=body["is_active"] is True,
        xml=str(body["xml"]),
        placement=placement_from_json(body["placement"]),
        autostart=body.get("autostart") is True,
        lost_graphics=int(body.get("lost_graphics", 0)),
        died=str(body.get("died", ""))[:100],
        at=datetime.fromisoformat(body["at"]),
    )
