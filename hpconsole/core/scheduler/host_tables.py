"""What a host topology means to the placement engine: bit masks, cores, cache banks, distances, sockets.

Computed once for each machine model and remembered; nodes are numbered by position (ascending node id). Knows nothing
of what is free. Whatever a host tells, cores and nodes here are disjoint and hold online CPUs only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from hpconsole.core.model.host import HostNumaNode, HostTopology
from hpconsole.core.scheduler.demand import CoreRule

_KEPT = 256  # different machine models are few; this bounds a cluster of surprises
NO_SOCKET = -1


@dataclass(frozen=True, slots=True)
class Core:
    """One core: its online CPUs within its node, and where it is."""

    bits: int
    width: int  # CPUs
    bank: int  # L3 bank, numbered within the node
    socket: int  # NO_SOCKET = unknown


def positions(bits: int) -> Iterator[int]:
    """The set bits, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


class HostTables:
    """See the module. `node_ids[i]`, `node_bits[i]`, `cores[i]`, `banks[i]` describe the node at position i.

    `is_even`: every node has one cache bank and all cores have the same width.

    A host that tells no NUMA nodes has one node, 0, with all its CPUs.
    """

    def __init__(self, topology: HostTopology) -> None:
        self.topology = topology  # held, so that its identity stays its own while these tables live
        nodes = sorted(topology.nodes, key=lambda node: node.node_id) or [HostNumaNode(0, 0, topology.all_cpus)]
        self.node_ids: tuple[int, ...] = tuple(node.node_id for node in nodes)
        self.index: dict[int, int] = {node_id: i for i, node_id in enumerate(self.node_ids)}
        self.online = topology.all_cpus.bits
        self.node_bits = _disjoint(node.cpus.bits & self.online for node in nodes)
        self.banks = tuple(tuple(_banks_within(bits, topology)) for bits in self.node_bits)
        self.cores = tuple(
            tuple(self._cores_within(bits, banks)) for bits, banks in zip(self.node_bits, self.banks, strict=True)
        )
        self._widths = tuple(cores[0].width if len({core.width for core in cores}) == 1 else 0 for cores in self.cores)
        self.is_even = 0 not in self._widths and len(set(self._widths)) == 1 and all(len(b) == 1 for b in self.banks)
        self._untouched: dict[tuple[int, CoreRule, int], int] = {}
        self.distance = tuple(tuple(node.distance_to(other) for other in self.node_ids) for node in nodes)
        # Both ways, because firmware tables need not be symmetric.
        self.pair_distance = tuple(
            tuple(0 if a == b else self.distance[a][b] + self.distance[b][a] for b in range(len(nodes)))
            for a in range(len(nodes))
        )

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.node_ids)

    @cached_property
    def core_of(self) -> dict[int, tuple[int, Core]]:
        """CPU -> (position of its node, its core)."""
        return {cpu: (i, core) for i, cores in enumerate(self.cores) for core in cores for cpu in positions(core.bits)}

    def core_width(self, position: int) -> int:
        """CPUs of each core of the node; 0 where cores differ or there are none."""
        return self._widths[position]

    def untouched_capacity(self, position: int, rule: CoreRule, threads: int) -> int:
        """The blocks (or cores, see `CoreRule`) that the node has room for while all its CPUs are free."""
        key = (position, rule, threads)
        known = self._untouched.get(key)
        if known is None:
            cores = self.cores[position]
            by_threads = rule is CoreRule.SIBLINGS
            known = sum(core.width // threads for core in cores) if by_threads else len(cores)
            self._untouched[key] = known
        return known

    def is_node_wide(self, bits: int, users: int) -> bool:
        """Whether these CPUs are all CPUs of one or more nodes, and more than the `users` of them (at least two)."""
        if bits & ~self.online or bits.bit_count() < max(2, users + 1):
            return False
        return all(not bits & node or not node & ~bits for node in self.node_bits)

    def whole_cores(self, bits: int) -> int:
        """These CPUs with all siblings of each."""
        together = bits
        for cores in self.cores:
            for core in cores:
                if core.bits & bits:
                    together |= core.bits
        return together

    def nodes_of(self, bits: int) -> tuple[int, ...]:
        """Positions of the nodes these CPUs are in."""
        return tuple(i for i, node in enumerate(self.node_bits) if node & bits)

    def spread(self, nodes: Iterable[int]) -> int:
        """The sum of distances between each two of these nodes (positions), both ways."""
        chosen = tuple(nodes)
        return sum(self.pair_distance[a][b] for i, a in enumerate(chosen) for b in chosen[i + 1 :])

    def _cores_within(self, node_bits: int, banks: tuple[int, ...]) -> Iterator[Core]:
        left = node_bits
        for cpu in self.topology.cpus:
            own = 1 << cpu.cpu_id
            if not left & own:
                continue
            bits = (cpu.siblings.bits | own) & left
            left &= ~bits
            bank = next(i for i, mask in enumerate(banks) if mask & own)
            yield Core(bits, bits.bit_count(), bank, cpu.socket_id)


def _disjoint(masks: Iterable[int]) -> tuple[int, ...]:
    taken, result = 0, []
    for mask in masks:
        result.append(mask & ~taken)
        taken |= mask
    return tuple(result)


def _banks_within(node_bits: int, topology: HostTopology) -> Iterator[int]:
    """The L3 banks cut to one node; CPUs that no bank holds count as one bank."""
    left = node_bits
    for bank in topology.l3_banks:
        part = bank.cpus.bits & left
        if part:
            left &= ~part
            yield part
    if left:
        yield left


_tables: dict[int, HostTables] = {}


def tables_of(topology: HostTopology) -> HostTables:
    """The tables of a topology, remembered by identity (equal topologies are one object, see the model).

    Threads: any; at worst two threads compute the same tables.
    """
    known = _tables.get(id(topology))
    if known is not None and known.topology is topology:
        return known
    tables = HostTables(topology)
    if len(_tables) >= _KEPT:
        _tables.clear()
    _tables[id(topology)] = tables
    return tables
