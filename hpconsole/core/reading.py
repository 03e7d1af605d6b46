"""What do libvirt's answers say of a host? Facts, devices and counters -> values of the model. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.capabilities_xml import cpu_model, read_capabilities, read_domain_capabilities
from hpconsole.core.hypervisor.port import HostSample, HypervisorFacts
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.model.host import (
    Host,
    HostDevices,
    HostTopology,
    HostUsage,
    MediatedDeviceType,
    NodeUsage,
    PciDevice,
)
from hpconsole.core.model.vm import VmLoad

_BUSY = ("user", "kernel")
_IDLE = ("idle", "iowait")
_MOST_LOAD_PCT = 100.0 * 4096  # nothing is busier than all CPUs of the largest machine


@dataclass(frozen=True, slots=True)
class Counters:
    """What two samples are compared by. Counters rise as long as nothing is restarted."""

    at_s: float = 0.0  # monotonic
    busy_ns: int = 0
    total_ns: int = 0
    vm_cpu_ns: Mapping[str, int] = field(default_factory=dict)


def read_facts(name: str, uri: str, facts: HypervisorFacts) -> Host:
    """The host, as far as it stays the same while a connection lives.

    Raises:
        InvalidXml: its capabilities cannot be used.
    """
    capabilities = read_capabilities(facts.capabilities_xml)
    domain = read_domain_capabilities(facts.domain_capabilities_xml)
    return Host(
        name=name,
        uri=uri,
        uuid=capabilities.uuid,
        hostname=facts.hostname,
        hypervisor=facts.hypervisor,
        libvirt_version=facts.libvirt_version,
        hypervisor_version=facts.hypervisor_version,
        memory_kib=sum(node.memory_kib for node in capabilities.topology.nodes) or None,
        cpu=cpu_model(capabilities, domain),
        topology=capabilities.topology,
        machine_types=capabilities.machine_types(),
        devices=HostDevices(has_device_passthrough=bool(capabilities.has_iommu)),
    )


def read_devices(xml: Mapping[str, Sequence[str]], *, has_device_passthrough: bool) -> HostDevices:
    """Networks, bridges, pools and PCI devices by name. What cannot be read is left out: it names nothing usable.

    Args:
        xml: As `Hypervisor.devices` gives it.
        has_device_passthrough: From the capabilities: whether there is an IOMMU.
    """
    networks = _parsed(xml.get("network", ()))
    interfaces = _parsed(xml.get("interface", ()))
    nodes = _parsed(xml.get("nodedev", ()))
    bridges = chain(
        (part.get("name", "") for network in networks for part in network.iterfind("bridge")),
        (interface.get("name", "") for interface in interfaces if interface.get("type") == "bridge"),
    )
    return HostDevices(
        networks=_names(networks),
        bridges=frozenset(name for name in bridges if name),
        storage_pools=_names(_parsed(xml.get("pool", ()))),
        pci=tuple(sorted(filter(None, map(_pci_device, nodes)), key=lambda device: device.address)),
        mediated=_mediated(nodes),
        has_device_passthrough=has_device_passthrough,
    )


def read_usage(
    sample: HostSample,
    at: datetime,
    topology: HostTopology,
    cpu_pct: float | None,
    *,
    before: HostUsage,
    overloaded_pct: float,
) -> HostUsage:
    """What a sample says of the host.

    Args:
        at: When it was taken.
        cpu_pct: From two samples, see `cpu_pct`.
        before: The usage at the sample before: since when the host has been overloaded.
        overloaded_pct: From which CPU load on it counts as overloaded.
    """
    memory = sample.memory
    is_overloaded = cpu_pct is not None and cpu_pct >= overloaded_pct
    totals = {node.node_id: node.page_totals for node in topology.nodes}
    return HostUsage(
        at=at,
        memory_free_kib=memory.free_kib + memory.buffers_kib + memory.cached_kib,
        cpu_pct=cpu_pct,
        overloaded_since=(before.overloaded_since or at) if is_overloaded else None,
        nodes=tuple(
            NodeUsage(
                cell.cell,
                free_kib=cell.free_kib,
                free_pages=tuple(sorted(sample.free_pages.get(cell.cell, {}).items())),
                total_pages=totals.get(cell.cell, ()),
            )
            for cell in sample.cells
        ),
    )


def read_counters(sample: HostSample, at_s: float) -> Counters:
    """The counters of a sample taken at `at_s` (monotonic seconds)."""
    times = sample.cpu_time_ns
    busy = sum(times.get(name, 0) for name in _BUSY)
    vm_times = {
        uuid: int(stats["cpu.time"])
        for uuid, stats in sample.domain_stats.items()
        if isinstance(stats.get("cpu.time"), int)
    }
    return Counters(at_s, busy, busy + sum(times.get(name, 0) for name in _IDLE), vm_times)


def cpu_pct(before: Counters | None, now: Counters) -> float | None:
    """CPU load of the whole host between two samples, 0-100; None where it cannot be told."""
    if before is None or now.total_ns <= before.total_ns or now.busy_ns < before.busy_ns:
        return None
    return min(100.0, 100.0 * (now.busy_ns - before.busy_ns) / (now.total_ns - before.total_ns))


def read_loads(sample: HostSample, at: datetime, before: Counters | None, now: Counters) -> dict[str, VmLoad]:
    """The load of each VM whose CPU time is known from two samples, by UUID."""
    elapsed_s = now.at_s - before.at_s if before is not None else 0.0
    if before is None or elapsed_s <= 0:
        return {}
    loads: dict[str, VmLoad] = {}
    for uuid, used_ns in now.vm_cpu_ns.items():
        used_before_ns = before.vm_cpu_ns.get(uuid)
        if used_before_ns is None or used_ns < used_before_ns:  # just started, or restarted meanwhile
            continue
        percent = min(_MOST_LOAD_PCT, (used_ns - used_before_ns) / elapsed_s / 1e7)
        rss = sample.domain_stats[uuid].get("balloon.rss")
        loads[uuid] = VmLoad(at, percent, rss if isinstance(rss, int) else None)
    return loads


def _parsed(texts: Iterable[str]) -> list[Element]:
    found: list[Element] = []
    for text in texts:
        try:
            found.append(safe_xml.parse(text))
        except InvalidXml:
            continue
    return found


def _names(things: Iterable[Element]) -> frozenset[str]:
    return frozenset(name for thing in things if (name := (thing.findtext("name") or "").strip()))


def _pci_device(device: Element) -> PciDevice | None:
    pci = device.find("capability[@type='pci']")
    if pci is None:
        return None
    try:
        domain, bus, slot, function = (
            int(pci.findtext(part) or "", 0) for part in ("domain", "bus", "slot", "function")
        )
    except ValueError:
        return None
    node = pci.find("numa")
    node_id = node.get("node", "") if node is not None else ""
    return PciDevice(
        address=f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}",
        node_id=int(node_id) if node_id.isdecimal() else None,
        product=(pci.findtext("product") or "").strip(),
    )


def _mediated(devices: Iterable[Element]) -> tuple[MediatedDeviceType, ...]:
    available: dict[str, int] = {}
    for device in devices:
        for kind in device.iterfind(".//capability[@type='mdev_types']/type"):
            count = (kind.findtext("availableInstances") or "").strip()
            name = kind.get("id", "")
            if name and count.isdecimal():
                available[name] = available.get(name, 0) + int(count)
    return tuple(MediatedDeviceType(name, count) for name, count in sorted(available.items()))
