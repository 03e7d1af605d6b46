"""How are machine type, firmware and boot order of a draft written into a definition?"""

from __future__ import annotations

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from hpconsole.core.machines.draft import Firmware, VmDraft

_BEFORE_BOOT = ("type", "firmware", "loader", "nvram", "init", "initarg", "kernel", "initrd", "cmdline", "dtb", "boot")


def write_system(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """Virtualisation type, architecture, machine, firmware."""
    if before.virt_type != after.virt_type:
        document.set_attribute(document.root, "type", after.virt_type)
    system = _system(document)
    kind = system.child("type")
    if kind is not None:
        for name, value in (("arch", after.arch), ("machine", after.machine)):
            if value and value != kind.get(name):
                document.set_attribute(kind, name, value)
            elif not value:
                document.remove_attribute(kind, name)
    if before.firmware is not after.firmware and after.firmware is not Firmware.CUSTOM:
        _write_firmware(document, system, after.firmware)


def _write_firmware(document: XmlDocument, system: XmlElement, firmware: Firmware) -> None:
    for child in system.children:
        if child.name in ("loader", "nvram", "firmware"):
            document.remove(child)  # of the old firmware; libvirt chooses anew
    if firmware is Firmware.BIOS:
        document.remove_attribute(system, "firmware")
        return
    document.set_attribute(system, "firmware", "efi")
    state = "yes" if firmware is Firmware.UEFI_SECURE else "no"
    features = tuple(NewElement("feature", {"enabled": state, "name": n}) for n in ("enrolled-keys", "secure-boot"))
    document.insert_in_order(system, NewElement("firmware", children=features), after=("type",))
    if firmware is Firmware.UEFI_SECURE:
        _turn_on_smm(document)


def _turn_on_smm(document: XmlDocument) -> None:
    """Secure boot needs system management mode."""
    features = document.root.child("features")
    smm = features.child("smm") if features is not None else None
    if smm is not None:
        document.set_attribute(smm, "state", "on")
    elif features is not None:
        document.append(features, NewElement("smm", {"state": "on"}))


def write_order(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<os><boot>` and the boot menu. An order kept at the devices gives way to it: libvirt takes only one of both."""
    system = _system(document)
    if before.boot_devices != after.boot_devices:
        old = list(system.children_named("boot"))
        for boot in old:
            document.remove(boot)
        devices = document.root.child("devices")
        for device in devices.children if devices is not None else ():
            boot_of_device = device.child("boot")
            if boot_of_device is not None:
                document.remove(boot_of_device)
        for name in after.boot_devices:
            document.insert_in_order(system, NewElement("boot", {"dev": name}), after=_BEFORE_BOOT)
    menu = system.child("bootmenu")
    if before.has_boot_menu != after.has_boot_menu:
        if menu is not None:
            document.set_attribute(menu, "enable", "yes" if after.has_boot_menu else "no")
        else:
            new = NewElement("bootmenu", {"enable": "yes"})
            document.insert_in_order(system, new, after=(*_BEFORE_BOOT, "boot"))


def _system(document: XmlDocument) -> XmlElement:
    system = document.root.child("os")
    if system is None:
        raise InvalidEdit("firmware", "The definition has no <os> element; add one in the XML first.")
    return system
