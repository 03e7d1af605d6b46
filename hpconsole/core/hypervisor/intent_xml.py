"""How is a VM's intent written in the domain XML's metadata, and read back?

One element, `<hpconsole:vm>`, in hpconsole's namespace. All values are attributes: libvirt drops blank text from
metadata. What a newer hpconsole added is kept when an older one writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from hpconsole.core.hypervisor.xml_values import number, number_set, shortened
from hpconsole.core.model.cpuset import LIMIT, CpuSet
from hpconsole.core.model.vm import (
    CpuPinningPolicy,
    HostPinning,
    MigrationMode,
    NumaMode,
    NumaPin,
    OptimizedFor,
    VmIntent,
)

NAMESPACE = "urn:hpconsole:vm:1"
KEY = "hpconsole"  # the prefix, and the key of virDomainSetMetadata
VERSION = 1
NAME = "vm"  # of the element

_IN_NAMESPACE = f"{{{NAMESPACE}}}"  # before a tag, in lxml's notation

_ATTRIBUTES = frozenset(
    {"version", "optimized-for", "priority", "high-availability", "needs-tsc-frequency", "template"}
)
_CHILDREN = frozenset({"migration", "host", "cpu-pinning", "numa-pin", "pinning-on", "label", "was"})
# Elements of metadata and domain that come before, in the order in which libvirt writes them.
BEFORE_METADATA = ("name", "uuid", "hwuuid", "genid", "title", "description")

_Choice = TypeVar("_Choice", OptimizedFor, MigrationMode, CpuPinningPolicy, NumaMode)


# --- reading --------------------------------------------------------------------


def read_intent(metadata: Element | None) -> VmIntent | None:
    """The intent kept in this `<metadata>`, or in hpconsole's own element as libvirt hands it out.

    Returns:
        None where nothing is kept. Where something is kept that cannot be meant: an intent with nothing but
        `problem`, a sentence, and `is_stored` false; the caller derives one.
    """
    if metadata is None:
        return None
    mine = [child for child in metadata if child.tag == _IN_NAMESPACE + NAME]
    if not mine and metadata.tag in (NAME, _IN_NAMESPACE + NAME):
        mine = [metadata]
    if not mine:
        return None
    try:
        _unique([element.tag for element in mine], "the VM")
        return _intent(mine[0])
    except InvalidXml as error:
        return VmIntent(
            problem="What this VM is meant to have cannot be read from its XML "
            f"({error.sentence.rstrip('.')}), so it is derived from what it has. Edit and save the VM to mend it."
        )


def _intent(element: Element) -> VmIntent:
    version = number(element.get("version", "1"), "the version of hpconsole's metadata", smallest=1)
    parts = _parts(element)
    migration = _only_one(parts, "migration")
    pinning = _only_one(parts, "cpu-pinning")
    mode = MigrationMode.AUTOMATIC if migration is None else migration.get("mode", "automatic")
    policy = CpuPinningPolicy.NONE if pinning is None else pinning.get("policy", "none")
    return VmIntent(
        optimized_for=_choice(OptimizedFor, element.get("optimized-for", "server"), "“Optimized for”", version),
        migration_mode=_choice(MigrationMode, mode, "the migration mode", version),
        is_migration_mode_chosen=migration is not None and _yes(migration, "chosen"),
        allowed_hosts=_unique([_name(host) for host in parts.get("host", ())], "a specific host"),
        cpu_pinning_policy=_choice(CpuPinningPolicy, policy, "the CPU-pinning policy", version),
        cpu_pinning=() if pinning is None else _vcpus(_parts(pinning)),
        numa_pins=_numa_pins(parts, version),
        per_host=_per_host(parts, version),
        high_availability=_yes(element, "high-availability"),
        priority=number(element.get("priority", "50"), "the priority", smallest=1, largest=100),
        needs_tsc_frequency=_yes(element, "needs-tsc-frequency"),
        template=element.get("template", ""),
        labels=frozenset(_name(label) for label in parts.get("label", ())),
        profile=tuple((_name(was), was.get("values", "")) for was in parts.get("was", ())),
        is_stored=True,
    )


_Parts = Mapping[str, Sequence[Element]]


def _parts(element: Element) -> _Parts:
    """The children by name, in hpconsole's namespace or, as libvirt hands the element out, in none."""
    parts: dict[str, list[Element]] = {}
    for child in element:
        tag = str(child.tag)
        parts.setdefault(tag.removeprefix(_IN_NAMESPACE), []).append(child)
    return parts


def _only_one(parts: _Parts, name: str) -> Element | None:
    children = parts.get(name, ())
    _unique([name for _ in children], f"its {name}")
    return children[0] if children else None


def _per_host(parts: _Parts, version: int) -> tuple[HostPinning, ...]:
    pinnings: list[HostPinning] = []
    for child in parts.get("pinning-on", ()):
        own = _parts(child)
        pinnings.append(HostPinning(_name(child), _vcpus(own), _numa_pins(own, version)))
    _unique([pinning.host for pinning in pinnings], "a host with a pinning of its own")
    return tuple(pinnings)


def _vcpus(parts: _Parts) -> tuple[tuple[int, CpuSet], ...]:
    pairs = tuple(
        (
            number(child.get("id"), "a vCPU", largest=LIMIT - 1),
            number_set(child.get("cpuset", ""), "the CPUs of a vCPU"),
        )
        for child in parts.get("vcpu", ())
    )
    _unique([vcpu for vcpu, _ in pairs], "a pinned vCPU")
    return pairs


def _numa_pins(parts: _Parts, version: int) -> tuple[NumaPin, ...]:
    pins = tuple(
        NumaPin(
            number(child.get("node"), "a virtual NUMA node", largest=LIMIT - 1),
            tuple(
                number(node, "a host NUMA node", largest=LIMIT - 1)
                for node in child.get("host-nodes", "").split(",")
                if node
            ),
            _choice(NumaMode, child.get("mode", "strict"), "a NUMA mode", version),
        )
        for child in parts.get("numa-pin", ())
    )
    _unique([pin.node_id for pin in pins], "a pinned virtual NUMA node")
    return pins


def _name(element: Element) -> str:
    name = element.get("name")
    if name is None:
        raise InvalidXml("a name is missing")
    return name


def _yes(element: Element, attribute: str) -> bool:
    text = element.get(attribute, "no")
    if text not in ("yes", "no"):
        raise InvalidXml(f"“{shortened(text)}” stands where only yes or no can")
    return text == "yes"


def _choice(kind: type[_Choice], text: str, what: str, version: int) -> _Choice:
    try:
        return kind(text)
    except ValueError:
        newer = " (it was written by a newer hpconsole)" if version > VERSION else ""
        raise InvalidXml(f"“{shortened(text)}” is not known for {what}{newer}") from None


_T = TypeVar("_T", str, int)


def _unique(values: Sequence[_T], what: str) -> tuple[_T, ...]:
    if len(set(values)) < len(values):
        raise InvalidXml(f"{what} is named twice")
    return tuple(values)


# --- writing --------------------------------------------------------------------


def format_intent(intent: VmIntent, *, prefix: str = KEY) -> str:
    """The metadata element, on one line.

    Args:
        prefix: Empty = without prefix and namespace, as virDomainSetMetadata wants it: libvirt adds both itself.

    Raises:
        InvalidXml: a name holds a character that no XML can hold.
    """
    return _element(intent, prefix).render()


def with_intent(xml: str, intent: VmIntent) -> str:
    """The domain XML with this intent in its metadata, in the place of the one that is there.

    Everything else stays as it is, to the byte; attributes and children that this hpconsole does not know stay in the
    element. An intent that is there already changes nothing.

    Raises:
        InvalidXml: the domain XML cannot be read, or a name holds a character that no XML can hold.
    """
    document = XmlDocument(xml, what="The VM's definition")
    metadata = document.root.child("metadata")
    new = _element(intent, KEY)
    mine = [] if metadata is None else list(metadata.children_named(NAME, NAMESPACE))
    if metadata is None:
        document.insert_in_order(document.root, NewElement("metadata", children=(new,)), after=BEFORE_METADATA)
    elif not mine:
        document.append(metadata, new)
    elif read_intent(safe_xml.parse(xml).find("metadata")) != replace(intent, is_stored=True, problem=""):
        document.replace(mine[0], _with_unknown_parts(new, mine[0]))
    for extra in mine[1:]:
        document.remove(extra)
    return document.edited()


def _element(intent: VmIntent, prefix: str) -> NewElement:
    colon = f"{prefix}:" if prefix else ""
    start = {f"xmlns:{prefix}": NAMESPACE} if prefix else {}
    start |= {
        "version": str(VERSION),
        "optimized-for": intent.optimized_for.value,
        "priority": str(intent.priority),
        "high-availability": _yes_no(intent.high_availability),
        "needs-tsc-frequency": _yes_no(intent.needs_tsc_frequency),
    }
    if intent.template:
        start["template"] = intent.template
    migration = {"mode": intent.migration_mode.value, "chosen": _yes_no(intent.is_migration_mode_chosen)}
    pinning = NewElement(
        f"{colon}cpu-pinning", {"policy": intent.cpu_pinning_policy.value}, _vcpu_elements(intent.cpu_pinning, colon)
    )
    children = [
        NewElement(f"{colon}migration", migration),
        *(NewElement(f"{colon}host", {"name": host}) for host in intent.allowed_hosts),
        pinning,
        *_pin_elements(intent.numa_pins, colon),
        *(
            NewElement(
                f"{colon}pinning-on",
                {"name": own.host},
                (*_vcpu_elements(own.vcpus, colon), *_pin_elements(own.numa, colon)),
            )
            for own in intent.per_host
        ),
        *(NewElement(f"{colon}label", {"name": label}) for label in sorted(intent.labels)),
        *(NewElement(f"{colon}was", {"name": field, "values": values}) for field, values in intent.profile),
    ]
    return NewElement(f"{colon}{NAME}", start, children)


def _vcpu_elements(pairs: Sequence[tuple[int, CpuSet]], colon: str) -> tuple[NewElement, ...]:
    return tuple(NewElement(f"{colon}vcpu", {"id": str(vcpu), "cpuset": cpus.format()}) for vcpu, cpus in pairs)


def _pin_elements(pins: Sequence[NumaPin], colon: str) -> tuple[NewElement, ...]:
    return tuple(
        NewElement(
            f"{colon}numa-pin",
            {"node": str(pin.node_id), "host-nodes": ",".join(map(str, pin.host_nodes)), "mode": pin.mode.value},
        )
        for pin in pins
    )


def _yes_no(claim: bool) -> str:
    return "yes" if claim else "no"


def _with_unknown_parts(new: NewElement, old: XmlElement) -> NewElement:
    """The new element with what a newer hpconsole, or somebody else, put into the old one."""
    attributes = dict(new.attributes)
    for name, *_ in old.attribute_spans():
        if name not in _ATTRIBUTES and name not in attributes:
            attributes[name] = old.get(name) or ""
    with suppress(InvalidXml):  # a broken version is mended
        attributes["version"] = str(max(VERSION, number(old.get("version"), "the version")))
    unknown = [
        child.text for child in old.children if child.namespace != NAMESPACE or child.local_name not in _CHILDREN
    ]
    return NewElement(new.name, attributes, (*new.children, *unknown))
