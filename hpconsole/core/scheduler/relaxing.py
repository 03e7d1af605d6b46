"""The smallest set of constraints that keeps a demand off a host: relax all others and it still does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from itertools import combinations

from hpconsole.core.model.cpuset import EMPTY
from hpconsole.core.scheduler.demand import Block, CoreRule, Demand, NodeNeed
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placing import fits


class Constraint(StrEnum):
    """What a demand may be refused for, in the order in which causes are looked for."""

    MEMORY = "plain memory"
    PAGES = "huge pages"
    CPUS = "number of CPUs"
    CORES = "CPUs together on cores"
    OTHERS = "CPUs of other VMs"
    PINS = "pin lists"
    APART = "host nodes of their own"
    SOCKETS = "virtual sockets in one host socket"


def smallest_cause(demand: Demand, occupancy: Occupancy) -> frozenset[Constraint]:
    """The fewest constraints that together make the demand impossible; everything, if nothing less explains it."""
    present = [item for item in Constraint if item is not Constraint.APART and _PRESENT[item](demand, occupancy)]
    # That needs go to different nodes is what the VM is like, not one of the things it lacks: it is never relaxed.
    always = frozenset({Constraint.APART} if _PRESENT[Constraint.APART](demand, occupancy) else ())
    for count in range(len(present) + 1):
        for chosen in combinations(present, count):
            kept = always | set(chosen)
            # Cores and other VMs' CPUs mean nothing while no CPUs are asked for.
            is_idle = Constraint.CPUS not in kept and (Constraint.CORES in kept or Constraint.OTHERS in kept)
            if not is_idle and not fits(*relaxed(demand, occupancy, kept)):
                return kept
    return always | set(present)


def relaxed(demand: Demand, occupancy: Occupancy, kept: Iterable[Constraint]) -> tuple[Demand, Occupancy]:
    """The demand and the occupancy with only these constraints."""
    kept = frozenset(kept)
    if Constraint.OTHERS not in kept:
        occupancy = replace(occupancy, exclusive=EMPTY, shared=EMPTY, users=())
    loosens_cores = Constraint.CORES not in kept and demand.rule.takes_cpus
    needs = tuple(_relaxed_need(need, kept, loosens_cores) for need in demand.node_needs)
    tune = demand.tune
    if tune is not None:
        tune = replace(
            tune,
            memory_kib=tune.memory_kib if Constraint.MEMORY in kept else 0,
            page_needs=tune.page_needs if Constraint.PAGES in kept else (),
        )
    sockets = demand.sockets
    if Constraint.CPUS not in kept:
        sockets = ()
    elif loosens_cores:
        sockets = tuple(_loose(blocks) for blocks in sockets)
    if Constraint.SOCKETS not in kept:
        sockets = tuple((block,) for blocks in sockets for block in blocks)
    result = replace(
        demand,
        rule=CoreRule.SIBLINGS if loosens_cores else demand.rule,
        threads=1 if loosens_cores else demand.threads,
        node_needs=needs,
        nodes_distinct=demand.nodes_distinct and Constraint.APART in kept,
        sockets=sockets,
        tune=tune,
    )
    return result, occupancy


def _relaxed_need(need: NodeNeed, kept: frozenset[Constraint], loosens_cores: bool) -> NodeNeed:
    if Constraint.MEMORY not in kept:
        need = replace(need, memory_kib=0)
    if Constraint.PAGES not in kept:
        need = replace(need, page_kib=None, pages=0, more_pages=())
    if Constraint.CPUS not in kept:
        need = replace(need, cpus_needed=0, usable_needed=0, blocks=(), vcpus=(), vcpu_owners=())
    elif loosens_cores:
        need = replace(need, blocks=_loose(need.blocks))
    if Constraint.PINS not in kept and need.allowed_nodes is not None:
        need = replace(need, allowed_nodes=None, takes_all_allowed=False, span=max(need.span, _width(need)))
    return need


def _width(need: NodeNeed) -> int:
    return len(need.allowed_nodes or ()) if need.takes_all_allowed else 1


def _loose(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The same CPUs, each wherever it likes (a whole core counts as one)."""
    return tuple(Block((role,), 1, block.owners, 1) for block in blocks for role in block.roles)


def _has_cpus(demand: Demand) -> bool:
    return bool(demand.sockets) or any(need.cpus_needed or need.usable_needed for need in demand.node_needs)


_PRESENT: dict[Constraint, Callable[[Demand, Occupancy], bool]] = {
    Constraint.MEMORY: lambda demand, _: (
        any(need.memory_kib for need in demand.node_needs) or (demand.tune is not None and demand.tune.memory_kib > 0)
    ),
    Constraint.PAGES: lambda demand, _: (
        any(need.page_needs for need in demand.node_needs) or (demand.tune is not None and bool(demand.tune.page_needs))
    ),
    Constraint.CPUS: lambda demand, _: _has_cpus(demand),
    Constraint.CORES: lambda demand, _: (
        demand.rule.takes_cpus and (demand.rule is not CoreRule.SIBLINGS or demand.threads > 1)
    ),
    Constraint.OTHERS: lambda demand, taken: _has_cpus(demand) and bool(taken.exclusive or taken.shared),
    Constraint.PINS: lambda demand, _: any(need.allowed_nodes is not None for need in demand.node_needs),
    Constraint.APART: lambda demand, _: demand.nodes_distinct and len(demand.node_needs) > 1,
    Constraint.SOCKETS: lambda demand, _: any(len(blocks) > 1 for blocks in demand.sockets),
}
