"""Which core of one node each block takes: exact search, by dynamic programming over the cores of the node.

Minimises, in this order: cache banks summed over virtual nodes, cores that the VM has only in part, vCPUs moved away
from the CPUs they have now. Used where the direct formulas of `core_assignment` do not apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hpconsole.core.scheduler.demand import Block, CoreRule
from hpconsole.core.scheduler.node_cpus import FreeCore

BANK = 1 << 40
CORE = 1 << 20
NEVER = 1 << 62
BUDGET = 60_000  # states; beyond it the direct assignment stands (it always fits, it may share more than it must)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Which CPUs vCPUs have now, as bits. Blocks are named by their first role."""

    narrow: Mapping[int, tuple[int, ...]]  # block -> the CPUs of each vCPU that is wholly in it
    homes: Mapping[int, int]  # block -> the CPUs of all its roles, where all are known
    wide: tuple[int, ...] = ()  # for each vCPU in several blocks its roles


NO_WISHES = Wishes({}, {})


class TooLarge(Exception):
    """The exact search would take too long."""


@dataclass(frozen=True, slots=True)
class _Class:
    """Blocks that are the same to the search."""

    size: int
    roles: int
    owners: int  # bit mask of positions in the list of owners
    blocks: tuple[Block, ...]


def wishes_met(block: Block, core: FreeCore, rule: CoreRule, wishes: Wishes) -> int:
    """How many vCPUs of this block keep their CPUs if it takes this core."""
    if rule is CoreRule.WHOLE_CORES:
        if core.free < core.width:
            return 0
        return sum(1 for bits in wishes.narrow.get(block.roles[0], ()) if bits == core.bits & -core.bits)
    return sum(1 for bits in wishes.narrow.get(block.roles[0], ()) if not bits & ~core.bits)


def search(
    cores: Sequence[FreeCore], blocks: Sequence[Block], rule: CoreRule, threads: int, wishes: Wishes
) -> list[tuple[Block, FreeCore]] | None:
    """The best assignment of blocks to cores; None if there is none.

    Raises:
        TooLarge: the search would visit more than `BUDGET` states.
    """
    ordered = sorted(cores, key=lambda core: (core.bank, core.bits & -core.bits))
    return _Search(ordered, blocks, rule, threads, wishes).best()


class _Search:
    def __init__(
        self, cores: Sequence[FreeCore], blocks: Sequence[Block], rule: CoreRule, threads: int, wishes: Wishes
    ) -> None:
        self.rule, self.threads, self.wishes = rule, threads, wishes
        self.cores = cores
        self.classes = _classes(cores, blocks, rule, wishes)
        self.gains = [[_gains(group, core, rule, wishes) for group in self.classes] for core in cores]
        self.room_after = [0] * (len(cores) + 1)  # blocks the cores from here on can take at most
        for i in range(len(cores) - 1, -1, -1):
            self.room_after[i] = self.room_after[i + 1] + self._slots(cores[i])
        self.known: dict[tuple[int, tuple[int, ...], int], tuple[int, tuple[int, ...]]] = {}

    def best(self) -> list[tuple[Block, FreeCore]] | None:
        left = tuple(len(group.blocks) for group in self.classes)
        if self._cost(0, left, 0)[0] >= NEVER:
            return None
        chosen: list[tuple[FreeCore, tuple[int, ...]]] = []
        touched = 0
        for i, core in enumerate(self.cores):
            if i and self.cores[i - 1].bank != core.bank:
                touched = 0
            _, taken = self._cost(i, left, touched)
            chosen.append((core, taken))
            left = tuple(a - b for a, b in zip(left, taken, strict=True))
            touched |= self._owners(taken)
        return self._named(chosen)

    def _cost(self, i: int, left: tuple[int, ...], touched: int) -> tuple[int, tuple[int, ...]]:
        """(least cost from core `i` on, what that core takes of each class). `touched`: owners met in this bank."""
        if not any(left):
            return 0, (0,) * len(left)
        if sum(left) > self.room_after[i]:
            return NEVER, ()
        if i and self.cores[i - 1].bank != self.cores[i].bank:
            touched = 0
        key = (i, left, touched)
        known = self.known.get(key)
        if known is not None:
            return known
        if len(self.known) >= BUDGET:
            raise TooLarge
        best: tuple[int, tuple[int, ...]] = (NEVER, ())
        for taken in self._options(self.cores[i], left):
            rest = tuple(a - b for a, b in zip(left, taken, strict=True))
            owners = self._owners(taken)
            cost = self._step(i, taken, (owners & ~touched).bit_count())
            cost += self._cost(i + 1, rest, touched | owners)[0]
            if cost < best[0]:
                best = cost, taken
        self.known[key] = best
        return best

    def _step(self, i: int, taken: tuple[int, ...], new_owners: int) -> int:
        roles = sum(count * group.roles for count, group in zip(taken, self.classes, strict=True))
        is_part = self.rule is not CoreRule.WHOLE_CORES and 0 < roles < self.cores[i].width
        gained = sum(self.gains[i][c][count] for c, count in enumerate(taken))
        return new_owners * BANK + is_part * CORE - gained

    def _owners(self, taken: tuple[int, ...]) -> int:
        owners = 0
        for count, group in zip(taken, self.classes, strict=True):
            if count:
                owners |= group.owners
        return owners

    def _slots(self, core: FreeCore) -> int:
        if self.rule is CoreRule.SIBLINGS:
            return core.free // self.threads
        return int(self.rule is CoreRule.SHAPE or core.free == core.width)

    def _options(self, core: FreeCore, left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """What a core may take of each class."""
        slots = self._slots(core)
        if self.rule is CoreRule.SIBLINGS:
            yield from _splits(slots, left)
            return
        for c, group in enumerate(self.classes):
            if slots and left[c] and (self.rule is CoreRule.WHOLE_CORES or group.size <= core.free):
                yield tuple(int(i == c) for i in range(len(left)))
        yield (0,) * len(left)  # last: of equal ways the one with the lowest CPUs is taken

    def _named(self, chosen: list[tuple[FreeCore, tuple[int, ...]]]) -> list[tuple[Block, FreeCore]]:
        """Which block of a class goes where: those that keep CPUs first, the others in order."""
        result: list[tuple[Block, FreeCore]] = []
        for c, group in enumerate(self.classes):
            waiting = list(group.blocks)
            open_slots: list[FreeCore] = []
            for core, taken in chosen:
                met = [(-wishes_met(block, core, self.rule, self.wishes), block.roles, block) for block in waiting]
                keepers = [block for gain, _, block in sorted(met, key=_gain_first) if gain][: taken[c]]
                result += [(block, core) for block in keepers]
                waiting = [block for block in waiting if block not in keepers]
                open_slots += [core] * (taken[c] - len(keepers))
            result += zip(waiting, open_slots, strict=True)
        return result


def _gain_first(item: tuple[int, tuple[int, ...], Block]) -> tuple[int, tuple[int, ...]]:
    return item[:2]


def _splits(slots: int, left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every way to take up to `slots` blocks, most first."""
    if not left:
        yield ()
        return
    for count in range(min(slots, left[0]), -1, -1):
        for rest in _splits(slots - count, left[1:]):
            yield (count, *rest)


def _classes(cores: Sequence[FreeCore], blocks: Sequence[Block], rule: CoreRule, wishes: Wishes) -> list[_Class]:
    owners = sorted({owner for block in blocks for owner in block.owners})
    groups: dict[tuple[object, ...], list[Block]] = {}
    for block in blocks:
        homes = (
            sum(1 for core in cores if wishes_met(block, core, rule, wishes)) if block.roles[0] in wishes.narrow else 0
        )
        # A block that could keep CPUs on either of two cores must not be counted on both: it is a class of its own.
        alone = block.roles if homes > 1 else None
        groups.setdefault((block.size, len(block.roles), block.owners, alone), []).append(block)
    return [
        _Class(
            group[0].size,
            len(group[0].roles),
            sum(1 << owners.index(owner) for owner in group[0].owners),
            tuple(sorted(group, key=lambda block: block.roles)),
        )
        for group in groups.values()
    ]


def _gains(group: _Class, core: FreeCore, rule: CoreRule, wishes: Wishes) -> list[int]:
    """`[n]`: vCPUs that keep their CPUs if this core takes n blocks of the class."""
    weights = sorted((wishes_met(block, core, rule, wishes) for block in group.blocks), reverse=True)
    sums = [0]
    for weight in weights:
        sums.append(sums[-1] + weight)
    return sums
