"""NUMA nodes of all hosts as arrays of hosts x nodes, padded where a host has fewer nodes.

Column n is the n-th node of a host by rising number; `node_ids` says which number that is (-1 = no such node).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hpconsole.core.scheduler.account import HostAccount, NodeAccount
from hpconsole.core.scheduler.columns import Array, Bools, Builder, Floats, HostColumns, Ints


def node_ids(columns: HostColumns) -> Ints:
    """The number of each node; -1 where there is none."""
    return columns.array("node ids", _of_nodes(columns, lambda node: node.node_id, -1, np.int64))


def node_exists(columns: HostColumns) -> Bools:
    """True where a host has a node."""
    return columns.array("node exists", _of_nodes(columns, lambda _: True, False, np.bool_))


def node_free_kib(columns: HostColumns) -> Floats:
    """Free memory of each node; -1 where there is none, so that nothing fits there."""
    return columns.array("node free", _of_nodes(columns, lambda node: node.free_kib, -1, np.float64))


def node_total_kib(columns: HostColumns) -> Floats:
    """Memory of each node; -1 where there is none."""
    return columns.array("node total", _of_nodes(columns, lambda node: node.total_kib, -1, np.float64))


def node_cpus(columns: HostColumns) -> Floats:
    """Online CPUs of each node."""
    return columns.array("node cpus", _of_nodes(columns, lambda node: node.cpu_bits.bit_count(), 0, np.float64))


def node_pages(columns: HostColumns, size_kib: int) -> Floats:
    """Free huge pages of this size on each node; -1 where there is no such node, 0 where it has none of that size."""

    def value(node: NodeAccount) -> int:
        return next((count for size, count in node.pages if size == size_kib), 0)

    return columns.array(f"node pages {size_kib}", _of_nodes(columns, value, -1, np.float64))


def node_is(columns: HostColumns, node_id: int) -> Array:
    """True where a node has this number."""
    same: Array = node_ids(columns) == node_id
    return same


def _of_nodes(
    columns: HostColumns, value: Callable[[NodeAccount], float], empty: float, kind: type[np.generic]
) -> Builder:
    width = columns.widths.nodes

    def build(hosts: Sequence[HostAccount]) -> Array:
        array = np.full((len(hosts), width), empty, kind)
        for row, host in enumerate(hosts):
            if host.nodes:
                array[row, : len(host.nodes)] = [value(node) for node in host.nodes]
        return array

    return build
