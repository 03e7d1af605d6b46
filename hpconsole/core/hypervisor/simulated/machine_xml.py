"""A simulated machine as libvirt describes it: capabilities, domain capabilities, networks, pools and devices."""

from __future__ import annotations

import uuid
from functools import lru_cache

from lxml import etree

from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.simulated.machines import PAGE_1G, PAGE_2M, Generation, HostModel
from hpconsole.core.hypervisor.simulated.xml_format import element, format_xml

EMULATOR = "/usr/bin/qemu-system-x86_64"

# What virsh capabilities lists beside the model, oldest generation first: each adds to those before.
_FLAGS: tuple[tuple[Generation, str], ...] = (
    (
        Generation.CASCADE_LAKE,
        "ds acpi ss ht tm pbe dtes64 monitor ds_cpl vmx smx est tm2 xtpr pdcm dca osxsave tsc_adjust cmt mbm_total "
        "mbm_local md-clear stibp arch-capabilities xsaves invtsc ibpb ibrs amd-stibp amd-ssbd rdctl-no ibrs-all "
        "skip-l1dfl-vmentry mds-no pschange-mc-no tsx-ctrl",
    ),
    (Generation.ICE_LAKE, "avx512ifma sha-ni rdpid fsrm split-lock-detect taa-no"),
    (
        Generation.SAPPHIRE_RAPIDS,
        "avx-vnni avx512-bf16 avx512-fp16 amx-bf16 amx-tile amx-int8 serialize tsxldtrk bus-lock-detect cldemote "
        "movdiri movdir64b fzrm fsrs fsrc xfd",
    ),
)
# libvirt 9.0 has no newer model than Icelake-Server: later processors are that and further flags.
_MODEL = {
    Generation.CASCADE_LAKE: "Cascadelake-Server-noTSX",
    Generation.ICE_LAKE: "Icelake-Server-noTSX",
    Generation.SAPPHIRE_RAPIDS: "Icelake-Server-noTSX",
}
_TSC_HZ = {
    Generation.CASCADE_LAKE: 2_394_375_000,
    Generation.ICE_LAKE: 2_793_437_000,
    Generation.SAPPHIRE_RAPIDS: 2_000_000_000,
}
_USABLE = (
    *("qemu64", "kvm64", "Conroe", "Penryn", "Nehalem", "Nehalem-IBRS", "Westmere", "Westmere-IBRS", "SandyBridge"),
    *("SandyBridge-IBRS", "IvyBridge", "IvyBridge-IBRS", "Haswell-noTSX", "Haswell-noTSX-IBRS", "Broadwell-noTSX"),
    *("Broadwell-noTSX-IBRS", "Skylake-Client-noTSX-IBRS", "Skylake-Server-noTSX-IBRS", "Cascadelake-Server-noTSX"),
)
_UNUSABLE = ("Haswell", "Broadwell", "Skylake-Server", "Cascadelake-Server", "Cooperlake", "Icelake-Server")
_AMD = ("EPYC", "EPYC-IBPB", "EPYC-Rome", "EPYC-Milan", "Opteron_G5", "Dhyana")
_MACHINE_TYPES = (
    ("pc-i440fx-7.2", "pc", 255),
    ("pc-q35-7.2", "q35", 288),
    ("pc-q35-7.1", None, 288),
    ("pc-q35-6.2", None, 288),
    ("pc-i440fx-6.2", None, 255),
)
_NEWER_MACHINE_TYPES = (("pc-q35-8.2", "q35", 1024), ("pc-i440fx-8.2", "pc", 255))


def cpu_model_name(generation: Generation) -> str:
    """The name libvirt has for the model it finds nearest to this generation."""
    return _MODEL[generation]


def flags(generation: Generation) -> tuple[str, ...]:
    """The flags listed beside the CPU model."""
    return tuple(flag for other, names in _FLAGS if other.value <= generation.value for flag in names.split())


def every_flag() -> frozenset[str]:
    """All the flags in which simulated CPUs differ; others are taken to be in every one."""
    return frozenset(flags(Generation.SAPPHIRE_RAPIDS))


@lru_cache(maxsize=8)
def usable_models(generation: Generation) -> frozenset[str]:
    """The CPU models a guest of this host may have."""
    newer = ["Icelake-Server-noTSX"] if generation is not Generation.CASCADE_LAKE else []
    return frozenset([*_USABLE, *newer])


def machine_types(model: HostModel) -> tuple[tuple[str, str | None, int], ...]:
    """(name, alias, most vCPUs) of each machine type; an alias belongs to the newest one only."""
    if model.hypervisor_version < 8_002_000:
        return _MACHINE_TYPES
    return (*_NEWER_MACHINE_TYPES, *((name, None, most) for name, _, most in _MACHINE_TYPES))


@lru_cache(maxsize=256)
def capabilities_xml(model: HostModel, host_uuid: str) -> str:
    """What virConnectGetCapabilities answers."""
    root = etree.Element("capabilities")
    host = element(root, "host")
    element(host, "uuid", host_uuid)
    _add_cpu(host, model)
    element(host, "power_management")
    element(host, "iommu", support="yes")
    features = element(host, "migration_features")
    element(features, "live")
    transports = element(features, "uri_transports")
    element(transports, "uri_transport", "tcp")
    element(transports, "uri_transport", "rdma")
    _add_cells(host, model)
    _add_cache(host, model)
    for name, label in (("apparmor", None), ("dac", "+64055:+994")):
        secmodel = element(host, "secmodel")
        element(secmodel, "model", name)
        element(secmodel, "doi", 0)
        for kind in ("kvm", "qemu"):
            if label:
                element(secmodel, "baselabel", label, type=kind)
    _add_guest(root, model)
    return format_xml(root)


def _add_cpu(host: Element, model: HostModel) -> None:
    shape = model.shape
    cpu = element(host, "cpu")
    element(cpu, "arch", "x86_64")
    element(cpu, "model", _MODEL[model.generation])
    element(cpu, "vendor", "Intel")
    element(cpu, "microcode", version=218_104_416 + model.generation.value)
    element(cpu, "counter", name="tsc", frequency=_TSC_HZ[model.generation], scaling="yes")
    # libvirt counts sockets in each NUMA node, so that nodes x sockets x cores x threads is the whole machine.
    element(cpu, "topology", sockets=1, dies=1, cores=shape.cores_per_node, threads=shape.threads)
    element(cpu, "maxphysaddr", mode="emulate", bits=46 if model.generation is Generation.CASCADE_LAKE else 52)
    for flag in flags(model.generation):
        element(cpu, "feature", name=flag)
    for size in (4, PAGE_2M, PAGE_1G):
        element(cpu, "pages", unit="KiB", size=size)


def _add_cells(host: Element, model: HostModel) -> None:
    nodes = model.shape.nodes
    cells = element(element(host, "topology"), "cells", num=nodes)
    for node in range(nodes):
        cell = element(cells, "cell", id=node)
        memory = model.node_kib(node)
        element(cell, "memory", memory, unit="KiB")
        element(cell, "pages", (memory - model.pool_kib) // 4, unit="KiB", size=4)
        for size, count in model.pool.items():
            element(cell, "pages", count, unit="KiB", size=size)
        distances = element(cell, "distances")
        for other in range(nodes):
            element(distances, "sibling", id=other, value=model.distance(node, other))
        own = [cpu for cpu in model.cpus if cpu.node == node]
        cpus = element(cell, "cpus", num=len(own))
        for cpu in own:
            element(
                cpus,
                "cpu",
                id=cpu.cpu_id,
                socket_id=cpu.socket,
                die_id=0,
                core_id=cpu.core_id,
                siblings=cpu.siblings.format(),
            )


def _add_cache(host: Element, model: HostModel) -> None:
    shape = model.shape
    per_bank = shape.cores_per_l3 or shape.cores_per_node
    cache = element(host, "cache")
    banks = [
        (node, cores[first : first + per_bank])
        for node, cores in enumerate(model.node_cores)
        for first in range(0, len(cores), per_bank)
    ]
    for number, (_, cores) in enumerate(banks):
        cpus = cores[0]
        for core in cores[1:]:
            cpus |= core
        element(cache, "bank", id=number, level=3, type="both", size=shape.l3_mib, unit="MiB", cpus=cpus.format())


def _add_guest(root: Element, model: HostModel) -> None:
    guest = element(root, "guest")
    element(guest, "os_type", "hvm")
    arch = element(guest, "arch", name="x86_64")
    element(arch, "wordsize", 64)
    element(arch, "emulator", EMULATOR)
    for name, alias, most in machine_types(model):
        element(arch, "machine", name, maxCpus=most)
        if alias:
            element(arch, "machine", alias, canonical=name, maxCpus=most)
    element(arch, "domain", type_="qemu")
    element(arch, "domain", type_="kvm")
    features = element(guest, "features")
    element(features, "acpi", default="on", toggle="yes")
    element(features, "apic", default="on", toggle="no")
    element(features, "cpuselection")
    element(features, "deviceboot")
    element(features, "disksnapshot", default="on", toggle="no")
    element(features, "externalSnapshot")


@lru_cache(maxsize=16)
def _domain_capabilities(generation: Generation, machine: str, max_cpus: int) -> str:
    root = etree.Element("domainCapabilities")
    element(root, "path", EMULATOR)
    element(root, "domain", "kvm")
    element(root, "machine", machine)
    element(root, "arch", "x86_64")
    element(root, "vcpu", max=max_cpus)
    element(root, "iothreads", supported="yes")
    cpu = element(root, "cpu")
    mode = element(cpu, "mode", name="host-passthrough", supported="yes")
    _add_enum(mode, "hostPassthroughMigratable", "on", "off")
    mode = element(cpu, "mode", name="host-model", supported="yes")
    element(mode, "model", _MODEL[generation], fallback="forbid")
    element(mode, "vendor", "Intel")
    for flag in (*flags(generation), "hypervisor"):
        element(mode, "feature", policy="require", name=flag)
    mode = element(cpu, "mode", name="custom", supported="yes")
    usable = usable_models(generation)
    for name in sorted([*_USABLE, *_UNUSABLE, "Icelake-Server-noTSX"], reverse=True):
        vendor = "unknown" if name in ("qemu64", "kvm64") else "Intel"
        element(mode, "model", name, usable="yes" if name in usable else "no", vendor=vendor)
    for name in _AMD:
        element(mode, "model", name, usable="no", vendor="AMD")
    backing = element(root, "memoryBacking", supported="yes")
    _add_enum(backing, "sourceType", "file", "anonymous", "memfd")
    features = element(root, "features")
    element(features, "gic", supported="no")
    element(features, "vmcoreinfo", supported="yes")
    element(features, "genid", supported="yes")
    element(features, "sev", supported="no")
    return format_xml(root)


def domain_capabilities_xml(model: HostModel) -> str:
    """What virConnectGetDomainCapabilities answers for the default machine under KVM."""
    name, most = next((name, most) for name, alias, most in machine_types(model) if alias == "q35")
    return _domain_capabilities(model.generation, name, most)


def _add_enum(parent: Element, name: str, *values: str) -> None:
    enum = element(parent, "enum", name=name)
    for value in values:
        element(enum, "value", value)


def devices_xml(model: HostModel) -> dict[str, tuple[str, ...]]:
    """XML of the host's networks, storage pools, interfaces and node devices by kind."""
    return {
        "network": tuple(_network(model, name, number) for number, name in enumerate(model.networks)),
        "pool": (_pool("images", "/var/lib/libvirt/images"), _pool("shared", "/srv/shared")),
        "interface": tuple(_bridge(name) for name in model.networks if name != "default"),
        "nodedev": tuple(_network_card(node) for node in range(0, model.shape.nodes, model.shape.nodes_per_socket)),
    }


def _network(model: HostModel, name: str, number: int) -> str:
    root = etree.Element("network")
    element(root, "name", name)
    element(root, "uuid", uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{model.name}"))
    if name == "default":
        element(element(root, "forward", mode="nat"), "nat")
        element(root, "bridge", name="virbr0", stp="on", delay="0")
        element(root, "ip", address="192.168.122.1", netmask="255.255.255.0")
    else:
        element(root, "forward", mode="bridge")
        element(root, "bridge", name=f"br-{name}"[:15])
    return format_xml(root)


def _pool(name: str, path: str) -> str:
    root = etree.Element("pool")
    root.set("type", "dir")
    element(root, "name", name)
    element(element(root, "target"), "path", path)
    return format_xml(root)


def _bridge(name: str) -> str:
    root = etree.Element("interface")
    root.set("type", "bridge")
    root.set("name", f"br-{name}"[:15])
    element(root, "bridge")
    return format_xml(root)


def _network_card(node: int) -> str:
    bus = 0x17 + 0x10 * node
    root = etree.Element("device")
    element(root, "name", f"pci_0000_{bus:02x}_00_0")
    element(root, "path", f"/sys/devices/pci0000:{bus - 1:02x}/0000:{bus:02x}:00.0")
    element(root, "parent", "computer")
    capability = element(root, "capability", type_="pci")
    element(capability, "class", "0x020000")
    for tag, value in (("domain", 0), ("bus", bus), ("slot", 0), ("function", 0)):
        element(capability, tag, value)
    element(capability, "product", "Ethernet Controller E810-C for SFP", id="0x1593")
    element(capability, "vendor", "Intel Corporation", id="0x8086")
    element(capability, "numa", node=node)
    return format_xml(root)
