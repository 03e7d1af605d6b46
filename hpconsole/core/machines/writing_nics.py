"""How are the network interfaces of a draft written into a definition? Each `<interface>` is known by its place."""

from __future__ import annotations

from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from hpconsole.core.machines.draft import NicDraft, VmDraft
from hpconsole.core.machines.element_order import devices_of

_SOURCE_ATTRIBUTE = {"network": "network", "bridge": "bridge", "direct": "dev"}


def write_nics(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """Interfaces that are gone go, changed ones are changed in their place, new ones come last."""
    devices = devices_of(document)
    elements = list(devices.children_named("interface"))
    old = {nic.key: nic for nic in before.nics}
    kept = {nic.key for nic in after.nics if nic.key}
    for nic in before.nics:
        if nic.key not in kept:
            document.remove(elements[int(nic.key)])
    for nic in after.nics:
        if nic.key and nic.key in old:
            if nic != old[nic.key]:
                _update(document, elements[int(nic.key)], old[nic.key], nic)
        elif elements:
            document.insert_in_order(devices, _element(nic), after=("interface",))
        else:
            document.append(devices, _element(nic))


def _element(nic: NicDraft) -> NewElement:
    children = [
        NewElement("mac", {"address": nic.mac}) if nic.mac else None,
        _source(nic),
        NewElement("model", {"type": nic.model}) if nic.model else None,
        NewElement("driver", {"name": "vhost", "queues": str(nic.queues)}) if nic.queues else None,
    ]
    return NewElement("interface", {"type": nic.kind}, tuple(child for child in children if child))


def _source(nic: NicDraft) -> NewElement | None:
    attribute = _SOURCE_ATTRIBUTE.get(nic.kind)
    if attribute is None or not nic.source:
        return None
    mode = {"mode": "bridge"} if nic.kind == "direct" else {}
    return NewElement("source", {attribute: nic.source, **mode})


def _update(document: XmlDocument, element: XmlElement, old: NicDraft, new: NicDraft) -> None:
    if (old.kind, old.source) != (new.kind, new.source):
        document.set_attribute(element, "type", new.kind)
        source, wanted = element.child("source"), _source(new)
        if source is not None and wanted is not None and old.kind == new.kind:
            for name, value in wanted.attributes.items():
                document.set_attribute(source, name, value)
            document.remove_attribute(source, "portid")  # of the port on the old network
        elif source is not None and wanted is not None:
            document.replace(source, wanted)
        elif source is not None:
            document.remove(source)
        elif wanted is not None:
            document.insert_in_order(element, wanted, after=("mac",))
    _update_child(document, element, "mac", "address", (old.mac, new.mac))
    _update_child(document, element, "model", "type", (old.model, new.model))
    queues = (str(old.queues or ""), str(new.queues or ""))
    _update_child(document, element, "driver", "queues", queues)


def _update_child(document: XmlDocument, element: XmlElement, tag: str, name: str, values: tuple[str, str]) -> None:
    was, value = values
    if was == value:
        return
    child = element.child(tag)
    if child is not None and value:
        document.set_attribute(child, name, value)
    elif child is not None and len(list(child.attribute_spans())) > 1:
        document.remove_attribute(child, name)
    elif child is not None:
        document.remove(child)
    elif value:
        earlier = ("mac", "source", "model", "driver")
        document.insert_in_order(element, NewElement(tag, {name: value}), after=earlier[: earlier.index(tag)])
