"""The two memory checks of behaviour.md A5.9: is the memory there now, and is it not promised to others?

Written for one host or for arrays of hosts alike. KiB everywhere; unknown free memory is NaN and never fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpconsole.core.scheduler.columns import Bools, Floats


@dataclass(slots=True)
class Totals:
    """Sums over the VMs that come to each host."""

    normal_kib: Floats
    static_overhead_kib: Floats
    overhead_kib: Floats
    pages: dict[int, Floats]


def fits_physically(
    needed_kib: Floats | float,
    *,
    free_kib: Floats | float,
    swap_free_kib: Floats | float,
    pending_kib: Floats | float,
    dynamic_pages_kib: Floats | float,
) -> Bools:
    """Whether memory and static overhead are there now.

    Args:
        needed_kib: Memory that is not huge pages, plus static overhead.
        free_kib: Free memory of the host.
        swap_free_kib: Free swap; 0 where unknown.
        pending_kib: Static overhead of VMs on their way.
        dynamic_pages_kib: Huge pages that would have to be made from free memory.
    """
    left = np.asarray(free_kib - pending_kib - dynamic_pages_kib)
    with np.errstate(invalid="ignore"):
        fits: Bools = (left >= 0) & (needed_kib <= left + swap_free_kib)
    return fits


def fits_promises(
    needed_kib: Floats | float, *, scheduling_kib: Floats | float, dynamic_pages_kib: Floats | float
) -> Bools:
    """Whether memory and the whole overhead fit into what may still be promised. Swap does not count."""
    return np.asarray(needed_kib + dynamic_pages_kib <= scheduling_kib)
