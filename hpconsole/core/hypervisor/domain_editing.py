"""How is a placement written into a domain's XML? Only pinning and memory bindings change, every other byte stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from hpconsole.core.hypervisor.xml_values import number_set
from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode, NumaTune

# What libvirt writes before <cputune>; <numatune> comes right after it. (Reading, libvirt takes any order.)
_BEFORE_CPUTUNE = (
    *("name", "uuid", "hwuuid", "genid", "title", "description", "metadata", "maxMemory", "memory", "currentMemory"),
    *("blkiotune", "memtune", "memoryBacking", "vcpu", "vcpus", "iothreads", "iothreadids", "defaultiothread"),
)
_BEFORE_NUMATUNE = (*_BEFORE_CPUTUNE, "cputune")
_BEFORE_PINS = (
    *("shares", "period", "quota", "global_period", "global_quota"),
    *("emulator_period", "emulator_quota", "iothread_period", "iothread_quota"),
)
_NUMBERS = ("vcpu", "iothread", "cellid")  # attributes


def with_placement(xml: str, placement: Placement) -> str:
    """The domain XML, live or persistent, as it is meant on the placement's host.

    The placement is the whole truth about pinning: `<vcpupin>`, `<emulatorpin>`, `<iothreadpin>`, `<memnode>` and
    `<numatune><memory>` that it does not name belong to the old host and go, and so does `<vcpu cpuset>`. Scheduler
    and cache settings in `<cputune>` stay. XML that says the same already comes back as it is.

    Where virtual nodes are bound and the placement says nothing of the memory as a whole, an old `<memory nodeset>` is
    moved to the nodes that are bound, in its mode: libvirt refuses to start a VM that names a node the host lacks.

    Raises:
        InvalidXml: the XML cannot be read.

    Threads: any.
    """
    document = XmlDocument(xml, what="The VM's definition")
    _free_from_old_cpus(document, is_free=placement.is_free)
    _pin_threads(document, placement.pinning)
    bindings = [binding for binding in placement.bindings if binding.host_nodes]
    tune = placement.numa_tune
    cells = _virtual_nodes(document)
    if cells:  # the definition may have fewer than the running VM; libvirt takes no <memnode> for one that is not there
        bindings = [binding for binding in bindings if binding.node_id in cells]
    elif bindings:  # libvirt takes no <memnode> at all then: the whole memory is meant
        nodes = CpuSet.of(node for binding in bindings for node in binding.host_nodes)
        bindings, tune = [], tune or NumaTune(bindings[0].mode, nodes)
    _bind_memory(document, bindings, tune)
    return document.edited()


def _virtual_nodes(document: XmlDocument) -> frozenset[int]:
    """Their numbers; a cell without one has that of its place."""
    cpu = document.root.child("cpu")
    numa = cpu.child("numa") if cpu is not None else None
    cells = [child for child in numa.children if child.name == "cell"] if numa is not None else []
    written = [_plain_number(cell.get("id")) or str(place) for place, cell in enumerate(cells)]
    return frozenset(int(number) for number in written if number.isdigit())


def _free_from_old_cpus(document: XmlDocument, *, is_free: bool) -> None:
    """`<vcpu cpuset>` names the old host's CPUs; with placement "auto" libvirt would ignore emulator pinning.

    A VM that is free leaves libvirt its choice.
    """
    vcpu = document.root.child("vcpu")
    if vcpu is not None:
        document.remove_attribute(vcpu, "cpuset")
        if vcpu.get("placement") == "auto" and not is_free:
            document.set_attribute(vcpu, "placement", "static")


def _pin_threads(document: XmlDocument, pinning: CpuPinning) -> None:
    wanted: dict[tuple[str, str], CpuSet] = {("vcpupin", str(vcpu_id)): cpus for vcpu_id, cpus in pinning.vcpus}
    if pinning.emulator is not None:
        wanted["emulatorpin", ""] = pinning.emulator
    wanted |= {("iothreadpin", str(thread)): cpus for thread, cpus in pinning.iothreads}
    attribute = {"vcpupin": "vcpu", "iothreadpin": "iothread"}

    def key(element: XmlElement) -> tuple[str, str] | None:
        if element.name == "emulatorpin":
            return element.name, ""
        if element.name in attribute:
            return element.name, _plain_number(element.get(attribute[element.name]))
        return None

    def new(name: str, thread: str, cpus: CpuSet) -> NewElement:
        named = {attribute[name]: thread} if name in attribute else {}
        return NewElement(name, named | {"cpuset": cpus.format()})

    _rewrite(
        document,
        "cputune",
        after=_BEFORE_CPUTUNE,
        order=(*_BEFORE_PINS, "vcpupin", "emulatorpin", "iothreadpin"),
        key=key,
        wanted={thread: new(*thread, cpus) for thread, cpus in wanted.items()},
    )


def _bind_memory(document: XmlDocument, bindings: Iterable[NodeBinding], tune: NumaTune | None) -> None:
    wanted: dict[tuple[str, str], NewElement] = {}
    nodes, modes = EMPTY, []
    numatune = document.root.child("numatune")
    old = numatune.child("memory") if numatune is not None else None
    for binding in bindings:
        own = CpuSet.of(binding.host_nodes)
        nodes |= own
        modes.append(binding.mode)
        wanted["memnode", str(binding.node_id)] = NewElement(
            "memnode", {"cellid": str(binding.node_id), "mode": binding.mode.value, "nodeset": own.format()}
        )
    memory = _memory_element(old, nodes, modes, tune)
    if memory is not None:
        wanted = {("memory", ""): memory, **wanted}

    def key(element: XmlElement) -> tuple[str, str] | None:
        if element.name == "memory":
            return "memory", ""
        return ("memnode", _plain_number(element.get("cellid"))) if element.name == "memnode" else None

    _rewrite(document, "numatune", after=_BEFORE_NUMATUNE, order=("memory", "memnode"), key=key, wanted=wanted)


def _memory_element(
    old: XmlElement | None, nodes: CpuSet, modes: list[NumaMode], tune: NumaTune | None
) -> NewElement | None:
    """The `<memory>` of `<numatune>`; None = none."""
    if tune is not None:
        mode, nodes = tune.mode.value, tune.nodeset
    elif old is None:
        return None
    elif old.get("nodeset") is None:  # placement "auto": libvirt decides, but not beside bound nodes
        return None if nodes else NewElement("memory", {"placement": "auto"})
    elif not nodes:
        return None
    else:
        mode = old.get("mode") or "strict"
    if mode == NumaMode.RESTRICTIVE:  # libvirt then wants every memnode to be so, too
        mode = next((other.value for other in modes if other is not NumaMode.RESTRICTIVE), mode)
    return NewElement("memory", {"mode": mode, "nodeset": nodes.format()})


def _rewrite(
    document: XmlDocument,
    name: str,
    *,
    after: tuple[str, ...],
    order: tuple[str, ...],
    key: Callable[[XmlElement], tuple[str, str] | None],
    wanted: Mapping[tuple[str, str], NewElement],
) -> None:
    """Make the keyed children of a tuning element the wanted ones, with as few changes as there can be.

    Args:
        name: The tuning element, a child of the domain.
        after: The elements it stands behind, if it has to be made.
        order: The names of its children in libvirt's order.
        key: What a child is about; None = not ours, it stays.
        wanted: The children by what they are about, in their order.
    """
    tuning = document.root.child(name)
    if tuning is None:
        if wanted:
            document.insert_in_order(document.root, NewElement(name, children=tuple(wanted.values())), after=after)
        return
    missing = dict(wanted)
    unwanted: list[XmlElement] = []
    for child in tuning.children:
        about = key(child)
        if about is None:
            continue
        new = missing.pop(about, None)
        if new is None:
            unwanted.append(child)
        else:
            _update(document, child, new)
    if unwanted and not missing and _holds_only(tuning, unwanted):
        document.remove(tuning)
        return
    for child in unwanted:
        document.remove(child)
    present = {child.name for child in tuning.children}
    for new in missing.values():
        earlier = order[: order.index(new.name) + 1]
        ours = [name for name in earlier if name in present and name not in _BEFORE_PINS]
        # Behind the last one of its like, or of the nearest kind before it; else where libvirt would have it.
        document.insert_in_order(tuning, new, after=ours[-1:] or earlier)


def _update(document: XmlDocument, element: XmlElement, new: NewElement) -> None:
    """Give an element the attributes of another; those that say the same in other words stay as they are."""
    for name, value in new.attributes.items():
        if not _means_the_same(name, element.get(name), value):
            document.set_attribute(element, name, value)
    if "nodeset" in new.attributes and element.get("placement") == "auto":
        document.set_attribute(element, "placement", "static")


def _means_the_same(name: str, old: str | None, new: str) -> bool:
    if name in ("cpuset", "nodeset") and old is not None:
        with suppress(InvalidXml):
            return number_set(old, name) == number_set(new, name)
    if name == "mode" and old is None:
        return new == NumaMode.STRICT
    return old == new or (name in _NUMBERS and _plain_number(old) == new)


def _holds_only(element: XmlElement, children: list[XmlElement]) -> bool:
    """Whether nothing but these children is in an element: no other one, no comment."""
    if len(children) < len(element.children):
        return False
    source = element.document.source
    starts = [child.start for child in children] + [element.content_end]
    ends = [element.content] + [child.end for child in children]
    return all(not source[end:start].strip() for end, start in zip(ends, starts, strict=True))


def _plain_number(text: str | None) -> str:
    """A thread's or node's number without blanks and leading zeros; a text that is none stays as it is."""
    written = (text or "").strip()
    return (written.lstrip("0") or "0") if written.isascii() and written.isdigit() else written
