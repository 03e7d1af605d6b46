"""How many vCPUs can stay on their CPUs when blocks take a node's cores as cheaply as possible: direct formulas.

For nodes with one cache bank and cores of one width, where the cheapest way is known by numbers alone. Gives None where
no formula is exact; `core_search` answers then.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpconsole.core.scheduler.core_search import Wishes, wishes_met
from hpconsole.core.scheduler.demand import Block, CoreRule
from hpconsole.core.scheduler.node_cpus import FreeCore
from hpconsole.core.scheduler.room import NodeRoom

Seats = list[tuple[Block, FreeCore]]


def most_kept(
    room: NodeRoom, blocks: Sequence[Block], wishes: Wishes, *, is_rough: bool = False
) -> tuple[int, Seats] | None:
    """(vCPUs that stay, assignment) of the cheapest assignment that keeps most; None where no direct way is exact.

    The node has one cache bank and cores of one width; the blocks fit. `is_rough`: a block whose vCPUs are on several
    cores now counts on the first of them only; the assignment is as cheap, but may keep fewer than it could.
    """
    if wishes.wide and room.rule is CoreRule.SIBLINGS:
        return None
    wide: tuple[int, Seats] = _wide_stays(room, blocks, wishes) if wishes.wide else (0, [])
    fixed = {block.roles for block, _ in wide[1]}
    stays = _stays(room, [block for block in blocks if block.roles not in fixed], wishes, is_rough=is_rough)
    if stays is None:
        return None
    if room.rule is CoreRule.SIBLINGS:
        return _siblings(room, blocks, stays)
    return _one_per_core(room, blocks, stays, wide)


def _wide_stays(room: NodeRoom, blocks: Sequence[Block], wishes: Wishes) -> tuple[int, Seats]:
    """(vCPUs that stay, seats) for vCPUs that lie over several blocks: those of one set of CPUs stay together.

    Sets of more vCPUs go first; a set stays if all its blocks can, beside those that stay already.
    """
    sets: dict[int, int] = {}
    for roles in wishes.wide:
        sets[roles] = sets.get(roles, 0) + 1
    seats: dict[tuple[int, ...], tuple[Block, FreeCore]] = {}
    count = 0
    for roles in sorted(sets, key=lambda roles: (-sets[roles], roles)):
        members = [block for block in blocks if any(roles >> role & 1 for role in block.roles)]
        if sum(1 for block in members for role in block.roles if roles >> role & 1) < roles.bit_count():
            continue  # some of it is on another node
        taken = {core.bits for block, core in seats.values() if block not in members}
        found = _seats_now(room, members, wishes, taken)
        if found:
            seats.update((block.roles, (block, core)) for block, core in found)
            count += sets[roles]
    count += sum(wishes_met(block, core, room.rule, wishes) for block, core in seats.values())
    return count, list(seats.values())


def _seats_now(room: NodeRoom, blocks: Sequence[Block], wishes: Wishes, taken: set[int]) -> Seats:
    """Each block on a free core of its own that has its present CPUs; nothing if that is not possible for all."""
    seats: Seats = []
    used = set(taken)
    for block in blocks:
        home = wishes.homes.get(block.roles[0], 0)
        core = next((core for core in room.cores if home and not home & ~core.bits), None)
        if core is None or core.bits in used:
            return []
        used.add(core.bits)
        seats.append((block, core))
    return seats


def _stays(
    room: NodeRoom, blocks: Sequence[Block], wishes: Wishes, *, is_rough: bool
) -> dict[int, list[tuple[int, Block]]] | None:
    """Core (by its free CPUs) -> (vCPUs that stay, block), most first; None if a block could stay on two cores."""
    stays: dict[int, list[tuple[int, Block]]] = {}
    for block in blocks:
        wanted = 0
        for bits in wishes.narrow.get(block.roles[0], ()):
            wanted |= bits
        if not wanted & room.free_bits:
            continue
        found = False
        for core in room.cores:
            if core.bits & wanted:
                count = wishes_met(block, core, room.rule, wishes)
                if count:
                    if found and not is_rough:
                        return None
                    if found:
                        break
                    found = True
                    stays.setdefault(core.bits, []).append((count, block))
    for items in stays.values():
        items.sort(key=lambda item: (-item[0], item[1].roles))
    return stays


def _one_per_core(
    room: NodeRoom,
    blocks: Sequence[Block],
    stays: dict[int, list[tuple[int, Block]]],
    wide: tuple[int, Seats],
) -> tuple[int, Seats] | None:
    """WHOLE_CORES and SHAPE: one block to a core, so every core keeps the block that gains most by it."""
    is_whole = room.rule is CoreRule.WHOLE_CORES
    cores = {core.bits: core for core in room.cores if not is_whole or core.free == core.width}
    count, seats = wide[0], list(wide[1])
    for _, core in seats:
        del cores[core.bits]
    for bits, items in stays.items():
        if bits in cores:
            fitting = [item for item in items if is_whole or item[1].size <= cores[bits].free]
            if fitting:
                count += fitting[0][0]
                seats.append((fitting[0][1], cores.pop(bits)))
    kept = {block.roles for block, _ in seats}
    rest = sorted((block for block in blocks if block.roles not in kept), key=lambda block: (-block.size, block.roles))
    free = sorted(cores.values(), key=lambda core: (core.free, core.bits & -core.bits))
    for block in rest:  # the tightest core that holds it
        tightest = next((core for core in free if is_whole or core.free >= block.size), None)
        if tightest is None:
            return None  # a small block stays where a large one must go
        free.remove(tightest)
        seats.append((block, tightest))
    return count, seats


def _siblings(
    room: NodeRoom, blocks: Sequence[Block], stays: dict[int, list[tuple[int, Block]]]
) -> tuple[int, Seats] | None:
    """Whole cores are filled completely: those where most stays. What does not fill one goes where most of it stays."""
    width = room.tables.core_width(room.position)
    per_core = width // room.threads
    whole = [core for core in room.cores if core.free == width]
    whole.sort(key=lambda core: (-_gain(core, per_core, stays), core.bits & -core.bits))
    full, rest = divmod(len(blocks), per_core)
    if len(blocks) > len(whole) * per_core:
        plan = _beyond_whole_cores(room, len(blocks), whole, per_core, stays)
        return None if plan is None else (_total(plan, stays), _seated(blocks, plan, stays))
    best: tuple[int, list[tuple[FreeCore, int]]] | None = None
    for last in _last_cores(room, whole, rest, full):
        chosen = [(core, per_core) for core in whole if core is not last][:full]
        if last is not None:
            chosen.append((last, rest))
        count = _total(chosen, stays)
        if best is None or count > best[0]:
            best = count, chosen
    return (best[0], _seated(blocks, best[1], stays)) if best is not None else None


def _beyond_whole_cores(
    room: NodeRoom, count: int, whole: Sequence[FreeCore], per_core: int, stays: dict[int, list[tuple[int, Block]]]
) -> list[tuple[FreeCore, int]] | None:
    """All whole cores, and for the rest the cores beside other VMs where most stays, if these are all alike."""
    part = [core for core in room.cores if core not in whole and core.free >= room.threads]
    slots = {core.free // room.threads for core in part}
    if len(slots) != 1:
        return None
    each = slots.pop()
    if each > 1:
        return None
    part.sort(key=lambda core: (-_gain(core, each, stays), core.bits & -core.bits))
    rest = count - len(whole) * per_core
    return [(core, per_core) for core in whole] + [(core, 1) for core in part[:rest]]


def _total(plan: Sequence[tuple[FreeCore, int]], stays: dict[int, list[tuple[int, Block]]]) -> int:
    return sum(_gain(core, slots, stays) for core, slots in plan)


def _last_cores(room: NodeRoom, whole: Sequence[FreeCore], rest: int, full: int) -> list[FreeCore | None]:
    """The cores that may take what fills no core, those beside other VMs first."""
    if not rest:
        return [None]
    part = [core for core in room.cores if core not in whole and core.free // room.threads >= rest]
    part.sort(key=lambda core: (core.free, core.bits & -core.bits))
    return [*part, *(whole if len(whole) > full else ())]


def _gain(core: FreeCore, slots: int, stays: dict[int, list[tuple[int, Block]]]) -> int:
    return sum(count for count, _ in stays.get(core.bits, ())[:slots])


def _seated(
    blocks: Sequence[Block], chosen: Sequence[tuple[FreeCore, int]], stays: dict[int, list[tuple[int, Block]]]
) -> Seats:
    seats: Seats = []
    open_slots: list[FreeCore] = []
    for core, slots in chosen:
        staying = [block for _, block in stays.get(core.bits, ())[:slots]]
        seats += [(block, core) for block in staying]
        open_slots += [core] * (slots - len(staying))
    kept = {block.roles for block, _ in seats}
    waiting = sorted(
        (block for block in blocks if block.roles not in kept), key=lambda block: (block.owners, block.roles)
    )
    open_slots.sort(key=lambda core: core.bits & -core.bits)
    return seats + list(zip(waiting, open_slots, strict=True))
