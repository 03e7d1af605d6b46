"""What the scheduler's units are called in the window: as on the command line. No Qt."""

from __future__ import annotations

from hpconsole.core.scheduler.unit_titles import title


def words(unit: str) -> str:
    """The unit's name for people, within a sentence.

    >>> words("OptimalForCpuEvenDistribution")
    'CPU load'
    """
    return title(unit)
