"""What a need asks of one node, as numbers beside what each node has: the stuff of which refusals are made."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.scheduler.demand import CoreRule, NodeNeed
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.relaxing import Constraint
from hpconsole.core.scheduler.room import HostRoom, NodeRoom
from hpconsole.core.scheduler.wording import counted, listed, mib, page


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a need asks for. `available[i]`: what the node at position i has of it, in the same measure."""

    what: str  # "free memory", "free 2-MiB pages", "free CPUs"
    wanted: str  # with its number: "16,384 free 2-MiB pages"
    needed: int
    available: tuple[int, ...]
    unit: str
    scale: int = 1  # shown numbers are these divided by it
    is_about_cpus: bool = False
    adds_up: bool = True  # whether several needs on one node ask for the sum

    def shown(self, amount: int) -> float:
        """The number as a person reads it."""
        return amount / self.scale if self.scale != 1 else amount

    def told(self, amount: int) -> str:
        """An available amount in words."""
        if self.unit == "MiB":
            return mib(amount)
        if self.unit == "pages":
            return f"{amount:,} pages"
        return f"{amount:,}"

    def is_met(self, position: int) -> bool:
        """Whether the node at this position has enough."""
        return self.available[position] >= self.needed

    def plus(self, other: Fact) -> Fact:
        """Both together."""
        needed = self.needed + other.needed
        return replace(self, needed=needed, wanted=self.wanted.replace(_number(self), _number(self, needed), 1))


def _number(fact: Fact, amount: int | None = None) -> str:
    amount = fact.needed if amount is None else amount
    return mib(amount) if fact.unit == "MiB" else f"{amount:,}"


def facts_of(need: NodeNeed, room: HostRoom, cause: Collection[Constraint]) -> list[Fact]:
    """The facts of one need, as far as they belong to the cause."""
    facts: list[Fact] = []
    if need.memory_kib:
        free = tuple(node.free_kib for node in room.nodes)
        wanted = f"{mib(need.memory_kib)} of free memory"
        facts.append(Fact("free memory", wanted, need.memory_kib, free, "MiB", scale=1024))
    for size, count in need.page_needs:
        pages = tuple(node.free_pages.get(size, 0) for node in room.nodes)
        facts.append(Fact(f"free {page(size)} pages", f"{count:,} free {page(size)} pages", count, pages, "pages"))
    if need.blocks or need.cpus_needed:
        facts.append(_cpu_fact(need, room, cause))
    if need.usable_needed:
        usable = tuple(node.usable_bits.bit_count() for node in room.nodes)
        wanted = f"{counted(need.usable_needed, 'usable CPU')} for vCPUs at home on the node"
        facts.append(Fact("usable CPUs", wanted, need.usable_needed, usable, "CPUs", is_about_cpus=True, adds_up=False))
    return facts


def _cpu_fact(need: NodeNeed, room: HostRoom, cause: Collection[Constraint]) -> Fact:
    rule, threads = room.demand.rule, room.demand.threads
    capacity = tuple(node.capacity for node in room.nodes)
    free = "free " if Constraint.OTHERS in cause or Constraint.CPUS not in cause else ""
    if rule is CoreRule.WHOLE_CORES:
        name = f"{'completely free' if free else 'whole'} core"
        wanted = counted(len(need.blocks), name)
        return Fact(f"{name}s", wanted, len(need.blocks), capacity, "cores", is_about_cpus=True)
    if rule is CoreRule.SHAPE:
        wanted = _shape_wanted(need, free)
        seated = tuple(_seated(node, need) for node in room.nodes)
        return Fact(
            f"cores with {free}CPUs for its shape", wanted, len(need.blocks), seated, "cores", is_about_cpus=True
        )
    if rule is CoreRule.SIBLINGS and threads > 1:
        name = f"{free}set of {threads} sibling CPUs"
        wanted = counted(len(need.blocks), name, f"{free}sets of {threads} sibling CPUs")
        what = f"{free}sets of {threads} sibling CPUs"
        return Fact(what, wanted, len(need.blocks), capacity, "cores", is_about_cpus=True)
    is_own = rule is CoreRule.SIBLINGS
    name = f"{free}CPU" if is_own else "usable CPU"
    wanted = counted(need.cpus_needed, name)
    return Fact(f"{name}s", wanted, need.cpus_needed, capacity, "CPUs", is_about_cpus=True, adds_up=is_own)


def _shape_wanted(need: NodeNeed, free: str) -> str:
    by_size: dict[int, int] = {}
    for block in need.blocks:
        by_size[block.size] = by_size.get(block.size, 0) + 1
    return " and ".join(
        f"{counted(count, 'core')} with {counted(size, f'{free}CPU')}{' each' if count > 1 else ''}"
        for size, count in sorted(by_size.items(), reverse=True)
    )


def _seated(node: NodeRoom, need: NodeNeed) -> int:
    """How many of the need's blocks the node has cores for, largest first."""
    cores = sorted((core.free for core in node.cores), reverse=True)
    seated = 0
    for block in sorted(need.blocks, key=lambda block: -block.size):
        if seated < len(cores) and cores[seated] >= block.size:
            seated += 1
    return seated


def users_sentence(occupancy: Occupancy, cpus: CpuSet | None) -> str:
    """` (a: 0-3, b: 8)` for the VMs that hold these CPUs (None: any)."""
    users = occupancy.users if cpus is None else occupancy.users_of(cpus)
    told = [f"{user.name}: {(user.cpus if cpus is None else user.cpus & cpus).format()}" for user in users]
    return f" ({listed(told, 3)})" if told else ""
