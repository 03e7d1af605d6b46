"""What each node of one host has room for, counted for one demand. Answers "does this need fit this node?" exactly.

Built once per question; cores are counted by the demand's `CoreRule`. Knows nothing of which node is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import NamedTuple

from hpconsole.core.scheduler.demand import Block, CoreRule, Demand, NodeNeed, Tune
from hpconsole.core.scheduler.host_tables import Core, HostTables, tables_of
from hpconsole.core.scheduler.node_cpus import FreeCore, NodeCpus, node_cpus
from hpconsole.core.scheduler.occupancy import Occupancy


class CoreCost(NamedTuple):
    """What a set of blocks costs on a node; lower is better, in this order."""

    banks: int  # cache banks, summed over virtual nodes
    part_cores: int  # cores the VM has only in part: shared with others, or split
    kept: int  # zero or less: minus the vCPUs that stay on the CPUs they have now


class NodeRoom:
    """One host node as one demand sees it. `free_bits` are the CPUs it could take (or, FLOATING, use)."""

    __slots__ = ("capacity", "cpus", "free_bits", "free_kib", "free_pages", "position", "rule", "tables", "threads",
                 "usable_bits")  # fmt: skip

    def __init__(self, tables: HostTables, position: int, occupancy: Occupancy, rule: CoreRule, threads: int) -> None:
        node_id = tables.node_ids[position]
        self.tables = tables
        self.position = position
        self.rule = rule
        self.threads = threads
        self.free_kib = occupancy.free_kib.get(node_id, 0)
        self.free_pages: Mapping[int, int] = occupancy.free_pages.get(node_id, {})
        bits = tables.node_bits[position] & ~occupancy.exclusive.bits
        # What vCPUs without CPUs of their own may run on; isolated CPUs are for those pinned by name only.
        usable = bits & ~occupancy.host.isolated_cpus.bits
        if rule.takes_cpus:
            bits &= ~occupancy.shared.bits
        elif rule is CoreRule.FLOATING:
            bits = usable
        self._take(node_cpus(tables, position, rule, threads, free_bits=bits, usable_bits=usable))

    def _take(self, cpus: NodeCpus) -> None:
        self.cpus = cpus
        self.free_bits, self.usable_bits, self.capacity = cpus.free_bits, cpus.usable_bits, cpus.capacity

    def part(self, bits: int) -> NodeRoom:
        """The same node with only these of its CPUs."""
        part = copy(self)
        free = self.free_bits & bits
        part._take(
            node_cpus(self.tables, self.position, self.rule, self.threads, free_bits=free, usable_bits=self.usable_bits)
        )
        return part

    @property
    def is_untouched(self) -> bool:
        """Whether all CPUs of the node are free."""
        return self.cpus.is_untouched

    @property
    def cores(self) -> tuple[FreeCore, ...]:
        """The cores with free CPUs, in the order of their lowest CPU."""
        return self.cpus.cores

    @property
    def whole_and_part(self) -> tuple[int, list[int]]:
        """(completely free cores, the blocks of `threads` CPUs that each other core has room for, most first)."""
        return self.cpus.whole_and_part

    @property
    def keepable_bits(self) -> int:
        """The CPUs a vCPU may be pinned to here: the free ones; of whole cores the first one."""
        return self.cpus.keepable_bits

    @property
    def at_least(self) -> tuple[int, ...]:
        """`at_least[k]`: how many cores have k or more free CPUs."""
        return self.cpus.at_least

    @property
    def resizable_cores(self) -> tuple[Core, ...]:
        """RESIZED: the cores after the node's first, none of whose CPUs is another VM's own."""
        return self.cpus.resizable_cores

    def fits_all(self, needs: Sequence[NodeNeed]) -> bool:
        """Whether these needs together have room here."""
        pages: dict[int, int] = {}
        for need in needs:
            for size, count in need.page_needs:
                pages[size] = pages.get(size, 0) + count
        if sum(need.memory_kib for need in needs) > self.free_kib:
            return False
        if any(self.free_pages.get(size, 0) < count for size, count in pages.items()):
            return False
        if self.rule.takes_cpus:
            usable = self.usable_bits.bit_count()
            together = [block for need in needs for block in need.blocks]
            return self.has_cpus(0, together) and all(need.usable_needed <= usable for need in needs)
        return all(self.has_cpus(need.cpus_needed, ()) for need in needs)

    def has_memory(self, need: NodeNeed | Tune, shares: int = 1) -> bool:
        """Whether memory and pages of this need, divided into `shares`, are free here."""
        if need.memory_kib and -(-need.memory_kib // shares) > self.free_kib:
            return False
        return all(self.free_pages.get(size, 0) >= -(-count // shares) for size, count in need.page_needs)

    def has_cpus(self, cpus_needed: int, blocks: Sequence[Block]) -> bool:
        """Whether so many CPUs, or these blocks, have room here by the rule."""
        if self.rule is CoreRule.SHAPE:
            return self.holds_shape(shape_counts(blocks))
        if self.rule.takes_cpus:
            return len(blocks) <= self.capacity
        return cpus_needed <= self.capacity

    def holds_shape(self, counts: Sequence[tuple[int, int]]) -> bool:
        """Whether there are cores for blocks of these `shape_counts`."""
        return self.cpus.holds_shape(counts)


class HostRoom:
    """All nodes of one host for one demand."""

    __slots__ = ("demand", "has_tune_memory", "nodes", "occupancy", "tables")

    def __init__(self, demand: Demand, occupancy: Occupancy) -> None:
        self.demand = demand
        self.occupancy = occupancy
        self.tables = tables_of(occupancy.host.topology)
        self.nodes = tuple(
            NodeRoom(self.tables, i, occupancy, demand.rule, demand.threads) for i in range(self.tables.size)
        )
        self.has_tune_memory = demand.tune is None or demand.tune.nodes is None or self._reserve(demand.tune)

    def _reserve(self, tune: Tune) -> bool:
        """Take the memory of a literal binding, divided evenly, before anything else; False if it is not there."""
        rooms = [self.nodes[self.tables.index[i]] for i in tune.nodes or () if i in self.tables.index]
        if not all(room.has_memory(tune, len(rooms)) for room in rooms):
            return False
        for room in rooms:
            room.free_kib -= -(-tune.memory_kib // len(rooms))
            taken = {size: -(-count // len(rooms)) for size, count in tune.page_needs}
            room.free_pages = {size: count - taken.get(size, 0) for size, count in room.free_pages.items()}
        return True

    def mask_of(self, node_ids: Iterable[int]) -> int:
        """Positions of these nodes as a bit mask; nodes the host does not have are left out."""
        mask = 0
        for node_id in node_ids:
            position = self.tables.index.get(node_id)
            if position is not None:
                mask |= 1 << position
        return mask

    def missing_nodes(self) -> tuple[int, ...]:
        """Nodes that a pin list or binding names and the host does not have, ascending.

        Every named node must exist, as the reference has it: a list is a statement about the host.
        """
        named = {i for need in self.demand.node_needs for i in need.allowed_nodes or ()}
        if self.demand.tune is not None:
            named |= set(self.demand.tune.nodes or ())
        return tuple(sorted(named - set(self.tables.node_ids)))

    def allowed(self, need: NodeNeed) -> int:
        """The nodes its pin list allows, as a bit mask."""
        if need.allowed_nodes is None:
            return (1 << len(self.nodes)) - 1
        return self.mask_of(need.allowed_nodes)

    def fit_mask(self, need: NodeNeed) -> int:
        """The nodes that are allowed and have room for this need alone, as a bit mask."""
        mask, allowed = 0, self.allowed(need)
        memory_kib, pages, shape = need.memory_kib, need.page_needs, None
        if self.demand.rule is CoreRule.SHAPE:
            shape = shape_counts(need.blocks)
        count = len(need.blocks) if self.demand.rule.takes_cpus else need.cpus_needed
        for node in self.nodes:
            if not allowed >> node.position & 1 or node.capacity < count or node.free_kib < memory_kib:
                continue
            if pages and any(node.free_pages.get(size, 0) < number for size, number in pages):
                continue
            if shape is not None and not node.holds_shape(shape):
                continue
            if need.usable_needed and node.usable_bits.bit_count() < need.usable_needed:
                continue
            mask |= 1 << node.position
        return mask


def shape_counts(blocks: Iterable[Block]) -> tuple[tuple[int, int], ...]:
    """(size, blocks of at least this size) for each different block size, largest first."""
    sizes: dict[int, int] = {}
    for block in blocks:
        sizes[block.size] = sizes.get(block.size, 0) + 1
    result: list[tuple[int, int]] = []
    together = 0
    for size in sorted(sizes, reverse=True):
        together += sizes[size]
        result.append((size, together))
    return tuple(result)
