"""Free cores and CPUs on every node of every host, counted as the placement engine's core rules count them.

Hosts x nodes, like `node_columns`. *Free* = online and no other VM pinned there; *usable* = online, no other VM's own,
not kept by the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hpconsole.core.scheduler.account import HostAccount, NodeAccount
from hpconsole.core.scheduler.columns import Array, Builder, HostColumns, Ints

Count = Callable[[NodeAccount, int], int]  # (node, its free CPUs) -> number


def usable_cpus(columns: HostColumns) -> Ints:
    """CPUs that vCPUs without CPUs of their own may use."""
    return columns.array(
        "usable cpus", _counted(columns, lambda h: h.exclusive_bits | h.isolated_bits, lambda _, free: free.bit_count())
    )


def cores_with(columns: HostColumns, free_cpus: int) -> Ints:
    """Cores that have at least so many free CPUs."""

    def count(node: NodeAccount, free: int) -> int:
        if free_cpus == 1 and free == node.cpu_bits:
            return len(node.core_bits)
        return sum(1 for core in node.core_bits if (core & free).bit_count() >= free_cpus)

    return columns.array(f"cores with {free_cpus}", _counted(columns, _taken, count))


def whole_cores(columns: HostColumns) -> Ints:
    """Cores none of whose CPUs is taken."""

    def count(node: NodeAccount, free: int) -> int:
        if free == node.cpu_bits:
            return len(node.core_bits)
        return sum(1 for core in node.core_bits if not core & ~free)

    return columns.array("whole cores", _counted(columns, _taken, count))


def sibling_blocks(columns: HostColumns, threads: int) -> Ints:
    """How many times `threads` free CPUs of one core can be taken."""

    def count(node: NodeAccount, free: int) -> int:
        if threads == 1:
            return free.bit_count()
        return sum((core & free).bit_count() // threads for core in node.core_bits)

    return columns.array(f"sibling blocks {threads}", _counted(columns, _taken, count))


def resizable_cpus(columns: HostColumns) -> Ints:
    """CPUs of the cores after the first of each node none of whose CPUs is another VM's own."""

    def count(node: NodeAccount, free: int) -> int:
        return sum(core.bit_count() for core in node.core_bits[1:] if not core & ~free)

    return columns.array("resizable cpus", _counted(columns, lambda host: host.exclusive_bits, count))


def socket_blocks(columns: HostColumns, threads: int, *, is_whole: bool) -> Ints:
    """Blocks each host socket has room for: hosts x sockets, 0 where there is none.

    A block is `threads` free CPUs of one core, or a whole core.
    """
    width = columns.widths.sockets

    def build(hosts: Sequence[HostAccount]) -> Array:
        array = np.zeros((len(hosts), width), np.int64)
        for row, host in enumerate(hosts):
            place = {socket: column for column, socket in enumerate(_sockets(host))}
            free = host.online_bits & ~_taken(host)
            for node in host.nodes:
                for core, socket in zip(node.core_bits, node.core_sockets, strict=True):
                    left = core & free
                    blocks = int(left == core) if is_whole else left.bit_count() // threads
                    array[row, place[socket]] += blocks
        return array

    return columns.array(f"socket blocks {threads} {is_whole}", build)


def _sockets(host: HostAccount) -> tuple[int, ...]:
    return tuple(dict.fromkeys(socket for node in host.nodes for socket in node.core_sockets))


def _taken(host: HostAccount) -> int:
    return host.exclusive_bits | host.shared_pinned_bits


def _counted(columns: HostColumns, taken: Callable[[HostAccount], int], count: Count) -> Builder:
    width = columns.widths.nodes

    def build(hosts: Sequence[HostAccount]) -> Array:
        array = np.zeros((len(hosts), width), np.int64)
        for row, host in enumerate(hosts):
            gone = taken(host)
            for column, node in enumerate(host.nodes):
                array[row, column] = count(node, node.cpu_bits & ~gone)
        return array

    return build
