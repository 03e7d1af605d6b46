"""How wrong may what was measured be, and does a migration end by itself all the same? Pure.

Everything is computed three times: as measured, and with writes and bandwidth 15 % and 10 % better and worse. A guest
that was measured while its host had no CPU to spare is not promised to write as slowly where it is moved.
"""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.planning.precopy_model import Conditions, Ending, foresee

WORSE = (1.15, 0.9)  # writes, bandwidth
BETTER = (0.87, 1.1)
_HELD_BACK = 4.0  # times as fast; a guest among six on two cores wrote a quarter of what it did with more (lab)
UNPROVEN = (1.15, 0.25)  # of a path that carried no migration yet: cards promise more than hosts send


def ends_by_itself(given: Conditions, *, is_unproven: bool = False) -> bool:
    """Whether it ends without slowing the guest down, even where writes and bandwidth are worse than measured."""
    worse = UNPROVEN if is_unproven else WORSE
    return foresee(varied(replace(given, auto_converge=False), *worse)).ending is Ending.CONVERGED


def varied(given: Conditions, writes: float, bandwidth: float) -> Conditions:
    """The same with writes and bandwidth so many times as large."""
    worked = given.writes.times(writes)
    return replace(
        given,
        writes=worked.sped_up(_HELD_BACK) if worked.is_held_back and writes > 1 else worked,
        bandwidth_mib_s=given.bandwidth_mib_s * bandwidth,
        link_mib_s=given.link_mib_s * bandwidth,
    )
