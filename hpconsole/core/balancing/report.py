"""What is said of balancing, as values for the window and the command line. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hpconsole.core.planning.plan import Plan


class Cause(StrEnum):
    """Why a VM should move."""

    AFFINITY = "affinity"  # a rule is broken
    BALANCE = "balance"  # the policy's balancer


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One move that a round found, with the plan that carries it out (apply = submit this plan).

    `gain` and `cost` are in the same unit, percent of one host's CPU x seconds; both 0 for affinity.
    """

    cause: Cause
    vm_uuid: str
    vm_name: str
    source: str
    destination: str
    reason: str  # a sentence: why this move, with its numbers
    plan: Plan
    gain: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundReport:
    """One round: the move it found, or why there is none. `is_acting` false: recommended only (dry run, not leader)."""

    at: datetime
    recommendation: Recommendation | None = None
    why_nothing: tuple[str, ...] = ()
    is_acting: bool = False
    serial: int = 0
