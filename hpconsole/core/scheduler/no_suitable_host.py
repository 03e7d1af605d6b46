"""What a search without an answer raises. Apart from `core.errors`, which knows nothing of the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpconsole.core.errors import PlanningError

if TYPE_CHECKING:
    from hpconsole.core.scheduler.ranking import Ranking


class NoSuitableHost(PlanningError):
    """Every host refuses; the ranking holds each host's reasons."""

    def __init__(self, sentence: str, *, ranking: Ranking, subject: str = "") -> None:
        super().__init__(sentence, subject=subject)
        self.ranking = ranking
