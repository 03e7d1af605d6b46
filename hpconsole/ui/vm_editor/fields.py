"""The fields of the VM dialog as data: which tab, which label, what may be typed. No Qt.

What a field's value means for others is `core.machines.editing`'s business; here a text becomes a value and back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hpconsole.core.machines.draft import Firmware, Graphics, OptimizedFor, VmDraft
from hpconsole.ui import format as fmt


class Tab(StrEnum):
    """The side tabs, in their order."""

    GENERAL = "General"
    SYSTEM = "System"
    HOST = "Host"
    AVAILABILITY = "High Availability"
    RESOURCES = "Resource Allocation"
    PINNING = "NUMA & pinning"
    DEVICES = "Devices"
    BOOT = "Boot"
    XML = "Advanced (XML)"


class Kind(StrEnum):
    """How a field is edited."""

    TEXT = "text"
    LINES = "lines"
    MEMORY = "memory"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    LABELS = "labels"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One row. `field` is the attribute of `VmDraft`."""

    field: str
    label: str  # with a mnemonic
    kind: Kind
    tip: str
    choices: tuple[tuple[Any, str], ...] = ()
    lowest: int = 0
    highest: int = 0
    unset: str = ""  # what stands there for no value; of a number it is its lowest
    is_open: bool = False  # of a choice: anything may be typed


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under one heading."""

    title: str
    fields: tuple[FieldSpec, ...]


TYPES = (
    (OptimizedFor.DESKTOP, "Desktop"),
    (OptimizedFor.SERVER, "Server"),
    (OptimizedFor.HIGH_PERFORMANCE, "High Performance"),
)

_PAGE_SIZES = ((None, "normal pages (4K)"), (2048, "2M"), (1_048_576, "1G"))


def _text(field: str, label: str, tip: str, kind: Kind = Kind.TEXT) -> FieldSpec:
    return FieldSpec(field, label, kind, tip)


def _flag(field: str, label: str, tip: str) -> FieldSpec:
    return FieldSpec(field, label, Kind.FLAG, tip)


def _choice(
    field: str, label: str, tip: str, choices: tuple[tuple[Any, str], ...], *, is_open: bool = False
) -> FieldSpec:
    return FieldSpec(field, label, Kind.CHOICE, tip, choices, is_open=is_open)


SECTIONS: dict[Tab, tuple[Section, ...]] = {
    Tab.GENERAL: (
        Section(
            "Identity",
            (
                _text("name", "&Name", "Unique on its host; letters, digits and most signs"),
                _text("title", "&Title", "A short text that libvirt's tools show beside the name"),
                _text("description", "&Description", "What this VM is for", Kind.LINES),
                FieldSpec("labels", "&Labels", Kind.LABELS, "Words separated by commas; rules can refer to them",
                          unset="words separated by commas"),
            ),
        ),
    ),
    Tab.SYSTEM: (
        Section(
            "Memory",
            (FieldSpec("memory_kib", "&Memory", Kind.MEMORY, "Such as 8 GiB; a plain number is MiB"),),
        ),
        Section(
            "Processor",
            (
                FieldSpec(
                    "vcpus_now", "Plugged in at the &start", Kind.NUMBER, "vCPUs the guest starts with", lowest=1,
                    highest=4096,
                ),
                _choice(
                    "cpu_mode", "CPU &type", "What processor the guest sees",
                    (
                        ("host-passthrough", "Pass-through host CPU"), ("host-model", "Like the host's"),
                        ("custom", "A named model"), ("maximum", "Everything that can be emulated"),
                        ("", "Hypervisor's default"),
                    ),
                ),
                FieldSpec("cpu_model", "CPU mo&del", Kind.TEXT, "Only for a named model, such as Skylake-Server",
                          unset="only for a named model"),
                _flag(
                    "needs_tsc_frequency", "Same TSC fre&quency",
                    "Migrate only to hosts whose time stamp counter has the same frequency",
                ),
            ),
        ),
        Section(
            "Machine",
            (
                _choice(
                    "arch", "&Architecture", "Of the processor",
                    (("x86_64", "x86_64"), ("aarch64", "aarch64"), ("s390x", "s390x"), ("ppc64le", "ppc64le")),
                    is_open=True,
                ),
                _text("machine", "Mac&hine", "Such as q35; empty: the hypervisor's default"),
                _choice(
                    "virt_type", "&Virtualisation", "Hardware virtualisation, or emulation",
                    (("kvm", "KVM"), ("qemu", "QEMU emulation")), is_open=True,
                ),
            ),
        ),
    ),
    Tab.AVAILABILITY: (
        Section(
            "After a failure of its host",
            (
                _flag("high_availability", "&Highly available", "Start it on another host when its host fails"),
                FieldSpec(
                    "priority", "&Priority", Kind.NUMBER, "1 to 100: higher ones are started and moved first",
                    lowest=1, highest=100,
                ),
            ),
        ),
        Section(
            "Watchdog",
            (
                _choice(
                    "watchdog_model", "&Watchdog", "Acts when the guest hangs",
                    (
                        ("", "None"), ("i6300esb", "i6300esb"), ("itco", "itco"), ("ib700", "ib700"),
                        ("diag288", "diag288"),
                    ),
                    is_open=True,
                ),
                _choice(
                    "watchdog_action", "A&ction", "What happens then",
                    (
                        ("reset", "Reset"), ("poweroff", "Power off"), ("shutdown", "Shut down"), ("pause", "Pause"),
                        ("dump", "Dump"), ("none", "Nothing"), ("inject-nmi", "Send an NMI"),
                    ),
                    is_open=True,
                ),
            ),
        ),
    ),
    Tab.RESOURCES: (
        Section(
            "Memory",
            (
                FieldSpec(
                    "memory_now_kib", "&Memory in use", Kind.MEMORY, "What the balloon leaves the guest"
                ),
                _flag("has_balloon", "Memory &balloon", "Lets the host take memory back"),
                _choice("huge_page_kib", "H&uge pages", "Size of the pages its memory is made of", _PAGE_SIZES),
                _flag("shares_pages", "Host may merge equal &pages (KSM)", "Saves memory, costs time"),
            ),
        ),
        Section(
            "Threads",
            (
                FieldSpec(
                    "iothreads", "&IO threads", Kind.NUMBER, "Threads of their own for disk traffic", highest=1024
                ),
                _flag("is_multi_queue", "Multi-&queue", "A queue for each vCPU on virtio devices"),
                FieldSpec(
                    "cpu_shares", "CPU sha&res", Kind.NUMBER, "Weight against other VMs when the host is busy",
                    lowest=1, highest=262_144, unset="as others",
                ),
            ),
        ),
    ),
    Tab.DEVICES: (
        Section(
            "Console",
            (
                _choice(
                    "graphics", "&Graphics", "The graphical console",
                    ((Graphics.NONE, "None"), (Graphics.VNC, "VNC"), (Graphics.SPICE, "SPICE")),
                ),
                _choice(
                    "video_model", "&Video", "The video device; none is headless",
                    (
                        ("", "None"), ("virtio", "virtio"), ("qxl", "qxl"), ("vga", "vga"), ("bochs", "bochs"),
                        ("ramfb", "ramfb"),
                    ),
                    is_open=True,
                ),
                _flag("has_serial_console", "&Serial console", "Reached with “virsh console”"),
            ),
        ),
        Section(
            "Other",
            (
                _flag("has_usb", "&USB", "A USB controller"),
                _flag("has_smartcard", "Smart&card", "A smart card reader"),
                _flag("has_rng", "&Random generator", "Entropy from the host"),
                _flag("has_sound", "S&ound", "A sound card"),
                _flag("has_tpm", "T&PM", "An emulated TPM 2.0"),
            ),
        ),
    ),
    Tab.BOOT: (
        Section(
            "Firmware",
            (
                _choice(
                    "firmware", "&Firmware", "What the VM boots with",
                    (
                        (Firmware.BIOS, "BIOS"), (Firmware.UEFI, "UEFI"), (Firmware.UEFI_SECURE, "UEFI, Secure Boot"),
                        (Firmware.CUSTOM, "As in the definition"),
                    ),
                ),
                _flag("has_boot_menu", "Boot &menu", "Ask at the console what to boot from"),
            ),
        ),
    ),
}  # fmt: skip

BOOT_NAMES = {"hd": "Hard disk", "cdrom": "CD drive", "network": "Network", "fd": "Floppy"}

_TAB_OF = {spec.field: tab for tab, sections in SECTIONS.items() for section in sections for spec in section.fields} | {
    "optimized_for": Tab.GENERAL,
    "uuid": Tab.GENERAL,
    "topology": Tab.SYSTEM,
    "vcpus": Tab.SYSTEM,
    "allowed_hosts": Tab.HOST,
    "migration_mode": Tab.HOST,
    "cpu_pinning_policy": Tab.PINNING,
    "pinning_text": Tab.PINNING,
    "emulator_text": Tab.PINNING,
    "iothread_texts": Tab.PINNING,
    "numa_nodes": Tab.PINNING,
    "numa_tune": Tab.PINNING,
    "per_host": Tab.PINNING,
    "disks": Tab.DEVICES,
    "nics": Tab.DEVICES,
    "boot_devices": Tab.BOOT,
    "xml": Tab.XML,
}


def tab_of(field: str) -> Tab:
    """The tab a field, or a part of it such as `disks.0.path`, stands on."""
    return _TAB_OF.get(field.partition(".")[0], Tab.GENERAL)


_MEMORY = re.compile(r"\s*([0-9]{1,15}(?:[.,][0-9]{1,3})?)\s*([kmgt]?)(?:i?b?)?\s*", re.IGNORECASE)
_UNITS = {"k": 1, "m": 1024, "": 1024, "g": 1024**2, "t": 1024**3}


def parse_memory(text: str) -> int | None:
    """KiB of a text such as `8 GiB`; a plain number is MiB. None: it is no amount.

    >>> parse_memory("8 GiB"), parse_memory("512"), parse_memory("1.5g"), parse_memory("many"), parse_memory("-1")
    (8388608, 524288, 1572864, None, None)
    """
    match = _MEMORY.fullmatch(text)
    if match is None:
        return None
    return round(float(match[1].replace(",", ".")) * _UNITS[match[2].lower()])


def format_memory(amount_kib: int) -> str:
    """The text of an amount, exact.

    >>> format_memory(8 * 1024**2), format_memory(1536 * 1024), format_memory(1000)
    ('8 GiB', '1536 MiB', '1000 KiB')
    """
    for unit, size in (("GiB", 1024**2), ("MiB", 1024)):
        if amount_kib % size == 0 and amount_kib:
            return f"{amount_kib // size} {unit}"
    return f"{amount_kib} KiB"


def parse_labels(text: str) -> frozenset[str]:
    """Words separated by commas.

    >>> sorted(parse_labels("a, b b,,a"))
    ['a', 'b b']
    """
    return frozenset(word for word in (part.strip() for part in text.split(",")) if word)


def in_words(spec: FieldSpec, value: Any) -> str:
    """A value as the user reads it.

    >>> in_words(FieldSpec("x", "X", Kind.FLAG, ""), True)
    'on'
    """
    if spec.kind is Kind.FLAG:
        return "on" if value else "off"
    if spec.kind is Kind.CHOICE:
        return next((text for known, text in spec.choices if known == value), str(value) or "none")
    if spec.kind is Kind.MEMORY:
        return fmt.kib(value)
    return spec.unset if value is None else str(value) or "empty"


Edit = Callable[[VmDraft], VmDraft]
