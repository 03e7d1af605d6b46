"""What is a host, and what can its hypervisor give to guests? Read once per connection.

From capabilities and domain capabilities XML; knows nothing of usage or of VMs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.interning import one_object
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.topology_xml import read_topology
from hpconsole.core.hypervisor.xml_values import number, shortened
from hpconsole.core.model.host import HostCpuModel, HostTopology

_NO_MACHINES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HostCapabilities:
    """What `virConnectGetCapabilities` tells."""

    uuid: str = ""
    topology: HostTopology = field(default=HostTopology())  # equal ones are one object
    cpu: HostCpuModel = field(
        default=HostCpuModel()
    )  # features: those listed beside the model, not those the model implies
    machines: Mapping[tuple[str, str], frozenset[str]] = field(
        default_factory=dict
    )  # by (arch, virt type), aliases too
    has_iommu: bool | None = None  # None = not told
    migration_transports: frozenset[str] = frozenset()  # tcp, rdma ...

    def machine_types(self, arch: str = "", virt_type: str = "") -> frozenset[str]:
        """Machine types for guests of this architecture (empty: the host's) and virtualisation type.

        Without a virtualisation type: KVM's where there are any, or else those of all types. Empty = not told.
        """
        arch = arch or self.cpu.arch
        if not virt_type and (arch, "kvm") in self.machines:
            virt_type = "kvm"
        if virt_type:
            return self.machines.get((arch, virt_type), _NO_MACHINES)
        return _NO_MACHINES.union(*(names for (of_arch, _), names in self.machines.items() if of_arch == arch))

    def virt_types(self, arch: str = "") -> frozenset[str]:
        """The virtualisation types for guests of this architecture (empty: the host's): kvm, qemu, lxc ..."""
        return frozenset(kind for of_arch, kind in self.machines if of_arch == (arch or self.cpu.arch))


@dataclass(frozen=True, slots=True)
class DomainCapabilities:
    """What `virConnectGetDomainCapabilities` tells of one architecture, machine and virtualisation type."""

    arch: str = ""
    machine: str = ""  # canonical name
    virt_type: str = ""
    emulator: str = ""
    most_vcpus: int | None = None
    cpu_modes: frozenset[str] = frozenset()  # host-passthrough, host-model, maximum, custom
    usable_models: frozenset[str] = frozenset()  # for mode custom; empty = not told
    host_model: str = ""  # what mode host-model means here
    host_model_features: frozenset[str] = frozenset()  # that it has beside the model
    host_model_lacks: frozenset[str] = frozenset()  # that its model implies and it has not


def read_capabilities(xml: str) -> HostCapabilities:
    """What the host is.

    Raises:
        InvalidXml: no capabilities, or numbers that cannot be meant.

    Threads: any.
    """
    root = _root(xml, "capabilities", "The host's capabilities")
    host = root.find("host")
    if host is None:
        raise InvalidXml("The host's capabilities do not describe the host.")
    iommu = host.find("iommu")
    return HostCapabilities(
        uuid=(host.findtext("uuid") or "").strip(),
        topology=read_topology(host),
        cpu=_cpu_model(host.find("cpu")),
        machines=_machines(root),
        has_iommu=None if iommu is None else iommu.get("support") == "yes",
        migration_transports=frozenset(
            (transport.text or "").strip()
            for transport in host.iterfind("migration_features/uri_transports/uri_transport")
        ),
    )


def read_domain_capabilities(xml: str) -> DomainCapabilities:
    """What guests can have; nothing known for an empty text (the hypervisor does not support the call).

    Raises:
        InvalidXml: no domain capabilities, or numbers that cannot be meant.

    Threads: any.
    """
    if not xml.strip():
        return DomainCapabilities()
    root = _root(xml, "domainCapabilities", "The host's domain capabilities")
    modes = {mode.get("name", ""): mode for mode in root.iterfind("cpu/mode") if mode.get("supported") == "yes"}
    vcpu, custom, host_model = root.find("vcpu"), modes.get("custom"), modes.get("host-model")
    return DomainCapabilities(
        arch=_text(root, "arch"),
        machine=_text(root, "machine"),
        virt_type=_text(root, "domain"),
        emulator=_text(root, "path"),
        most_vcpus=None if vcpu is None else number(vcpu.get("max"), "the most vCPUs of a guest"),
        cpu_modes=frozenset(modes),
        usable_models=frozenset(
            (model.text or "").strip()
            for model in (custom.iterfind("model") if custom is not None else ())
            if model.get("usable") == "yes"
        ),
        host_model="" if host_model is None else _text(host_model, "model"),
        host_model_features=_features(host_model, {"require", "force"}),
        host_model_lacks=_features(host_model, {"disable", "forbid"}),
    )


def cpu_model(host: HostCapabilities, domain: DomainCapabilities) -> HostCpuModel:
    """The host's CPU with what guests can have of it: both documents as one value of the model."""
    return HostCpuModel(
        arch=host.cpu.arch or domain.arch,
        model=host.cpu.model or domain.host_model,
        vendor=host.cpu.vendor,
        features=one_object(host.cpu.features | domain.host_model_features),
        usable_models=domain.usable_models,
        tsc_frequency_hz=host.cpu.tsc_frequency_hz,
        has_tsc_scaling=host.cpu.has_tsc_scaling,
    )


def _root(xml: str, tag: str, what: str) -> Element:
    root = safe_xml.parse(xml, what=what)
    if root.tag != tag:
        raise InvalidXml(f"{what} cannot be read: it is a <{shortened(str(root.tag))}>, not a <{tag}>.")
    return root


def _cpu_model(cpu: Element | None) -> HostCpuModel:
    if cpu is None:
        return HostCpuModel()
    counter = next((counter for counter in cpu.iterfind("counter") if counter.get("name") == "tsc"), None)
    frequency = counter.get("frequency") if counter is not None else None
    named = {feature.get("name", "") for feature in cpu.iterfind("feature")}
    old = {str(feature.tag) for feature in cpu.iterfind("features/*")}  # Xen's libvirt: <features><vmx/></features>
    return HostCpuModel(
        arch=_text(cpu, "arch"),
        model=_text(cpu, "model"),
        vendor=_text(cpu, "vendor"),
        features=one_object(frozenset(named | old)),
        tsc_frequency_hz=None if frequency is None else number(frequency, "the TSC frequency", largest=10**12),
        has_tsc_scaling=counter is not None and counter.get("scaling") == "yes",
    )


def _machines(root: Element) -> dict[tuple[str, str], frozenset[str]]:
    """Machine types by (arch, virt type). Those directly under `<arch>` hold for types that list none of their own."""
    machines: dict[tuple[str, str], frozenset[str]] = {}
    for arch in root.iterfind("guest/arch"):
        general = _names(arch)
        for domain in arch.iterfind("domain"):
            key = arch.get("name", ""), domain.get("type", "")
            names = _names(domain) or general
            machines[key] = one_object(machines[key] | names) if key in machines else names
    return machines


def _names(element: Element) -> frozenset[str]:
    names = frozenset(name for machine in element.iterfind("machine") if (name := (machine.text or "").strip()))
    return one_object(names)


def _features(mode: Element | None, policies: set[str]) -> frozenset[str]:
    if mode is None:
        return frozenset()
    return frozenset(
        feature.get("name", "") for feature in mode.iterfind("feature") if feature.get("policy") in policies
    )


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
