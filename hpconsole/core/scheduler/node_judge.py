"""Which nodes of every host suit which need of one VM, alone and together: hosts x nodes, by the engine's rules.

Needs that are alike are judged once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpconsole.core.scheduler import core_columns, matching, node_columns
from hpconsole.core.scheduler.columns import Array, Bools, Floats, HostColumns
from hpconsole.core.scheduler.demand import CoreRule, Demand, NodeNeed, Tune

UNLIMITED = 1 << 30


class NodeJudge:
    """Free memory, pages and cores of every node, a literal memory binding taken out first."""

    def __init__(self, columns: HostColumns, demand: Demand) -> None:
        self.columns, self.demand = columns, demand
        self.exists = node_columns.node_exists(columns)
        self.free_kib = node_columns.node_free_kib(columns)
        self.has_tune_memory: Bools | None = None  # None = nothing is bound literally
        self._pages: dict[int, Floats] = {}
        self._known: dict[object, Bools] = {}
        self._cpu_needs: dict[int, tuple[NodeNeed, list[tuple[int, Array]]]] = {}
        if demand.tune is not None and demand.tune.nodes:
            self._reserve(demand.tune)

    def pages_of(self, size: int) -> Floats:
        """Free pages of this size on each node."""
        if size not in self._pages:
            self._pages[size] = node_columns.node_pages(self.columns, size)
        return self._pages[size]

    def named(self, node_ids: Sequence[int]) -> Bools:
        """The nodes with these numbers."""
        mask = np.zeros_like(self.exists)
        for node_id in node_ids:
            mask |= node_columns.node_is(self.columns, node_id)
        return mask

    def suits(self, need: NodeNeed, *, memory: bool = True, cpus: bool = True, parts: int = 1) -> Bools:
        """The nodes that could take this need (its memory in `parts` equal shares) if nothing else were placed."""
        sizes = tuple(block.size for block in need.blocks) if cpus else ()
        key = (
            need.allowed_nodes,
            (need.memory_kib, need.page_needs, parts) if memory else None,
            (sizes, need.cpus_needed, need.usable_needed) if cpus else None,
        )
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._judge(need, memory=memory, cpus=cpus, parts=parts)
        return known

    def _judge(self, need: NodeNeed, *, memory: bool, cpus: bool, parts: int) -> Bools:
        if memory and cpus and parts == 1:
            both: Bools = self.suits(need, cpus=False) & self.suits(need, memory=False)
            return both
        suits: Bools = self.exists.copy() if need.allowed_nodes is None else self.named(need.allowed_nodes)
        if memory and need.memory_kib:
            suits &= self.free_kib >= -(-need.memory_kib // parts)
        for size, count in need.page_needs if memory else ():
            suits &= self.pages_of(size) >= -(-count // parts)
        for needed, room in self.cpu_needs(need) if cpus else ():
            suits &= room >= needed
        return suits

    def together(
        self,
        needs: Sequence[NodeNeed],
        *,
        memory: bool = True,
        cpus: bool = True,
        within: Sequence[Bools] | None = None,
    ) -> Bools:
        """Whether these needs have room at the same time, each wholly on one node (of `within`, where given)."""
        if not needs:
            return self.columns.all()
        fits = [self.suits(need, memory=memory, cpus=cpus) for need in needs]
        if within is not None:
            fits = [mine & cut for mine, cut in zip(fits, within, strict=True)]
        if self.demand.nodes_distinct or len(needs) == 1:
            return matching.distinct(fits)
        amounts = [self._amounts(need, memory=memory, cpus=cpus) for need in needs]
        if all(amount == amounts[0] for amount in amounts):
            return matching.counted(self._slots(needs[0], memory=memory, cpus=cpus), fits)
        return self._packed(needs, fits, memory=memory, cpus=cpus)

    def cpu_needs(self, need: NodeNeed) -> list[tuple[int, Array]]:
        """(needed, room on each node) pairs that must all hold for the need's CPUs."""
        known = self._cpu_needs.get(id(need))
        if known is None or known[0] is not need:
            known = self._cpu_needs[id(need)] = need, self._cpu_needs_of(need)
        return known[1]

    def _cpu_needs_of(self, need: NodeNeed) -> list[tuple[int, Array]]:
        pairs: list[tuple[int, Array]] = []
        if need.usable_needed:
            pairs.append((need.usable_needed, core_columns.usable_cpus(self.columns)))
        if self.demand.rule is CoreRule.FLOATING and need.cpus_needed:
            pairs.append((need.cpus_needed, core_columns.usable_cpus(self.columns)))
        if self.demand.rule is CoreRule.RESIZED and need.cpus_needed:
            pairs.append((need.cpus_needed, core_columns.resizable_cpus(self.columns)))
        return pairs + self._block_needs(need)

    def _block_needs(self, need: NodeNeed) -> list[tuple[int, Array]]:
        """The same for CPUs that are taken away: these add up where needs share a node."""
        count = len(need.blocks)
        if not count:
            return []
        if self.demand.rule is CoreRule.SIBLINGS:
            return [(count, core_columns.sibling_blocks(self.columns, self.demand.threads))]
        if self.demand.rule is CoreRule.WHOLE_CORES:
            return [(count, core_columns.whole_cores(self.columns))]
        return [
            (sum(1 for block in need.blocks if block.size >= size), core_columns.cores_with(self.columns, size))
            for size in sorted({block.size for block in need.blocks})
        ]

    def _amounts(self, need: NodeNeed, *, memory: bool, cpus: bool) -> tuple[object, ...]:
        blocks = tuple(sorted(b.size for b in need.blocks)) if cpus and self.demand.rule.takes_cpus else ()
        return (need.memory_kib, tuple(sorted(need.page_needs)), blocks) if memory else blocks

    def _slots(self, need: NodeNeed, *, memory: bool, cpus: bool) -> Array:
        """How many needs like this one a node has room for."""
        pairs: list[tuple[int, Array]] = []
        if memory:
            pairs += [(need.memory_kib, self.free_kib)] if need.memory_kib else []
            pairs += [(count, self.pages_of(size)) for size, count in need.page_needs]
        if cpus:
            pairs += self._block_needs(need)
        slots: Array = np.where(self.exists, UNLIMITED, 0)
        for needed, room in pairs:
            slots = np.minimum(slots, np.maximum(room, 0) // needed)
        return slots.astype(np.int64)

    def _packed(self, needs: Sequence[NodeNeed], fits: Sequence[Bools], *, memory: bool, cpus: bool) -> Bools:
        """Needs of different size: apart where that works, else searched host by host."""
        verdicts = matching.distinct(fits).copy()
        together = np.array(fits)
        possible = together.any(axis=2).all(axis=0) & ~verdicts
        rows = np.flatnonzero(possible).tolist()
        if not rows:
            return verdicts
        amounts, rooms = self._additive(needs, memory=memory, cpus=cpus)
        for row in rows:
            choices = [np.flatnonzero(suited).tolist() for suited in together[:, row]]
            nodes = [tuple(node) for node in np.stack([room[row] for room in rooms], axis=1).tolist()]
            verdicts[row] = matching.packs(amounts, choices, nodes)
        return verdicts

    def _additive(
        self, needs: Sequence[NodeNeed], *, memory: bool, cpus: bool
    ) -> tuple[list[tuple[int, ...]], list[Array]]:
        """What each need takes of every resource that adds up, and what there is of it on each node."""
        sizes = sorted({size for need in needs for size, _ in need.page_needs})
        rooms: list[Array] = [self.free_kib, *(self.pages_of(size) for size in sizes)]
        amounts = [[need.memory_kib, *(dict(need.page_needs).get(size, 0) for size in sizes)] for need in needs]
        if not memory:
            amounts = [[0] * len(amount) for amount in amounts]
        if cpus and self.demand.rule is CoreRule.SHAPE:
            for size in sorted({block.size for need in needs for block in need.blocks}):
                rooms.append(core_columns.cores_with(self.columns, size))
                for amount, need in zip(amounts, needs, strict=True):
                    amount.append(sum(1 for block in need.blocks if block.size >= size))
        elif cpus and self.demand.rule.takes_cpus:
            whole, threads = self.demand.rule is CoreRule.WHOLE_CORES, self.demand.threads
            blocks = core_columns.sibling_blocks(self.columns, threads)
            rooms.append(core_columns.whole_cores(self.columns) if whole else blocks)
            for amount, need in zip(amounts, needs, strict=True):
                amount.append(len(need.blocks))
        return [tuple(amount) for amount in amounts], rooms

    def _reserve(self, tune: Tune) -> None:
        nodes = tuple(dict.fromkeys(tune.nodes or ()))
        mask, parts = self.named(nodes), len(nodes)
        self.free_kib = self.free_kib - mask * -(-tune.memory_kib // parts)
        held = self.columns.all()
        held &= ((self.free_kib >= 0) | ~mask).all(axis=1)
        for size, count in tune.page_needs:
            left = self.pages_of(size) - mask * -(-count // parts)
            self._pages[size] = left
            held &= ((left >= 0) | ~mask).all(axis=1)
        self.has_tune_memory = held
