"""What does a domain's XML say about the VM? Domain XML -> `Vm`, for every hypervisor libvirt knows.

Reads what libvirt reports; decides nothing. A document that cannot be meant is an InvalidXml with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor import safe_xml
from hpconsole.core.hypervisor.derived_intent import derive_intent
from hpconsole.core.hypervisor.device_xml import read_devices
from hpconsole.core.hypervisor.domain_state import is_held_by_migration, reason_of, state_of
from hpconsole.core.hypervisor.intent_xml import read_intent
from hpconsole.core.hypervisor.lent_mark import as_meant, read_mark
from hpconsole.core.hypervisor.port import DomainRecord
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.xml_values import (
    LARGEST_KIB,
    MOST_VCPUS,
    number,
    number_in,
    number_set,
    shortened,
    size_kib,
    some_number_set,
)
from hpconsole.core.model.cpuset import EMPTY, LIMIT, CpuSet
from hpconsole.core.model.vm import (
    NO_PINNING,
    CpuPinning,
    NumaMode,
    NumaTune,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmCpu,
)

_MODES = {mode.value: mode for mode in NumaMode}
_NO_CPU = VmCpu()
_MOST_IOTHREADS = 65_535

# Huge pages of no stated size are the host's default ones, which the XML does not tell: Linux' default by architecture.
_DEFAULT_HUGE_PAGE_KIB = {"s390x": 1024, "ppc64": 16_384, "ppc64le": 16_384}
_BASE_PAGE_KIB = {"ppc64": 64, "ppc64le": 64}  # asking for pages of this size is asking for no huge pages

Parts = Mapping[str, Element]


def read_vm(
    record: DomainRecord,
    live_xml: str,
    *,
    host: str,
    inactive_xml: str | None = None,
    host_cpus: CpuSet | None = None,
) -> Vm:
    """The VM as libvirt has it now; where its emulator threads are on lent CPUs, with those they are meant to have.

    Args:
        live_xml: The live XML, or the definition of a VM that is shut off.
        host: The configured name of the host.
        inactive_xml: The definition of a running VM; its intent serves where the live XML has none.
        host_cpus: The host's CPUs; threads "pinned" to all of them count as not pinned.

    Raises:
        InvalidXml: no domain, or numbers that cannot be meant. The sentence names the VM.

    Threads: any.
    """
    try:
        vm = _vm(record, _domain(live_xml), host, host_cpus)
        if not vm.intent.is_stored and inactive_xml:
            intent = read_intent(_domain(inactive_xml).find("metadata"))
            vm = replace(vm, intent=intent) if intent is not None and intent.is_stored else vm
    except InvalidXml as error:
        sentence = f"The XML of VM {record.name} on {host} cannot be used: {error.sentence}"
        raise InvalidXml(sentence, detail=error.detail, subject=record.name) from error
    return vm


def _domain(xml: str) -> Element:
    domain = safe_xml.parse(xml, what="The definition")
    if domain.tag != "domain":
        raise InvalidXml(f"It is a <{shortened(str(domain.tag))}>, not a <domain>.")
    return domain


def _vm(record: DomainRecord, domain: Element, host: str, host_cpus: CpuSet | None) -> Vm:
    parts: dict[str, Element] = {}
    for child in domain:
        parts.setdefault(child.tag, child)
    vcpu = parts.get("vcpu")
    most_vcpus = 1 if vcpu is None else number(vcpu.text, "the number of vCPUs", smallest=1, largest=MOST_VCPUS)
    vcpus = most_vcpus
    if vcpu is not None:
        vcpus = number_in(vcpu, "current", "the vCPUs in use", default=most_vcpus, smallest=1, largest=most_vcpus)
    iothread_ids = _iothread_ids(parts)
    firmware = parts.get("os")
    os_type = firmware.find("type") if firmware is not None else None
    arch = "" if os_type is None else os_type.get("arch", "")
    cpu = parts.get("cpu")
    model = _NO_CPU if cpu is None else _cpu(cpu)
    pinning = _pinning(parts, most_vcpus, iothread_ids, host_cpus)
    pinning = as_meant(pinning, read_mark(parts.get("metadata")))
    page_kib, node_pages = _huge_pages(parts.get("memoryBacking"), arch)
    tune, bindings = _numa_tune(parts.get("numatune"))
    nodes = _virtual_nodes(cpu, bindings, page_kib, node_pages) if cpu is not None else ()
    intent = read_intent(parts.get("metadata"))
    if intent is None or not intent.is_stored:
        problem = intent.problem if intent is not None else ""
        intent = derive_intent(pinning, nodes, tune, is_passthrough=model.is_passthrough)
        intent = replace(intent, problem=problem) if problem else intent
    return Vm(
        uuid=record.uuid,
        name=record.name,
        host=host,
        state=state_of(record.state),
        state_reason=reason_of(record.state, record.reason),
        is_persistent=record.is_persistent,
        autostart=record.autostart,
        is_migrating=is_held_by_migration(record.state, record.reason),
        vcpus=vcpus,
        topology=_topology(cpu, most_vcpus),
        memory_kib=_memory(parts),
        virtual_nodes=nodes,
        numa_tune=tune,
        huge_page_kib=_vm_page(page_kib, node_pages, nodes),
        pinning=pinning,
        iothreads=len(iothread_ids),
        iothread_ids=iothread_ids,
        cpu=model,
        arch=arch,
        machine="" if os_type is None else os_type.get("machine", ""),
        virt_type=domain.get("type", ""),
        devices=read_devices(parts.get("devices"), firmware),
        intent=intent,
    )


def _memory(parts: Parts) -> int:
    """`<memory>`: what the guest may use at most, modules included; the balloon only lowers it."""
    memory = parts.get("memory")
    return 0 if memory is None else size_kib(memory.text, memory.get("unit"), "the memory")


def _topology(cpu: Element | None, most_vcpus: int) -> VcpuTopology:
    """Without `<topology>` libvirt makes each vCPU a socket. Clusters are counted as cores of their die."""
    topology = cpu.find("topology") if cpu is not None else None
    if topology is None:
        return VcpuTopology(sockets=most_vcpus)

    def count(name: str) -> int:
        return number_in(topology, name, f"the virtual {name}", default=1, smallest=1, largest=MOST_VCPUS)

    return VcpuTopology(
        sockets=count("sockets"), dies=count("dies"), cores=count("cores") * count("clusters"), threads=count("threads")
    )


def _cpu(cpu: Element) -> VmCpu:
    model, required = "", []
    for child in cpu:
        if child.tag == "feature":
            if child.get("policy", "require") in ("require", "force"):
                required.append(child.get("name", ""))
        elif child.tag == "model":
            model = (child.text or "").strip()
    # A model without a mode is a custom one: libvirt's default.
    mode = cpu.get("mode") or ("custom" if model else "")
    return VmCpu(mode=mode, model=model, required_features=frozenset(required))


# --- threads ----------------------------------------------------------------------


def _iothread_ids(parts: Parts) -> tuple[int, ...]:
    """The numbers of the IO threads: those listed, and the lowest free ones up to the count."""
    count = parts.get("iothreads")
    listed = parts.get("iothreadids")
    ids: list[int] = []
    if listed is not None:
        for thread in listed:
            if thread.tag == "iothread":
                ids.append(number(thread.get("id"), "an IO thread", smallest=1, largest=_MOST_IOTHREADS))
    if count is not None:
        wanted = number(count.text, "the number of IO threads", largest=_MOST_IOTHREADS)
        taken, candidate = set(ids), 1
        while len(ids) < wanted:
            if candidate not in taken:
                ids.append(candidate)
            candidate += 1
    return tuple(sorted(set(ids)))


def _pinning(parts: Parts, most_vcpus: int, iothread_ids: tuple[int, ...], host_cpus: CpuSet | None) -> CpuPinning:
    tune, vcpu = parts.get("cputune"), parts.get("vcpu")
    allowed = vcpu.get("cpuset") if vcpu is not None else None
    if tune is None and allowed is None:
        return NO_PINNING
    vcpus: dict[int, CpuSet] = {}
    iothreads: dict[int, CpuSet] = {}
    emulator: CpuSet | None = None
    if allowed is not None and (default := number_set(allowed, "the CPUs of the VM")):
        # <vcpu cpuset> holds for every thread that has no pinning of its own.
        vcpus = dict.fromkeys(range(most_vcpus), default)
        iothreads = dict.fromkeys(iothread_ids, default)
        emulator = default
    for pin in tune if tune is not None else ():
        tag = pin.tag
        if tag == "vcpupin":
            vcpus[number(pin.get("vcpu"), "a vCPU", largest=MOST_VCPUS - 1)] = _pin_cpus(pin)
        elif tag == "emulatorpin":
            emulator = _pin_cpus(pin)
        elif tag == "iothreadpin":
            iothreads[number(pin.get("iothread"), "an IO thread", largest=_MOST_IOTHREADS)] = _pin_cpus(pin)
    if host_cpus:
        vcpus = {vcpu_id: cpus for vcpu_id, cpus in vcpus.items() if not host_cpus <= cpus}
        iothreads = {thread: cpus for thread, cpus in iothreads.items() if not host_cpus <= cpus}
        emulator = None if emulator is not None and host_cpus <= emulator else emulator
    if not vcpus and not iothreads and emulator is None:
        return NO_PINNING
    return CpuPinning(tuple(sorted(vcpus.items())), emulator, tuple(sorted(iothreads.items())))


def _pin_cpus(pin: Element) -> CpuSet:
    return some_number_set(pin.get("cpuset", ""), "the CPUs of a thread")


# --- memory -----------------------------------------------------------------------

_Bindings = Mapping[int, tuple[NumaMode, CpuSet]]


def _numa_tune(numatune: Element | None) -> tuple[NumaTune | None, _Bindings]:
    """The binding of the whole memory, and those of virtual nodes. Placement "auto" names no nodes: not bound."""
    tune: NumaTune | None = None
    bindings: dict[int, tuple[NumaMode, CpuSet]] = {}
    for child in numatune if numatune is not None else ():
        if child.tag == "memory" and child.get("nodeset"):
            tune = NumaTune(_mode(child), some_number_set(child.get("nodeset", ""), "the NUMA nodes of the memory"))
        elif child.tag == "memnode":
            node_id = number(child.get("cellid"), "a virtual NUMA node", largest=LIMIT - 1)
            nodes = some_number_set(child.get("nodeset", ""), "the host nodes of a virtual NUMA node")
            bindings[node_id] = (_mode(child), nodes)
    return tune, bindings


def _mode(element: Element) -> NumaMode:
    text = element.get("mode", "strict")
    try:
        return _MODES[text]
    except KeyError:
        raise InvalidXml(f"The XML has the unknown NUMA mode “{shortened(text)}”.") from None


def _virtual_nodes(
    cpu: Element, bindings: _Bindings, page_kib: int | None, node_pages: Mapping[int, int | None]
) -> tuple[VirtualNumaNode, ...]:
    numa = cpu.find("numa")
    if numa is None:
        return ()
    nodes: dict[int, VirtualNumaNode] = {}
    for cell in numa:
        if cell.tag != "cell":
            continue
        node_id = number_in(cell, "id", "a virtual NUMA node", default=len(nodes), largest=LIMIT - 1)
        if node_id in nodes:
            raise InvalidXml(f"The XML has the virtual NUMA node {node_id} twice.")
        cpus = cell.get("cpus")
        mode, host_nodes = bindings.get(node_id, (NumaMode.STRICT, EMPTY))
        nodes[node_id] = VirtualNumaNode(
            node_id=node_id,
            vcpus=number_set(cpus, "the vCPUs of a virtual NUMA node") if cpus else EMPTY,
            memory_kib=size_kib(cell.get("memory"), cell.get("unit"), "the memory of a virtual NUMA node"),
            host_nodes=tuple(host_nodes),
            mode=mode,
            page_kib=node_pages.get(node_id, page_kib),
        )
    return tuple(nodes[node_id] for node_id in sorted(nodes))


def _huge_pages(backing: Element | None, arch: str) -> tuple[int | None, Mapping[int, int | None]]:
    """The page size of memory in general, and of single virtual nodes; None = the base page."""
    pages = backing.find("hugepages") if backing is not None else None
    if pages is None:
        return None, {}
    general: int | None = None
    by_node: dict[int, int | None] = {}
    sizes = [page for page in pages if page.tag == "page"]
    if not sizes:
        return _DEFAULT_HUGE_PAGE_KIB.get(arch, 2048), {}
    for page in sizes:
        size = size_kib(page.get("size"), page.get("unit"), "the size of huge pages")
        kib = None if size <= _BASE_PAGE_KIB.get(arch, 4) else min(size, LARGEST_KIB)
        nodeset = page.get("nodeset")
        if nodeset is None:
            general = kib
        else:
            by_node |= dict.fromkeys(number_set(nodeset, "the virtual NUMA nodes of huge pages"), kib)
    return general, by_node


def _vm_page(
    general: int | None, node_pages: Mapping[int, int | None], nodes: tuple[VirtualNumaNode, ...]
) -> int | None:
    """The page size of the whole VM: the general one, or the one that all its virtual nodes share."""
    sizes = {node.page_kib for node in nodes} if nodes else set(node_pages.values())
    return general if general is not None or len(sizes) != 1 else sizes.pop()
