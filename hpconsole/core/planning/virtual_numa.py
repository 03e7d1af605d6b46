"""Derived NUMA settings: splitting a VM over virtual nodes, resize and pin, what follows from NUMA pins alone.

Formulas of the reference (behaviour.md A6.4, A6.5). Memory in KiB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.vm import VcpuTopology, VirtualNumaNode

MIB = 1024


@dataclass(frozen=True, slots=True)
class Share:
    """What one virtual node gets."""

    vcpus: int
    memory_kib: int


def split(
    node_count: int,
    *,
    memory_kib: int,
    vcpus: int,
    threads_per_core: int = 1,
    huge_page_kib: int | None = None,
    is_exclusive: bool = False,
) -> tuple[Share, ...]:
    """Memory and vCPUs of a VM divided over virtual nodes.

    vCPUs go as evenly as possible in whole cores, the last node takes what is left. Memory goes in blocks (1 MiB, or
    what holds whole huge pages): in proportion to the vCPUs where the blocks divide so and pinning is not exclusive,
    else evenly with the first nodes one block larger.
    """
    if node_count < 1:
        return ()
    cpus = _split_vcpus(node_count, vcpus, max(1, threads_per_core))
    block = math.lcm(huge_page_kib or MIB, MIB)
    blocks = memory_kib // block
    if vcpus > 0 and blocks % vcpus == 0 and not is_exclusive:
        memory = [blocks // vcpus * count for count in cpus]
    else:
        each, more = divmod(blocks, node_count)
        memory = [each + (1 if node < more else 0) for node in range(node_count)]
    return tuple(Share(count, size * block) for count, size in zip(cpus, memory, strict=True))


def _split_vcpus(node_count: int, vcpus: int, threads: int) -> list[int]:
    left, shares = vcpus, []
    for node in range(node_count):
        share = -(-left // (node_count - node))
        if node < node_count - 1:
            share = min(left, -(-share // threads) * threads)
        shares.append(share)
        left -= share
    return shares


def resized_topology(sockets: int, cores: int, threads: int) -> VcpuTopology:
    """The topology a VM gets by resize and pin: the host's, with one core less per socket."""
    return VcpuTopology(sockets=sockets, cores=cores // sockets - 1, threads=threads // cores)


def resize_and_pin(
    vcpus: int, *, sockets: int, cores: int, threads: int, nodes: Sequence[CpuSet]
) -> tuple[tuple[int, CpuSet], ...]:
    """CPUs of each vCPU for resize and pin: node by node, core by core, the first core of every node left to the host.

    Args:
        vcpus: of the resized VM.
        sockets: of the host; `cores` and `threads` likewise, in the whole host.
        nodes: the CPUs of each host node, numbered as the kernel does: first threads of all cores first.
    """
    if min(sockets, cores, threads) < 1:
        return ()
    per_core = max(1, threads // cores)
    per_thread = vcpus // sockets // per_core
    pinning: list[tuple[int, CpuSet]] = []
    for node in nodes if per_thread else ():
        cpus = list(node)
        in_node = len(cpus) // per_core
        for core in range(1, min(per_thread, in_node - 1) + 1):
            siblings = CpuSet.of(cpus[core + thread * in_node] for thread in range(per_core))
            first = len(pinning)
            pinning += [(first + thread, siblings) for thread in range(per_core)]
    return tuple(pinning)


def cpus_from_numa(
    nodes: Sequence[VirtualNumaNode], host_nodes: Mapping[int, CpuSet]
) -> tuple[tuple[int, CpuSet], ...]:
    """CPUs of each vCPU as the reference derives them from NUMA pins: all CPUs of all host nodes of the pin list.

    Nodes without pins contribute nothing; host nodes that are not there neither. Our own placements choose one node of
    a list, so they come from the engine; this is what a VM of the reference had, and what its cases ask for.
    """
    pinning: list[tuple[int, CpuSet]] = []
    for node in nodes:
        cpus = EMPTY
        for host_node in node.host_nodes:
            cpus |= host_nodes.get(host_node, EMPTY)
        if cpus:
            pinning += [(vcpu, cpus) for vcpu in node.vcpus]
    return tuple(sorted(pinning, key=lambda rule: rule[0]))


def tuned_nodes(nodes: Sequence[VirtualNumaNode]) -> tuple[VirtualNumaNode, ...]:
    """The virtual nodes whose memory is bound: those with pins."""
    return tuple(node for node in nodes if node.host_nodes)
