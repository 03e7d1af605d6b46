"""NUMA and CpuPinning: is there a place for the bound memory, and for the pinned CPUs beside it?

NUMA speaks of memory alone, CpuPinning of CPUs, and of both together where each would fit for itself.
"""

from __future__ import annotations

from hpconsole.core.model.vm import CpuPinningPolicy
from hpconsole.core.scheduler import pinning_reasons as reasons
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.demand import Demand
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Refusal

# NUMA


def is_bound(demand: Demand) -> bool:
    """Whether any memory of the VM is bound to host nodes (to any one, or to named ones)."""
    if demand.bound or any(need.memory_kib or need.page_needs for need in demand.node_needs):
        return True
    return demand.tune is not None and demand.tune.nodes is not None


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
            return reasons.missing_nodes(question, row, demand)
        if not fit.has_memory[row]:
            return reasons.short_of_memory(question, row, demand)
    return Refusal("NUMA", f"The bound memory of the VM fits no nodes of {host.name}.", "NOT_MEMORY_PINNED_NUMA")


# CpuPinning


def _accepts_pinning(question: Question) -> Bools:
    accepted = question.columns.all()
    for demand, fit in zip(question.demands, question.fits, strict=True):
        if not demand.is_free:
            # Memory that does not fit alone is the NUMA filter's to refuse.
            accepted &= fit.holds | fit.is_open | (~fit.has_memory & fit.has_cpus)
    return accepted & ~_cannot_resize(question)


def _cannot_resize(question: Question) -> Bools:
    """Resize and pin takes (nearly) all CPUs: never beside VMs with CPUs of their own."""
    policies = [vm.intent.cpu_pinning_policy for vm in question.vms]
    if CpuPinningPolicy.RESIZE_AND_PIN_NUMA not in policies:
        return question.columns.all(False)
    if any(policy.is_exclusive for policy in policies):
        return question.columns.all()
    beside: Bools = question.columns.number("exclusive_cpus") > 0
    return beside


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
        missing = reasons.missing_cpus(question, row, demand)
        if missing is not None:
            return missing
        if demand.is_exclusive and not host.has_topology:
            sentence = f"{host.name} does not tell its CPUs; {demand.vm.name} needs some for its own."
            return Refusal("CpuPinning", sentence, "NO_HOST_CPU_DATA", is_unknown=True)
        return reasons.short_of_cpus(question, row, demand)
    return Refusal("CpuPinning", f"The pinned CPUs have no room on {host.name}.", "VM_PINNING_DEDICATED_NOT_FIT")


NUMA = Filter("NUMA", _accepts_numa, _because_numa, "Room on host nodes for every bound virtual node.")
CPU_PINNING = Filter(
    "CpuPinning",
    _accepts_pinning,
    _because_pinning,
    "CPUs for the pinned vCPUs, beside their memory.",
    is_mandatory=True,
)
