"""Do definitions of other tools survive? Opened and saved they are the same bytes; with one change only that differs.

`tests/data/domain-xml` was made with virt-install (make_domain_xml.py); the folder of libvirt's own test data is used
where it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hpconsole.core.hypervisor.safe_xml import Element, parse
from hpconsole.core.machines.draft import Firmware, Graphics, MigrationMode, VmDraft
from hpconsole.core.machines.reading import read_draft
from hpconsole.core.machines.writing import render

ROOT = Path(__file__).resolve().parents[3]
OWN = sorted((ROOT / "tests/data/domain-xml").glob("*.xml"))
SHARED = sorted((ROOT.parent / "shared/data/domain-xml").glob("*.xml"))
DEFINITIONS = [*OWN, *SHARED]
_by_name = pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)

# Field -> what it becomes, and the elements (paths below <domain>) that may differ then.
_BOOTABLE = tuple(f"devices/{tag}" for tag in ("disk", "interface", "hostdev", "redirdev"))
Edit = tuple[Callable[[VmDraft], Any], tuple[str, ...]]
EDITS: dict[str, Edit] = {
    "name": (lambda d: "another-name", ("name",)),
    "title": (lambda d: "a <new> title", ("title",)),
    "description": (lambda d: "what it is & what for", ("description",)),
    "memory_kib": (lambda d: d.memory_kib + 1024 * 1024, ("memory", "currentMemory")),
    "cpu_shares": (lambda d: 4711, ("cputune",)),
    "emulator_text": (lambda d: "5-6", ("cputune", "vcpu")),
    "iothreads": (lambda d: d.iothreads + 1, ("iothreads",)),
    "huge_page_kib": (lambda d: 1048576 if d.huge_page_kib == 2048 else 2048, ("memoryBacking",)),
    "shares_pages": (lambda d: not d.shares_pages, ("memoryBacking",)),
    "migration_mode": (lambda d: MigrationMode.DO_NOT_MIGRATE, ("metadata",)),
    "allowed_hosts": (lambda d: ("host-1", "host-2"), ("metadata",)),
    "boot_devices": (
        lambda d: ("network", "hd", "cdrom"),
        ("os", *_BOOTABLE),
    ),
    "has_balloon": (lambda d: not d.has_balloon, ("devices/memballoon",)),
    "has_rng": (lambda d: not d.has_rng, ("devices/rng",)),
    "has_sound": (lambda d: not d.has_sound, ("devices/sound", "devices/audio")),
    "watchdog_model": (lambda d: "" if d.watchdog_model else "i6300esb", ("devices/watchdog",)),
    "has_serial_console": (lambda d: not d.has_serial_console, ("devices/console", "devices/serial")),
    "graphics": (
        lambda d: Graphics.NONE if d.graphics is Graphics.VNC else Graphics.VNC,
        ("devices/graphics", "devices/channel", "devices/redirdev", "devices/smartcard", "devices/audio"),
    ),
    "firmware": (lambda d: Firmware.UEFI if d.firmware is Firmware.BIOS else Firmware.BIOS, ("os",)),
}


def test_there_are_enough_definitions() -> None:
    assert len(OWN) >= 60
    texts = "".join(path.read_text() for path in OWN)
    words = ("q35", "i440fx", "aarch64", "s390x", "<tpm", "<hostdev", "vhostuser", "<memory model=", "<iothreads>")
    for word in (*words, "qemu:commandline", 'firmware="efi"', "pflash"):
        assert word in texts, word


@_by_name
def test_open_and_save_changes_no_byte(path: Path) -> None:
    text = path.read_text()
    assert render(read_draft(text)) == text


@_by_name
def test_one_change_changes_only_its_element(path: Path) -> None:
    text = path.read_text()
    draft = read_draft(text)
    for field, (change, places) in EDITS.items():
        if ("devices" in "".join(places) and "<devices" not in text) or ("os" in places and "<os" not in text):
            continue  # refused with a sentence: see test_writing
        wanted = change(draft)
        written = render(replace(draft, **{field: wanted}))
        assert written != text
        assert getattr(read_draft(written), field) == wanted, field
        assert _without(written, places) == _without(text, places), field


def _without(text: str, places: tuple[str, ...]) -> bytes:
    """The document without these elements, blanks between elements apart."""
    root = parse(text)
    for place in places:
        for element in root.findall(place):
            _remove(element)
    for element in root.iter():
        element.text = element.text if (element.text or "").strip() else None
        element.tail = element.tail if (element.tail or "").strip() else None
    return etree.tostring(root, method="c14n")


def _remove(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def test_other_lines_keep_every_character() -> None:
    """Quotes, comments, entities, order and blanks of lines that are not about the change."""
    text = (
        "<?xml version='1.0'?>\n<!-- of another tool -->\n"
        '<domain  type="kvm"   id=\'7\'>\n\t<name>a&#98;c</name>\n  <memory unit="MiB">2048</memory>\n'
        "  <vcpu>2</vcpu>\n  <os><type arch='x86_64'>hvm</type></os>\n"
        "  <devices><!-- none --><emulator>/q&amp;a</emulator></devices>\n</domain>\n"
    )
    draft = read_draft(text)
    assert draft.name == "abc"
    written = render(replace(draft, memory_kib=4096 * 1024, memory_now_kib=4096 * 1024))
    assert written == text.replace("2048", "4096")
    back = render(replace(read_draft(written), memory_kib=2048 * 1024, memory_now_kib=2048 * 1024))
    assert back == text
