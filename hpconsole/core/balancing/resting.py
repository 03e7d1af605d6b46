"""Which VMs the balancer leaves alone for a while: those it moved. Values; kept as one document.

A VM rests after each move by itself, and does not go back where it came from for twice as long: no ping-pong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

REST_S = 1800.0


@dataclass(frozen=True, slots=True)
class LastMove:
    """The last move of a VM that nobody asked for."""

    at: datetime
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class Rests:
    """Who moved when. `rest_s`: for how long a VM is left alone."""

    moves: Mapping[str, LastMove]
    rest_s: float = REST_S

    def left_s(self, vm_uuid: str, now: datetime) -> float:
        """For how long this VM still rests; 0 = it may move."""
        last = self.moves.get(vm_uuid)
        return max(0.0, self.rest_s - (now - last.at).total_seconds()) if last is not None else 0.0

    def is_return(self, vm_uuid: str, destination: str, now: datetime) -> bool:
        """Whether this would send it back where it came from not long ago."""
        last = self.moves.get(vm_uuid)
        return last is not None and destination == last.source and (now - last.at).total_seconds() < 2 * self.rest_s

    def moved(self, vm_uuid: str, source: str, destination: str, now: datetime) -> Rests:
        """With one more move; those that matter no more are forgotten."""
        recent = {uuid: move for uuid, move in self.moves.items() if (now - move.at).total_seconds() < 2 * self.rest_s}
        return Rests({**recent, vm_uuid: LastMove(now, source, destination)}, self.rest_s)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            uuid: {"at": move.at.isoformat(), "source": move.source, "destination": move.destination}
            for uuid, move in self.moves.items()
        }


def rests_from_json(body: Mapping[str, Any], rest_s: float = REST_S) -> Rests:
    """What was kept; entries that cannot be read are left out."""
    moves: dict[str, LastMove] = {}
    for uuid, item in body.items():
        try:
            at = datetime.fromisoformat(item["at"])
            if at.tzinfo is not None:
                moves[str(uuid)] = LastMove(at, str(item["source"]), str(item["destination"]))
        except (KeyError, TypeError, ValueError):
            continue
    return Rests(moves, rest_s)
