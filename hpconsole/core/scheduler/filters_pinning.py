"""NUMA and CpuPinning: is there a place for the bound memory, and for the pinned CPUs beside it?

NUMA speaks of memory alone, CpuPinning of CPUs, and of both together where each would fit for itself.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from hpconsole.core.model.vm import CpuPinningPolicy
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.demand import Demand, NodeNeed
from hpconsole.core.scheduler.pinning_fit import cpus_alone
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Refusal, Shortage
from hpconsole.core.scheduler.wording import counted, listed, mib, page

# NUMA


def is_bound(demand: Demand) -> bool:
    """Whether any memory of the VM is bound to host nodes (to any one, or to named ones)."""
    return bool(demand.bound) or (demand.tune is not None and demand.tune.nodes is not None)


def _accepts_numa(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm, demand, fit in zip(question.vms, question.demands, question.fits, strict=True):
        resized = vm.intent.cpu_pinning_policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA
        if is_bound(demand) or resized:
            accepted &= fit.has_memory & (question.columns.flag("supports_numa") | question.is_here(vm))
    return accepted


def _because_numa(question: Question, row: int) -> Refusal:
    host = question.account(row)
    if not host.supports_numa:
        sentence = f"{host.name} tells no NUMA nodes; the VM's memory is bound to some."
        return Refusal("NUMA", sentence, "NUMA_NOT_SUPPORTED")
    for demand, fit in zip(question.demands, question.fits, strict=True):
        if not fit.has_nodes[row]:
            return _missing_nodes(question, row, demand)
        if not fit.has_memory[row]:
            return _short_nodes(question, row, demand)
    return Refusal("NUMA", f"The bound memory of the VM fits no nodes of {host.name}.", "NOT_MEMORY_PINNED_NUMA")


def _missing_nodes(question: Question, row: int, demand: Demand) -> Refusal:
    host = question.account(row)
    named = {node for need in demand.node_needs for node in need.allowed_nodes or ()}
    if demand.tune is not None:
        named.update(demand.tune.nodes or ())
    missing = sorted(named - {node.node_id for node in host.nodes})
    word = "node" if len(missing) == 1 else "nodes"
    sentence = f"{host.name} has no NUMA {word} {listed(missing)}, to which {demand.vm.name} is pinned."
    shortage = Shortage("NUMA nodes", len(named), len(named) - len(missing), "nodes")
    return Refusal("NUMA", sentence, "NOT_MEMORY_PINNED_NUMA", (shortage,))


def _deficit(question: Question, row: int, need: NodeNeed) -> dict[int, tuple[float, Shortage]]:
    """For each allowed node without room: how far it is from having it (1 = nothing there), and what is short."""
    lacks: dict[int, tuple[float, Shortage]] = {}
    for node in question.account(row).nodes:
        if need.allowed_nodes is not None and node.node_id not in need.allowed_nodes:
            continue
        pages = dict(node.pages)
        gaps = [(size, count, pages.get(size, 0)) for size, count in need.page_needs if pages.get(size, 0) < count]
        if gaps:
            size, count, free = gaps[0]
            what = Shortage(f"free {page(size)} pages on node {node.node_id}", count, free, "")
            lacks[node.node_id] = ((count - free) / count, what)
        elif need.memory_kib > node.free_kib:
            what = Shortage(f"free memory on node {node.node_id}", need.memory_kib / 1024, node.free_kib / 1024, "MiB")
            lacks[node.node_id] = ((need.memory_kib - node.free_kib) / need.memory_kib, what)
    return lacks


def _short_nodes(question: Question, row: int, demand: Demand) -> Refusal:
    """The smallest set of needs that has too few nodes, and the nodes that come closest."""
    host = question.account(row)
    needs = [need for need in demand.node_needs if need.memory_kib or need.page_needs]
    lacks = [_deficit(question, row, need) for need in needs]
    fits = [
        {node.node_id for node in host.nodes if _may(need, node.node_id)} - lack.keys()
        for need, lack in zip(needs, lacks, strict=True)
    ]
    chosen = _violator(fits) if needs else None
    if chosen is None:
        sentence = f"The bound memory of {demand.vm.name} does not fit the nodes of {host.name} all at once."
        return Refusal("NUMA", sentence, "NOT_MEMORY_PINNED_NUMA", _total_shortage(question, row, demand))
    suited = sorted(set().union(*(fits[i] for i in chosen)))
    amount = _amount(needs[chosen[0]])
    have = {0: f"no node of {host.name} has", 1: f"only node {listed(suited)} of {host.name} has"}.get(
        len(suited), f"only nodes {listed(suited)} of {host.name} have"
    )
    sentence = f"{demand.vm.name} needs {counted(len(chosen), 'node')} with {amount}; {have} that."
    nearest = sorted(
        ((gap, node, what) for i in chosen[:1] for node, (gap, what) in lacks[i].items()), key=lambda item: item[:2]
    )
    shortages = tuple(what for _, _, what in nearest[: max(1, len(chosen) - len(suited))])
    return Refusal("NUMA", sentence, "NOT_MEMORY_PINNED_NUMA", shortages)


def _may(need: NodeNeed, node_id: int) -> bool:
    return need.allowed_nodes is None or node_id in need.allowed_nodes


def _violator(fits: list[set[int]]) -> tuple[int, ...] | None:
    """The smallest set of needs with fewer nodes than needs; the first of equals."""
    for size in range(1, min(len(fits), 8) + 1):
        for chosen in combinations(range(len(fits)), size):
            if len(set().union(*(fits[i] for i in chosen))) < size:
                return chosen
    return None


def _amount(need: NodeNeed) -> str:
    parts = [f"{count:,} free {page(size)} pages" for size, count in need.page_needs]
    if need.memory_kib:
        parts.append(f"{mib(need.memory_kib)} free")
    return " and ".join(parts)


def _total_shortage(question: Question, row: int, demand: Demand) -> tuple[Shortage, ...]:
    needed = sum(need.memory_kib for need in demand.node_needs)
    free = sum(node.free_kib for node in question.account(row).nodes)
    if needed > free:
        return (Shortage("free memory on the nodes together", needed / 1024, free / 1024, "MiB"),)
    return ()


# CpuPinning


def _accepts_pinning(question: Question) -> Bools:
    accepted = question.columns.all()
    for demand, fit in zip(question.demands, question.fits, strict=True):
        if not demand.is_free:
            # Memory that does not fit alone is the NUMA filter's to refuse.
            accepted &= fit.holds | fit.is_open | (~fit.has_memory & cpus_alone(question.columns, demand))
    return accepted & ~_cannot_resize(question)


def _cannot_resize(question: Question) -> Bools:
    """Resize and pin takes (nearly) all CPUs: never beside VMs with CPUs of their own."""
    policies = [vm.intent.cpu_pinning_policy for vm in question.vms]
    if CpuPinningPolicy.RESIZE_AND_PIN_NUMA not in policies:
        return question.columns.all(False)
    if any(policy.is_exclusive for policy in policies):
        return question.columns.all()
    return np.array([account.exclusive_bits != 0 for account in question.columns.accounts], np.bool_)


def _because_pinning(question: Question, row: int) -> Refusal:
    host = question.account(row)
    if _cannot_resize(question)[row]:
        sentence = f"Resize and pin takes every core, and VMs on {host.name} have CPUs of their own."
        return Refusal("CpuPinning", sentence, "VM_PINNING_CANT_RESIZE_WITH_DEDICATED")
    for demand, fit in zip(question.demands, question.fits, strict=True):
        if demand.is_free or fit.holds[row] or fit.is_open[row]:
            continue
        if demand.problems:
            return Refusal("CpuPinning", " ".join(demand.problems), "VM_PINNING_FORMAT_INVALID")
        missing = _missing_cpus(host.online_bits & ~host.exclusive_bits, demand)
        if missing:
            return _missing_refusal(question, row, demand, missing)
        if demand.is_exclusive and not host.has_topology:
            sentence = f"{host.name} does not tell its CPUs; {demand.vm.name} needs some for its own."
            return Refusal("CpuPinning", sentence, "NO_HOST_CPU_DATA")
        return _no_room(question, row, demand)
    return Refusal("CpuPinning", f"The pinned CPUs have no room on {host.name}.", "VM_PINNING_DEDICATED_NOT_FIT")


def _missing_cpus(opened: int, demand: Demand) -> list[int]:
    wanted = 0
    for _, cpus in demand.literal:
        wanted |= cpus.bits
    missing = wanted & ~opened
    return [cpu for cpu in range(missing.bit_length()) if missing >> cpu & 1]


def _missing_refusal(question: Question, row: int, demand: Demand, missing: list[int]) -> Refusal:
    host = question.account(row)
    owned = [cpu for cpu in missing if host.exclusive_bits >> cpu & 1]
    absent = [cpu for cpu in missing if cpu not in owned]
    parts = []
    if absent:
        parts.append(f"CPUs {listed(absent)} are not online on {host.name}" if host.online_bits else
                     f"{host.name} does not tell its CPUs")  # fmt: skip
    if owned:
        parts.append(f"CPUs {listed(owned)} of {host.name} belong to other VMs")
    sentence = f"{demand.vm.name} is pinned to CPU numbers: {'; '.join(parts)}."
    shortage = Shortage("CPUs of the pinning", len(missing), 0, "CPUs")
    return Refusal("CpuPinning", sentence, "VM_PINNING_PCPU_DOES_NOT_EXIST", (shortage,))


def _no_room(question: Question, row: int, demand: Demand) -> Refusal:
    host = question.account(row)
    exact = question.misfit(question, row) if question.misfit is not None else None
    if exact is not None:
        return Refusal("CpuPinning", exact.sentence, "VM_PINNING_DEDICATED_NOT_FIT", exact.shortages)
    free = (host.online_bits & ~(host.exclusive_bits | host.shared_pinned_bits)).bit_count()
    needed = demand.blocks_needed or len(demand.floating)
    sentence = f"{demand.vm.name} needs CPUs for {counted(needed, 'vCPU')}; the {free} free on {host.name} do not suit."
    shortage = Shortage("free CPUs", needed, free, "CPUs")
    return Refusal("CpuPinning", sentence, "VM_PINNING_DEDICATED_NOT_FIT", (shortage,))


NUMA = Filter("NUMA", _accepts_numa, _because_numa, "Room on host nodes for every bound virtual node.")
CPU_PINNING = Filter(
    "CpuPinning",
    _accepts_pinning,
    _because_pinning,
    "CPUs for the pinned vCPUs, beside their memory.",
    is_mandatory=True,
)
