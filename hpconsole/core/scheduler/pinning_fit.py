"""Which hosts can hold a VM's bound memory and pinned CPUs: for all hosts at once, with the placement engine's verdict.

Reads the same `Demand` and counts with the same rules as `placement`, over columns instead of one host. Where counting
cannot settle a host (shares of memory over several nodes, a group of VMs), the answer for it is "maybe", and the exact
engine decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpconsole.core.scheduler import core_columns, matching, node_columns
from hpconsole.core.scheduler.account import HostAccount
from hpconsole.core.scheduler.columns import Array, Bools, Floats, HostColumns, words
from hpconsole.core.scheduler.demand import CoreRule, Demand, NodeNeed, Tune

UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True)
class Fit:
    """The verdict of every host. A host with `is_open` false has no room at all if `holds` is false.

    `has_nodes`: every host node that is named exists. `has_memory`: the bound memory alone would fit.
    `holds`: memory and CPUs fit together, except where `is_open`: there only the exact engine knows.
    """

    has_nodes: Bools
    has_memory: Bools
    holds: Bools
    is_open: Bools

    def with_row(self, row: int, other: Fit) -> Fit:
        """With the verdict of another answer (of one host) in this row."""
        return Fit(
            *(
                np.where(np.arange(mine.size) == row, theirs[0], mine)
                for mine, theirs in zip(self._arrays(), other._arrays(), strict=True)
            )
        )

    def accepting(self, rows: Bools) -> Fit:
        """With these hosts accepted for certain."""
        return Fit(self.has_nodes | rows, self.has_memory | rows, self.holds | rows, self.is_open & ~rows)

    def _arrays(self) -> tuple[Bools, Bools, Bools, Bools]:
        return (self.has_nodes, self.has_memory, self.holds, self.is_open)


class _Rooms:
    """Free memory, pages and cores of every node, a literal memory binding taken out first."""

    def __init__(self, columns: HostColumns, demand: Demand) -> None:
        self.columns, self.demand = columns, demand
        self.exists = node_columns.node_ids(columns) >= 0
        self.free_kib = node_columns.node_free_kib(columns)
        self.pages: dict[int, Floats] = {}
        self.has_tune_memory = columns.all()
        tune = demand.tune
        if tune is not None and tune.nodes is not None:
            self._reserve(tune)

    def pages_of(self, size: int) -> Floats:
        """Free pages of this size on each node."""
        if size not in self.pages:
            self.pages[size] = node_columns.node_pages(self.columns, size)
        return self.pages[size]

    def named(self, node_ids: Sequence[int]) -> Bools:
        """The nodes with these numbers."""
        mask = np.zeros_like(self.exists)
        for node_id in node_ids:
            mask |= node_columns.node_is(self.columns, node_id)
        return mask

    def _reserve(self, tune: Tune) -> None:
        nodes = tuple(dict.fromkeys(tune.nodes or ()))
        if not nodes:
            return
        mask, parts = self.named(nodes), len(nodes)
        self.free_kib = self.free_kib - mask * -(-tune.memory_kib // parts)
        self.has_tune_memory &= ((self.free_kib >= 0) | ~mask).all(axis=1)
        for size, count in tune.page_needs:
            left = self.pages_of(size) - mask * -(-count // parts)
            self.pages[size] = left
            self.has_tune_memory &= ((left >= 0) | ~mask).all(axis=1)


def fit(columns: HostColumns, demand: Demand) -> Fit:
    """The verdicts for one VM."""
    everything, nothing = columns.all(), columns.all(False)
    if demand.problems:
        return Fit(everything, everything, nothing, nothing)
    rooms = _Rooms(columns, demand)
    has_nodes = _has_named_nodes(columns, demand)
    memory = has_nodes & rooms.has_tune_memory & _memory(rooms, demand)
    cpus = _literal(columns, demand) & _sockets(columns, demand)
    is_divided = any(need.takes_all_allowed or need.span > 1 for need in demand.node_needs)
    follows = (
        demand.tune is not None and demand.tune.nodes is None and bool(demand.tune.memory_kib or demand.tune.page_needs)
    )
    if is_divided or follows:
        return Fit(has_nodes, memory, nothing, memory & cpus)
    holds = memory & cpus & _together(rooms, demand.node_needs, demand, with_cpus=True)
    return Fit(has_nodes, memory, holds, nothing)


def cpus_alone(columns: HostColumns, demand: Demand) -> Bools:
    """Whether the CPUs alone have room, whatever the memory."""
    bare = replace(
        demand,
        node_needs=tuple(
            replace(need, memory_kib=0, page_kib=None, pages=0, more_pages=()) for need in demand.node_needs
        ),
        tune=None,
    )
    answer = fit(columns, bare)
    return answer.holds | answer.is_open


def _has_named_nodes(columns: HostColumns, demand: Demand) -> Bools:
    named = {node for need in demand.node_needs for node in need.allowed_nodes or ()}
    if demand.tune is not None:
        named.update(demand.tune.nodes or ())
    present = columns.all()
    for node_id in sorted(named):
        present &= node_columns.node_is(columns, node_id).any(axis=1)
    return present


def _memory(rooms: _Rooms, demand: Demand) -> Bools:
    """The bound memory alone; where it may be divided over nodes, what every way of dividing needs at least."""
    whole = [need for need in demand.node_needs if not need.takes_all_allowed and need.span == 1]
    fits = _together(rooms, whole, demand, with_cpus=False)
    for need in demand.node_needs:
        if need.takes_all_allowed:
            nodes = need.allowed_nodes or ()
            share = _alone(rooms, need, demand, with_cpus=False, parts=max(1, len(nodes)))
            fits &= (share | ~rooms.named(nodes)).all(axis=1)
        elif need.span > 1:
            fits &= _alone(rooms, need, demand, with_cpus=False, parts=need.span).any(axis=1)
    return fits


def _alone(rooms: _Rooms, need: NodeNeed, demand: Demand, *, with_cpus: bool, parts: int = 1) -> Bools:
    """The nodes of every host that could take this need if nothing else were placed."""
    suits: Bools = rooms.exists.copy() if need.allowed_nodes is None else rooms.named(need.allowed_nodes)
    if need.memory_kib:
        suits &= rooms.free_kib >= -(-need.memory_kib // parts)
    for size, count in need.page_needs:
        suits &= rooms.pages_of(size) >= -(-count // parts)
    if with_cpus:
        for needed, room in _cpu_needs(rooms.columns, need, demand):
            suits &= room >= needed
    return suits


def _cpu_needs(columns: HostColumns, need: NodeNeed, demand: Demand) -> list[tuple[int, Array]]:
    """(needed, room) pairs that must all hold for the need's CPUs."""
    pairs: list[tuple[int, Array]] = []
    if need.usable_needed:
        pairs.append((need.usable_needed, core_columns.usable_cpus(columns)))
    if demand.rule is CoreRule.FLOATING and need.cpus_needed:
        pairs.append((need.cpus_needed, core_columns.usable_cpus(columns)))
    if demand.rule is CoreRule.RESIZED and need.cpus_needed:
        pairs.append((need.cpus_needed, core_columns.resizable_cpus(columns)))
    return pairs + _block_needs(columns, need, demand)


def _block_needs(columns: HostColumns, need: NodeNeed, demand: Demand) -> list[tuple[int, Array]]:
    """The same for CPUs that are taken away: these add up where needs share a node."""
    count = len(need.blocks)
    if not count:
        return []
    if demand.rule is CoreRule.SIBLINGS:
        return [(count, core_columns.sibling_blocks(columns, demand.threads))]
    if demand.rule is CoreRule.WHOLE_CORES:
        return [(count, core_columns.whole_cores(columns))]
    sizes = sorted({block.size for block in need.blocks})
    return [
        (sum(1 for block in need.blocks if block.size >= size), core_columns.cores_with(columns, size))
        for size in sizes
    ]


def assignable(columns: HostColumns, demand: Demand, suits: Sequence[Bools]) -> Bools:
    """Whether the memory of every need has a node of its list, further cut to `suits` (hosts x nodes for each need)."""
    rooms = _Rooms(columns, demand)
    memory = _together(rooms, demand.node_needs, demand, with_cpus=False, suits=suits)
    return _has_named_nodes(columns, demand) & memory


def _together(
    rooms: _Rooms,
    needs: Sequence[NodeNeed],
    demand: Demand,
    *,
    with_cpus: bool,
    suits: Sequence[Bools] | None = None,
) -> Bools:
    """Whether these needs have room at the same time, each wholly on one node."""
    if not needs:
        return rooms.columns.all()
    fits = np.array([_alone(rooms, need, demand, with_cpus=with_cpus) for need in needs])
    if suits is not None:
        fits &= np.array(suits)
    apart = matching.distinct(fits)
    if demand.nodes_distinct:
        return apart
    if len(needs) == 1:
        return apart
    amounts = [_amounts(need, with_cpus=with_cpus, demand=demand) for need in needs]
    if all(amount == amounts[0] for amount in amounts):
        slots = _slots(rooms, needs[0], demand, with_cpus=with_cpus)
        return matching.counted(np.where(rooms.exists, slots, 0), fits)
    return _packed(rooms, needs, demand, fits=fits, apart=apart, with_cpus=with_cpus)


def _amounts(need: NodeNeed, *, with_cpus: bool, demand: Demand) -> tuple[object, ...]:
    blocks = tuple(sorted(block.size for block in need.blocks)) if with_cpus and demand.rule.takes_cpus else ()
    return (need.memory_kib, tuple(sorted(need.page_needs)), blocks)


def _resources(rooms: _Rooms, need: NodeNeed, demand: Demand, *, with_cpus: bool) -> list[tuple[int, Array]]:
    """(needed, room) of everything that adds up on a node."""
    pairs: list[tuple[int, Array]] = [(need.memory_kib, rooms.free_kib)] if need.memory_kib else []
    pairs += [(count, rooms.pages_of(size)) for size, count in need.page_needs]
    return pairs + (_block_needs(rooms.columns, need, demand) if with_cpus else [])


def _slots(rooms: _Rooms, need: NodeNeed, demand: Demand, *, with_cpus: bool) -> Array:
    slots: Array = np.full(rooms.exists.shape, UNLIMITED, np.int64)
    for needed, room in _resources(rooms, need, demand, with_cpus=with_cpus):
        slots = np.minimum(slots, np.maximum(room, 0) // needed)
    return slots.astype(np.int64)


def _packed(
    rooms: _Rooms, needs: Sequence[NodeNeed], demand: Demand, *, fits: Array, apart: Bools, with_cpus: bool
) -> Bools:
    """Needs of different size: apart where that works, else searched host by host."""
    verdicts = apart.copy()
    table = _Additive(rooms, needs, demand, with_cpus=with_cpus)
    possible = fits.any(axis=2).all(axis=0) & ~apart
    for row in np.flatnonzero(possible).tolist():
        choices = [np.flatnonzero(fits[need, row]).tolist() for need in range(len(needs))]
        verdicts[row] = matching.packs(table.amounts, choices, table.rooms_of(row))
    return verdicts


class _Additive:
    """Every resource that adds up, with what each need takes of it."""

    def __init__(self, rooms: _Rooms, needs: Sequence[NodeNeed], demand: Demand, *, with_cpus: bool) -> None:
        columns = rooms.columns
        sizes = sorted({size for need in needs for size, _ in need.page_needs})
        self.rooms: list[Array] = [rooms.free_kib, *(rooms.pages_of(size) for size in sizes)]
        amounts = [[need.memory_kib, *(dict(need.page_needs).get(size, 0) for size in sizes)] for need in needs]
        if with_cpus and demand.rule is CoreRule.SHAPE:
            for size in sorted({block.size for need in needs for block in need.blocks}):
                self.rooms.append(core_columns.cores_with(columns, size))
                for amount, need in zip(amounts, needs, strict=True):
                    amount.append(sum(1 for block in need.blocks if block.size >= size))
        elif with_cpus and demand.rule.takes_cpus:
            whole = demand.rule is CoreRule.WHOLE_CORES
            room = core_columns.whole_cores(columns) if whole else core_columns.sibling_blocks(columns, demand.threads)
            self.rooms.append(room)
            for amount, need in zip(amounts, needs, strict=True):
                amount.append(len(need.blocks))
        self.amounts = [tuple(amount) for amount in amounts]

    def rooms_of(self, row: int) -> list[tuple[int, ...]]:
        """What each node of a host has."""
        return [tuple(int(value) for value in node) for node in np.stack([room[row] for room in self.rooms], axis=1)]


def _literal(columns: HostColumns, demand: Demand) -> Bools:
    """Every CPU that a literal map names is online and no other VM's own."""
    needed = 0
    for _, cpus in demand.literal:
        needed |= cpus.bits
    return has_open_cpus(columns, needed) if needed else columns.all()


def has_open_cpus(columns: HostColumns, needed: int) -> Bools:
    """Whether all these CPUs are online and no VM's own."""
    width = columns.widths.bits

    def build(hosts: Sequence[HostAccount]) -> Array:
        return words([host.online_bits & ~host.exclusive_bits for host in hosts], width)

    opened = columns.array("open words", build)
    if needed.bit_length() > opened.shape[1] * 64:
        return columns.all(False)
    wanted = words([needed], opened.shape[1] * 64)[0]
    held: Bools = ((opened & wanted) == wanted).all(axis=1)
    return held


def _sockets(columns: HostColumns, demand: Demand) -> Bools:
    """Virtual sockets of a VM without virtual nodes, each within one host socket."""
    if not demand.sockets:
        return columns.all()
    sizes = sorted((len(blocks) for blocks in demand.sockets), reverse=True)
    room = core_columns.socket_blocks(columns, demand.threads, is_whole=demand.rule is CoreRule.WHOLE_CORES)
    if sizes[0] == sizes[-1]:
        enough: Bools = (room // max(1, sizes[0])).sum(axis=1) >= len(sizes)
        return enough
    verdicts: Bools = (room.sum(axis=1) >= sum(sizes)) & (room.max(axis=1) >= sizes[0])
    amounts = [(size,) for size in sizes]
    for row in np.flatnonzero(verdicts).tolist():
        rooms = [(int(value),) for value in room[row]]
        verdicts[row] = matching.packs(amounts, [range(len(rooms))] * len(amounts), rooms)
    return verdicts
