"""Which of a domain's devices matter for placement and migration? Reads `<devices>` and the firmware's state."""

from __future__ import annotations

from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.model.vm import AssignedDevice, Disk, Nic, VmDevices

_NIC_SOURCES = ("network", "bridge", "dev", "path", "name", "switchid", "address")
_DISK_SOURCES = ("file", "dev", "name", "dir", "path")


def read_devices(devices: Element | None, firmware: Element | None) -> VmDevices:
    """The devices that matter.

    Args:
        devices: `<devices>`.
        firmware: `<os>`, where the NVRAM is named.
    """
    nics: list[Nic] = []
    disks: list[Disk] = []
    assigned: list[AssignedDevice] = []
    has_tpm_state = False
    for device in devices if devices is not None else ():
        tag = device.tag
        if tag == "disk":
            disks.append(_disk(device))
        elif tag == "interface":
            nics.append(_nic(device))
            if device.get("type") == "hostdev":
                assigned.append(_assigned(device, "pci"))
        elif tag == "hostdev":
            assigned.append(_assigned(device, device.get("type", "")))
        elif tag == "tpm":
            backend = device.find("backend")
            kind = "" if backend is None else backend.get("type", "")
            has_tpm_state = has_tpm_state or kind == "emulator"
            if kind == "passthrough":  # QEMU refuses to migrate it
                assigned.append(AssignedDevice("tpm", _attribute(device.find("backend/device"), "path")))
    return VmDevices(
        nics=tuple(nics),
        disks=tuple(disks),
        assigned=tuple(assigned),
        has_tpm_state=has_tpm_state,
        has_nvram=firmware is not None and (firmware.find("nvram") is not None or firmware.get("firmware") == "efi"),
    )


def _nic(interface: Element) -> Nic:
    source = link = None
    for part in interface:
        if part.tag == "source":
            source = part
        elif part.tag == "link":
            link = part
    where = "" if source is None else next((source.get(key, "") for key in _NIC_SOURCES if source.get(key)), "")
    if source is not None and interface.get("type") == "hostdev":
        where = _pci_address(source.find("address"))
    return Nic(
        kind=interface.get("type", ""), source=where, is_link_up=link is None or link.get("state", "up") != "down"
    )


def _disk(disk: Element) -> Disk:
    parts = {part.tag: part for part in disk}
    source = parts.get("source")
    where, has_reservation = "", False
    if source is not None:
        if source.get("volume"):
            where = f"{source.get('pool', '')}/{source.get('volume', '')}"
        else:
            where = next((source.get(key, "") for key in _DISK_SOURCES if source.get(key)), "")
        has_reservation = source.find("reservations") is not None
    return Disk(
        target=_attribute(parts.get("target"), "dev"),
        kind=disk.get("type", ""),
        device=disk.get("device", "disk"),
        source=where,
        cache=_attribute(parts.get("driver"), "cache"),
        is_readonly="readonly" in parts,
        is_shareable="shareable" in parts,
        has_reservation=has_reservation,
    )


def _assigned(device: Element, kind: str) -> AssignedDevice:
    """A `<hostdev>`, or an `<interface type='hostdev'>`.

    What migrates (libvirt's qemuMigrationSrcIsAllowedHostdev): USB devices, and PCI devices that are the transient
    half of a failover pair, which libvirt unplugs for the time of the migration.
    """
    teaming = device.find("teaming")
    is_transient = kind == "pci" and teaming is not None and teaming.get("type") == "transient"
    is_usb = kind == "usb" and device.get("mode", "subsystem") == "subsystem"
    source = device.find("source")
    return AssignedDevice(
        kind=kind, address="" if source is None else _host_address(source, kind), is_migratable=is_transient or is_usb
    )


def _host_address(source: Element, kind: str) -> str:
    """Where the device is on the host: PCI address, USB vendor:product or bus.device, mdev UUID, SCSI address."""
    address = source.find("address")
    if kind == "usb":
        vendor, product = source.find("vendor"), source.find("product")
        if vendor is not None and product is not None:
            return f"{_hex(vendor.get('id'), 4)}:{_hex(product.get('id'), 4)}"
        return f"{_attribute(address, 'bus')}.{_attribute(address, 'device')}" if address is not None else ""
    if kind == "mdev":
        return _attribute(address, "uuid")
    if kind == "pci":
        return _pci_address(address)
    if kind == "scsi" and address is not None:
        adapter = _attribute(source.find("adapter"), "name")
        return ":".join((adapter, *(address.get(part, "0") for part in ("bus", "target", "unit"))))
    return source.get("wwpn") or next((child.text or "" for child in source if child.text), "")


def _pci_address(address: Element | None) -> str:
    if address is None:
        return ""
    domain, bus, slot = (
        _hex(address.get(part, "0"), width) for part, width in (("domain", 4), ("bus", 2), ("slot", 2))
    )
    return f"{domain}:{bus}:{slot}.{_hex(address.get('function', '0'), 1)}"


def _hex(text: str | None, width: int) -> str:
    """A number as libvirt writes it (0x1f or decimal) in hexadecimal; a text that is none stays as it is."""
    written = (text or "").strip()
    if len(written) > 12:
        return written[:12]
    try:
        return f"{int(written, 0):0{width}x}"
    except ValueError:
        return written


def _attribute(element: Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")
