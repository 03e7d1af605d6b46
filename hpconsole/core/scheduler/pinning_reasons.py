"""Why a host has no room for bound memory or pinned CPUs: the smallest set of needs that fails, and what is nearest.

Reads the same numbers as the verdict for all hosts; only for hosts that somebody looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from hpconsole.core.scheduler.demand import CoreRule, Demand, NodeNeed
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Refusal, Shortage
from hpconsole.core.scheduler.wording import counted, listed, mib, page

UNKNOWN = "unknown"  # what a node lacks of which nothing is told
_SEARCHED = 8  # sets of needs up to this size are looked at; more makes no clearer sentence


class _Lack(NamedTuple):
    """What one node lacks for one need. `gap` 0-1: how much of it."""

    gap: float
    node_id: int
    what: str
    needed: float
    available: float
    unit: str = ""
    ceiling: float | None = None

    def shortage(self) -> Shortage:
        """As a number for people."""
        what = f"free {self.what} on node {self.node_id}"
        return Shortage(what, self.needed, self.available, self.unit, self.ceiling)


def missing_nodes(question: Question, row: int, demand: Demand) -> Refusal:
    """Host nodes that are named and not there."""
    host = question.account(row)
    named = {node for need in demand.node_needs for node in need.allowed_nodes or ()}
    if demand.tune is not None:
        named.update(demand.tune.nodes or ())
    missing = sorted(named - {node.node_id for node in host.nodes})
    word = "node" if len(missing) == 1 else "nodes"
    sentence = f"{host.name} has no NUMA {word} {listed(missing)}, to which {demand.vm.name} is pinned."
    there = len(named) - len(missing)
    shortage = Shortage("NUMA nodes of the pinning", len(named), there, ceiling=there)
    return Refusal("NUMA", sentence, "NOT_MEMORY_PINNED_NUMA", (shortage,))


def short_of_memory(question: Question, row: int, demand: Demand) -> Refusal:
    """The nodes have too little free memory or too few free pages, or do not tell."""
    host = question.account(row)
    if not any(node.is_told for node in host.nodes):
        sentence = (
            f"{host.name} does not tell how much memory its NUMA nodes have free; that of {demand.vm.name} is bound."
        )
        return Refusal("NUMA", sentence, "NOT_MEMORY_PINNED_NUMA", is_unknown=True)
    needs = [need for need in demand.node_needs if need.memory_kib or need.page_needs]
    reason = _Reason(_lacks_of(question, row, demand), needs, memory=True, cpus=False)
    return Refusal("NUMA", reason.sentence(), "NOT_MEMORY_PINNED_NUMA", reason.shortages())


def short_of_cpus(question: Question, row: int, demand: Demand) -> Refusal:
    """The nodes (or sockets) have too few suitable CPUs, or, where memory alone has room, not beside it."""
    if demand.sockets:
        return _short_sockets(question, row, demand)
    has_memory = all(bool(fit.has_memory[row]) for fit in question.fits)
    reason = _Reason(_lacks_of(question, row, demand), demand.node_needs, memory=has_memory, cpus=True)
    return Refusal("CpuPinning", reason.sentence(), "VM_PINNING_DEDICATED_NOT_FIT", reason.shortages())


def missing_cpus(question: Question, row: int, demand: Demand) -> Refusal | None:
    """CPU numbers of a literal map that are not online or another VM's own."""
    host = question.account(row)
    wanted = 0
    for _, cpus in demand.literal:
        wanted |= cpus.bits
    gone = wanted & ~(host.online_bits & ~host.exclusive_bits)
    if not gone:
        return None
    missing = [cpu for cpu in range(gone.bit_length()) if gone >> cpu & 1]
    owned = [cpu for cpu in missing if host.exclusive_bits >> cpu & 1]
    absent = [cpu for cpu in missing if cpu not in owned]
    parts: list[str] = []
    if absent and not host.online_bits:
        parts.append(f"{host.name} does not tell its CPUs")
    elif absent:
        parts.append(f"CPUs {listed(absent)} are not online on {host.name}")
    if owned:
        parts.append(f"CPUs {listed(owned)} of {host.name} belong to other VMs")
    sentence = f"{demand.vm.name} is pinned to CPU numbers: {'; '.join(parts)}."
    shortage = Shortage("CPUs of the pinning", wanted.bit_count(), wanted.bit_count() - len(missing), "CPUs")
    return Refusal("CpuPinning", sentence, "VM_PINNING_PCPU_DOES_NOT_EXIST", (shortage,))


def _short_sockets(question: Question, row: int, demand: Demand) -> Refusal:
    host = question.account(row)
    free = (host.online_bits & ~(host.exclusive_bits | host.shared_pinned_bits)).bit_count()
    what = "whole cores" if demand.rule is CoreRule.WHOLE_CORES else f"blocks of {counted(demand.threads, 'CPU')}"
    needed = demand.blocks_needed
    sentence = (
        f"{demand.vm.name} needs {needed} {what} of its own, each virtual socket within one socket; "
        f"the {free} free CPUs of {host.name} do not give them."
    )
    cpus = needed * (host.threads_per_core if demand.rule is CoreRule.WHOLE_CORES else demand.threads)
    shortage = Shortage(f"free CPUs on {host.name}", max(cpus, free + 1), free, "CPUs")
    return Refusal("CpuPinning", sentence, "VM_PINNING_DEDICATED_NOT_FIT", (shortage,))


class _Lacks:
    """What the nodes of one host lack for needs that go to nodes; each kind of need is looked at once."""

    def __init__(self, question: Question, row: int, demand: Demand) -> None:
        self.question, self.demand, self.row = question, demand, row
        self.host = question.account(row)
        self.kinds = _kinds_of(question, demand)
        self.node_ids = [node.node_id for node in self.host.nodes]
        self._known: dict[int, tuple[list[_Lack], list[_Lack]]] = {}

    def of(self, need: NodeNeed) -> tuple[list[_Lack], list[_Lack]]:
        """(of memory, of CPUs) on the nodes the need may go to, in the order of the nodes."""
        kind = self.kinds[id(need)]
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = (self._memory(need), self._cpus(need))
        return known

    def _memory(self, need: NodeNeed) -> list[_Lack]:
        lacks: list[_Lack] = []
        pages, kib = need.page_needs, need.memory_kib
        for node in self.host.nodes:
            if not _may(need, node.node_id):
                continue
            if not node.is_told:
                lacks += [_Lack(1, node.node_id, UNKNOWN, 0, 0)] if pages or kib else []
                continue
            for size, count in pages:
                free = next((number for known, number in node.pages if known == size), 0)
                if free < count:
                    lacks.append(_Lack(1 - free / count, node.node_id, f"{page(size)} pages", count, free))
            if kib > node.free_kib:
                gap = 1 - node.free_kib / kib
                total = node.total_kib / 1024 or None
                lacks.append(_Lack(gap, node.node_id, "memory", kib / 1024, node.free_kib / 1024, "MiB", total))
        return lacks

    def _cpus(self, need: NodeNeed) -> list[_Lack]:
        lacks: list[_Lack] = []
        asked = [(needed, room[self.row].tolist()) for needed, room in self.question.judge(self.demand).cpu_needs(need)]
        unit = unit_of(self.demand, need)
        for position, node in enumerate(self.host.nodes):
            if not _may(need, node.node_id):
                continue
            for needed, room in asked:
                have = room[position]
                if have < needed:
                    most = len(node.core_bits) if unit.endswith("cores") else node.cpu_bits.bit_count()
                    ceiling = None if unit.startswith("groups") else most
                    lacks.append(_Lack(1 - have / needed, node.node_id, unit, needed, have, ceiling=ceiling))
        return lacks


def _lacks_of(question: Question, row: int, demand: Demand) -> _Lacks:
    """What this host lacks; remembered until the next host is asked about, because two filters ask in turn."""
    kept = question.scratch.get("lacks")
    if isinstance(kept, _Lacks) and kept.row == row and kept.demand is demand:
        return kept
    made = _Lacks(question, row, demand)
    question.scratch["lacks"] = made
    return made


class _Reason:
    """What is wrong on one host, for needs that go to nodes: of memory, of CPUs, or of both on the same nodes."""

    def __init__(self, lacks: _Lacks, needs: Sequence[NodeNeed], *, memory: bool, cpus: bool) -> None:
        self.host, self.demand, self.all_lacks = lacks.host, lacks.demand, lacks
        self.needs, self.memory, self.cpus = needs, memory, cpus
        fits: dict[int, set[int]] = {}
        each: list[set[int]] = []
        for need in needs:
            kind = lacks.kinds[id(need)]
            if kind not in fits:
                fits[kind] = self._allowed(need) - {lack.node_id for lack in self._lacks(need)}
            each.append(fits[kind])
        self.chosen = _violator(each)
        self.suited = sorted(set().union(*(each[i] for i in self.chosen))) if self.chosen else []

    def _allowed(self, need: NodeNeed) -> set[int]:
        if need.allowed_nodes is None:
            return set(self.all_lacks.node_ids)
        return {node.node_id for node in self.host.nodes if _may(need, node.node_id)}

    def _lacks(self, need: NodeNeed) -> list[_Lack]:
        of_memory, of_cpus = self.all_lacks.of(need)
        return (of_memory if self.memory else []) + (of_cpus if self.cpus else [])

    def sentence(self) -> str:
        """So many nodes of a kind are needed; these are the only ones."""
        name, host = self.demand.vm.name, self.host.name
        if not self.chosen:
            return f"{name} has room on single nodes of {host}, but not on all it needs at the same time."
        have = {0: f"no node of {host} has", 1: f"only node {listed(self.suited)} of {host} has"}.get(
            len(self.suited), f"only nodes {listed(self.suited)} of {host} have"
        )
        amount = self._amount(self.needs[self.chosen[0]])
        silent = [lack.node_id for lack in self._lacks(self.needs[self.chosen[0]]) if lack.what == UNKNOWN]
        unknown = f" Of node {listed(silent)} the host does not tell what is free." if silent else ""
        return f"{name} needs {counted(len(self.chosen), 'node')} with {amount}; {have} that.{unknown}"

    def shortages(self) -> tuple[Shortage, ...]:
        """What would have to become free on the nodes that come closest."""
        if not self.chosen:
            needed = sum(need.memory_kib for need in self.needs)
            free = sum(node.free_kib for node in self.host.nodes)
            if needed <= free:
                return ()
            return (Shortage("free memory on the nodes together", needed / 1024, free / 1024, "MiB"),)
        # Which nodes come closest is one question for memory and CPUs: advice on two different nodes would help nobody.
        need = self.needs[self.chosen[0]]
        gaps = dict.fromkeys(sorted(self._allowed(need)), 0.0)
        of_memory, of_cpus = self.all_lacks.of(need)
        for lack in (*of_memory, *of_cpus):
            gaps[lack.node_id] += lack.gap
        nearest = sorted(gaps, key=lambda node_id: (gaps[node_id], node_id))[: len(self.chosen)]
        own = sorted(self._lacks(need), key=lambda lack: (gaps[lack.node_id], lack.node_id))
        own = [lack for lack in own if lack.what != UNKNOWN]
        found = [lack.shortage() for lack in own if lack.node_id in nearest]
        if not found:
            found = [lack.shortage() for lack in own[:1]]
        if len(gaps) < len(self.chosen) and not need.allowed_nodes:
            found.append(Shortage("NUMA nodes", len(self.chosen), len(gaps), ceiling=len(gaps)))
        return tuple(found)

    def _amount(self, need: NodeNeed) -> str:
        parts: list[str] = []
        if self.memory:
            parts += [f"{count:,} free {page(size)} pages" for size, count in need.page_needs]
            parts += [f"{mib(need.memory_kib)} free"] if need.memory_kib else []
        if self.cpus:
            judge = self.all_lacks.question.judge(self.demand)
            most = max((needed for needed, _ in judge.cpu_needs(need)), default=0)
            parts += [f"{most} free {unit_of(self.demand, need)}"] if most else []
        return " and ".join(parts) or "room"


def unit_of(demand: Demand, need: NodeNeed) -> str:
    """In what the CPUs of a need are counted."""
    rule = demand.rule
    if rule is CoreRule.WHOLE_CORES:
        return "whole cores"
    if rule is CoreRule.SIBLINGS and demand.threads > 1:
        return f"groups of {demand.threads} sibling CPUs"
    if rule is CoreRule.SHAPE and need.blocks:
        return "cores"
    return "CPUs"


def _may(need: NodeNeed, node_id: int) -> bool:
    return need.allowed_nodes is None or node_id in need.allowed_nodes


def _kinds_of(question: Question, demand: Demand) -> dict[int, int]:
    """By identity of each need of a demand: a number that needs have in common which are the same to a node."""
    kept = question.scratch.get("kinds")
    if isinstance(kept, tuple) and kept[0] is demand:
        known: dict[int, int] = kept[1]
        return known
    numbers: dict[object, int] = {}
    kinds = {id(need): numbers.setdefault(_kind(need), len(numbers)) for need in demand.node_needs}
    question.scratch["kinds"] = demand, kinds
    return kinds


def _kind(need: NodeNeed) -> object:
    """What makes two needs the same to a node."""
    return need.memory_kib, need.page_needs, need.allowed_nodes, need.cpus_needed, need.usable_needed, len(need.blocks)


def _violator(fits: Sequence[set[int]]) -> tuple[int, ...]:
    """The smallest set of needs with fewer nodes than needs, and whoever needs the same nodes; empty: there is none."""
    if not fits:
        return ()
    if all(nodes == fits[0] for nodes in fits):
        return tuple(range(len(fits))) if len(fits[0]) < len(fits) else ()
    for size in range(1, min(len(fits), _SEARCHED) + 1):
        for chosen in combinations(range(len(fits)), size):
            suited = set().union(*(fits[i] for i in chosen))
            if len(suited) < size:
                return tuple(i for i in range(len(fits)) if i in chosen or fits[i] <= suited)
    return ()
