"""Families of host node sets, and the sum of distances within every set.

A set of nodes is a bit mask; a *family* of sets is one big integer whose bit S is 1 where set S belongs to it. Adding
a node to every set of a family at once is then one shift, so that "which sets can hold these virtual nodes?" costs a
few hundred machine-word loops even where there are tens of thousands of sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Sets = NDArray[np.int64]
LIMIT = 16  # nodes up to which families and tables of all sets are used: 2^16 sets
EMPTY_SET = 1  # the family that holds the empty set only


@lru_cache(maxsize=64)
def without(size: int, node: int) -> int:
    """The family of all sets over `size` nodes that do not hold this node."""
    run = 1 << node
    block, length = (1 << run) - 1, 2 * run
    while length < 1 << size:
        block |= block << length
        length *= 2
    return block


def grown(family: int, size: int, node: int) -> int:
    """Every set of the family that does not hold this node, with it."""
    return (family & without(size, node)) << (1 << node)


def members(family: int) -> Sets:
    """The sets of a family, ascending."""
    if not family:
        return np.zeros(0, dtype=np.int64)
    if family.bit_count() <= 8:
        found = []
        while family:
            low = family & -family
            found.append(low.bit_length() - 1)
            family ^= low
        return np.array(found, dtype=np.int64)
    data = np.frombuffer(family.to_bytes((family.bit_length() + 7) // 8, "little"), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(data, bitorder="little")).astype(np.int64)


def family_of(sets: Sets) -> int:
    """The family of these sets."""
    if len(sets) <= 8:
        family = 0
        for item in sets.tolist():
            family |= 1 << item
        return family
    flags = np.zeros(int(sets.max()) + 1, dtype=np.uint8)
    flags[sets] = 1
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def sums(sets: Sets, values: Sequence[int]) -> Sets:
    """The sum of the members' values for each set."""
    nodes = np.arange(len(values), dtype=np.int64)
    total: Sets = ((sets[:, None] >> nodes & 1) * np.array(values, dtype=np.int64)).sum(axis=1)
    return total


def spread_table(pair_distance: Sequence[Sequence[int]]) -> Sets:
    """For every set of nodes the sum of distances between each two of its members."""
    size = len(pair_distance)
    table = np.zeros(1 << size, dtype=np.int64)
    to_node = np.zeros(1 << size, dtype=np.int64)
    for node in range(size):
        half = 1 << node
        to_node[:half] = 0
        for other in range(node):
            step = 1 << other
            to_node[step : 2 * step] = to_node[:step] + pair_distance[node][other]
        table[half : 2 * half] = table[:half] + to_node[:half]
    return table


@lru_cache(maxsize=256)
def sets_of_size(size: int, count: int) -> Sets:
    """Every set of `count` out of `size` nodes, in the order of their sorted members (lowest nodes first)."""
    return np.array([sum(1 << node for node in chosen) for chosen in combinations(range(size), count)], dtype=np.int64)


@lru_cache(maxsize=256)
def membership(size: int, count: int) -> NDArray[np.float64]:
    """Row by row of `sets_of_size`: 1 for every node in the set."""
    nodes = np.arange(size, dtype=np.int64)
    return (sets_of_size(size, count)[:, None] >> nodes & 1).astype(np.float64)


def lowest_first(item: int, size: int) -> int:
    """A number by which sets of equal size sort in the order of their sorted members."""
    key = 0
    for node in range(size):
        key = key << 1 | (~item >> node & 1)
    return key
