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

    one: str  # "free CPU"; for memory what it is: "free memory"
    what: str  # the same as a plural: "free CPUs"
    needed: int
    available: tuple[int, ...]
    unit: str  # MiB, pages, CPUs, cores
    told_as: str = ""  # said instead of number and name
    is_about_cpus: bool = False
    adds_up: bool = True  # whether several needs on one node ask for the sum

    @property
    def wanted(self) -> str:
        """What is asked for, with its number."""
        if self.told_as:
            return self.told_as
        if self.unit == "MiB":
            return f"{memory(self.needed)} of {self.what}"
        return counted(self.needed, self.one, self.what)

    def shown(self, amount: int) -> float:
        """The number as a person reads it."""
        return amount / 1024 if self.unit == "MiB" else amount

    def told(self, amount: int) -> str:
        """An available amount in words, without its name."""
        return memory(amount) if self.unit == "MiB" else f"{amount:,}"

    def had(self, amount: int) -> str:
        """An available amount in words, with its name."""
        return f"{memory(amount)} of {self.what}" if self.unit == "MiB" else counted(amount, self.one, self.what)

    def is_met(self, position: int) -> bool:
        """Whether the node at this position has enough."""
        return self.available[position] >= self.needed

    def plus(self, other: Fact) -> Fact:
        """Both together."""
        return replace(self, needed=self.needed + other.needed, told_as="")


def memory(kib: int) -> str:
    """A size in MiB, or in KiB where it is less than one."""
    return mib(kib) if kib >= 1024 or kib == 0 else f"{kib} KiB"


def facts_of(need: NodeNeed, room: HostRoom, cause: Collection[Constraint], shares: int = 1) -> list[Fact]:
    """The facts of one need, as far as they belong to the cause; of one of its equal shares of memory."""
    facts: list[Fact] = []
    if need.memory_kib:
        free = tuple(node.free_kib for node in room.nodes)
        facts.append(Fact("free memory", "free memory", -(-need.memory_kib // shares), free, "MiB"))
    for size, count in need.page_needs:
        pages = tuple(node.free_pages.get(size, 0) for node in room.nodes)
        name = f"free {page(size)} page"
        facts.append(Fact(name, f"{name}s", -(-count // shares), pages, "pages"))
    if need.blocks or need.cpus_needed:
        facts.append(_cpu_fact(need, room, cause))
    if need.usable_needed:
        usable = tuple(node.usable_bits.bit_count() for node in room.nodes)
        name, many = "usable CPU for floating vCPUs", "usable CPUs for floating vCPUs"
        facts.append(Fact(name, many, need.usable_needed, usable, "CPUs", is_about_cpus=True, adds_up=False))
    return facts


def _cpu_fact(need: NodeNeed, room: HostRoom, cause: Collection[Constraint]) -> Fact:
    rule, threads = room.demand.rule, room.demand.threads
    capacity = tuple(node.capacity for node in room.nodes)
    free = "free " if Constraint.OTHERS in cause or Constraint.CPUS not in cause else ""
    if rule is CoreRule.WHOLE_CORES:
        name = f"{'completely free' if free else 'whole'} core"
        return Fact(name, f"{name}s", len(need.blocks), capacity, "cores", is_about_cpus=True)
    if rule is CoreRule.SHAPE:
        seated = tuple(_seated(node, need) for node in room.nodes)
        told = _shape_wanted(need, free)
        name = "core for its shape"
        return Fact(name, "cores for its shape", len(need.blocks), seated, "cores", told, is_about_cpus=True)
    if rule is CoreRule.SIBLINGS and threads > 1:
        one, many = f"{free}set of {threads} sibling CPUs", f"{free}sets of {threads} sibling CPUs"
        return Fact(one, many, len(need.blocks), capacity, "cores", is_about_cpus=True)
    is_own = rule is CoreRule.SIBLINGS
    name = f"{free}CPU" if is_own else "usable CPU"
    return Fact(name, f"{name}s", need.cpus_needed, capacity, "CPUs", is_about_cpus=True, adds_up=is_own)


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
