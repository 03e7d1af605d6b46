"""How wrong may what was measured be, and does a migration end by itself all the same? Pure.

Everything is computed three times: as measured, and with writes and bandwidth 15 % and 10 % better and worse.
"""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.planning.precopy_model import Conditions, Ending, foresee

WORSE = (1.15, 0.9)  # writes, bandwidth
BETTER = (0.87, 1.1)
UNPROVEN = (1.15, 0.25)  # of a path that carried no migration yet: cards promise more than hosts send


def ends_by_itself(given: Conditions, *, is_unproven: bool = False) -> bool:
    """Whether it ends without slowing the guest down, even where writes and bandwidth are worse than measured."""
    worse = UNPROVEN if is_unproven else WORSE
    return foresee(varied(replace(given, auto_converge=False), *worse)).ending is Ending.CONVERGED


def varied(given: Conditions, writes: float, bandwidth: float) -> Conditions:
    """The same with writes and bandwidth so many times as large."""
    return replace(
        given,
        writes=given.writes.times(writes),
        bandwidth_mib_s=given.bandwidth_mib_s * bandwidth,
        link_mib_s=given.link_mib_s * bandwidth,
    )
