"""What does a definition say, in the fields of the dialog? Domain XML -> `VmDraft`.

Reads only; `writing` is the way back.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from typing import Any

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.domain_xml import read_vm
from hpconsole.core.hypervisor.port import DomainRecord
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.xml_values import number, size_kib
from hpconsole.core.machines.draft import (
    DiskDraft,
    Firmware,
    Graphics,
    HostMap,
    NicDraft,
    NodeDraft,
    ProfileChange,
    VmDraft,
)
from hpconsole.core.machines.field_values import from_json
from hpconsole.core.model.vm import CpuPinningPolicy, NumaPin, Vm, VmIntent
from hpconsole.core.planning.pinning_text import format_pinning

_SHUT_OFF = 5  # VIR_DOMAIN_SHUTOFF
_BOOT_WORDS = {"disk": "hd", "cdrom": "cdrom", "floppy": "fd", "interface": "network"}
LITERAL = (CpuPinningPolicy.MANUAL, CpuPinningPolicy.KEEP_SHAPE)  # a map is written down
COMPUTED = (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS, CpuPinningPolicy.RESIZE_AND_PIN_NUMA)


@lru_cache(maxsize=64)  # a dialog asks for the same definition at every key; drafts are frozen
def read_draft(xml: str) -> VmDraft:
    """The draft of a definition. `writing.render` of it, unchanged, is the very same text.

    Raises:
        InvalidXml: no domain, or numbers that cannot be meant; entities and document types are refused.

    Threads: any.
    """
    root = safe_xml.parse(xml, what="The definition")
    vm = vm_from_xml(xml)
    devices = root.find("devices")
    intent = vm.intent
    return VmDraft(
        xml=xml,
        name=vm.name,
        title=_text(root, "title"),
        description=_text(root, "description"),
        uuid=vm.uuid,
        optimized_for=intent.optimized_for,
        template=intent.template,
        labels=intent.labels,
        memory_kib=vm.memory_kib,
        memory_now_kib=_memory_now(root, vm),
        topology=vm.topology,
        vcpus_now=vm.vcpus,
        arch=vm.arch,
        machine=vm.machine,
        virt_type=vm.virt_type,
        cpu_mode=vm.cpu.mode,
        cpu_model=vm.cpu.model,
        needs_tsc_frequency=intent.needs_tsc_frequency,
        allowed_hosts=intent.allowed_hosts,
        migration_mode=intent.migration_mode,
        is_migration_mode_chosen=intent.is_migration_mode_chosen,
        high_availability=intent.high_availability,
        priority=intent.priority,
        iothreads=vm.iothreads,
        cpu_shares=_shares(root),
        huge_page_kib=vm.huge_page_kib,
        shares_pages=root.find("memoryBacking/nosharepages") is None,
        cpu_pinning_policy=intent.cpu_pinning_policy,
        pinning_text=_pinning_text(vm),
        emulator_text="" if vm.pinning.emulator is None else vm.pinning.emulator.format(),
        iothread_texts=tuple((thread, cpus.format()) for thread, cpus in vm.pinning.iothreads),
        numa_nodes=_nodes(vm),
        numa_tune=vm.numa_tune,
        per_host=tuple(HostMap(own.host, format_pinning(own.vcpus), own.numa) for own in intent.per_host),
        **_device_fields(root.find("devices")),
        firmware=_firmware(root.find("os")),
        boot_devices=_boot_devices(root.find("os"), devices),
        has_boot_menu=_attribute(root.find("os/bootmenu"), "enable") == "yes",
        profile=_profile(intent),
    )


def vm_from_xml(xml: str, *, host: str = "") -> Vm:
    """The VM of a definition as the scheduler knows it, shut off.

    Raises:
        InvalidXml: as `read_draft`.
    """
    root = safe_xml.parse(xml, what="The definition")
    record = DomainRecord(_text(root, "uuid"), _text(root, "name"), _SHUT_OFF, 0, is_persistent=True, autostart=False)
    return read_vm(record, xml, host=host)


# --- pinning ----------------------------------------------------------------------


def _pinning_text(vm: Vm) -> str:
    """What was typed in, or whose shape is kept. Other policies compute a map for each host: nothing to type."""
    policy = vm.intent.cpu_pinning_policy
    if policy not in LITERAL:
        return ""
    typed = vm.intent.cpu_pinning if policy is CpuPinningPolicy.MANUAL else ()
    return format_pinning(typed or vm.pinning.vcpus)


def _nodes(vm: Vm) -> tuple[NodeDraft, ...]:
    """The virtual nodes with the pins that are meant; of a kept shape, those it has now."""
    pins: dict[int, NumaPin] = {}
    if vm.intent.is_stored and vm.intent.cpu_pinning_policy is not CpuPinningPolicy.KEEP_SHAPE:
        pins = {pin.node_id: pin for pin in vm.intent.numa_pins}
    is_computed = vm.intent.cpu_pinning_policy in COMPUTED  # what is bound now was computed for this host
    nodes = []
    for node in vm.virtual_nodes:
        pin = pins.get(node.node_id)
        bound, mode = (pin.host_nodes, pin.mode) if pin is not None else (node.host_nodes, node.mode)
        bound = () if is_computed else bound
        key = str(node.node_id)
        nodes.append(NodeDraft(node.node_id, node.memory_kib, bound, tuple(node.vcpus), mode, key))
    return tuple(nodes)


def _profile(intent: VmIntent) -> tuple[ProfileChange, ...]:
    """What a type changed, as far as it can be read; anybody may have written it."""
    changes = []
    for field, text in intent.profile:
        with suppress(ValueError, TypeError, InvalidEdit):
            before, after = json.loads(text)
            changes.append(ProfileChange(field, from_json(field, before), from_json(field, after)))
    return tuple(changes)


# --- system -----------------------------------------------------------------------


def _memory_now(root: Element, vm: Vm) -> int:
    now = root.find("currentMemory")
    return vm.memory_kib if now is None else size_kib(now.text, now.get("unit"), "the memory in use")


def _shares(root: Element) -> int | None:
    shares = root.find("cputune/shares")
    return None if shares is None else number(shares.text, "the CPU shares", largest=2**31)


def _firmware(system: Element | None) -> Firmware:
    if system is None:
        return Firmware.BIOS
    loader = system.find("loader")
    is_secure = _attribute(loader, "secure") == "yes" or any(
        feature.get("name") == "secure-boot" and feature.get("enabled") == "yes"
        for feature in system.iterfind("firmware/feature")
    )
    if system.get("firmware") == "efi":
        return Firmware.UEFI_SECURE if is_secure else Firmware.UEFI
    return Firmware.CUSTOM if loader is not None else Firmware.BIOS


def _boot_devices(system: Element | None, devices: Element | None) -> tuple[str, ...]:
    named = () if system is None else tuple(boot.get("dev", "") for boot in system.iterfind("boot"))
    if named:
        return named
    ordered: list[tuple[int, str]] = []
    for device in devices if devices is not None else ():
        boot = device.find("boot")
        word = _BOOT_WORDS.get(device.get("device", "disk") if device.tag == "disk" else str(device.tag))
        if boot is not None and word and (boot.get("order") or "").isdigit():
            ordered.append((int((boot.get("order") or "0")[:9]), word))
    return tuple(dict.fromkeys(word for _, word in sorted(ordered)))


# --- devices ----------------------------------------------------------------------


def _device_fields(devices: Element | None) -> dict[str, Any]:
    """The fields of the draft that are about devices."""
    graphics, video = _display(devices)
    watchdog = _device(devices, "watchdog")
    return {
        "watchdog_model": "" if watchdog is None else watchdog.get("model", ""),
        "watchdog_action": "reset" if watchdog is None else watchdog.get("action", "reset"),
        "has_balloon": not any(balloon.get("model") == "none" for balloon in _all(devices, "memballoon")),
        "is_multi_queue": any(_queues(nic) for nic in _all(devices, "interface")),
        "disks": tuple(_disk(disk, place) for place, disk in enumerate(_all(devices, "disk"))),
        "nics": tuple(_nic(nic, place) for place, nic in enumerate(_all(devices, "interface"))),
        "graphics": graphics,
        "video_model": video,
        "has_serial_console": _device(devices, "console") is not None or _device(devices, "serial") is not None,
        "has_usb": not any(c.get("type") == "usb" and c.get("model") == "none" for c in _all(devices, "controller")),
        "has_smartcard": _device(devices, "smartcard") is not None,
        "has_rng": _device(devices, "rng") is not None,
        "has_sound": _device(devices, "sound") is not None,
        "has_tpm": _device(devices, "tpm") is not None,
    }


def _display(devices: Element | None) -> tuple[Graphics, str]:
    kinds = [graphics.get("type", "") for graphics in _all(devices, "graphics")]
    known = [Graphics(kind) for kind in kinds if kind in (Graphics.VNC.value, Graphics.SPICE.value)]
    graphics = known[0] if known else Graphics.OTHER if kinds else Graphics.NONE
    models = [model.get("type", "") for video in _all(devices, "video") if (model := video.find("model")) is not None]
    return graphics, next((model for model in models if model != "none"), "")


def _disk(disk: Element, place: int) -> DiskDraft:
    source, target, driver = disk.find("source"), disk.find("target"), disk.find("driver")
    where = "" if source is None else next((v for k in ("file", "dev", "name", "dir") if (v := source.get(k))), "")
    return DiskDraft(
        key=str(place),
        device=disk.get("device", "disk"),
        target=_attribute(target, "dev"),
        bus=_attribute(target, "bus"),
        kind=disk.get("type", "file"),
        path=where,
        pool=_attribute(source, "pool"),
        volume=_attribute(source, "volume"),
        format=_attribute(driver, "type") or "raw",
        is_readonly=disk.find("readonly") is not None,
        is_shareable=disk.find("shareable") is not None,
        cache=_attribute(driver, "cache"),
        queues=_small_number(driver, "queues"),
        iothread=_small_number(driver, "iothread"),
    )


def _nic(nic: Element, place: int) -> NicDraft:
    source = nic.find("source")
    where = (
        "" if source is None else next((v for k in ("network", "bridge", "dev", "path") if (v := source.get(k))), "")
    )
    model = nic.find("model")
    return NicDraft(
        key=str(place),
        kind=nic.get("type", ""),
        source=where,
        model=_attribute(model, "type"),
        mac=_attribute(nic.find("mac"), "address"),
        queues=_queues(nic),
    )


def _queues(nic: Element) -> int | None:
    count = _small_number(nic.find("driver"), "queues")
    return count if count is not None and count > 1 else None


def _small_number(element: Element | None, name: str) -> int | None:
    text = _attribute(element, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _all(devices: Element | None, tag: str) -> list[Element]:
    return [] if devices is None else devices.findall(tag)


def _device(devices: Element | None, tag: str) -> Element | None:
    return None if devices is None else devices.find(tag)


def _attribute(element: Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")


def _text(root: Element, tag: str) -> str:
    return (root.findtext(tag) or "").strip() if tag in ("uuid", "name") else root.findtext(tag) or ""
