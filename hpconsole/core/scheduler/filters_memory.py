"""Memory, HugePages and Swap: is there room for the memory of these VMs on a host as a whole?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpconsole.core.scheduler import admission
from hpconsole.core.scheduler.columns import Bools, Floats, known
from hpconsole.core.scheduler.needs import is_paused, memory_need, required_pages
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Parameter, Refusal, Shortage
from hpconsole.core.scheduler.wording import mib, page

SWAP = Parameter("MaximumAllowedSwapUsage", 0, 0, 199, "%", "How much of the memory's size may be used in swap.")


# Memory


def _totals(question: Question) -> admission.Totals:
    """The group's sums on each host, without VMs that are there already or stand still."""
    zeros = question.zeros
    totals = admission.Totals(zeros(), zeros(), zeros(), {})
    for vm in question.vms:
        if is_paused(vm):
            continue
        need, coming = memory_need(vm, question.config.overheads), ~question.is_here(vm)
        totals.normal_kib += need.normal_kib * coming
        totals.static_overhead_kib += need.static_overhead_kib * coming
        totals.overhead_kib += need.overhead_kib * coming
        for size, count in need.pages.items():
            totals.pages[size] = totals.pages.get(size, zeros()) + count * coming
    return totals


def _dynamic_pages_kib(question: Question, totals: admission.Totals) -> Floats:
    dynamic = question.zeros()
    for size, needed in totals.pages.items():
        dynamic += np.maximum(0, needed - question.columns.free_pages(size)) * size
    return dynamic


Verdicts = tuple[Bools, Bools, admission.Totals, Floats]  # physical, promised, sums, pages to be made


def _memory_verdicts(question: Question) -> Verdicts:
    """For all hosts; kept for those whose sentences are asked for."""
    kept = question.scratch.get("memory")
    if isinstance(kept, _Kept):
        return kept.verdicts
    verdicts = _judge_memory(question)
    question.scratch["memory"] = _Kept(verdicts)
    return verdicts


@dataclass(frozen=True, slots=True)
class _Kept:
    verdicts: Verdicts


def _judge_memory(question: Question) -> Verdicts:
    columns = question.columns
    totals = _totals(question)
    dynamic = _dynamic_pages_kib(question, totals)
    physical = admission.fits_physically(
        totals.normal_kib + totals.static_overhead_kib,
        free_kib=columns.number("memory_free_kib"),
        swap_free_kib=known(columns.number("swap_free_kib")),
        pending_kib=columns.number("pending_static_kib"),
        dynamic_pages_kib=dynamic,
    )
    promised = admission.fits_promises(
        totals.normal_kib + totals.overhead_kib, scheduling_kib=columns.scheduling_kib, dynamic_pages_kib=dynamic
    )
    nothing_comes = (totals.normal_kib + totals.overhead_kib) == 0
    return physical | nothing_comes, promised | nothing_comes, totals, dynamic


def _accepts_memory(question: Question) -> Bools:
    physical, promised, _, _ = _memory_verdicts(question)
    return physical & promised


def _because_memory(question: Question, row: int) -> Refusal:
    host = question.account(row)
    physical, _, totals, dynamic = _memory_verdicts(question)
    if not physical[row]:
        if host.memory_free_kib is None:
            return Refusal(
                "Memory", f"{host.name} does not tell how much memory is free.", "NOT_ENOUGH_MEMORY", is_unknown=True
            )
        needed = float(totals.normal_kib[row] + totals.static_overhead_kib[row] + dynamic[row])
        free = max(0.0, host.memory_free_kib - host.pending_static_kib) + (host.swap_free_kib or 0)
        sentence = f"{host.name} has {mib(free)} free, {mib(needed)} are needed."
        shortage = Shortage("free memory", needed / 1024, free / 1024, "MiB")
        return Refusal("Memory", sentence, "NOT_ENOUGH_MEMORY", (shortage,))
    needed = float(totals.normal_kib[row] + totals.overhead_kib[row] + dynamic[row])
    left = float(question.columns.scheduling_kib[row])
    sentence = (
        f"{host.name} may promise {mib(left)} more to VMs (overcommit {host.overcommit_pct:g} %), "
        f"{mib(needed)} with overhead are needed."
    )
    shortage = Shortage("memory that may be promised", needed / 1024, left / 1024, "MiB")
    return Refusal("Memory", sentence, "NOT_ENOUGH_MEMORY", (shortage,))


# HugePages


def _accepts_pages(question: Question) -> Bools:
    accepted = question.columns.all()
    sums: dict[int, Floats] = {}
    for vm in question.vms:
        coming = ~question.is_here(vm)
        for size, count in required_pages(vm).items():
            sums[size] = sums.get(size, question.zeros()) + count * coming
    for size, needed in sums.items():
        accepted &= question.columns.free_pages(size) >= needed
    return accepted


def _because_pages(question: Question, row: int) -> Refusal:
    host = question.account(row)
    needed: dict[int, int] = {}
    for vm in question.arriving(row):
        for size, count in required_pages(vm).items():
            needed[size] = needed.get(size, 0) + count
    free = dict(host.pages)
    if not free and host.nodes and not any(node.is_told for node in host.nodes):
        sentence = f"{host.name} does not tell how many huge pages are free."
        return Refusal("HugePages", sentence, "NOT_ENOUGH_HUGE_PAGES", is_unknown=True)
    short = {size: count for size, count in needed.items() if free.get(size, 0) < count}
    shortages = tuple(
        Shortage(f"free {page(size)} pages", count, free.get(size, 0), f"{page(size)} pages")
        for size, count in short.items()
    )
    words = " and ".join(f"{count:,} {page(size)} pages are needed, {free.get(size, 0):,} are free"
                         for size, count in short.items())  # fmt: skip
    return Refusal("HugePages", f"On {host.name} {words}.", "NOT_ENOUGH_HUGE_PAGES", shortages)


# Swap


def _used_pct(question: Question) -> Floats:
    columns = question.columns
    used = columns.number("swap_total_kib") - columns.number("swap_free_kib") - columns.number("memory_free_kib")
    with np.errstate(divide="ignore", invalid="ignore"):
        return used * 100 / columns.number("memory_kib")


def _allowed_pct(question: Question) -> float:
    value = question.parameter(SWAP.name)
    return question.config.swap_used_pct if value is None else value


def _accepts_swap(question: Question) -> Bools:
    if not question.config.checks_swap or all(is_paused(vm) for vm in question.vms):
        return question.columns.all()
    with np.errstate(invalid="ignore"):
        too_much: Bools = _used_pct(question) > _allowed_pct(question)
    return ~too_much


def _because_swap(question: Question, row: int) -> Refusal:
    host, allowed = question.account(row), _allowed_pct(question)
    used = float(_used_pct(question)[row])
    sentence = f"{host.name} is swapping: {used:.0f} % of its memory's size beyond what is free, {allowed:g} % allowed."
    return Refusal("Swap", sentence, "SWAP_VALUE_ILLEGAL", (Shortage("swap allowance", used, allowed, "%"),))


MEMORY = Filter(
    "Memory", _accepts_memory, _because_memory, "Free memory now, and memory not yet promised to other VMs."
)
HUGE_PAGES = Filter("HugePages", _accepts_pages, _because_pages, "Free huge pages of each size the VM is backed by.")
SWAP_FILTER = Filter(
    "Swap", _accepts_swap, _because_swap, "Not on hosts that swap more than is allowed.", parameters=(SWAP,)
)
