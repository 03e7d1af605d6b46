"""How is a draft written into the definition it was read from? Only what it says differently; every other byte stays.

A new VM is a minimal definition (`new_definition`) with everything the draft says differently from it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace

from hpconsole.core.errors import InvalidEdit, InvalidPinning
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.domain_xml import with_intent
from hpconsole.core.hypervisor.intent_xml import read_intent
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument
from hpconsole.core.machines import writing_boot, writing_devices, writing_disks, writing_nics, writing_resources
from hpconsole.core.machines.draft import NodeDraft, VmDraft
from hpconsole.core.machines.field_values import to_json
from hpconsole.core.machines.new_definition import minimal_xml
from hpconsole.core.machines.reading import COMPUTED, read_draft, vm_from_xml
from hpconsole.core.model.vm import CpuPinningPolicy, HostPinning, NumaPin, VmIntent
from hpconsole.core.planning.pinning_text import as_map, parse

_SECRET = re.compile(r"""(passwd\s*=\s*)("[^"]*"|'[^']*')""")

_OUTSIDE = ("xml", "uuid", "shape_host", "shape_topology")  # fields that are not written down
Writer = Callable[[XmlDocument, VmDraft, VmDraft], None]

# Each writer with the fields it is about; it runs only where one of them differs. Each gets a document of its own.
_WRITERS: tuple[tuple[frozenset[str], Writer], ...] = (
    (frozenset({"name", "title", "description"}), lambda document, _, after: _write_names(document, after)),
    (frozenset({"virt_type", "arch", "machine", "firmware"}), writing_boot.write_system),
    (frozenset({"boot_devices", "has_boot_menu"}), writing_boot.write_order),
    (frozenset({"memory_kib", "memory_now_kib"}), writing_resources.write_memory),
    (frozenset({"topology", "vcpus_now"}), writing_resources.write_vcpus),
    (frozenset({"cpu_mode", "cpu_model"}), writing_resources.write_cpu_model),
    (frozenset({"numa_nodes"}), writing_resources.write_nodes),
    (frozenset({"iothreads"}), writing_resources.write_iothreads),
    (frozenset({"huge_page_kib", "shares_pages"}), writing_resources.write_memory_backing),
    (frozenset({"cpu_shares"}), writing_resources.write_shares),
    (frozenset({"has_usb"}), writing_devices.write_usb),
    (frozenset({"graphics", "video_model"}), writing_devices.write_display),
    (
        frozenset(
            {
                *("watchdog_model", "watchdog_action", "has_balloon", "has_serial_console"),
                *("has_smartcard", "has_rng", "has_sound", "has_tpm"),
            }
        ),
        writing_devices.write_simple,
    ),
    (frozenset({"disks"}), writing_disks.write_disks),
    (frozenset({"nics"}), writing_nics.write_nics),
)


def render(draft: VmDraft, *, host: str = "") -> str:
    """The full definition.

    Args:
        host: The host it is for: a literal pinning of its own is written then, instead of the general one.

    Raises:
        InvalidXml: a text that no XML can hold, or a base definition that cannot be edited.
        InvalidPinning: a pinning text that cannot be meant.
        InvalidEdit: numbers that no definition can hold.

    Threads: any.
    """
    xml = draft.xml or minimal_xml(draft)
    before = read_draft(xml)
    changed = changed_fields(before, draft)
    for names, write in _WRITERS:
        if names & changed:
            document = XmlDocument(xml, what="The definition")
            write(document, before, draft)
            xml = document.edited()
    xml = writing_resources.with_pinning(xml, before, draft, host)
    intent = _intent(xml, before, draft)
    return xml if intent is None else with_intent(xml, intent)


def with_xml(draft: VmDraft, text: str) -> VmDraft:
    """The draft of a definition that was edited by hand.

    Raises:
        InvalidXml: it cannot be read; the sentence says where.
        InvalidEdit: it is another VM's.
    """
    edited = read_draft(text)
    if draft.uuid and edited.uuid and edited.uuid != draft.uuid:
        raise InvalidEdit("xml", "The UUID cannot be changed: it is what makes this VM the same one.")
    return edited


def difference(old: str, new: str, *, name: str = "definition") -> str:
    """What changes, line by line (unified form); empty where nothing does. Passwords are left out."""
    lines = difflib.unified_diff(
        _SECRET.sub(r"\1'...'", old).splitlines(),
        _SECRET.sub(r"\1'...'", new).splitlines(),
        f"{name} as it is",
        f"{name} as it will be",
        lineterm="",
    )
    return "\n".join(lines)


def changed_fields(before: VmDraft, after: VmDraft) -> frozenset[str]:
    """The names of the fields that differ; the definition itself is none."""
    names = (field.name for field in fields(VmDraft) if field.name not in _OUTSIDE)
    return frozenset(name for name in names if getattr(before, name) != getattr(after, name))


# --- names and intent -------------------------------------------------------------


def _write_names(document: XmlDocument, after: VmDraft) -> None:
    order = ("name", "uuid", "hwuuid", "genid", "title")
    for tag, text in (("name", after.name), ("title", after.title), ("description", after.description)):
        element = document.root.child(tag)
        if element is None:
            if text:
                earlier = order[: order.index("title")] if tag == "title" else order
                new = NewElement(tag, content=text)
                document.insert_in_order(document.root, new, after=earlier if tag != "name" else ())
        elif text or tag == "name":
            document.set_text(element, text)
        else:
            document.remove(element)


def intent_of(draft: VmDraft) -> VmIntent:
    """What this draft means the VM to have.

    Raises:
        InvalidPinning: a pinning text that cannot be meant.
    """
    is_manual = draft.cpu_pinning_policy is CpuPinningPolicy.MANUAL
    return VmIntent(
        optimized_for=draft.optimized_for,
        migration_mode=draft.migration_mode,
        is_migration_mode_chosen=draft.is_migration_mode_chosen,
        allowed_hosts=draft.allowed_hosts,
        cpu_pinning_policy=draft.cpu_pinning_policy,
        cpu_pinning=as_map(parse(draft.pinning_text)) if is_manual else (),
        numa_pins=numa_pins(draft.numa_nodes, draft.cpu_pinning_policy),
        per_host=tuple(
            HostPinning(own.host, as_map(parse(own.pinning_text)) if is_manual else (), own.numa)
            for own in draft.per_host
        ),
        high_availability=draft.high_availability,
        priority=draft.priority,
        needs_tsc_frequency=draft.needs_tsc_frequency,
        template=draft.template,
        labels=draft.labels,
        profile=tuple(
            (change.field, json.dumps([to_json(change.before), to_json(change.after)])) for change in draft.profile
        ),
        is_stored=True,
    )


def numa_pins(nodes: tuple[NodeDraft, ...], policy: CpuPinningPolicy) -> tuple[NumaPin, ...]:
    """The pins that are meant. A kept shape goes to any nodes; a computed map brings its own."""
    if policy in COMPUTED:
        return ()
    is_shape = policy is CpuPinningPolicy.KEEP_SHAPE
    pins = []
    for node in nodes:
        host_nodes = tuple(host_node for host_node in node.host_nodes if host_node is not None)
        if host_nodes:
            pins.append(NumaPin(node.index, () if is_shape else host_nodes, node.mode))
    return tuple(pins)


def _intent(xml: str, before: VmDraft, after: VmDraft) -> VmIntent | None:
    """The intent to write; None where it is as it was. What the dialog does not show stays in it."""
    old, new = intent_of(_readable(before)), intent_of(after)
    differing = {
        field.name: getattr(new, field.name)
        for field in fields(VmIntent)
        if getattr(old, field.name) != getattr(new, field.name)
    }
    if not differing:
        return None
    stored = read_intent(safe_xml.parse(xml).find("metadata"))
    if stored is None or not stored.is_stored:
        stored = vm_from_xml(before.xml).intent
    return replace(stored, **differing, is_stored=True, problem="")


def _readable(draft: VmDraft) -> VmDraft:
    """The draft as it was read; texts of its own that cannot be meant (a map of no CPUs) count as none."""
    try:
        parse(draft.pinning_text)
    except InvalidPinning:
        return replace(draft, pinning_text="")
    return draft
