"""Fewer points for the same picture: the lowest and the highest value of each pixel column. Knows no Qt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]


def decimate(seconds: Curve, values: Curve, columns: int) -> tuple[Curve, Curve]:
    """At most two points a column; peaks stay. Values that are not known (NaN) leave a gap.

    Args:
        seconds: Ascending.
        values: As many.
        columns: How many pixels there are, at least 1.
    """
    length = len(values)
    size = length // max(1, columns)
    if size < 3:  # two points a column would not be fewer
        return seconds, values
    whole = length - length % size
    blocks = values[:whole].reshape(-1, size)
    filled = np.where(np.isnan(blocks), np.inf, blocks)
    lowest = filled.argmin(axis=1)
    highest = np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=1)
    starts = np.arange(blocks.shape[0]) * size
    picked = np.sort(np.stack([starts + lowest, starts + highest], axis=1), axis=1).reshape(-1)
    picked = np.concatenate([picked, np.arange(whole, length)])
    return seconds[picked], values[picked]
