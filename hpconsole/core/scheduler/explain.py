"""Sentences from a ranking's numbers: why this host and not that one, and what would make a host acceptable."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hpconsole.core.scheduler.unit_titles import title
from hpconsole.core.scheduler.units import Refusal, Shortage, WeightPart

# What a person can do about a reason that has no number to raise.
_REMEDIES = {
    "HOST_NOT_UP": "bring {host} back into service",
    "EXCLUDED": "choose among all hosts",
    "SAME_HOST": "",
    "NOT_PINNED_TO_HOST": "allow the VM to migrate (its Host tab)",
    "CLUSTER_IN_MAINTENANCE": "end the maintenance of the cluster, or make the VM highly available",
    "AFFINITY_FAILED_POSITIVE": "move the other VMs of the group, or do not enforce it",
    "AFFINITY_FAILED_NEGATIVE": "move the other VMs of the group, or do not enforce it",
    "NUMA_NOT_SUPPORTED": "remove the NUMA pinning, or use a host with NUMA nodes",
    "UNSUPPORTED_EMULATED_MACHINE": "install a QEMU on {host} that has this machine type",
    "UNSUPPORTED_COMPATIBILITY_VERSION": "update {host}",
    "CPU_FLAGS_NOT_IDENTICAL": "start the VM anew on {host}, or use a CPU model both hosts have",
    "LOW_CPU_LEVEL": "give the VM a CPU model {host} can run",
    "NETWORK_MISSING": "define {networks} on {host}",
    "CPU_OVERLOADED": "move other VMs away from {host}",
    "TSC_FREQ_MISMATCH": "start the VM anew on {host}",
    "HOSTDEV_DISABLED": "enable device passthrough on {host}",
    "WRONG_HOST_FOR_REQUESTED_HOST_DEVICES": "remove the host devices from the VM",
    "VM_NAME_TAKEN": "rename one of the two VMs, or remove the other definition from {host}",
    "OLD_OS": "update {host} first",
}


def why_better(better: str, its: Sequence[WeightPart], other: str, others: Sequence[WeightPart]) -> str:
    """One sentence from the parts of both hosts: the weights that made the difference, largest first."""
    theirs = {part.unit: part for part in others}
    gains = [
        (part.contribution - theirs[part.unit].contribution, part, theirs[part.unit])
        for part in its
        if part.unit in theirs
    ]
    total, total_other = sum(part.contribution for part in its), sum(part.contribution for part in others)
    if total == total_other:
        first, second = sorted((better, other))
        return f"{better} and {other} are equal ({total:g} points each); {first} comes before {second} by name."
    ahead = sorted((gain for gain in gains if gain[0] > 0), key=lambda gain: -gain[0])
    behind = sorted((gain for gain in gains if gain[0] < 0), key=lambda gain: gain[0])
    winner, loser = (better, other) if total > total_other else (other, better)
    decisive, contrary = (ahead, behind) if total > total_other else (behind, ahead)
    reasons = ", ".join(_gain(*gain, flipped=winner != better) for gain in decisive[:3])
    sentence = (
        f"{winner} ({max(total, total_other):g} points) is ahead of {loser} ({min(total, total_other):g}) in {reasons}"
    )
    if contrary:
        sentence += f"; {loser} is ahead in {', '.join(_gain(*g, flipped=winner == better) for g in contrary[:2])}"
    return sentence + "."


def _gain(difference: float, part: WeightPart, other: WeightPart, *, flipped: bool) -> str:
    mine, theirs = (other, part) if flipped else (part, other)
    if mine.told and theirs.told and mine.told != theirs.told:
        return f"{title(part.unit)} ({mine.told} against {theirs.told}, +{abs(difference):g})"
    return f"{title(part.unit)} (+{abs(difference):g})"


def what_would_help(host: str, reasons: Sequence[Refusal]) -> str:
    """One sentence: everything that must change, as little as possible of each."""
    never = [_never(shortage) for reason in reasons for shortage in reason.shortages if _is_never(shortage)]
    if never:
        return f"{host} can never take it as it is: {' and '.join(dict.fromkeys(never))}. Use another host."
    steps: list[str] = []
    for reason in _needed(reasons):
        for step in _steps(host, reason):
            if step and step not in steps:
                steps.append(step)
    if not steps:
        return ""
    sentence = steps[0] if len(steps) == 1 else "; ".join(steps[:-1]) + "; and " + steps[-1]
    return sentence[0].upper() + sentence[1:] + "."


def _needed(reasons: Sequence[Refusal]) -> list[Refusal]:
    """Without what comes by itself: pages and cores made free on nodes are free on the host as well."""
    is_pinning = any(reason.unit == "CpuPinning" and reason.shortages for reason in reasons)
    on_nodes = sum(s.missing for reason in reasons for s in reason.shortages if "pages on node" in s.what)
    return [
        reason
        for reason in reasons
        if not (is_pinning and reason.unit == "CPU")
        and not (reason.unit == "HugePages" and sum(shortage.missing for shortage in reason.shortages) <= on_nodes)
    ]


def _steps(host: str, reason: Refusal) -> list[str]:
    if reason.is_unknown:
        return [f"find out why {host} does not tell enough of itself (read it again, look at its libvirt)"]
    numbers = [_raise(shortage) for shortage in reason.shortages if shortage.missing > 0 and reason.kind in _NUMERIC]
    if numbers:
        return numbers
    remedy = _REMEDIES.get(reason.kind)
    if remedy is not None:
        lacking = sum(shortage.missing for shortage in reason.shortages)
        return [remedy.format(host=host, networks="this network" if lacking == 1 else "these networks")]
    return [_raise(shortage) for shortage in reason.shortages if shortage.missing > 0] or [
        f"what changes this: {reason.sentence.rstrip('.')}"
    ]


_NUMERIC = frozenset(
    {
        "NOT_ENOUGH_MEMORY",
        "NOT_ENOUGH_HUGE_PAGES",
        "NOT_ENOUGH_CORES",
        "NOT_MEMORY_PINNED_NUMA",
        "VM_PINNING_DEDICATED_NOT_FIT",
        "VM_PINNING_PCPU_DOES_NOT_EXIST",
    }
)


def _is_never(shortage: Shortage) -> bool:
    return shortage.ceiling is not None and shortage.needed > shortage.ceiling


def _never(shortage: Shortage) -> str:
    amount = f"{shortage.needed:,.0f} {shortage.unit} of " if shortage.unit == "MiB" else f"{shortage.needed:,.0f} "
    verb = "is" if shortage.ceiling == 1 else "are"
    what = shortage.what.removeprefix("free ")
    return f"{amount}{what} are needed, and there {verb} {shortage.ceiling or 0:,.0f} in all"


def _raise(shortage: Shortage) -> str:
    missing = f"{shortage.missing:,.0f}"
    what = shortage.what
    if missing == "1":
        what = re.sub(r"\b(core|CPU|page|node|thread)s\b", r"\1", what, count=1)
    if shortage.unit and shortage.unit not in shortage.what:
        return f"{missing} more {shortage.unit} of {what}"
    return f"{missing} more {what}"
