"""Storage pools and volumes out of libvirt's XML, and the XML of a volume to be made."""

from __future__ import annotations

from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.machine_port import NewVolume, PoolRecord, VolumeRecord
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.xml_editing import NewElement
from hpconsole.core.hypervisor.xml_values import size_kib


def read_pool(xml: str, *, is_active: bool) -> PoolRecord:
    """A pool of its XML.

    Raises:
        InvalidXml: it cannot be read.
    """
    root = safe_xml.parse(xml, what="A storage pool")
    return PoolRecord(
        name=root.findtext("name") or "",
        kind=root.get("type", ""),
        path=root.findtext("target/path") or "",
        is_active=is_active,
        capacity_kib=_size(root.find("capacity")) if is_active else None,
        free_kib=_size(root.find("available")) if is_active else None,
    )


def read_volume(xml: str) -> VolumeRecord:
    """A volume of its XML.

    Raises:
        InvalidXml: it cannot be read.
    """
    root = safe_xml.parse(xml, what="A volume")
    form = root.find("target/format")
    return VolumeRecord(
        name=root.findtext("name") or "",
        path=root.findtext("target/path") or root.findtext("key") or "",
        format="raw" if form is None else form.get("type", "raw"),
        capacity_kib=_size(root.find("capacity")) or 0,
        used_kib=_size(root.find("allocation")) or 0,
        backing_path=root.findtext("backingStore/path") or "",
    )


def volume_xml(wanted: NewVolume, source: VolumeRecord | None = None) -> str:
    """What virStorageVolCreateXML takes. Space is allocated as it is used.

    Args:
        source: The volume it is a copy of, or is linked to.
    """
    capacity = wanted.capacity_kib or (source.capacity_kib if source is not None else 0)
    children = [
        NewElement("name", content=wanted.name),
        NewElement("capacity", {"unit": "KiB"}, content=str(capacity)),
        NewElement("allocation", {"unit": "KiB"}, content="0"),
        NewElement("target", children=(NewElement("format", {"type": wanted.format}),)),
    ]
    if wanted.is_linked and source is not None:
        backing = (NewElement("path", content=source.path), NewElement("format", {"type": source.format}))
        children.append(NewElement("backingStore", children=backing))
    return NewElement("volume", children=tuple(children)).render()


def _size(element: Element | None) -> int | None:
    return None if element is None else size_kib(element.text, element.get("unit"), "a size", default_unit="bytes")
