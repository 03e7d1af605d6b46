"""What a policy unit is: filters refuse hosts with numbers, weights order them, parameters tune them.

Units answer for all hosts at once over `columns.HostColumns`; sentences are made only for the hosts a person
looks at. Nothing is discovered at run time: `filters.ALL`, `weights.ALL` and `balancers.ALL` are plain tuples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpconsole.core.scheduler.columns import Bools, Floats
    from hpconsole.core.scheduler.question import Question


@dataclass(frozen=True, slots=True)
class Shortage:
    """One number that is not met. `missing` is needed - available, in the same unit."""

    what: str  # "free 2-MiB pages on node 0"
    needed: float
    available: float
    unit: str = ""  # MiB, CPUs, pages ...
    ceiling: float | None = None  # the most there can ever be on this machine; None = not known, or it can be enlarged

    @property
    def missing(self) -> float:
        """How much more would be needed."""
        return self.needed - self.available


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one filter refuses one host: a sentence and its numbers. `kind` is the reference's reason key."""

    unit: str  # the filter's name, as the reference has it
    sentence: str
    kind: str = ""
    shortages: tuple[Shortage, ...] = ()
    is_unknown: bool = False  # the host does not tell what would have to be known


@dataclass(frozen=True, slots=True)
class Parameter:
    """A policy parameter with its range, as the policy editor shows it."""

    name: str
    default: float
    minimum: float
    maximum: float | None
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class WeightPart:
    """What one weight contributes to a host's place."""

    unit: str
    raw: float  # lower is better
    rank: int  # higher is better: number of candidate hosts - 1 - hosts strictly better
    factor: int
    told: str = ""  # the quantity behind `raw` as people know it ("12 % busy"); empty where there is none

    @property
    def contribution(self) -> float:
        """Factor x rank."""
        return self.factor * self.rank


@dataclass(frozen=True, slots=True)
class Filter:
    """A unit that refuses hosts.

    `accepts` answers for every host of the question at once; `because` says why one host (by row) is refused and is
    called only where `accepts` said no.
    """

    name: str
    accepts: Callable[[Question], Bools]
    because: Callable[[Question, int], Refusal]
    help: str
    is_mandatory: bool = False
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Weight:
    """A unit that orders hosts: a raw value for every host of the question, lower is better; None = no opinion.

    `tells` puts what it looks at on one host (by row) into words: raw values are mostly no quantity anybody knows.
    """

    name: str
    raw: Callable[[Question], Floats | None]
    help: str
    parameters: tuple[Parameter, ...] = ()
    tells: Callable[[Question, int], str] | None = None
