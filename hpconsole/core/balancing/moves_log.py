"""The moves that rounds found and somebody made: who rests after them, and a line for each. Kept as documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hpconsole.core.balancing.report import Cause, Recommendation
from hpconsole.core.balancing.resting import rests_from_json
from hpconsole.core.keeping import Documents

REST_KIND, REST_NAME = "balancer", "rests"
LOG_NAME = "log"
LONGEST = 200  # lines; the oldest go

BY_ITSELF = "by itself"
BY_HAND = "applied by hand"


@dataclass(frozen=True, slots=True)
class MoveLine:
    """One move. `gain` and `cost` as in `Recommendation`."""

    at: datetime
    vm_name: str
    source: str
    destination: str
    cause: Cause
    reason: str
    by: str
    gain: float = 0.0
    cost: float = 0.0


def remember_move(documents: Documents, found: Recommendation, by: str, now: datetime) -> None:
    """After a move was begun: the VM rests from now on, and the log has a line more. Raises StorageError."""
    rests = rests_from_json(documents.get(REST_KIND, REST_NAME) or {})
    documents.save(REST_KIND, REST_NAME, rests.moved(found.vm_uuid, found.source, found.destination, now).to_json())
    line = MoveLine(
        now, found.vm_name, found.source, found.destination, found.cause, found.reason, by, found.gain, found.cost
    )
    lines = (line, *read_log(documents))[:LONGEST]
    documents.save(
        REST_KIND, LOG_NAME, {"lines": [line_json(one) | {"gain": one.gain, "cost": one.cost} for one in lines]}
    )


def read_log(documents: Documents) -> tuple[MoveLine, ...]:
    """Every line that can be read, newest first. Raises StorageError."""
    kept = (documents.get(REST_KIND, LOG_NAME) or {}).get("lines")
    found = (_from_json(one) for one in kept if isinstance(one, Mapping)) if isinstance(kept, list) else ()
    return tuple(line for line in found if line is not None)


def line_json(line: MoveLine) -> dict[str, Any]:
    """What the log says of a move: when, which VM, whence, whither and why, and who wanted it."""
    return {
        "at": line.at.isoformat(),
        "vm": line.vm_name,
        "source": line.source,
        "destination": line.destination,
        "cause": line.cause.value,
        "reason": line.reason,
        "by": line.by,
    }


def _from_json(item: Mapping[str, Any]) -> MoveLine | None:
    try:
        at = datetime.fromisoformat(item["at"])
        return MoveLine(
            at,
            str(item["vm"]),
            str(item["source"]),
            str(item["destination"]),
            Cause(item["cause"]),
            str(item["reason"]),
            str(item["by"]),
            float(item["gain"]),
            float(item["cost"]),
        ) if at.tzinfo is not None else None  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None
