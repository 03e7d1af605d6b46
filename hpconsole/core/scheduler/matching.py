"""Can these needs all have a place? Answered for many hosts at once, exactly.

Distinct nodes: Hall's condition over the subsets of needs (an augmenting-path matcher above `MASKED` needs). Shared
nodes: counting where the needs are alike, else a search for the few hosts that counting does not settle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpconsole.core.scheduler.columns import Bools, Ints

MASKED = 8  # needs up to which all subsets are tried
Fits = Sequence[Bools]  # for each need hosts x nodes; alike needs may be one array


def distinct(fits: Fits) -> Bools:
    """Whether each need can have a node of its own.

    A host can serve all needs iff every set of needs has at least as many nodes that suit any of them.
    """
    needs = len(fits)
    if _are_alike(fits):
        alike: Bools = np.count_nonzero(fits[0], axis=1) >= needs
        return alike
    if needs > MASKED:
        table = np.array(fits)
        return np.fromiter((_matches(table[:, host]) for host in range(table.shape[1])), np.bool_, table.shape[1])
    return _hall(_masks(fits), needs, None)


def counted(slots: Ints, fits: Fits) -> Bools:
    """Whether equal needs fit where node n has room for `slots[h, n]` of them, each in its own allowed nodes."""
    needs = len(fits)
    if _are_alike(fits):
        enough: Bools = (slots * fits[0]).sum(axis=1) >= needs
        return enough
    if needs > MASKED:
        table = np.array(fits)
        hosts = range(table.shape[1])
        return np.fromiter((_flows(slots[host], table[:, host]) for host in hosts), np.bool_, table.shape[1])
    return _hall(_masks(fits), needs, slots)


def _are_alike(fits: Fits) -> bool:
    return all(other is fits[0] or np.array_equal(fits[0], other) for other in fits[1:])


def _masks(fits: Fits) -> NDArray[np.uint8]:
    """For each host node the needs that fit there, as bits."""
    masks = fits[0].astype(np.uint8)
    for need, suits in enumerate(fits[1:], start=1):
        masks |= suits.astype(np.uint8) << need
    return masks


def _hall(masks: NDArray[np.uint8], needs: int, slots: Ints | None) -> Bools:
    """Hall's condition with room for `slots` needs per node (None: one each), over all subsets of needs.

    Nodes are counted by mask; sums over subsets then give, for every set of needs, the nodes that suit none of it.
    Hosts are the last dimension throughout, so that every step runs along memory.
    """
    hosts, nodes = masks.shape
    size = 1 << needs
    keys = masks.T.astype(np.int64) * hosts + np.arange(hosts)
    if slots is None:
        counts = np.bincount(keys.ravel(), minlength=size * hosts).astype(np.int16)
        total = np.full(hosts, nodes, np.int16)
    else:
        useful = np.minimum(slots, needs).T  # more room than there are needs changes nothing
        counts = np.bincount(keys.ravel(), useful.ravel(), size * hosts).astype(np.int16)
        total = useful.sum(axis=0, dtype=np.int16)
    for bit in range(needs):
        pairs = counts.reshape(size >> bit + 1, 2, (1 << bit) * hosts)
        pairs[:, 1] += pairs[:, 0]
    # The mask of a complement is its mirror image: what suits none of S lies within the complement of S.
    unsuited = counts.reshape(size, hosts)[::-1]
    wanted = np.array([subset.bit_count() for subset in range(size)], np.int16)
    good: Bools = np.logical_and.reduce(unsuited + wanted[:, None] <= total, axis=0)
    return good


def _matches(fits: NDArray[np.bool_]) -> bool:
    """Augmenting paths for one host: needs x nodes."""
    return _flows(np.ones(fits.shape[1], np.int64), fits)


def _flows(slots: Ints, fits: NDArray[np.bool_]) -> bool:
    """Augmenting paths where node n takes `slots[n]` needs."""
    choices = [np.flatnonzero(row).tolist() for row in fits]
    room = slots.tolist()
    guests: list[list[int]] = [[] for _ in room]

    def seat(need: int, tried: set[int]) -> bool:
        for node in choices[need]:
            if node in tried or room[node] <= 0:
                continue
            tried.add(node)
            if len(guests[node]) < room[node]:
                guests[node].append(need)
                return True
            for position, guest in enumerate(guests[node]):
                if seat(guest, tried):
                    guests[node][position] = need
                    return True
        return False

    return all(seat(need, set()) for need in range(len(choices)))


def packs(
    amounts: Sequence[tuple[int, ...]], choices: Sequence[Sequence[int]], rooms: Sequence[tuple[int, ...]]
) -> bool:
    """Whether needs of different size can share the nodes of one host. Exact; states that failed are remembered.

    Args:
        amounts: what each need takes of each resource.
        choices: the nodes each need may go to.
        rooms: what each node has of each resource.
    """
    order = sorted(range(len(amounts)), key=lambda need: (len(choices[need]), [-amount for amount in amounts[need]]))
    failed: set[tuple[int, tuple[tuple[int, ...], ...]]] = set()

    def search(depth: int, left: tuple[tuple[int, ...], ...]) -> bool:
        if depth == len(order):
            return True
        if (depth, left) in failed:
            return False
        need = order[depth]
        seen: set[tuple[int, ...]] = set()
        rest_alike = all(set(choices[other]) == set(choices[need]) for other in order[depth:])
        for node in choices[need]:
            room = left[node]
            if rest_alike and room in seen:
                continue
            seen.add(room)
            if all(have >= take for have, take in zip(room, amounts[need], strict=True)):
                after = tuple(have - take for have, take in zip(room, amounts[need], strict=True))
                if search(depth + 1, (*left[:node], after, *left[node + 1 :])):
                    return True
        failed.add((depth, left))
        return False

    return search(0, tuple(tuple(room) for room in rooms))
