"""What a domain XML asks of the host it is to run on: memory by node, CPUs by number, a CPU model.

Read from the XML alone, independently of `domain_xml`, as a real host would.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.safe_xml import Element, parse
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err
from hpconsole.core.hypervisor.simulated.refusals import refused
from hpconsole.core.hypervisor.xml_values import number, number_set, size_kib
from hpconsole.core.model.cpuset import EMPTY, CpuSet


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """Memory that is bound together: a virtual node, or the whole VM."""

    kib: int
    page_kib: int | None = None
    mode: str | None = None  # None: not bound
    nodes: CpuSet = EMPTY


@dataclass(frozen=True, slots=True)
class Demand:
    """What a domain needs, from its XML."""

    uuid: str
    name: str
    vcpus: int
    memory_kib: int
    parts: tuple[MemoryPart, ...]
    cpus: CpuSet  # every CPU some thread is pinned to
    nodes: CpuSet  # every node some memory is bound to
    cpu_mode: str = ""
    cpu_model: str = ""
    machine: str = ""
    required_flags: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()


def read_domain(host: str, xml: str) -> tuple[Element, Demand]:
    """Parse a domain XML as a host does.

    Raises:
        OperationRefused: XML_ERROR; nothing was changed.
    """
    try:
        root = parse(xml)
        return root, read_demand(root)
    except InvalidXml as error:
        raise refused(host, Err.XML_ERROR, error.sentence) from error


def read_demand(root: Element) -> Demand:
    """What a parsed domain needs.

    Raises:
        InvalidXml: no domain, or numbers that cannot be meant.
    """
    if root.tag != "domain":
        raise InvalidXml(f"unexpected root element <{root.tag}>, expecting <domain>")
    vcpu, memory = root.find("vcpu"), root.find("memory")
    name = (root.findtext("name") or "").strip()
    if memory is None or not name:
        raise InvalidXml("missing name or memory element")
    cpu, system = root.find("cpu"), root.find("os/type")
    memory_kib = size_kib(memory.text, memory.get("unit"), "the memory")
    pins = [
        number_set(pin.get("cpuset") or "", "a pinning")
        for pin in root.iterfind("cputune/*")
        if pin.tag in ("vcpupin", "emulatorpin", "iothreadpin")
    ]
    parts = _parts(root, memory_kib)
    return Demand(
        uuid=(root.findtext("uuid") or "").strip(),
        name=name,
        vcpus=1 if vcpu is None else number(vcpu.text, "the number of vCPUs", smallest=1),
        memory_kib=memory_kib,
        parts=parts,
        cpus=_union(pins),
        nodes=_union([part.nodes for part in parts]),
        cpu_mode="" if cpu is None else cpu.get("mode") or "custom",
        cpu_model=(root.findtext("cpu/model") or "").strip(),
        machine="" if system is None else system.get("machine") or "",
        required_flags=frozenset(
            feature.get("name") or ""
            for feature in root.iterfind("cpu/feature")
            if feature.get("policy") in ("require", "force")
        ),
        networks=tuple(source.get("network") or "" for source in root.iterfind("devices/interface/source[@network]")),
    )


def _parts(root: Element, memory_kib: int) -> tuple[MemoryPart, ...]:
    whole = root.find("numatune/memory")
    mode, nodes = _binding(whole)
    cells = root.findall("cpu/numa/cell")
    if not cells:
        return (MemoryPart(memory_kib, _page_kib(root, 0), mode, nodes),)
    own = {binding.get("cellid"): binding for binding in root.iterfind("numatune/memnode")}
    parts = []
    for position, cell in enumerate(cells):
        cell_id = cell.get("id") or str(position)
        cell_mode, cell_nodes = _binding(own[cell_id]) if cell_id in own else (mode, nodes)
        kib = size_kib(cell.get("memory"), cell.get("unit"), "the memory of a virtual node")
        parts.append(MemoryPart(kib, _page_kib(root, int(cell_id)), cell_mode, cell_nodes))
    return tuple(parts)


def _binding(tune: Element | None) -> tuple[str | None, CpuSet]:
    if tune is None or not tune.get("nodeset"):
        return None, EMPTY
    return tune.get("mode") or "strict", number_set(tune.get("nodeset") or "", "a set of nodes")


def _page_kib(root: Element, cell_id: int) -> int | None:
    pages = root.find("memoryBacking/hugepages")
    if pages is None:
        return None
    fallback = 2048  # <hugepages/> alone: the host's default size
    for page in pages.findall("page"):
        size = size_kib(page.get("size"), page.get("unit"), "the size of a page")
        if page.get("nodeset") is None:
            fallback = size
        elif cell_id in number_set(page.get("nodeset") or "", "a set of virtual nodes"):
            return size
    return fallback


def _union(sets: list[CpuSet]) -> CpuSet:
    together = EMPTY
    for one in sets:
        together |= one
    return together
