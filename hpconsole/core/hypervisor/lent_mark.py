"""How does a running VM say that its emulator threads are on CPUs only lent to them? Knows no host.

One element of the live metadata, `<hpconsole-lent:cpus>`, in a namespace of its own, so that it is written and removed
without reading anything. It is there while the VM moves; any console plans with what it says is meant.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.intent_xml import BEFORE_METADATA
from hpconsole.core.hypervisor.safe_xml import Element, parse
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument
from hpconsole.core.hypervisor.xml_values import some_number_set
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import NO_PINNING, CpuPinning

NAMESPACE = "urn:hpconsole:lent:1"
KEY = "hpconsole-lent"
_NAME = "cpus"


@dataclass(frozen=True, slots=True)
class LentMark:
    """The emulator threads are pinned to `lent`, and meant to be pinned to `meant`; None = not pinned."""

    lent: CpuSet
    meant: CpuSet | None = None


def format_mark(mark: LentMark) -> str:
    """The element without prefix and namespace, as virDomainSetMetadata wants it: libvirt adds both itself."""
    return _element(mark, "").render()


def read_mark(metadata: Element | None) -> LentMark | None:
    """The mark in this `<metadata>`; None where there is none that can be meant."""
    own = metadata.find(f"{{{NAMESPACE}}}{_NAME}") if metadata is not None else None
    if own is None:
        return None
    with suppress(InvalidXml):
        meant = own.get("meant")
        return LentMark(
            some_number_set(own.get("lent", ""), "lent CPUs"),
            None if meant is None else some_number_set(meant, "an emulator's CPUs"),
        )
    return None


def has_mark(xml: str | None) -> bool:
    """Whether a mark is left in this domain XML, readable or not."""
    if xml is None or NAMESPACE not in xml:
        return False
    metadata = parse(xml, what="The VM's definition").find("metadata")
    return metadata is not None and metadata.find(f"{{{NAMESPACE}}}{_NAME}") is not None


def as_meant(pinning: CpuPinning, mark: LentMark | None) -> CpuPinning:
    """The pinning once the lent CPUs are given back.

    An emulator that is pinned to anything but the lent CPUs was pinned by somebody since: that is believed.
    """
    if mark is None or pinning.emulator != mark.lent:
        return pinning
    meant = replace(pinning, emulator=mark.meant)
    return NO_PINNING if meant == NO_PINNING else meant


def with_mark(xml: str, mark: LentMark | None) -> str:
    """The domain XML with this mark in the place of any other; None: with none. Every other byte stays."""
    document = XmlDocument(xml, what="The VM's definition")
    metadata = document.root.child("metadata")
    old = list(metadata.children_named(_NAME, NAMESPACE)) if metadata is not None else []
    if mark is not None:
        new = _element(mark, KEY)
        if metadata is None:
            document.insert_in_order(document.root, NewElement("metadata", children=(new,)), after=BEFORE_METADATA)
        elif old:
            document.replace(old.pop(0), new)
        else:
            document.append(metadata, new)
    elif metadata is not None and old and len(metadata.children) == len(old):
        document.remove(metadata)
        return document.edited()
    for element in old:
        document.remove(element)
    return document.edited()


def _element(mark: LentMark, prefix: str) -> NewElement:
    attributes = {f"xmlns:{prefix}": NAMESPACE} if prefix else {}
    attributes["lent"] = mark.lent.format()
    if mark.meant is not None:
        attributes["meant"] = mark.meant.format()
    return NewElement(f"{prefix}:{_NAME}" if prefix else _NAME, attributes)
