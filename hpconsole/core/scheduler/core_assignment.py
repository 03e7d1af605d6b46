"""Which CPUs of one host node a VM's blocks take, and what that costs. Knows one node at a time.

The cost is (cache banks summed over virtual nodes, cores the VM has only in part, less the vCPUs that keep their CPUs).
Direct formulas where they are exact: one cache bank, or whole virtual nodes that each fit one; else `core_search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hpconsole.core.scheduler.core_keeping import most_kept
from hpconsole.core.scheduler.core_search import NO_WISHES, TooLarge, Wishes, search, wishes_met
from hpconsole.core.scheduler.demand import Block, CoreRule
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.node_cpus import FreeCore
from hpconsole.core.scheduler.room import CoreCost, NodeRoom

Seats = list[tuple[Block, FreeCore]]
_LARGE = 4000


class _Bank(NamedTuple):
    """One cache bank's free cores: those completely free, and the others, widest first."""

    whole: tuple[FreeCore, ...]
    part: tuple[FreeCore, ...]
    capacity: int  # blocks


def cost_of(room: NodeRoom, blocks: Sequence[Block], wishes: Wishes) -> CoreCost:
    """The least cost of these blocks on this node, where they fit."""
    if not blocks:
        return CoreCost(0, 0, 0)
    here = wishes_here(room, blocks, wishes)
    if len(room.tables.banks[room.position]) == 1 and _is_plain(room, blocks):
        kept: int | None = 0
        if here is not NO_WISHES:
            found = most_kept(room, blocks, here, is_rough=_is_large(room, blocks))
            kept = None if found is None else found[0]
        if kept is not None:
            owners = len({owner for block in blocks for owner in block.owners})
            return CoreCost(owners, _parts_in_one_bank(room, blocks), -kept)
    return _solve(room, blocks, here)[0]


def seats_of(room: NodeRoom, blocks: Sequence[Block], wishes: Wishes) -> Seats:
    """The assignment that `cost_of` speaks of."""
    here = wishes_here(room, blocks, wishes)
    if len(room.tables.banks[room.position]) == 1 and _is_plain(room, blocks):
        if here is NO_WISHES:
            return _fill(room, _bank(room, room.cores), blocks)
        found = most_kept(room, blocks, here, is_rough=_is_large(room, blocks))
        if found is not None:
            return found[1]
    return _solve(room, blocks, here)[1]


def wishes_here(room: NodeRoom, blocks: Sequence[Block], wishes: Wishes) -> Wishes:
    """The wishes of these blocks that free CPUs of this node can meet."""
    free = room.keepable_bits
    narrow: dict[int, tuple[int, ...]] = {}
    homes: dict[int, int] = {}
    for block in blocks:
        first = block.roles[0]
        home = wishes.homes.get(first)
        if home is not None and not home & ~free:
            homes[first] = home
        for bits in wishes.narrow.get(first, ()):
            if not bits & ~free:
                narrow[first] = wishes.narrow[first]
                break
    return Wishes(narrow, homes, wishes.wide if homes else ()) if narrow or homes else NO_WISHES


def part_core_tables(rooms: Sequence[NodeRoom]) -> list[list[int]] | None:
    """For each node the least part cores of 0, 1, 2 ... (SIBLINGS) blocks on it; None where no formula is exact."""
    widths = [room.tables.core_width(room.position) for room in rooms]
    if not all(
        width and width % room.threads == 0 for width, room in zip(widths, rooms, strict=True) if room.free_bits
    ):
        return None
    return [[_parts_of(room, n) for n in range(room.capacity + 1)] if room.free_bits else [0] for room in rooms]


def least_part_cores(tables: Sequence[Sequence[int]], sizes: Sequence[int]) -> int:
    """A lower bound of the part cores of needs with so many blocks each, packed into the nodes of these tables.

    Exact but for which needs make up the number on a node: only the numbers that some of them can make count.
    """
    possible = 1
    for size in sizes:
        possible |= possible << size
    least = {0: 0}
    for table in tables:
        prices = [(n, table[n]) for n in positions(possible) if n < len(table)]
        more: dict[int, int] = {}
        for have, cost in least.items():
            for n, price in prices:
                if cost + price < more.get(have + n, 1 << 30):
                    more[have + n] = cost + price
        least = more
    return least.get(sum(sizes), 0)


def measure(seats: Seats, rule: CoreRule, wishes: Wishes) -> CoreCost:
    """What an assignment costs."""
    touched: set[tuple[int, int]] = set()
    roles: dict[int, int] = {}
    width: dict[int, int] = {}
    kept = 0
    for block, core in seats:
        touched.update((owner, core.bank) for owner in block.owners)
        roles[core.bits] = roles.get(core.bits, 0) + len(block.roles)
        width[core.bits] = core.width
        kept += wishes_met(block, core, rule, wishes)
    part = 0 if rule is CoreRule.WHOLE_CORES else sum(1 for bits, count in roles.items() if count < width[bits])
    return CoreCost(len(touched), part, -kept)


def signature(blocks: Sequence[Block]) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
    """What blocks are, apart from who they are; owners by order of appearance, since only their number matters."""
    seen: dict[int, int] = {}
    return tuple(
        (block.size, len(block.roles), tuple(seen.setdefault(owner, len(seen)) for owner in block.owners))
        for block in blocks
    )


def _solve(room: NodeRoom, blocks: Sequence[Block], wishes: Wishes) -> tuple[CoreCost, Seats]:
    if not blocks:
        return CoreCost(0, 0, 0), []
    direct, is_optimal = _direct(room, blocks)
    cost = measure(direct, room.rule, wishes)
    if wishes is NO_WISHES:
        if is_optimal:
            return cost, direct
    elif is_optimal:
        same = _as_now(room, blocks, wishes)
        if same is not None and (as_now := measure(same, room.rule, wishes))[:2] == cost[:2]:
            return as_now._replace(kept=as_now.kept - _wide_inside(blocks, wishes)), same
        if not wishes.narrow and not wishes.wide:
            return cost, direct
        if len(room.tables.banks[room.position]) == 1:
            kept = most_kept(room, blocks, wishes, is_rough=_is_large(room, blocks))
            if kept is not None:
                return cost._replace(kept=-kept[0]), kept[1]
    is_for_keeping = is_optimal and wishes is not NO_WISHES
    if is_for_keeping and _is_large(room, blocks):
        return cost, direct
    try:
        found = search(room.cores, blocks, room.rule, room.threads, wishes)
    except TooLarge:
        return cost, direct
    if found is None:
        return cost, direct
    cost = measure(found, room.rule, wishes)
    same = _as_now(room, blocks, wishes) if wishes.wide else None
    if same is not None and (as_now := measure(same, room.rule, wishes))[:2] == cost[:2]:
        return as_now._replace(kept=as_now.kept - _wide_inside(blocks, wishes)), same
    return cost, found


def _is_large(room: NodeRoom, blocks: Sequence[Block]) -> bool:
    """Whether the exact search is too much for a few vCPUs more that stay."""
    owners: dict[tuple[int, ...], int] = {}
    for block in blocks:
        owners[block.owners] = owners.get(block.owners, 0) + 1
    states = len(room.cores)
    for count in owners.values():
        states *= 2 * (count + 1)
    return states > _LARGE


def _wide_inside(blocks: Sequence[Block], wishes: Wishes) -> int:
    """How many vCPUs lie over several of these blocks and no others: they stay if all blocks do."""
    together = 0
    for block in blocks:
        for role in block.roles:
            together |= 1 << role
    return sum(1 for roles in wishes.wide if not roles & ~together)


def _as_now(room: NodeRoom, blocks: Sequence[Block], wishes: Wishes) -> Seats | None:
    """Every block on the very CPUs it has now, if they are all free and each block's are on one core."""
    if len(wishes.homes) < len(blocks):
        return None
    seats: Seats = []
    used: dict[int, int] = {}
    for block in blocks:
        home = wishes.homes[block.roles[0]]
        core = next((core for core in room.cores if not home & ~core.bits), None)
        if core is None or (
            room.rule is CoreRule.WHOLE_CORES and (core.free < core.width or home != core.bits & -core.bits)
        ):
            return None
        seats.append((block, core))
        used[core.bits] = used.get(core.bits, 0) + (block.size if room.rule is CoreRule.SIBLINGS else core.free)
    return seats if all(count <= bits.bit_count() for bits, count in used.items()) else None


def _is_plain(room: NodeRoom, blocks: Sequence[Block]) -> bool:
    """Whether the direct formulas are exact: cores of one width, and (SIBLINGS) full blocks that divide it."""
    if room.rule is CoreRule.WHOLE_CORES:
        return True
    width = room.tables.core_width(room.position)
    if room.rule is CoreRule.SHAPE:
        return width > 0
    return width > 0 and width % room.threads == 0 and all(len(block.roles) == block.size for block in blocks)


def _parts_in_one_bank(room: NodeRoom, blocks: Sequence[Block]) -> int:
    if room.rule is CoreRule.WHOLE_CORES:
        return 0
    if room.rule is CoreRule.SHAPE:
        width = room.tables.core_width(room.position)
        return sum(1 for block in blocks if block.size < width)
    return _parts_of(room, len(blocks))


def _parts_of(room: NodeRoom, blocks: int) -> int:
    """SIBLINGS: the least part cores of so many blocks, the node taken as one cache bank."""
    per_core = room.tables.core_width(room.position) // room.threads
    if room.is_untouched:
        return int(blocks % per_core != 0)
    whole, part = room.whole_and_part
    return _part_cores(blocks, whole, part, per_core)


def _part_cores(blocks: int, whole: int, part: Sequence[int], per_core: int) -> int:
    """The least number of cores held in part, with `whole` free cores and others of these capacities (descending)."""
    rest = blocks - whole * per_core
    if rest <= 0:
        return int(blocks % per_core != 0)
    count = 0
    for capacity in part:
        if rest <= 0:
            break
        rest -= capacity
        count += 1
    return count


def _direct(room: NodeRoom, blocks: Sequence[Block]) -> tuple[Seats, bool]:
    """A good assignment by rule of thumb, and whether its banks and part cores are surely least.

    Every virtual node in one bank (largest first, each where the least is left), completely free cores for what fills
    them, the fullest of the others for the rest; where a virtual node fits no bank, the widest banks first.
    """
    banks = _banks(room)
    owners: dict[tuple[int, ...], list[Block]] = {}
    for block in blocks:
        owners.setdefault(block.owners, []).append(block)
    groups = sorted(owners.values(), key=lambda group: (-len(group), group[0].roles))
    is_plain = _is_plain(room, blocks)
    if len(banks) == 1:
        return _fill(room, banks[0], blocks), is_plain
    if room.rule is CoreRule.SHAPE:
        chosen = _one_bank_of_shape(banks, blocks)
        if chosen is not None:
            return _fill(room, chosen, blocks), is_plain
        return _fill(room, _merged(banks), blocks), False
    load = [0] * len(banks)
    members: list[list[Block]] = [[] for _ in banks]
    for group in groups:
        fitting = [b for b, bank in enumerate(banks) if bank.capacity - load[b] >= len(group)]
        if not fitting:
            return _fill(room, _merged(banks), blocks), False
        best = min(fitting, key=lambda b: _bank_choice(room, banks[b], load[b] + len(group), b))
        load[best] += len(group)
        members[best] += group
    seats = [seat for b, bank in enumerate(banks) for seat in _fill(room, bank, members[b])]
    if not is_plain:
        return seats, False
    least = 0 if room.rule is CoreRule.WHOLE_CORES else _parts_in_one_bank(room, blocks)
    if len(groups) == 1:  # the best bank was chosen by its number of part cores
        return seats, True
    return seats, measure(seats, room.rule, NO_WISHES).part_cores == least


def _bank_choice(room: NodeRoom, bank: _Bank, blocks: int, index: int) -> tuple[int, int, int]:
    """Fewest part cores, then the bank with the least left."""
    if room.rule is CoreRule.WHOLE_CORES:
        return 0, bank.capacity - blocks, index
    per_core = max(1, room.tables.core_width(room.position) // room.threads)
    part = sorted((core.free // room.threads for core in bank.part), reverse=True)
    return _part_cores(blocks, len(bank.whole), part, per_core), bank.capacity - blocks, index


def _banks(room: NodeRoom) -> list[_Bank]:
    by_bank: dict[int, list[FreeCore]] = {}
    for core in room.cores:
        by_bank.setdefault(core.bank, []).append(core)
    return [_bank(room, cores) for _, cores in sorted(by_bank.items())]


def _merged(banks: Sequence[_Bank]) -> _Bank:
    """All banks as one, those with the most room first."""
    ordered = sorted(banks, key=lambda bank: -bank.capacity)
    return _Bank(
        tuple(core for bank in ordered for core in bank.whole),
        tuple(core for bank in ordered for core in bank.part),
        sum(bank.capacity for bank in ordered),
    )


def _bank(room: NodeRoom, cores: Sequence[FreeCore]) -> _Bank:
    whole = tuple(core for core in cores if core.free == core.width)
    part = tuple(core for core in cores if core.free < core.width)
    if room.rule is CoreRule.SIBLINGS:
        return _Bank(whole, part, sum(core.free // room.threads for core in cores))
    return _Bank(whole, part, len(whole) if room.rule is CoreRule.WHOLE_CORES else len(cores))


def _one_bank_of_shape(banks: Sequence[_Bank], blocks: Sequence[Block]) -> _Bank | None:
    """The bank that holds the whole shape with the fewest cores left; None if no single one does."""
    sizes = sorted((block.size for block in blocks), reverse=True)
    fitting: list[tuple[int, int]] = []
    for b, bank in enumerate(banks):
        free = sorted((core.free for core in (*bank.whole, *bank.part)), reverse=True)
        if len(free) >= len(sizes) and all(have >= size for have, size in zip(free, sizes, strict=False)):
            fitting.append((len(free), b))
    return banks[min(fitting)[1]] if fitting else None


def _fill(room: NodeRoom, bank: _Bank, blocks: Sequence[Block]) -> Seats:
    """Seat blocks in a bank that has room for them."""
    if room.rule is CoreRule.WHOLE_CORES:
        return list(zip(sorted(blocks, key=lambda block: block.roles), bank.whole, strict=False))
    if room.rule is CoreRule.SHAPE:
        return _fill_shape(bank, blocks)
    per_core = [(core, core.free // room.threads) for core in bank.whole]
    part = sorted(((core, core.free // room.threads) for core in bank.part), key=lambda item: -item[1])
    waiting = sorted(blocks, key=lambda block: (block.owners, block.roles))
    order: list[tuple[FreeCore, int]] = []
    left = len(waiting)
    for core, slots in per_core:
        if slots and left >= slots:
            order.append((core, slots))
            left -= slots
    used = {core.bits for core, _ in order}
    # What does not fill a core goes beside other VMs first, so that whole cores stay whole; the tightest that holds it.
    rest = [item for item in part if item[1]] + [item for item in per_core if item[0].bits not in used]
    while left and rest:
        holding = [item for item in rest if item[1] >= left]
        core, slots = min(holding, key=lambda item: item[1]) if holding else rest[0]
        rest.remove((core, slots))
        order.append((core, min(slots, left)))
        left -= min(slots, left)
    seats = iter(waiting)
    order.sort(key=lambda item: item[0].bits & -item[0].bits)
    return [(next(seats), core) for core, slots in order for _ in range(slots)]


def _fill_shape(bank: _Bank, blocks: Sequence[Block]) -> Seats:
    """Largest blocks first, each on the core with the fewest free CPUs that still holds it."""
    cores = sorted((*bank.whole, *bank.part), key=lambda core: (core.free, core.bits & -core.bits))
    seats: Seats = []
    for block in sorted(blocks, key=lambda block: (-block.size, block.roles)):
        core = next(core for core in cores if core.free >= block.size)
        cores.remove(core)
        seats.append((block, core))
    return seats
