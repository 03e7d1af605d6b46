"""When does a live migration stall, and which step of its schedule comes then? Pure counting, shared by the forecast
and by what follows a running migration, so that both mean the same.
"""

from __future__ import annotations

from hpconsole.core.planning.migration_policy import AT_LAST, Action, Schedule, StallStep


class StallCount:
    """Counts the passes that leave no less to send than the best pass before them (behaviour.md D3).

    Threads: one at a time.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._steps = [*schedule.stalling, *(StallStep(AT_LAST, action) for action in schedule.last)]
        self._pass = 0
        self._lowest: float | None = None
        self.stalls = 0
        self.is_stalling = False

    def look(self, pass_number: int, left: float | None) -> Action | None:
        """Take in what a pass left (any unit): the schedule's next action, where this is a stall that leads to one.

        A pass that is shorter than the time between two looks cannot be told from its neighbours; it leaves less than
        what the longest pause of the schedule carries, so that it is over soon.
        """
        if pass_number <= self._pass:
            return None
        is_first = self._pass == 0
        self._pass = pass_number
        if left is None or (is_first and pass_number == 1):  # at its beginning the first pass has everything left
            return None
        self.is_stalling = self._lowest is not None and left >= self._lowest
        self._lowest = left if self._lowest is None else min(self._lowest, left)
        if not self.is_stalling:
            return None
        self.stalls += 1
        if self._steps and self._steps[0].limit <= self.stalls:  # AT_LAST is below every count
            return self._steps.pop(0).action
        return None
