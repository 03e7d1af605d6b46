"""How are memory, vCPUs, virtual nodes, IO threads and pinning of a draft written into a definition?"""

from __future__ import annotations

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.hypervisor.domain_editing import with_placement
from hpconsole.core.hypervisor.xml_editing import NewElement, XmlDocument, XmlElement
from hpconsole.core.hypervisor.xml_values import LARGEST_KIB, MOST_VCPUS, size_kib
from hpconsole.core.machines.draft import NodeDraft, VmDraft
from hpconsole.core.machines.element_order import CPUTUNE_ORDER, add_child, remove_child
from hpconsole.core.machines.reading import LITERAL, vm_from_xml
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaPin
from hpconsole.core.planning.pinning_text import as_map, parse


def write_memory(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<memory>` and `<currentMemory>`."""
    _size(document, "memory", after.memory_kib)
    if document.root.child("currentMemory") is not None or after.memory_now_kib != after.memory_kib:
        _size(document, "currentMemory", after.memory_now_kib)


def _size(document: XmlDocument, tag: str, kib: int) -> None:
    """Keep the unit where the size can be said in it."""
    if not 0 <= kib <= LARGEST_KIB:
        raise InvalidEdit("memory_kib", f"{kib:,} KiB is no memory a VM can have.")
    element = document.root.child(tag)
    if element is None:
        add_child(document, document.root, NewElement(tag, {"unit": "KiB"}, content=str(kib)))
        return
    if size_kib(element.plain_text, element.get("unit"), "the memory") == kib:
        return
    unit_kib = size_kib("1024", element.get("unit"), "the memory") / 1024
    if unit_kib >= 1 and kib % unit_kib == 0:
        document.set_text(element, str(int(kib // unit_kib)))
    else:
        document.set_attribute(element, "unit", "KiB")
        document.set_text(element, str(kib))


def write_vcpus(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<vcpu>` and `<cpu><topology>`."""
    count = after.vcpus
    if not 1 <= count <= MOST_VCPUS:
        raise InvalidEdit("topology", f"{count:,} vCPUs are not possible: 1 to {MOST_VCPUS:,}.")
    vcpu = document.root.child("vcpu")
    if vcpu is None:
        vcpu_new = {"placement": "static"} | ({"current": str(after.vcpus_now)} if after.vcpus_now < count else {})
        add_child(document, document.root, NewElement("vcpu", vcpu_new, content=str(count)))
    else:
        document.set_text(vcpu, str(count))
        if after.vcpus_now < count:
            document.set_attribute(vcpu, "current", str(after.vcpus_now))
        else:
            document.remove_attribute(vcpu, "current")
    single = document.root.child("vcpus")
    if single is not None and (before.vcpus, before.vcpus_now) != (count, after.vcpus_now):
        document.remove(single)  # it lists each vCPU with its state
    if before.topology != after.topology:
        _write_topology(document, after)


def _write_topology(document: XmlDocument, after: VmDraft) -> None:
    wanted = after.topology
    values = {"sockets": wanted.sockets, "dies": wanted.dies, "cores": wanted.cores, "threads": wanted.threads}
    cpu = document.root.child("cpu")
    topology = cpu.child("topology") if cpu is not None else None
    if topology is not None:
        for name, value in values.items():
            if name != "dies" or value != 1 or topology.get("dies") is not None:
                document.set_attribute(topology, name, str(value))
        if topology.get("clusters") is not None:
            document.set_attribute(topology, "clusters", "1")
        return
    written = {name: str(value) for name, value in values.items() if name != "dies" or value != 1}
    new = NewElement("topology", written)
    if cpu is None:
        add_child(document, document.root, NewElement("cpu", children=(new,)))
    else:
        document.insert_in_order(cpu, new, after=("arch", "model", "vendor", "microcode", "signature", "counter"))


def write_cpu_model(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<cpu mode>` and its model. Features that were asked for stay, except those of another model."""
    cpu = document.root.child("cpu")
    attributes = {"mode": after.cpu_mode} if after.cpu_mode else {}
    if after.cpu_mode == "custom":
        attributes |= {"match": "exact", "check": "partial"}
    elif after.cpu_mode == "host-passthrough":
        attributes |= {"check": "none", "migratable": "on"}
    model = NewElement("model", {"fallback": "forbid"}, content=after.cpu_model)
    is_named = after.cpu_mode == "custom" and bool(after.cpu_model)
    if cpu is None:
        add_child(document, document.root, NewElement("cpu", attributes, (model,) if is_named else ()))
        return
    for name in ("mode", "match", "check", "migratable"):
        if name in attributes:
            document.set_attribute(cpu, name, attributes[name])
        else:
            document.remove_attribute(cpu, name)
    old = cpu.child("model")
    for child in cpu.children:
        if child.name == "vendor" or (child.name == "feature" and before.cpu_mode == "custom"):
            document.remove(child)
    if old is not None and not is_named:
        document.remove(old)
    elif old is not None:
        document.set_text(old, after.cpu_model)
    elif is_named:
        document.insert_in_order(cpu, model, after=("arch",))


# --- virtual nodes ----------------------------------------------------------------


def write_nodes(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<cpu><numa>`: numbers, vCPUs and memory of the cells; where they are bound is the pinning's business."""
    cpu = document.root.child("cpu")
    numa = cpu.child("numa") if cpu is not None else None
    old = {node.index: node for node in before.numa_nodes}
    if numa is not None and after.numa_nodes and [node.index for node in after.numa_nodes] == list(old):
        cells = [child for child in numa.children if child.name == "cell"]
        by_id = {_cell_id(cell, place): cell for place, cell in enumerate(cells)}
        for node in after.numa_nodes:
            _update_cell(document, by_id[node.index], old[node.index], node)
        return
    if not after.numa_nodes:
        if cpu is not None and numa is not None:
            document.remove(numa)
        return
    first = next((child for child in numa.children if child.name == "cell"), None) if numa is not None else None
    kept = {} if first is None else {n: v for n in ("memAccess", "discard") if (v := first.get(n)) is not None}
    new = NewElement("numa", children=tuple(NewElement("cell", _cell(node) | kept) for node in after.numa_nodes))
    if numa is not None:
        document.replace(numa, new)
    elif cpu is not None:
        document.append(cpu, new)
    else:
        add_child(document, document.root, NewElement("cpu", children=(new,)))


def _cell_id(cell: XmlElement, place: int) -> int:
    text = (cell.get("id") or "").strip()
    return int(text) if text.isdigit() else place


def _cell(node: NodeDraft) -> dict[str, str]:
    cpus = {"cpus": _vcpus(node)} if node.vcpus else {}
    return {"id": str(node.index), **cpus, "memory": str(node.memory_kib), "unit": "KiB"}


def _vcpus(node: NodeDraft) -> str:
    if any(not 0 <= vcpu < MOST_VCPUS for vcpu in node.vcpus):
        raise InvalidEdit("numa_nodes", f"Virtual node {node.index} names a vCPU that cannot be.")
    return CpuSet.of(node.vcpus).format()


def _update_cell(document: XmlDocument, cell: XmlElement, old: NodeDraft, new: NodeDraft) -> None:
    if old.memory_kib != new.memory_kib:
        document.set_attribute(cell, "memory", str(new.memory_kib))
        document.set_attribute(cell, "unit", "KiB")
    if set(old.vcpus) != set(new.vcpus):
        if new.vcpus:
            document.set_attribute(cell, "cpus", _vcpus(new))
        else:
            document.remove_attribute(cell, "cpus")


# --- threads, shares and pages ----------------------------------------------------


def write_iothreads(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<iothreads>`; numbers of single threads beyond the count go."""
    count = document.root.child("iothreads")
    if count is not None and after.iothreads:
        document.set_text(count, str(after.iothreads))
    elif count is not None:
        document.remove(count)
    elif after.iothreads:
        add_child(document, document.root, NewElement("iothreads", content=str(after.iothreads)))
    listed = document.root.child("iothreadids")
    if listed is not None and after.iothreads < len(listed.children):
        if after.iothreads:
            for extra in listed.children[after.iothreads :]:
                document.remove(extra)
        else:
            document.remove(listed)


def write_shares(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<cputune><shares>`."""
    tune = document.root.child("cputune")
    shares = tune.child("shares") if tune is not None else None
    new = NewElement("shares", content=str(after.cpu_shares))
    if tune is not None and shares is not None and after.cpu_shares is None:
        remove_child(document, tune, shares)
    elif shares is not None:
        document.set_text(shares, str(after.cpu_shares))
    elif tune is None:
        document.insert_in_order(document.root, NewElement("cputune", children=(new,)), after=CPUTUNE_ORDER)
    else:
        document.insert_in_order(tune, new, after=())


def write_memory_backing(document: XmlDocument, before: VmDraft, after: VmDraft) -> None:
    """`<memoryBacking>`: huge pages and page sharing."""
    size = after.huge_page_kib
    pages = NewElement("hugepages", children=(NewElement("page", {"size": str(size), "unit": "KiB"}),))
    unshared = NewElement("nosharepages")
    backing = document.root.child("memoryBacking")
    if backing is None:
        wanted = ([pages] if size else []) + ([] if after.shares_pages else [unshared])
        if wanted:
            add_child(document, document.root, NewElement("memoryBacking", children=tuple(wanted)))
        return
    old_pages, old_unshared = backing.child("hugepages"), backing.child("nosharepages")
    gone: list[XmlElement] = []
    if before.huge_page_kib != size:
        if old_pages is not None and size:
            document.replace(old_pages, pages)
        elif old_pages is not None:
            gone.append(old_pages)
        elif size:
            document.insert_in_order(backing, pages, after=())
    if before.shares_pages != after.shares_pages:
        if old_unshared is not None:
            gone.append(old_unshared)
        else:
            document.insert_in_order(backing, unshared, after=("hugepages",))
    if gone:
        remove_child(document, backing, *gone)


# --- pinning ----------------------------------------------------------------------


def _pins(draft: VmDraft) -> tuple[object, ...]:
    """What of a draft is about pinning."""
    bound = tuple((node.index, node.host_nodes, node.mode) for node in draft.numa_nodes if node.host_nodes)
    texts = (draft.pinning_text, draft.emulator_text, draft.iothread_texts)
    return (draft.cpu_pinning_policy, *texts, bound, draft.numa_tune, draft.per_host)


def with_pinning(xml: str, before: VmDraft, after: VmDraft, host: str) -> str:
    """The definition with the map that is written down, for this host. Computed maps stay as they are."""
    own = next((item for item in after.per_host if item.host == host), None) if host else None
    is_smaller = after.vcpus < before.vcpus or after.iothreads < before.iothreads  # pins of what is gone go
    is_smaller = is_smaller or len(after.numa_nodes) < len(before.numa_nodes)
    if _pins(before) == _pins(after) and not is_smaller and own is None:
        return xml
    vm = vm_from_xml(xml)
    is_same_policy = before.cpu_pinning_policy is after.cpu_pinning_policy
    if after.cpu_pinning_policy in LITERAL:
        text = own.pinning_text if own is not None and own.pinning_text else after.pinning_text
        vcpus = as_map(parse(text))
    else:
        vcpus = vm.pinning.vcpus if is_same_policy else ()
    emulator = CpuSet.parse(after.emulator_text)
    pins = {pin.node_id: pin for pin in own.numa} if own is not None else {}
    bindings = [_binding(node, pins.get(node.index)) for node in after.numa_nodes]
    if not any(binding.host_nodes for binding in bindings) and is_same_policy and before.numa_nodes == after.numa_nodes:
        bindings = [NodeBinding(node.node_id, node.host_nodes, node.mode) for node in vm.virtual_nodes]
    placement = Placement(
        vm.uuid,
        host,
        tuple(binding for binding in bindings if binding.host_nodes),
        CpuPinning(
            vcpus=tuple((vcpu, cpus) for vcpu, cpus in vcpus if vcpu < after.vcpus),
            emulator=emulator or None,
            iothreads=tuple(
                (thread, cpus)
                for thread, cpus_text in after.iothread_texts
                if (cpus := CpuSet.parse(cpus_text)) and thread in vm.iothread_ids
            ),
        ),
        after.numa_tune,
    )
    return with_placement(xml, placement)


def _binding(node: NodeDraft, pin: NumaPin | None) -> NodeBinding:
    if pin is not None:
        return NodeBinding(node.index, pin.host_nodes, pin.mode)
    return NodeBinding(node.index, tuple(n for n in node.host_nodes if n is not None), node.mode)
