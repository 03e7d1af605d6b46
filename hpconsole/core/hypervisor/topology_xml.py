"""What CPUs, NUMA nodes and caches has a host? `<capabilities><host>` -> `HostTopology`, equal ones as one object.

Counts of sockets and cores come from the list of CPUs: libvirt's `<topology sockets= cores=>` is per NUMA node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from hpconsole.core.hypervisor.interning import one_object
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.xml_values import number, number_in, number_set, size_kib
from hpconsole.core.model.cpuset import LIMIT, CpuSet
from hpconsole.core.model.host import CacheBank, HostCpu, HostNumaNode, HostTopology

_V = TypeVar("_V")


@dataclass(slots=True)
class _Cpu:
    """A `<cpu>` of a cell as it is written."""

    cpu_id: int
    node_id: int
    socket_id: int
    die_id: int
    core_id: int
    siblings: CpuSet
    is_described: bool  # more than its number is told

    @property
    def core(self) -> tuple[int, int, int]:
        """What the kernel means by a core."""
        return self.socket_id, self.die_id, self.core_id


def read_topology(host: Element) -> HostTopology:
    """The topology in `<host>`. What is not told is empty or None; a host without NUMA has one node.

    Raises:
        InvalidXml: numbers that cannot be meant.
    """
    written_cells = host.findall("topology/cells/cell")
    cpus = _online(cpu for cell in written_cells for cpu in _cpus_of(cell))
    base_page_kib = _base_page_kib(host, written_cells)
    nodes = _once((_node(cell, cpus, base_page_kib) for cell in written_cells), lambda node: node.node_id)
    banks = tuple(_banks(host))
    if not cpus:
        return one_object(_topology_without_list(host, nodes, banks))
    are_described = any(cpu.is_described for cpu in cpus)
    host_cpus = one_object(tuple(_host_cpus(cpus)))
    dies: dict[int, set[int]] = {}
    for cpu in host_cpus:
        dies.setdefault(cpu.socket_id, set()).add(cpu.die_id)
    return one_object(
        HostTopology(
            cpus=host_cpus,
            nodes=nodes,
            l3_banks=one_object(banks),
            sockets=len(dies) if are_described else None,
            cores=len({(cpu.socket_id, cpu.die_id, cpu.core_id) for cpu in host_cpus}) if are_described else None,
            threads=len(host_cpus),
            dies_per_socket=max(map(len, dies.values())),
        )
    )


def _cpus_of(cell: Element) -> Iterable[_Cpu]:
    node_id = number_in(cell, "id", "a NUMA node", default=0, largest=LIMIT - 1)
    for cpu in cell.iterfind("cpus/cpu"):
        cpu_id = number(cpu.get("id"), "a CPU", largest=LIMIT - 1)
        siblings = cpu.get("siblings")
        yield _Cpu(
            cpu_id=cpu_id,
            node_id=node_id,
            socket_id=number_in(cpu, "socket_id", "a socket", default=0),
            die_id=number_in(cpu, "die_id", "a die", default=0),
            core_id=number_in(cpu, "core_id", "a core", default=cpu_id),
            siblings=number_set(siblings, "the siblings of a CPU") if siblings else CpuSet(1 << cpu_id),
            is_described=siblings is not None or cpu.get("core_id") is not None,
        )


def _online(cpus: Iterable[_Cpu]) -> list[_Cpu]:
    """The online CPUs, ascending: of an offline one libvirt tells only the number. Old ones tell no more of any."""
    every = _once(cpus, lambda cpu: cpu.cpu_id)
    described = [cpu for cpu in every if cpu.is_described]
    return described or list(every)


def _once(values: Iterable[_V], number_of: Callable[[_V], int]) -> tuple[_V, ...]:
    """The values ascending by number, the first of each number."""
    by_number: dict[int, _V] = {}
    for value in values:
        by_number.setdefault(number_of(value), value)
    return tuple(by_number[key] for key in sorted(by_number))


def _host_cpus(cpus: list[_Cpu]) -> Iterable[HostCpu]:
    """The CPUs, numbered so that (socket, die, core) and siblings say the same.

    They do not where core numbers repeat in each cluster (some ARM machines), or where two cores of the kernel share
    a module and are siblings (AMD family 15h). Siblings are then believed, and a core is named after its first CPU.
    """
    siblings = _threads_of_cores(cpus)
    by_core: dict[tuple[int, int, int], set[CpuSet]] = {}
    cores_of: dict[CpuSet, set[tuple[int, int, int]]] = {}
    for cpu in cpus:
        by_core.setdefault(cpu.core, set()).add(siblings[cpu.cpu_id])
        cores_of.setdefault(siblings[cpu.cpu_id], set()).add(cpu.core)
    agree = all(len(one) == 1 for one in by_core.values()) and all(len(one) == 1 for one in cores_of.values())
    for cpu in cpus:
        own = siblings[cpu.cpu_id]
        core_id = cpu.core_id if agree else own.first
        yield HostCpu(cpu.cpu_id, cpu.node_id, cpu.socket_id, cpu.die_id, core_id, own)


def _threads_of_cores(cpus: list[_Cpu]) -> dict[int, CpuSet]:
    """Each CPU's core as the CPUs in it, online ones only. Every CPU is in one core, also where siblings disagree."""
    left = CpuSet.of(cpu.cpu_id for cpu in cpus)
    cores: dict[int, CpuSet] = {}
    for cpu in cpus:
        if cpu.cpu_id not in cores:
            core = (cpu.siblings & left) | CpuSet(1 << cpu.cpu_id)
            cores |= dict.fromkeys(core, core)
            left -= core
    return cores


def _base_page_kib(host: Element, cells: list[Element]) -> int:
    """The smallest page size that is told: not a huge page."""
    sizes = {_page_kib(page) for page in host.iterfind("cpu/pages")}
    sizes |= {_page_kib(page) for cell in cells for page in cell.iterfind("pages")}
    return min(sizes, default=4)


def _page_kib(page: Element) -> int:
    return size_kib(page.get("size"), page.get("unit"), "the size of pages")


def _node(cell: Element, cpus: list[_Cpu], base_page_kib: int) -> HostNumaNode:
    node_id = number_in(cell, "id", "a NUMA node", default=0, largest=LIMIT - 1)
    memory = cell.find("memory")
    pages = {
        _page_kib(page): number(page.text, "the pages of a NUMA node", largest=2**53) for page in cell.iterfind("pages")
    }
    return HostNumaNode(
        node_id=node_id,
        memory_kib=0 if memory is None else size_kib(memory.text, memory.get("unit"), "the memory of a NUMA node"),
        cpus=CpuSet.of(cpu.cpu_id for cpu in cpus if cpu.node_id == node_id),
        distances=tuple(
            (
                number(other.get("id"), "a NUMA node", largest=LIMIT - 1),
                number(other.get("value"), "a NUMA distance", largest=65_535),
            )
            for other in cell.iterfind("distances/sibling")
        ),
        page_totals=tuple(sorted((size, count) for size, count in pages.items() if size > base_page_kib)),
    )


def _banks(host: Element) -> Iterable[CacheBank]:
    """The level 3 caches, by their first CPU."""
    banks = [
        CacheBank(
            level=3,
            size_kib=size_kib(bank.get("size"), bank.get("unit"), "the size of a cache"),
            cpus=number_set(bank.get("cpus", ""), "the CPUs of a cache"),
        )
        for bank in host.iterfind("cache/bank")
        if bank.get("level") == "3"
    ]
    return sorted((bank for bank in banks if bank.cpus), key=lambda bank: bank.cpus.first)


def _topology_without_list(
    host: Element, nodes: tuple[HostNumaNode, ...], banks: tuple[CacheBank, ...]
) -> HostTopology:
    """A host that lists no CPUs (bhyve): only the counts of its CPU, where it tells them."""
    counts = host.find("cpu/topology")
    if counts is None:
        return HostTopology(nodes=nodes, l3_banks=banks)
    sockets, dies, clusters, cores, threads = (
        number_in(counts, name, f"the {name} of the host", default=1, smallest=1, largest=LIMIT)
        for name in ("sockets", "dies", "clusters", "cores", "threads")
    )
    all_cores = sockets * dies * clusters * cores
    return HostTopology(
        nodes=nodes,
        l3_banks=banks,
        sockets=sockets,
        cores=all_cores,
        threads=all_cores * threads,
        dies_per_socket=dies,
    )
