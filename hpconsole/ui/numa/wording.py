"""Amounts, a host and what was changed, as NUMA Topology says them. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.model.host import Host
from hpconsole.ui import format as fmt


def memory(memory_kib: int) -> str:
    """An amount, exact, as it is typed."""
    for unit, size in (("GiB", 1024**2), ("MiB", 1024)):
        if memory_kib % size == 0 and memory_kib:
            return f"{memory_kib // size} {unit}"
    return f"{memory_kib} KiB"


def host(shown: Host | None) -> str:
    """Its sockets, nodes, CPUs, memory and load."""
    if shown is None:
        return "No host is known."
    topology = shown.topology
    sockets = fmt.count(topology.sockets or 1, "socket")
    nodes = fmt.count(len(topology.nodes), "NUMA node")
    cpus = fmt.count(len(topology.cpus), "CPU")
    return f"{sockets}, {nodes}, {cpus}, {fmt.kib(shown.memory_kib)}, {fmt.pct(shown.usage.cpu_pct)} busy"


def changes(changed: Sequence[tuple[VmDraft, VmDraft]]) -> str:
    """Which VMs were changed: as they were, and as they are."""
    if not changed:
        return "Nothing is changed yet."
    return (
        f"{fmt.count(len(changed), 'VM')} changed: {fmt.names(tuple(new.name or 'the new VM' for _, new in changed))}."
    )
