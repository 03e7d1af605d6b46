"""Simulated VMs and their domain XML as libvirt formats it: definition, live and migratable.

Knows nothing of the machine a VM runs on but the CPU model a `host-model` guest gets from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter
from hpconsole.core.hypervisor.simulated.machine_xml import EMULATOR, cpu_model_name, flags
from hpconsole.core.hypervisor.simulated.machines import Generation
from hpconsole.core.hypervisor.simulated.xml_format import element, format_xml
from hpconsole.core.model.cpuset import EMPTY, CpuSet


@dataclass(frozen=True, slots=True)
class GuestNode:
    """A virtual NUMA node; `mode` and `host_nodes` become its `<memnode>`."""

    vcpus: CpuSet
    memory_kib: int
    host_nodes: CpuSet = EMPTY
    mode: str = "strict"


@dataclass(frozen=True, slots=True)
class GuestModel:
    """One simulated VM, as its owner would describe it."""

    name: str
    uuid: str
    vcpus: int
    memory_kib: int
    threads: int = 1  # virtual threads per core
    sockets: int = 1
    nodes: tuple[GuestNode, ...] = ()
    memory_nodes: CpuSet = EMPTY  # <numatune><memory>, for VMs without virtual nodes
    page_kib: int | None = None
    vcpu_pins: tuple[CpuSet, ...] = ()  # by vCPU number; all or none
    emulator_pin: CpuSet = EMPTY
    iothread_pins: tuple[CpuSet, ...] = ()  # of IO threads 1, 2 ...; all or none
    iothreads: int = 0
    cpu_mode: str = "custom"
    cpu_model: str = "Cascadelake-Server-noTSX"
    machine: str = "pc-q35-7.2"
    networks: tuple[str, ...] = ("prod",)
    metadata: str = ""  # XML of the elements in <metadata>
    character: LoadCharacter | None = None  # None: by its name
    is_running: bool = True
    autostart: bool = False


def definition_xml(guest: GuestModel) -> str:
    """The persistent definition."""
    return format_xml(definition(guest))


def definition(guest: GuestModel) -> Element:
    """The persistent definition, not yet as text."""
    root = etree.Element("domain")
    root.set("type", "kvm")
    element(root, "name", guest.name)
    element(root, "uuid", guest.uuid)
    if guest.metadata:
        root.append(etree.fromstring(f"<metadata>{guest.metadata}</metadata>", _parser()))
    element(root, "memory", guest.memory_kib, unit="KiB")
    element(root, "currentMemory", guest.memory_kib, unit="KiB")
    if guest.page_kib:
        pages = element(element(root, "memoryBacking"), "hugepages")
        element(pages, "page", size=guest.page_kib, unit="KiB")
    element(root, "vcpu", guest.vcpus, placement="static")
    if guest.iothreads:
        element(root, "iothreads", guest.iothreads)
    _add_tuning(root, guest)
    _add_platform(root, guest)
    _add_devices(root, guest)
    return root


def _add_tuning(root: Element, guest: GuestModel) -> None:
    if guest.vcpu_pins or guest.emulator_pin or guest.iothread_pins:
        tune = element(root, "cputune")
        for vcpu, cpus in enumerate(guest.vcpu_pins):
            element(tune, "vcpupin", vcpu=vcpu, cpuset=cpus.format())
        if guest.emulator_pin:
            element(tune, "emulatorpin", cpuset=guest.emulator_pin.format())
        for number, cpus in enumerate(guest.iothread_pins, start=1):
            element(tune, "iothreadpin", iothread=number, cpuset=cpus.format())
    bound = [(number, node) for number, node in enumerate(guest.nodes) if node.host_nodes]
    if bound or guest.memory_nodes:
        tune = element(root, "numatune")
        if guest.memory_nodes:
            element(tune, "memory", mode="strict", nodeset=guest.memory_nodes.format())
        for number, node in bound:
            element(tune, "memnode", cellid=number, mode=node.mode, nodeset=node.host_nodes.format())


def _add_platform(root: Element, guest: GuestModel) -> None:
    system = element(root, "os")
    element(system, "type", "hvm", arch="x86_64", machine=guest.machine)
    element(system, "boot", dev="hd")
    features = element(root, "features")
    element(features, "acpi")
    element(features, "apic")
    if guest.cpu_mode == "custom":
        cpu = element(root, "cpu", mode="custom", match="exact", check="partial")
        element(cpu, "model", guest.cpu_model, fallback="allow")
    elif guest.cpu_mode == "host-passthrough":
        cpu = element(root, "cpu", mode="host-passthrough", check="none", migratable="on")
    else:
        cpu = element(root, "cpu", mode=guest.cpu_mode, check="partial")
    cores = guest.vcpus // (guest.sockets * guest.threads)
    element(cpu, "topology", sockets=guest.sockets, dies=1, cores=cores, threads=guest.threads)
    if guest.nodes:
        numa = element(cpu, "numa")
        for number, node in enumerate(guest.nodes):
            element(numa, "cell", id=number, cpus=node.vcpus.format(), memory=node.memory_kib, unit="KiB")
    clock = element(root, "clock", offset="utc")
    element(clock, "timer", name="rtc", tickpolicy="catchup")
    element(clock, "timer", name="pit", tickpolicy="delay")
    element(clock, "timer", name="hpet", present="no")
    for occasion, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        element(root, occasion, action)


def _add_devices(root: Element, guest: GuestModel) -> None:
    devices = element(root, "devices")
    element(devices, "emulator", EMULATOR)
    disk = element(devices, "disk", type="file", device="disk")
    driver = element(disk, "driver", name="qemu", type="qcow2", cache="none", io="native", discard="unmap")
    if guest.iothreads:
        driver.set("iothread", "1")
    element(disk, "source", file=f"/srv/shared/{guest.uuid[:8]}.qcow2")
    element(disk, "target", dev="vda", bus="virtio")
    element(disk, "address", type="pci", domain="0x0000", bus="0x04", slot="0x00", function="0x0")
    element(devices, "controller", type="pci", index=0, model="pcie-root")
    for number, network in enumerate(guest.networks):
        card = element(devices, "interface", type="network")
        element(card, "mac", address=f"52:54:00:{guest.uuid[0:2]}:{guest.uuid[2:4]}:{number:02x}")
        element(card, "source", network=network)
        element(card, "model", type="virtio")
        element(card, "address", type="pci", domain="0x0000", bus=f"0x{number + 1:02x}", slot="0x00", function="0x0")
    element(element(devices, "serial", type="pty"), "target", type="isa-serial", port=0)
    element(element(devices, "console", type="pty"), "target", type="serial", port=0)
    element(devices, "memballoon", model="none" if guest.page_kib else "virtio")
    element(element(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")


def live_xml(defined: Element, domain_id: int, generation: Generation) -> str:
    """What XMLDesc says of it while it runs: numbers, names and the CPU that were chosen at start."""
    root = deepcopy(defined)
    root.set("id", str(domain_id))
    _add_resource(root)
    _expand_cpu(root, generation)
    return format_xml(_with_aliases(root))


def incoming_xml(migratable: Element, domain_id: int) -> str:
    """What XMLDesc says on the destination of a migration: the CPU model stays, made exact again."""
    root = deepcopy(migratable)
    root.set("id", str(domain_id))
    _add_resource(root)
    _make_exact(root.find("cpu"), ("hypervisor",))
    return format_xml(_with_aliases(root))


def inactive_xml(live: Element) -> str:
    """The definition that a live XML amounts to: what was chosen at start is taken out again."""
    root = deepcopy(live)
    root.attrib.pop("id", "")
    _remove(root, "resource")
    _remove(root, "seclabel")
    return format_xml(_without_aliases(root))


def migratable_xml(live: Element) -> str:
    """The live XML as a destination accepts it."""
    root = deepcopy(live)
    root.attrib.pop("id", "")
    _remove(root, "seclabel")
    cpu = root.find("cpu")
    if cpu is not None and cpu.get("check") == "full":
        # What QEMU added at start is left out; the destination finds it out again.
        cpu.set("check", "partial")
        for feature in cpu.findall("feature[@name='hypervisor']"):
            cpu.remove(feature)
    return format_xml(_without_aliases(root))


def _add_resource(root: Element) -> None:
    if root.find("resource") is None:
        resource = etree.Element("resource")
        element(resource, "partition", "/machine")
        system = root.find("os")
        root.insert(len(root) if system is None else root.index(system), resource)
    if root.find("seclabel") is None:
        label = element(root, "seclabel", type="dynamic", model="dac", relabel="yes")
        element(label, "label", "+64055:+994")
        element(label, "imagelabel", "+64055:+994")


def _expand_cpu(root: Element, generation: Generation) -> None:
    """As libvirt does at start: host-model becomes the host's own model, and custom models are made exact."""
    cpu = root.find("cpu")
    if cpu is None:
        return
    if cpu.get("mode") != "host-model":
        _make_exact(cpu, ("hypervisor",))
        return
    model, vendor = etree.Element("model"), etree.Element("vendor")
    model.text, vendor.text = cpu_model_name(generation), "Intel"
    cpu.insert(0, model)
    cpu.insert(1, vendor)
    cpu.set("mode", "custom")
    cpu.set("match", "exact")
    _make_exact(cpu, (*flags(generation), "hypervisor"))


def _make_exact(cpu: Element | None, wanted: Iterable[str]) -> None:
    """Name what QEMU gave the guest: nothing may be missing or more after a migration."""
    if cpu is None or cpu.get("mode", "custom") != "custom":
        return
    cpu.set("check", "full")
    model = cpu.find("model")
    if model is not None:
        model.set("fallback", "forbid")
    present = {feature.get("name") for feature in cpu.findall("feature")}
    numa = cpu.find("numa")
    for flag in wanted:
        if flag not in present:
            feature = etree.Element("feature", policy="require", name=flag)
            cpu.insert(len(cpu) if numa is None else cpu.index(numa), feature)


_ALIASED = {"disk": "virtio-disk", "interface": "net", "serial": "serial", "console": "serial", "rng": "rng"}


def _with_aliases(root: Element) -> Element:
    devices = root.find("devices")
    counts: dict[str, int] = {}
    for device in devices if devices is not None else ():
        stem = _ALIASED.get(str(device.tag))
        if stem and device.find("alias") is None:
            number = counts.get(str(device.tag), 0)
            counts[str(device.tag)] = number + 1
            alias = etree.Element("alias", name=f"{stem}{number}")
            address = device.find("address")
            device.insert(len(device) if address is None else device.index(address), alias)
    return root


def _without_aliases(root: Element) -> Element:
    devices = root.find("devices")
    for device in devices if devices is not None else ():
        # User aliases start with "ua-" and belong to the definition.
        for alias in device.findall("alias"):
            if not (alias.get("name") or "").startswith("ua-"):
                device.remove(alias)
    return root


def _remove(root: Element, tag: str) -> None:
    for child in root.findall(tag):
        root.remove(child)


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True)
