"""Weights of load: even distribution and power saving of CPU, memory and guests. Lower is better.

The formulas are the reference's (behaviour.md A5.15 - A5.18); memory is in MiB inside them, as there.
"""

from __future__ import annotations

import numpy as np

from hpconsole.core import amounts
from hpconsole.core.scheduler import cpu_load
from hpconsole.core.scheduler.columns import Bools, Floats, known
from hpconsole.core.scheduler.filters_cpu import HIGH_UTILIZATION
from hpconsole.core.scheduler.needs import memory_need
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Parameter, Weight
from hpconsole.core.scheduler.wording import counted

MIB = 1024
VCPU_RATIO = Parameter(
    "VCpuToPhysicalCpuRatio", 0, 0, 2.9, "", "Shared vCPUs per CPU above which a host is avoided; 0 = no limit."
)
LOW_FREE_MEMORY = Parameter(
    "MaxFreeMemoryForOverUtilized", 0, 1, None, "MiB", "Free memory below which a host is over-utilised."
)
HIGH_FREE_MEMORY = Parameter(
    "MinFreeMemoryForUnderUtilized", 0, 1, None, "MiB", "Free memory above which a host is under-utilised."
)
MANAGER_GRACE = Parameter("SpmVmGrace", 5, 0, None, "VMs", "How many VMs the managing host counts for by itself.")


def rounded(values: Floats) -> Floats:
    """Half up, as the reference rounds."""
    return np.floor(values + 0.5)


def stretched(raw: Floats, max_weight: float) -> Floats:
    """Spread over 1 ... max_weight; all 1 where all are equal."""
    if raw.size == 0:
        return raw
    low, high = raw.min(), raw.max()
    if low == high:
        return np.ones_like(raw)
    return rounded(1 + (raw - low) / (high - low) * (max_weight - 1))


def _stretch_where(raw: Floats, where: Bools, max_weight: float) -> Floats:
    """Stretch the hosts that count; the others get the worst weight."""
    weights = np.full(raw.size, max_weight)
    weights[where] = stretched(raw[where], max_weight)
    return weights


def _load_raw(question: Question, *, ratio: float) -> Floats:
    cpus = cpu_load.shared_cpus(question) - cpu_load.added_exclusive_cpus(question)
    with np.errstate(divide="ignore", invalid="ignore"):
        load = (cpu_load.shared_load(question) + cpu_load.added_load(question)) / cpus
        load = np.where(cpus > 0, load, 1e12)
        if ratio > 0:
            vcpus = question.columns.number("shared_vcpus") + cpu_load.added_shared_vcpus(question)
            load = np.where(vcpus / cpus >= ratio, load * 1000, load)
    return rounded(np.minimum(known(load, 1e12), 1e12))


def _even_cpu(question: Question) -> Floats:
    raw = _load_raw(question, ratio=question.parameter(VCPU_RATIO.name) or 0)
    return _stretch_where(raw, cpu_load.is_measured(question), question.config.max_weight)


def _saving_cpu(question: Question) -> Floats:
    limit = question.parameter(HIGH_UTILIZATION.name)
    counts = cpu_load.is_measured(question)
    if limit is not None:
        counts &= cpu_load.effective_load_pct(question) <= limit
    return _stretch_where(-_load_raw(question, ratio=0), counts, question.config.max_weight)


def _free_after_mib(question: Question) -> tuple[Floats, Floats]:
    """What may be promised before and after the VMs are there, MiB."""
    before = question.columns.scheduling_kib / MIB
    after = before.copy()
    for vm in question.vms:
        after -= np.where(question.is_here(vm), 0, memory_need(vm, question.config.overheads).total_kib / MIB)
    return before, after


def _even_memory(question: Question) -> Floats:
    before, after = _free_after_mib(question)
    most = float(known(before, 0).max(initial=2))
    worst = question.config.max_weight
    return known(worst - rounded((after - 1) * (worst - 1) / (most - 1)), worst)


def _saving_memory(question: Question) -> Floats:
    before, free = _free_after_mib(question)
    scale = 1.1 * float(known(before, 0).max(initial=0))
    if scale <= 0:
        return np.ones(question.size)
    low = question.parameter(LOW_FREE_MEMORY.name) or 0
    high = question.parameter(HIGH_FREE_MEMORY.name)
    over = np.minimum(scale, (np.inf if high is None else high) + (low - free))
    free = np.where(free < low, over, free)
    worst = question.config.max_weight
    return known(np.trunc(free / scale * (worst - 1)) + 1, worst)


def _guests(question: Question) -> Floats:
    columns = question.columns
    grace = question.parameter(MANAGER_GRACE.name)
    manager = columns.number("is_manager") * (MANAGER_GRACE.default if grace is None else grace)
    return columns.number("vm_count") + columns.number("pending_vm_count") + manager


def _tell_load(question: Question, row: int) -> str:
    busy = question.account(row).cpu_pct
    return "" if busy is None else f"{busy:.0f} % busy"


def _tell_memory(question: Question, row: int) -> str:
    return f"{amounts.kib(float(question.columns.scheduling_kib[row]))} for further VMs"


def _tell_guests(question: Question, row: int) -> str:
    account = question.account(row)
    return counted(account.vm_count + account.pending_vm_count, "VM")


EVEN_CPU = Weight(
    "OptimalForCpuEvenDistribution",
    _even_cpu,
    "The CPUs least busy once the VM is there.",
    (VCPU_RATIO,),
    tells=_tell_load,
)
EVEN_MEMORY = Weight(
    "OptimalForMemoryEvenDistribution", _even_memory, "Most memory left once the VM is there.", tells=_tell_memory
)
SAVING_CPU = Weight(
    "OptimalForCpuPowerSaving",
    _saving_cpu,
    "The busiest CPUs that are not overloaded.",
    (HIGH_UTILIZATION,),
    _tell_load,
)
SAVING_MEMORY = Weight(
    "OptimalForMemoryPowerSaving",
    _saving_memory,
    "Least memory left above the low limit.",
    (LOW_FREE_MEMORY, HIGH_FREE_MEMORY),
    _tell_memory,
)
EVEN_GUESTS = Weight(
    "OptimalForEvenGuestDistribution",
    _guests,
    "The fewest VMs, those on their way counted.",
    (MANAGER_GRACE,),
    _tell_guests,
)
