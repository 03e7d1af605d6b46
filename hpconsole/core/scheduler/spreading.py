"""Where a VM without virtual nodes goes that takes CPUs for itself: over as few host nodes as possible.

Each of its virtual sockets stays within one host socket, as the reference allocates them. Exact in nodes, distance,
cache banks and part cores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hpconsole.core.scheduler.core_assignment import cost_of
from hpconsole.core.scheduler.demand import Block, Demand
from hpconsole.core.scheduler.node_order import Ground, device_distance
from hpconsole.core.scheduler.node_sets import LIMIT, Sets, lowest_first, sets_of_size, sums
from hpconsole.core.scheduler.present_pinning import Present
from hpconsole.core.scheduler.room import CoreCost, NodeRoom
from hpconsole.core.scheduler.seating import seat

NOTHING = CoreCost(0, 0, 0)
_MOST_COMPARED = 24  # virtual sockets up to which their present places decide who goes where


class Cell(NamedTuple):
    """The part of a node that is in one host socket."""

    node: int  # position in the ground
    socket: int
    room: NodeRoom


@dataclass(frozen=True, slots=True)
class Spread:
    """The blocks of each cell, and all nodes (a mask) that hold the VM (memory may need nodes that CPUs do not)."""

    cells: tuple[tuple[Cell, tuple[Block, ...]], ...]
    nodes: int


class Spreader:
    """Finds the best spread of a demand's virtual sockets over the ground."""

    def __init__(self, ground: Ground, demand: Demand, present: Present) -> None:
        self.ground, self.demand, self.present = ground, demand, present
        self.cells = [cell for node, room in enumerate(ground.rooms) for cell in _cells_of(node, room)]
        sizes = sorted((len(blocks) for blocks in demand.sockets), reverse=True)
        self.large = sizes[0]  # all virtual sockets are of this size but for the last, which may be smaller
        self.small = sizes[-1] if sizes[-1] != sizes[0] else 0
        self.count = len(sizes) - (1 if self.small else 0)
        self.blocks = [block for socket in demand.sockets for block in socket]
        self._costs: dict[tuple[int, int], CoreCost] = {}

    def best(self) -> Spread | None:
        """The best spread; None if there is none."""
        for size in range(1, self.ground.size + 1):
            sets = self._possible(size)
            if not len(sets):
                continue
            distances = self.ground.spread[sets]
            return self._best_of(sets[distances == distances.min()])
        return None

    def is_possible(self) -> bool:
        """Whether there is any spread."""
        tune = self.demand.tune
        if tune is None or not (tune.memory_kib or tune.page_needs):
            return self._is_enough(range(self.ground.size))
        if self.ground.size > LIMIT:
            return self.any_spread() is not None
        return any(len(self._possible(size)) for size in range(1, self.ground.size + 1))

    def _is_enough(self, nodes: Collection[int]) -> bool:
        """Whether these nodes have CPUs for every virtual socket."""
        by_socket: dict[int, int] = {}
        for cell in self.cells:
            if cell.node in nodes:
                by_socket[cell.socket] = by_socket.get(cell.socket, 0) + cell.room.capacity
        whole = sum(capacity // self.large for capacity in by_socket.values())
        rests = max((capacity % self.large for capacity in by_socket.values()), default=0)
        return whole >= self.count and (not self.small or whole > self.count or rests >= self.small)

    def any_spread(self) -> Spread | None:
        """A spread on any number of nodes, for hosts too large to compare all sets of nodes."""
        everything = (1 << self.ground.size) - 1
        holding = sum(
            1 << i
            for i, room in enumerate(self.ground.rooms)
            if self.demand.tune is None or room.has_memory(self.demand.tune, self.ground.size)
        )
        result = _Distribution(self, everything & holding).best_or_none()
        if result is None:
            return None
        used = sum({1 << cell.node for cell, amount in result.amounts if amount})
        return Spread(tuple(self._named(result.amounts, result.sockets)), used)

    def _possible(self, size: int) -> Sets:
        """The sets of so many nodes that hold the memory and every virtual socket."""
        sets: Sets = sets_of_size(self.ground.size, size)
        tune = self.demand.tune
        if tune is not None:
            short = sum(1 << i for i, room in enumerate(self.ground.rooms) if not room.has_memory(tune, size))
            sets = sets[(sets & short) == 0]
        sets = sets[sums(sets, [room.capacity for room in self.ground.rooms]) >= len(self.blocks)]
        if self.count + bool(self.small) == 1 and len({cell.socket for cell in self.cells}) == 1:
            return sets
        whole = np.zeros(len(sets), dtype=np.int64)
        takes_small = np.zeros(len(sets), dtype=bool)
        for socket in {cell.socket for cell in self.cells}:
            room = [0] * self.ground.size
            for cell in self.cells:
                if cell.socket == socket:
                    room[cell.node] += cell.room.capacity
            here = sums(sets, room)
            whole += here // self.large
            takes_small |= here % self.large >= self.small
        enough = whole >= self.count
        if self.small:
            enough &= takes_small | (whole > self.count)
        return sets[enough]

    def _best_of(self, sets: Sets) -> Spread:
        devices = device_distance(sets, self.ground).tolist()
        cpus, kib = sums(sets, self.ground.free_cpus).tolist(), sums(sets, self.ground.free_kib).tolist()
        best: tuple[object, ...] | None = None
        plan: tuple[int, tuple[tuple[Cell, int], ...], dict[int, tuple[int, bool]]] | None = None
        for i, item in enumerate(sets.tolist()):
            result = _Distribution(self, item).best()
            kept = result.cost.kept and self._kept(result)
            key = (result.cost[:2], devices[i], kept, cpus[i], kib[i], lowest_first(item, self.ground.size))
            if best is None or key < best:
                best, plan = key, (item, result.amounts, result.sockets)
        assert plan is not None  # noqa: S101 - there is at least one set, and each holds the VM
        return Spread(tuple(self._named(plan[1], plan[2])), plan[0])

    def _kept(self, result: _Result) -> int:
        """Minus the vCPUs that really stay: a virtual socket is in one place, which the distribution does not see."""
        named = self._named(result.amounts, result.sockets)
        return sum(cost_of(cell.room, blocks, self.present.wishes).kept for cell, blocks in named)

    def cost(self, cell: Cell, amount: int) -> CoreCost:
        """What so many blocks cost in a cell; those that can keep their CPUs there first."""
        key = (self.cells.index(cell), amount)
        known = self._costs.get(key)
        if known is None:
            chosen = self._chosen(cell, amount)
            known = self._costs[key] = cost_of(cell.room, chosen, self.present.wishes) if amount else NOTHING
        return known

    def _chosen(self, cell: Cell, amount: int) -> list[Block]:
        """So many blocks for a cell: those that can keep their CPUs in it first."""
        stays = [block for block in self.blocks if self._can_stay(block, cell.room.keepable_bits)]
        others = [block for block in self.blocks if block not in stays]
        return (stays + others)[:amount]

    def _named(
        self, amounts: Sequence[tuple[Cell, int]], sockets: dict[int, tuple[int, bool]]
    ) -> Iterator[tuple[Cell, tuple[Block, ...]]]:
        """Which virtual socket goes to which host socket, and which of its blocks to which cell."""
        homes: list[tuple[int, list[Block]]] = []
        free = dict.fromkeys(sockets, 0)
        for cell, amount in amounts:
            if amount:
                free[cell.socket] |= cell.room.keepable_bits
        for size, column in ((self.large, 0), (self.small, 1)):
            slots = [socket for socket, counts in sorted(sockets.items()) for _ in range(int(counts[column]))]
            fitting = [list(blocks) for blocks in self.demand.sockets if len(blocks) == size]
            homes += zip(self._slots_taken(slots, fitting, free), fitting, strict=True) if slots else ()
        for socket in sorted(sockets):
            mine = sorted((b for at, blocks in homes if at == socket for b in blocks), key=lambda block: block.roles)
            here = [(cell, amount) for cell, amount in amounts if cell.socket == socket and amount]
            slots = [i for i, (_, amount) in enumerate(here) for _ in range(amount)]
            bits = {i: cell.room.keepable_bits for i, (cell, _) in enumerate(here)}
            taken = self._slots_taken(slots, [[block] for block in mine], bits)
            for i, (cell, _) in enumerate(here):
                yield cell, tuple(block for block, at in zip(mine, taken, strict=True) if at == i)

    def _slots_taken(
        self, slots: Sequence[int], waiting: Sequence[Sequence[Block]], free: Mapping[int, int]
    ) -> list[int]:
        """The slot of each, so that most vCPUs keep their CPUs. `free`: the CPUs of each kind of slot."""
        costs = [[-sum(self._can_stay(b, free[slot]) for b in blocks) for slot in slots] for blocks in waiting]
        if not any(any(row) for row in costs) or len(slots) > _MOST_COMPARED:
            return list(slots)
        return [slots[i] for i in seat(costs)]

    def _can_stay(self, block: Block, free: int) -> int:
        """How many vCPUs of the block could keep their CPUs among these."""
        return sum(1 for bits in self.present.wishes.narrow.get(block.roles[0], ()) if not bits & ~free)


class _Result(NamedTuple):
    cost: CoreCost
    amounts: tuple[tuple[Cell, int], ...]
    sockets: dict[int, tuple[int, bool]]  # host socket -> (large virtual sockets, whether the small one)


class _Distribution:
    """How many blocks each cell of one set of nodes takes: a knapsack per host socket, then one over the sockets."""

    def __init__(self, spreader: Spreader, nodes: int) -> None:
        self.spreader = spreader
        self.cells = [cell for cell in spreader.cells if nodes >> cell.node & 1 and cell.room.capacity]

    def best_or_none(self) -> _Result | None:
        """As `best`, of cells that may not hold the VM."""
        try:
            return self.best()
        except KeyError:
            return None

    def best(self) -> _Result:
        """The cheapest way.

        Raises:
            KeyError: the cells have no room for the VM.
        """
        if len(self.cells) == 1 and self.cells[0].room.capacity >= len(self.spreader.blocks):
            cell = self.cells[0]
            total = len(self.spreader.blocks)
            counts = {cell.socket: (self.spreader.count, bool(self.spreader.small))}
            return _Result(self.spreader.cost(cell, total), ((cell, total),), counts)
        states: dict[tuple[int, bool], _Result] = {(0, False): _Result(NOTHING, (), {})}
        for socket in sorted({cell.socket for cell in self.cells}):
            states = self._with_socket(states, socket)
        return states[self.spreader.count, bool(self.spreader.small)]

    def _with_socket(self, states: dict[tuple[int, bool], _Result], socket: int) -> dict[tuple[int, bool], _Result]:
        spreader = self.spreader
        cells = [cell for cell in self.cells if cell.socket == socket]
        wanted = {
            large * spreader.large + small * spreader.small: (large, small)
            for large in range(spreader.count + 1)
            for small in ((False, True) if spreader.small else (False,))
        }
        within = self._within(cells, max(wanted))
        result: dict[tuple[int, bool], _Result] = {}
        for (done, has_small), state in states.items():
            for total, (large, small) in wanted.items():
                key = (done + large, has_small or small)
                if total not in within or key[0] > spreader.count or (has_small and small):
                    continue
                cost, amounts = within[total]
                new = _Result(
                    _added(state.cost, cost),
                    state.amounts + amounts,
                    {**state.sockets, socket: (large, small)} if total else state.sockets,
                )
                if key not in result or new.cost < result[key].cost:
                    result[key] = new
        return result

    def _within(self, cells: Sequence[Cell], most: int) -> dict[int, tuple[CoreCost, tuple[tuple[Cell, int], ...]]]:
        """For each number of blocks the cheapest way to divide them over the cells of one host socket."""
        table: dict[int, tuple[CoreCost, tuple[tuple[Cell, int], ...]]] = {0: (NOTHING, ())}
        for cell in cells:
            larger: dict[int, tuple[CoreCost, tuple[tuple[Cell, int], ...]]] = {}
            for have, (cost, amounts) in table.items():
                for amount in range(min(cell.room.capacity, most - have) + 1):
                    total = _added(cost, self.spreader.cost(cell, amount))
                    if have + amount not in larger or total < larger[have + amount][0]:
                        larger[have + amount] = (total, ((*amounts, (cell, amount)) if amount else amounts))
            table = larger
        return table


def _added(a: CoreCost, b: CoreCost) -> CoreCost:
    return CoreCost(a.banks + b.banks, a.part_cores + b.part_cores, a.kept + b.kept)


def _cells_of(node: int, room: NodeRoom) -> Iterator[Cell]:
    by_socket: dict[int, int] = {}
    for core in room.tables.cores[room.position]:
        by_socket[core.socket] = by_socket.get(core.socket, 0) | core.bits
    if len(by_socket) == 1:
        yield Cell(node, next(iter(by_socket)), room)
        return
    for socket, bits in sorted(by_socket.items()):
        yield Cell(node, socket, room.part(bits))
