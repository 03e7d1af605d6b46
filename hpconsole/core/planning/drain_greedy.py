"""A complete answer at once: each unit, the hardest first, to the best host that still takes it. Pure.

Also what a plan of units is while it is made (`Assignment`), and what it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.drain_judge import Judge
from hpconsole.core.planning.drain_units import Kind, Unit
from hpconsole.core.scheduler.reservations import Reservation

CROWDING = 0.5  # points for each further unit on a host: of two equal hosts the emptier one
UNPLACED = 1000.0  # points for a VM without a host: any complete plan is better than any incomplete one
_NEAR = 24
_TRIED = 200  # hosts tried for one unit before it is given up: the exact planner and the search for room come after


@dataclass(eq=False, slots=True)
class Assignment:
    """Which unit goes where, with exact places. Changed while a plan is made, by one thread."""

    host_of: dict[Unit, str] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)  # by VM UUID
    promises: list[Reservation] = field(default_factory=list)
    count: dict[str, int] = field(default_factory=dict)  # units by host

    def put(self, unit: Unit, host: str, placed: Mapping[str, Placement], judge: Judge) -> None:
        """Add a unit."""
        self.host_of[unit] = host
        self.placements.update(placed)
        self.promises += judge.promised(unit.vms, host, placed)
        self.count[host] = self.count.get(host, 0) + 1

    def copy(self) -> Assignment:
        """One to go on with."""
        return Assignment(dict(self.host_of), dict(self.placements), list(self.promises), dict(self.count))


def greedy(kinds: Sequence[Kind], judge: Judge, *, first: Assignment | None = None) -> Assignment:
    """Every unit that finds a place in turn; those that find none are in no host."""
    made = first.copy() if first is not None else Assignment()
    for kind in sorted(kinds, key=lambda kind: len(kind.standing.hosts) if len(kind.standing.hosts) < 4 else 4):
        for unit in kind.units:
            if unit not in made.host_of:
                _place(unit, kind, made, judge)
    return made


def _place(unit: Unit, kind: Kind, made: Assignment, judge: Judge) -> None:
    for host in _cheapest_first(kind, made.count):
        placed = judge.fits(unit.vms, host, made.promises, is_accepted=True)
        if placed is not None:
            made.put(unit, host, placed, judge)
            return


def _cheapest_first(kind: Kind, count: Mapping[str, int]) -> Iterable[str]:
    """The hosts that take one of this kind, by what the next one there costs."""
    hosts, loss = kind.standing.hosts, kind.standing.loss
    near = min(len(hosts), _NEAR + len(count))  # crowding moves a host back by a few places at most
    priced = [(loss(i) + CROWDING * count.get(hosts[i], 0), i) for i in range(near)]
    yield from (hosts[i] for _, i in sorted(priced))
    yield from hosts[near:_TRIED]


def cost_of(made: Assignment, kinds: Sequence[Kind]) -> float:
    """In points: see `drain.PlanQuality`."""
    total = 0.0
    for kind in kinds:
        for unit in kind.units:
            host = made.host_of.get(unit)
            total += UNPLACED * len(unit.vms) if host is None else kind.cost(host)
    return total + sum(CROWDING * n * (n - 1) / 2 for n in made.count.values())


def simple_bound(kinds: Sequence[Kind]) -> float:
    """No plan costs less: every unit as if it were alone."""
    return sum(0.0 if kind.standing.hosts else UNPLACED * len(unit.vms) for kind in kinds for unit in kind.units)
