"""What can be counted of a host's room, and what units take of it: the limits of the exact planner's program.

Every limit is valid (no legal group breaks one), few are sufficient: whether a group really fits is the placement
engine's to say. Memory in KiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hpconsole.core.planning.drain_units import Kind
from hpconsole.core.scheduler.account import HostAccount
from hpconsole.core.scheduler.columns import HostColumns
from hpconsole.core.scheduler.demand import Demand, NodeNeed
from hpconsole.core.scheduler.needs import is_paused

_THRESHOLDS = 6  # different sizes of one resource that get a limit of their own
CPUS, MEMORY = -2, -1  # keys of a node's resources; page sizes are their own


class Room:
    """One host, its promises subtracted."""

    def __init__(self, account: HostAccount, columns: HostColumns, host: str) -> None:
        row = columns.row_of[host]
        self.promised_kib = float(columns.scheduling_kib[row])
        self.pages = dict(account.pages)
        taken = account.exclusive_bits | account.shared_pinned_bits
        self.width = min((core.bit_count() for node in account.nodes for core in node.core_bits), default=1)
        self.nodes: list[dict[int, int]] = [
            {CPUS: (node.cpu_bits & ~taken).bit_count(), MEMORY: node.free_kib, **dict(node.pages)}
            for node in account.nodes
        ]


@dataclass(frozen=True, slots=True)
class Load:
    """What one unit takes of any host."""

    promised_kib: float
    pages: Mapping[int, int]
    needs: tuple[Mapping[int, int], ...]  # wholly on one node each; CPUS counts whole cores as `whole` blocks
    whole_blocks: tuple[int, ...]  # for each need: blocks that take a whole core, whatever its width
    spread: Mapping[int, int]  # over any nodes

    def of_nodes(self, key: int, width: int) -> Iterator[int]:
        """What each need takes of one node."""
        for need, whole in zip(self.needs, self.whole_blocks, strict=True):
            amount = need.get(key, 0) + (whole * width if key == CPUS else 0)
            if amount:
                yield amount


@dataclass(frozen=True, slots=True)
class Limit:
    """The sum of what units take is at most this."""

    most: float
    taken: Callable[[Load], float]


def loads_of(kind: Kind) -> Load:
    """What a unit of this kind takes."""
    vms = kind.sample.vms
    moving = [need for vm, need in zip(vms, kind.memory, strict=True) if not is_paused(vm)]
    pages: dict[int, int] = {}
    for need in kind.memory:
        for size, count in need.pages.items():
            pages[size] = pages.get(size, 0) + count
    needs: list[Mapping[int, int]] = []
    whole: list[int] = []
    spread: dict[int, int] = {}
    for demand in kind.sample.demands:
        for node_need in demand.node_needs:
            amounts, blocks = _amounts(demand, node_need)
            if node_need.takes_all_allowed or node_need.span > 1:
                _add(spread, amounts)
            else:
                needs.append(amounts)
                whole.append(blocks)
        for socket in demand.sockets:
            _add(spread, {CPUS: sum(block.size for block in socket if block.size < 1 << 20)})
    return Load(
        float(sum(need.normal_kib + need.overhead_kib for need in moving)),
        pages,
        tuple(needs),
        tuple(whole),
        spread,
    )


def limits_of(room: Room, loads: Sequence[Load]) -> list[Limit]:
    """Every limit of a host that some of these loads touch."""
    # free memory now is asked of each VM alone, as the scheduler does: what is promised is what adds up
    limits = [Limit(room.promised_kib, lambda load: load.promised_kib)]
    for size in {size for load in loads for size in load.pages}:
        limits.append(Limit(room.pages.get(size, 0), partial(_pages, size)))
    if not room.nodes:
        return limits
    keys = {key for load in loads for need in (*load.needs, load.spread) for key in need}
    if any(any(load.whole_blocks) for load in loads):
        keys.add(CPUS)
    for key in keys:
        limits += _node_limits(room, loads, key)
    return limits


def _node_limits(room: Room, loads: Sequence[Load], key: int) -> Iterator[Limit]:
    have = [node.get(key, 0) for node in room.nodes]
    width = room.width
    yield Limit(
        sum(have),
        lambda load: sum(load.of_nodes(key, width)) + load.spread.get(key, 0),
    )
    sizes = sorted({amount for load in loads for amount in load.of_nodes(key, width)}, reverse=True)
    for size in sizes[:_THRESHOLDS]:
        most = sum(amount // size for amount in have)
        yield Limit(most, partial(_so_large, key, width, size))


def _pages(size: int, load: Load) -> float:
    return load.pages.get(size, 0)


def _so_large(key: int, width: int, size: int, load: Load) -> float:
    return sum(1 for amount in load.of_nodes(key, width) if amount >= size)


def _amounts(demand: Demand, need: NodeNeed) -> tuple[dict[int, int], int]:
    """(what the need takes of its node, blocks that take a whole core)."""
    amounts = {size: count for size, count in need.page_needs if count}
    if need.memory_kib:
        amounts[MEMORY] = need.memory_kib
    whole = 0
    if demand.rule.takes_cpus:
        whole = need.whole_cores_needed
        cpus = sum(block.size for block in need.blocks) - sum(b.size for b in need.blocks if b.size >= 1 << 20)
        if cpus:
            amounts[CPUS] = cpus
    return amounts, whole


def _add(sums: dict[int, int], amounts: Mapping[int, int]) -> None:
    for key, amount in amounts.items():
        sums[key] = sums.get(key, 0) + amount
