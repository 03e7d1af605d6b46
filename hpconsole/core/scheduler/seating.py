"""Who takes which of exactly as many nodes: the cheapest assignment, deterministic. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

UNFIT = 1 << 60  # the cost of a place that does not fit
_BY_SUBSETS = 4  # up to so many seats the table of all subsets is quicker than the Hungarian method


def seat(costs: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The seat of each row of a square cost table so that the sum is least.

    Of equal sums the one that gives the first rows the lowest seats. There must be an assignment without UNFIT.
    """
    size = len(costs)
    if size <= _BY_SUBSETS:
        return _by_subsets(tuple([tuple(line) for line in costs]))
    # The tie rule as the low digits of the costs; only differences within a row matter, so numbers stay small.
    scale = size**size
    weighted: list[list[int]] = []
    for row, line in enumerate(costs):
        low, digit = min(line), size ** (size - 1 - row)
        weighted.append([(cost - low) * scale + column * digit for column, cost in enumerate(line)])
    return _hungarian(weighted)


@lru_cache(maxsize=_BY_SUBSETS + 1)
def _removals(size: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For every subset of seats: (a seat in it, the subset without it), ascending."""
    return tuple(tuple((i, subset ^ 1 << i) for i in range(size) if subset >> i & 1) for subset in range(1 << size))


@lru_cache(maxsize=2048)  # the same few tables come again and again: on hosts of one model, from poll to poll
def _by_subsets(costs: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    size = len(costs)
    removals = _removals(size)
    best = [0] * (1 << size)  # the least cost of the last rows in exactly these seats
    for subset in range(1, 1 << size):
        row = costs[size - subset.bit_count()]
        best[subset] = min([row[i] + best[rest] for i, rest in removals[subset]])
    seats, left = [], (1 << size) - 1
    for row in costs:
        choice = next(i for i, rest in removals[left] if row[i] + best[rest] == best[left])
        seats.append(choice)
        left ^= 1 << choice
    return tuple(seats)


def _hungarian(costs: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Kuhn and Munkres with potentials, O(n^3), exact on integers of any size."""
    size = len(costs)
    row_price, column_price = [0] * (size + 1), [0] * (size + 1)
    row_at = [0] * (size + 1)  # the row (from 1) seated at each column (from 1)
    for row in range(1, size + 1):
        row_at[0] = row
        column, way = 0, [0] * (size + 1)
        slack: list[int | None] = [None] * (size + 1)
        used = [False] * (size + 1)
        while row_at[column]:
            used[column] = True
            here, line = row_at[column], costs[row_at[column] - 1]
            step, following = None, 0
            for j in range(1, size + 1):
                if used[j]:
                    continue
                reduced = line[j - 1] - row_price[here] - column_price[j]
                known = slack[j]
                if known is None or reduced < known:
                    slack[j], way[j], known = reduced, column, reduced
                if step is None or known < step:
                    step, following = known, j
            for j in range(size + 1):
                if used[j]:
                    row_price[row_at[j]] += step or 0
                    column_price[j] -= step or 0
                elif (value := slack[j]) is not None:
                    slack[j] = value - (step or 0)
            column = following
        while column:
            row_at[column] = row_at[way[column]]
            column = way[column]
    seats = [0] * size
    for column in range(1, size + 1):
        seats[row_at[column] - 1] = column - 1
    return tuple(seats)
