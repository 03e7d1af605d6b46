"""The two edits libvirt makes to a domain's documents by itself: a vCPU's pinning and one application's metadata."""

from __future__ import annotations

from lxml import etree

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.intent_xml import KEY, NAMESPACE
from hpconsole.core.hypervisor.safe_xml import Element, parse
from hpconsole.core.hypervisor.simulated.daemon import Daemon
from hpconsole.core.hypervisor.simulated.demand import read_domain
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err
from hpconsole.core.hypervisor.simulated.refusals import refused
from hpconsole.core.hypervisor.simulated.xml_format import format_xml
from hpconsole.core.hypervisor.xml_values import some_number_set


def with_vcpu_pin(daemon: Daemon, xml: str, vcpu_id: int, cpus: str) -> str:
    """The document with this vCPU pinned.

    Raises:
        OperationRefused: no such vCPU, no such CPUs, or no CPU set.
    """
    root, demand = read_domain(daemon.name, xml)
    try:
        wanted = some_number_set(cpus, "a vCPU's CPUs")
    except InvalidXml as error:
        raise refused(daemon.name, Err.INVALID_ARG, f"Failed to parse bitmap '{cpus[:80]}'", vm=demand.name) from error
    if not 0 <= vcpu_id < demand.vcpus:
        words = f"vcpu {vcpu_id} is out of range of live cpu count {demand.vcpus}"
        raise refused(daemon.name, Err.INVALID_ARG, words, vm=demand.name)
    wanted &= daemon.model.online  # libvirt cuts the map to the host's CPUs
    if not wanted:
        raise refused(daemon.name, Err.INVALID_ARG, "Empty cpu list for pinning", vm=demand.name)
    tune = root.find("cputune")
    if tune is None:
        tune = etree.Element("cputune")
        insert_after(root, tune, ("iothreads", "vcpu"))
    pins = {int(pin.get("vcpu") or -1): pin for pin in tune.findall("vcpupin")}
    if vcpu_id in pins:
        pins[vcpu_id].set("cpuset", wanted.format())
    else:
        pin = etree.Element("vcpupin", vcpu=str(vcpu_id), cpuset=wanted.format())
        tune.insert(sum(1 for number in pins if number < vcpu_id), pin)
    return format_xml(root)


def with_metadata(host: str, xml: str, own: str | None, *, key: str = KEY, namespace: str = NAMESPACE) -> str:
    """The document with the metadata element of this namespace replaced by this one, or without it.

    Raises:
        OperationRefused: `own` is no XML element.
    """
    root, demand = read_domain(host, xml)
    metadata = root.find("metadata")
    if metadata is None:
        metadata = etree.Element("metadata")
        insert_after(root, metadata, ("description", "title", "uuid", "name"))
    for child in list(metadata):
        if etree.QName(child).namespace == namespace:
            metadata.remove(child)
    if own is not None:
        try:
            metadata.append(_in_namespace(parse(own), key, namespace))
        except InvalidXml as error:
            raise refused(host, Err.XML_ERROR, error.sentence, vm=demand.name) from error
    if not len(metadata):
        root.remove(metadata)
    return format_xml(root)


def _in_namespace(own: Element, key: str, namespace: str) -> Element:
    """As libvirt does: what has no namespace is put into the one the caller names (virXMLInjectNamespace)."""
    qualified = etree.Element(f"{{{namespace}}}{etree.QName(own).localname}", nsmap={key: namespace})
    qualified.attrib.update(own.attrib)
    qualified.text = own.text
    for child in own:
        qualified.append(child if etree.QName(child).namespace else _in_namespace(child, key, namespace))
    return qualified


def insert_after(root: Element, new: Element, tags: tuple[str, ...]) -> None:
    """Put a new child behind the first of these that is there; as the first child where none is."""
    before = next((found for tag in tags if (found := root.find(tag)) is not None), None)
    root.insert(0 if before is None else root.index(before) + 1, new)
