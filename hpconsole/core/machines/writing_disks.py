"""How are the disks of a draft written into a definition? Each `<disk>` is known by its place."""

from __future__ import annotations

import string
from collections.abc import Iterator

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from hpconsole.core.machines.draft import DiskDraft, VmDraft
from hpconsole.core.machines.element_order import devices_of

_PREFIXES = {
    "virtio": "vd",
    "scsi": "sd",
    "sata": "sd",
    "usb": "sd",
    "ide": "hd",
    "fdc": "fd",
    "xen": "xvd",
    "sd": "sd",
}
_SOURCE_ATTRIBUTE = {"file": "file", "block": "dev", "dir": "dir", "network": "name"}


def write_disks(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """Disks that are gone go, changed ones are changed in their place, new ones come last."""
    devices = devices_of(document)
    elements = list(devices.children_named("disk"))
    old = {disk.key: disk for disk in before.disks}
    kept = {disk.key for disk in after.disks if disk.key}
    for disk in before.disks:
        if disk.key not in kept:
            document.remove(elements[int(disk.key)])
    taken = {disk.target for disk in after.disks if disk.target}
    added = []
    for disk in after.disks:
        if disk.key and disk.key in old:
            if disk != old[disk.key]:
                _update(document, elements[int(disk.key)], old[disk.key], disk)
        else:
            target = disk.target or next_target(disk.bus, taken)
            taken.add(target)
            added.append(_element(disk, target))
    for new in added:
        if elements:
            document.insert_in_order(devices, new, after=("disk",))
        else:
            document.append(devices, new)
    needs_scsi = any(disk.bus == "scsi" for disk in after.disks) and not any(
        disk.bus == "scsi" for disk in before.disks
    )
    if needs_scsi and not any(c.get("type") == "scsi" for c in devices.children_named("controller")):
        document.append(devices, NewElement("controller", {"type": "scsi", "model": "virtio-scsi"}))


def next_target(bus: str, taken: set[str]) -> str:
    """The next free device name of a bus: vda, vdb ... vdaa."""
    prefix = _PREFIXES.get(bus, "vd")
    return next(name for letters in _letters() if (name := prefix + letters) not in taken)


def _letters() -> Iterator[str]:
    yield from string.ascii_lowercase
    for first in string.ascii_lowercase:
        for second in string.ascii_lowercase:
            yield first + second
    raise InvalidEdit("disks", "There are more disks than device names.")


def _element(disk: DiskDraft, target: str) -> NewElement:
    kind = "volume" if disk.pool and disk.volume else disk.kind
    driver = _driver(disk)
    children = [
        NewElement("driver", driver) if driver else None,
        _source(disk),
        NewElement("target", {"dev": target, "bus": disk.bus}),
        NewElement("shareable") if disk.is_shareable else None,
        NewElement("readonly") if disk.is_readonly or disk.device == "cdrom" else None,
    ]
    return NewElement("disk", {"type": kind, "device": disk.device}, tuple(child for child in children if child))


def _driver(disk: DiskDraft) -> dict[str, str]:
    values = {"name": "qemu", "type": disk.format or "raw"}
    if disk.cache:
        values["cache"] = disk.cache
    if disk.queues:
        values["queues"] = str(disk.queues)
    if disk.iothread:
        values["iothread"] = str(disk.iothread)
    return values


def _source(disk: DiskDraft) -> NewElement | None:
    if disk.pool and disk.volume:
        return NewElement("source", {"pool": disk.pool, "volume": disk.volume})
    return NewElement("source", {_SOURCE_ATTRIBUTE.get(disk.kind, "file"): disk.path}) if disk.path else None


def _update(document: XmlDocument, element: XmlElement, old: DiskDraft, new: DiskDraft) -> None:
    kind = "volume" if new.pool and new.volume else new.kind
    if (old.path, old.pool, old.volume, old.kind) != (new.path, new.pool, new.volume, kind):
        _update_source(document, element, new, kind)
    if old.device != new.device:
        document.set_attribute(element, "device", new.device)
    _update_driver(document, element, old, new)
    target = element.child("target")
    if target is not None and (old.bus, old.target) != (new.bus, new.target):
        document.set_attribute(target, "dev", new.target or old.target)
        if new.bus:
            document.set_attribute(target, "bus", new.bus)
        address = element.child("address")
        if address is not None and old.bus != new.bus:
            document.remove(address)
    for name, was, is_wanted in (
        ("shareable", old.is_shareable, new.is_shareable),
        ("readonly", old.is_readonly, new.is_readonly),
    ):
        present = element.child(name)
        if was and not is_wanted and present is not None:
            document.remove(present)
        elif is_wanted and not was:
            document.insert_in_order(element, NewElement(name), after=("driver", "source", "backingStore", "target"))


def _update_source(document: XmlDocument, element: XmlElement, new: DiskDraft, kind: str) -> None:
    document.set_attribute(element, "type", kind)
    source, wanted = element.child("source"), _source(new)
    for name in ("backingStore", "mirror"):
        stale = element.child(name)
        if stale is not None:
            document.remove(stale)
    if source is not None and wanted is not None:
        for name in ("file", "dev", "dir", "name", "pool", "volume", "index", "startupPolicy"):
            if name in wanted.attributes:
                document.set_attribute(source, name, wanted.attributes[name])
            elif name != "startupPolicy":
                document.remove_attribute(source, name)
    elif source is not None:
        document.remove(source)
    elif wanted is not None:
        document.insert_in_order(element, wanted, after=("driver", "auth"))


def _update_driver(document: XmlDocument, element: XmlElement, old: DiskDraft, new: DiskDraft) -> None:
    pairs = (
        ("type", old.format, new.format),
        ("cache", old.cache, new.cache),
        ("queues", str(old.queues or ""), str(new.queues or "")),
        ("iothread", str(old.iothread or ""), str(new.iothread or "")),
    )
    differing = {name: value for name, was, value in pairs if was != value}
    driver = element.child("driver")
    if not differing:
        return
    if driver is None:
        values = {"name": "qemu", "type": new.format or "raw"} | {n: v for n, v in differing.items() if v}
        document.insert_in_order(element, NewElement("driver", values), after=())
        return
    for name, value in differing.items():
        if value:
            document.set_attribute(driver, name, value)
        else:
            document.remove_attribute(driver, name)
