"""Which hosts can hold a VM's bound memory and pinned CPUs: for all hosts at once, with the placement engine's verdict.

Reads the same `Demand` and counts with the same rules as `placement`, over columns instead of one host. Where counting
cannot settle a host (shares of memory over several nodes, a group of VMs), the answer for it is "maybe", and the exact
engine decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpconsole.core.scheduler import core_columns, matching, node_columns
from hpconsole.core.scheduler.account import HostAccount
from hpconsole.core.scheduler.columns import Array, Bools, HostColumns, words
from hpconsole.core.scheduler.demand import CoreRule, Demand
from hpconsole.core.scheduler.node_judge import NodeJudge


@dataclass(frozen=True, slots=True)
class Fit:
    """The verdict of every host. A host with `is_open` false has no room at all if `holds` is false.

    `has_nodes`: every host node that is named exists. `has_memory`: the bound memory alone would fit. `has_cpus`: the
    CPUs alone would (where nodes are missing: those that are named by number exist). `holds`: memory and CPUs fit
    together, except where `is_open`: there only the exact engine knows.
    """

    has_nodes: Bools
    has_memory: Bools
    has_cpus: Bools
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
        nodes, memory, cpus, holds, is_open = self._arrays()
        return Fit(nodes | rows, memory | rows, cpus | rows, holds | rows, is_open & ~rows)

    def _arrays(self) -> tuple[Bools, Bools, Bools, Bools, Bools]:
        return (self.has_nodes, self.has_memory, self.has_cpus, self.holds, self.is_open)


def fit(columns: HostColumns, demand: Demand) -> Fit:
    """The verdicts for one VM."""
    if demand.problems:
        return Fit(columns.all(), columns.all(), columns.all(False), columns.all(False), columns.all(False))
    judge = NodeJudge(columns, demand)
    needs = demand.node_needs
    has_nodes = _has_named_nodes(columns, demand)
    memory = has_nodes & _memory(judge)
    if judge.has_tune_memory is not None:
        memory &= judge.has_tune_memory
    cpus = _literal(columns, demand) & _sockets(columns, demand)
    nothing = columns.all(False)
    if _is_divided(demand):
        return Fit(has_nodes, memory, cpus, nothing, memory & cpus)
    has_cpus = cpus & has_nodes & judge.together(needs, memory=False)
    holds = memory & has_cpus & judge.together(needs)
    return Fit(has_nodes, memory, has_cpus | (cpus & ~has_nodes), holds, nothing)


def _is_divided(demand: Demand) -> bool:
    """Whether memory may lie over several nodes at once: only the exact engine can judge that."""
    if any(need.takes_all_allowed or need.span > 1 for need in demand.node_needs):
        return True
    tune = demand.tune
    return tune is not None and tune.nodes is None and bool(tune.memory_kib or tune.page_needs)


def assignable(columns: HostColumns, demand: Demand, within: Sequence[Bools]) -> Bools:
    """Whether the memory of every need has a node of its list, further cut to `within` (hosts x nodes for each)."""
    memory = NodeJudge(columns, demand).together(demand.node_needs, cpus=False, within=within)
    return _has_named_nodes(columns, demand) & memory


def _has_named_nodes(columns: HostColumns, demand: Demand) -> Bools:
    named = {node for need in demand.node_needs for node in need.allowed_nodes or ()}
    if demand.tune is not None:
        named.update(demand.tune.nodes or ())
    present = columns.all()
    for node_id in sorted(named):
        present &= node_columns.node_is(columns, node_id).any(axis=1)
    return present


def _memory(judge: NodeJudge) -> Bools:
    """The bound memory alone; where it may be divided over nodes, what every way of dividing needs at least."""
    needs = judge.demand.node_needs
    whole = [need for need in needs if not need.takes_all_allowed and need.span == 1]
    fits = judge.together(whole, cpus=False)
    for need in needs:
        if need.takes_all_allowed:
            nodes = need.allowed_nodes or ()
            share = judge.suits(need, cpus=False, parts=max(1, len(nodes)))
            fits = fits & (share | ~judge.named(nodes)).all(axis=1)
        elif need.span > 1:
            fits = fits & judge.suits(need, cpus=False, parts=need.span).any(axis=1)
    return fits


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
