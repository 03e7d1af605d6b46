"""The CPUs of one host node as one kind of demand sees them: what is free, in cores, and how much fits.

Depends on nothing but CPU numbers, so hosts of one model whose nodes have the same CPUs free share these values, and
what demands compute from them is remembered with them as the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from hpconsole.core.scheduler.demand import CoreRule
from hpconsole.core.scheduler.host_tables import Core, HostTables

_KEPT = 4096


class FreeCore(NamedTuple):
    """A core with free CPUs."""

    bits: int  # its free CPUs
    free: int  # how many
    width: int  # CPUs it has, free or not
    bank: int
    socket: int


class NodeCpus:
    """See the module. `free_bits` are the CPUs a demand of this rule could take, `usable_bits` those it may run on.

    Compared by identity: equal ones are mostly, but not always, the same object.
    """

    def __init__(
        self, tables: HostTables, position: int, rule: CoreRule, threads: int, *, free_bits: int, usable_bits: int
    ) -> None:
        self.tables = tables
        self.position = position
        self.rule = rule
        self.threads = threads
        self.free_bits = free_bits
        self.usable_bits = usable_bits
        self.is_untouched = free_bits == tables.node_bits[position]
        self.capacity = self._capacity()

    @cached_property
    def cores(self) -> tuple[FreeCore, ...]:
        """The cores with free CPUs, in the order of their lowest CPU."""
        free = self.free_bits
        return tuple(
            FreeCore(core.bits & free, (core.bits & free).bit_count(), core.width, core.bank, core.socket)
            for core in self.tables.cores[self.position]
            if core.bits & free
        )

    @cached_property
    def whole_and_part(self) -> tuple[int, list[int]]:
        """(completely free cores, the blocks of `threads` CPUs that each other core has room for, most first)."""
        whole, part = 0, []
        free = self.free_bits
        for core in self.tables.cores[self.position]:
            count = (core.bits & free).bit_count()
            if count == core.width:
                whole += 1
            elif count:
                part.append(count // self.threads)
        part.sort(reverse=True)
        return whole, part

    @cached_property
    def keepable_bits(self) -> int:
        """The CPUs a vCPU may be pinned to here: the free ones; of whole cores the first one."""
        if self.rule is not CoreRule.WHOLE_CORES:
            return self.free_bits
        bits = 0
        for core in self.cores:
            if core.free == core.width:
                bits |= core.bits & -core.bits
        return bits

    @cached_property
    def at_least(self) -> tuple[int, ...]:
        """`at_least[k]`: how many cores have k or more free CPUs."""
        widest = max((core.free for core in self.cores), default=0)
        counts = [0] * (widest + 1)
        for core in self.cores:
            counts[core.free] += 1
        for k in range(widest - 1, -1, -1):
            counts[k] += counts[k + 1]
        return tuple(counts)

    @cached_property
    def resizable_cores(self) -> tuple[Core, ...]:
        """RESIZED: the cores after the node's first, none of whose CPUs is another VM's own."""
        return tuple(core for core in self.tables.cores[self.position][1:] if not core.bits & ~self.free_bits)

    def holds_shape(self, counts: Sequence[tuple[int, int]]) -> bool:
        """Whether there are cores for blocks of these `room.shape_counts`."""
        have = self.at_least
        return all(size < len(have) and have[size] >= count for size, count in counts)

    def _capacity(self) -> int:
        """Blocks (SIBLINGS, WHOLE_CORES), cores (SHAPE) or CPUs (FLOATING, RESIZED) there is room for."""
        rule = self.rule
        if rule is CoreRule.FLOATING:
            return self.free_bits.bit_count()
        if rule is CoreRule.RESIZED:
            return sum(core.width for core in self.resizable_cores)
        if rule is CoreRule.NOTHING:
            return 0
        free, threads = self.free_bits, self.threads
        if not free:
            return 0
        if self.is_untouched:
            return self.tables.untouched_capacity(self.position, rule, threads)
        cores = self.tables.cores[self.position]
        if rule is CoreRule.WHOLE_CORES:
            return sum(1 for core in cores if not core.bits & ~free)
        if rule is CoreRule.SHAPE:
            return sum(1 for core in cores if core.bits & free)
        if threads == 1:
            return free.bit_count()
        return sum((core.bits & free).bit_count() // threads for core in cores)


_known: dict[tuple[HostTables, int, CoreRule, int, int, int], NodeCpus] = {}


def node_cpus(
    tables: HostTables, position: int, rule: CoreRule, threads: int, *, free_bits: int, usable_bits: int
) -> NodeCpus:
    """The CPUs of a node, remembered. Threads: any; at worst two make the same value."""
    key = (tables, position, rule, threads, free_bits, usable_bits)
    known = _known.get(key)
    if known is None:
        known = NodeCpus(tables, position, rule, threads, free_bits=free_bits, usable_bits=usable_bits)
        if len(_known) >= _KEPT:
            _known.clear()
        _known[key] = known
    return known
