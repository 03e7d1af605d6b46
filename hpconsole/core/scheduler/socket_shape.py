"""How many sockets and cores the reference's exclusive allocation would use on every host (behaviour.md A6.3).

The same greedy choice as `exclusive_allocation`, over arrays of hosts x sockets x cores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpconsole.core.model.vm import CpuPinningPolicy, Vm
from hpconsole.core.scheduler.account import HostAccount
from hpconsole.core.scheduler.columns import Array, Builder, Floats, HostColumns, Ints, Widths
from hpconsole.core.scheduler.question import Question

SOCKET = 1000  # a further socket weighs as much as this many cores


def raw(question: Question, vm: Vm) -> Floats:
    """1000 x sockets + cores; the worst weight of all where the CPUs cannot be had."""
    sockets, cores, is_possible = usage(question.columns, vm)
    never = SOCKET * 1000.0
    return np.where(is_possible, SOCKET * sockets + cores, never).astype(np.float64)


def usage(columns: HostColumns, vm: Vm) -> tuple[Ints, Ints, Array]:
    """(sockets used, cores used, whether it is possible) on every host."""
    topology = vm.topology
    isolates = vm.intent.cpu_pinning_policy is CpuPinningPolicy.ISOLATE_THREADS
    free, width = _cores(columns)
    per_core = max(1, topology.threads)
    units = (free == width) & (width > 0) if isolates else free // per_core
    units = units.astype(np.int64)  # hosts x sockets x cores: virtual cores (isolated: cores) that each core gives
    per_socket = max(1, topology.cores * topology.dies) * (per_core if isolates else 1)
    holds = np.minimum(units.sum(axis=2) // per_socket, _by_memory(columns, vm))
    order = np.argsort(-free.sum(axis=2), axis=1, kind="stable")
    holds = np.take_along_axis(holds, order, axis=1)
    before = np.cumsum(holds, axis=1) - holds
    taken = np.clip(topology.sockets - before, 0, holds)
    needed = np.take_along_axis(units, order[:, :, None], axis=1)
    reached = np.cumsum(needed, axis=2)
    used = ((reached - needed < (taken * per_socket)[:, :, None]) & (needed > 0)).sum(axis=(1, 2))
    return (taken > 0).sum(axis=1), used, taken.sum(axis=1) >= topology.sockets


def _by_memory(columns: HostColumns, vm: Vm) -> Array:
    """How many virtual sockets the free memory of each host socket allows."""
    nodes = vm.virtual_nodes
    free = columns.array("socket free kib", _socket_memory(columns.widths))
    if not nodes or nodes[0].memory_kib <= 0:
        return np.full(free.shape, 1 << 30, np.int64)
    per_virtual = -(-len(nodes) // max(1, vm.topology.sockets))
    limit: Array = free // nodes[0].memory_kib // per_virtual
    return limit


def _grouped(host: HostAccount) -> dict[int, list[tuple[int, int]]]:
    """Socket -> (core, node free KiB) of each of its cores."""
    sockets: dict[int, list[tuple[int, int]]] = {}
    for position, node in enumerate(host.nodes):
        for core, socket in zip(node.core_bits, node.core_sockets, strict=True):
            sockets.setdefault(socket, []).append((core, position))
    return sockets


def _socket_memory(widths: Widths) -> Builder:
    def build(hosts: Sequence[HostAccount]) -> Array:
        array = np.zeros((len(hosts), widths.sockets), np.int64)
        for row, host in enumerate(hosts):
            for column, cores in enumerate(_grouped(host).values()):
                array[row, column] = sum(host.nodes[position].free_kib for position in {node for _, node in cores})
        return array

    return build


def _cores(columns: HostColumns) -> tuple[Array, Array]:
    """Free CPUs and all CPUs of each core: hosts x sockets x cores."""
    both = columns.array("socket cores", _socket_cores(columns.widths))
    return both[:, 0], both[:, 1]


def _socket_cores(widths: Widths) -> Builder:
    def build(hosts: Sequence[HostAccount]) -> Array:
        array = np.zeros((len(hosts), 2, widths.sockets, widths.cores), np.int16)
        for row, host in enumerate(hosts):
            gone = host.exclusive_bits | host.shared_pinned_bits
            for column, group in enumerate(_grouped(host).values()):
                array[row, 0, column, : len(group)] = [(core & ~gone).bit_count() for core, _ in group]
                array[row, 1, column, : len(group)] = [core.bit_count() for core, _ in group]
        return array

    return build
