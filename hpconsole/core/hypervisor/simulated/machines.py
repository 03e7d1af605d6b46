"""The machines of the simulated cluster: how many CPUs, numbered how, in which nodes, with how much memory.

Knows nothing of guests and nothing of XML (see `machine_xml`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from hpconsole.core.model.cpuset import EMPTY, CpuSet

GIB = 1024 * 1024  # KiB
PAGE_2M = 2048  # KiB
PAGE_1G = 1_048_576  # KiB


class Generation(Enum):
    """A CPU generation: libvirt's model name and microarchitecture level. Each offers all the flags of those before."""

    CASCADE_LAKE = 1
    ICE_LAKE = 2
    SAPPHIRE_RAPIDS = 3


@dataclass(frozen=True, slots=True)
class MachineShape:
    """A machine model: sockets x nodes per socket x cores per node x threads, and its way of numbering CPUs."""

    sockets: int
    nodes_per_socket: int
    cores_per_node: int
    threads: int
    siblings_adjacent: bool = False  # 0,1 are one core; otherwise thread 0 of every core comes first, as Linux does
    gib_per_node: int = 128
    l3_mib: int = 32
    cores_per_l3: int | None = None  # None: one bank for each node

    @property
    def nodes(self) -> int:
        """NUMA nodes in the machine."""
        return self.sockets * self.nodes_per_socket

    @property
    def cores(self) -> int:
        """Cores in the machine."""
        return self.nodes * self.cores_per_node


@dataclass(frozen=True, slots=True)
class LogicalCpu:
    """One online CPU."""

    cpu_id: int
    node: int
    socket: int
    core_id: int  # the kernel's: counted in the socket
    siblings: CpuSet


@dataclass(frozen=True)
class HostModel:
    """One simulated host: its machine and what is installed on it."""

    name: str
    shape: MachineShape
    generation: Generation = Generation.ICE_LAKE
    pages_2m_per_node: int = 0
    pages_1g_per_node: int = 0
    offline_cpus: CpuSet = EMPTY
    networks: tuple[str, ...] = ("default", "prod", "storage")
    libvirt_version: int = 9_000_000
    hypervisor_version: int = 7_002_011
    link_mib_s: int = 2_800  # what a 25 Gbit/s link carries of migration data

    @cached_property
    def cpus(self) -> tuple[LogicalCpu, ...]:
        """The online CPUs, ascending by node and then number."""
        shape = self.shape
        found: list[LogicalCpu] = []
        for core in range(shape.cores):
            node = core // shape.cores_per_node
            socket = node // shape.nodes_per_socket
            if shape.siblings_adjacent:
                threads = CpuSet.of(core * shape.threads + t for t in range(shape.threads))
            else:
                threads = CpuSet.of(core + t * shape.cores for t in range(shape.threads))
            online = threads - self.offline_cpus
            core_id = core - socket * shape.nodes_per_socket * shape.cores_per_node
            found += [LogicalCpu(cpu_id, node, socket, core_id, online) for cpu_id in online]
        return tuple(sorted(found, key=lambda cpu: (cpu.node, cpu.cpu_id)))

    @cached_property
    def online(self) -> CpuSet:
        """Every online CPU."""
        return CpuSet.of(cpu.cpu_id for cpu in self.cpus)

    @cached_property
    def node_cpus(self) -> tuple[CpuSet, ...]:
        """The online CPUs of each node."""
        return tuple(CpuSet.of(cpu.cpu_id for cpu in self.cpus if cpu.node == node) for node in range(self.shape.nodes))

    @cached_property
    def node_cores(self) -> tuple[tuple[CpuSet, ...], ...]:
        """The cores of each node, each as the set of its online threads, in the order of the kernel's core ids."""
        return tuple(
            tuple(
                siblings
                for _, siblings in sorted(
                    {(cpu.core_id, cpu.siblings) for cpu in self.cpus if cpu.node == node}, key=_core
                )
            )
            for node in range(self.shape.nodes)
        )

    @cached_property
    def online_map(self) -> tuple[bool, ...]:
        """virNodeGetCPUMap: one entry for each CPU the machine has, online or not."""
        online = self.online
        return tuple(cpu in online for cpu in range(self.shape.cores * self.shape.threads))

    def node_kib(self, node: int) -> int:
        """MemTotal of a node: the firmware and the kernel keep some, most of it from node 0."""
        return self.shape.gib_per_node * GIB - (3_801_088 if node == 0 else 1_130_496)

    @property
    def total_kib(self) -> int:
        """MemTotal of the host."""
        return sum(self.node_kib(node) for node in range(self.shape.nodes))

    @property
    def pool(self) -> dict[int, int]:
        """The pages in each node's pools, by size in KiB."""
        return {PAGE_2M: self.pages_2m_per_node, PAGE_1G: self.pages_1g_per_node}

    @property
    def pool_kib(self) -> int:
        """What one node's pools take."""
        return sum(size * count for size, count in self.pool.items())

    def distance(self, node: int, other: int) -> int:
        """SLIT: 10 to itself, 12 in the socket, 21 across."""
        if node == other:
            return 10
        return 12 if node // self.shape.nodes_per_socket == other // self.shape.nodes_per_socket else 21


def _core(row: tuple[int, CpuSet]) -> tuple[int, int]:
    return row[0], row[1].bits
