"""All units to hosts at once, at the least cost: an integer program for HiGHS, refined by what turns out to be missing.

It begins as a flow (units to hosts, crowding priced), which is solved in milliseconds. Where an answer breaks a limit
that can be counted (memory, pages, CPUs and memory of NUMA nodes), the limit is added; where the scheduler's filters
and the exact placement refuse a host's group, that group becomes a cut; and it is solved again, until an answer holds
or time is up. The bound is the program's: no legal plan over the hosts that were kept costs less.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hpconsole.core.planning.drain_greedy import CROWDING, UNPLACED, Assignment, cost_of, greedy
from hpconsole.core.planning.drain_judge import Judge
from hpconsole.core.planning.drain_program import Program, Solution
from hpconsole.core.planning.drain_rooms import Load, Room, limits_of, loads_of
from hpconsole.core.planning.drain_units import Kind, Unit

GAP = 0.005  # relative: solved this well
_LAZY_ROUNDS = 3  # then every limit of every host is added: a tight cluster breaks too many one by one

Group = list[tuple[int, int]]  # (kind, units) on one host


@dataclass(frozen=True, slots=True)
class Exact:
    """The best legal plan that was found, and the bound."""

    made: Assignment
    bound: float | None
    rounds: int
    is_timed_out: bool
    is_cut_down: bool  # hosts beyond the best ones were left out, so the bound holds for those kept


@dataclass(eq=False, slots=True)
class _Model:
    """The program: `count[kind, host]` is the column that says how many units of a kind go to a host."""

    kinds: Sequence[Kind]
    judge: Judge
    program: Program = field(default_factory=Program)
    count: dict[tuple[int, str], int] = field(default_factory=dict)
    by_host: dict[str, list[int]] = field(default_factory=dict)  # the kinds it may get
    loads: list[Load] = field(default_factory=list)
    limited: set[str] = field(default_factory=set)
    at_least: dict[tuple[int, str, int], int] = field(default_factory=dict)  # columns: so many of a kind on a host

    def groups(self, solution: Solution) -> dict[str, Group]:
        """What a solution puts on each host."""
        found: dict[str, Group] = {}
        for (number, host), column in self.count.items():
            units = round(solution.values[column])
            if units:
                found.setdefault(host, []).append((number, units))
        return found


def exact(
    kinds: Sequence[Kind],
    judge: Judge,
    *,
    candidates: int,
    time_limit_s: float,
    start: Assignment,
    apart: Sequence[Sequence[Unit]] = (),
) -> Exact:
    """The joint plan. `start` is a legal plan, kept where nothing better is found."""
    ends_at = time.monotonic() + time_limit_s
    model = _model(kinds, judge, candidates, start, apart)
    is_cut_down = any(len(kind.standing.hosts) > candidates + len(kind.units) for kind in kinds)
    best, best_cost = start, cost_of(start, kinds)
    bound: float | None = None
    rounds = 0
    is_timed_out = True
    while (left_s := ends_at - time.monotonic()) > 0:
        rounds += 1
        solution = model.program.solve(left_s, GAP)
        if solution is None:
            break
        bound = solution.bound if bound is None else max(bound, solution.bound)
        groups = model.groups(solution)
        if _break_limits(model, groups, everything=rounds >= _LAZY_ROUNDS):
            continue
        made, vetoes = _checked(model, groups, ends_at)
        cost = cost_of(made, kinds)
        if cost < best_cost - 1e-9:
            best, best_cost = made, cost
        if not vetoes or best_cost <= bound * (1 + GAP) + 1e-9:
            is_timed_out = False
            break
        for host, group in vetoes:
            _forbid(model, host, group)
    return Exact(best, bound, rounds, is_timed_out, is_cut_down)


def _kept_hosts(kind: Kind, candidates: int, more: Iterable[str]) -> list[str]:
    """The best hosts for one kind: enough that each of its units could have its own, and those a plan used."""
    kept = dict.fromkeys(kind.standing.hosts[: candidates + len(kind.units)])
    kept.update((host, None) for host in more)
    return list(kept)


def _model(
    kinds: Sequence[Kind], judge: Judge, candidates: int, start: Assignment, apart: Sequence[Sequence[Unit]]
) -> _Model:
    model = _Model(kinds, judge)
    program = model.program
    for number, kind in enumerate(kinds):
        model.loads.append(loads_of(kind))
        units = float(len(kind.units))
        used = {host for unit in kind.units if (host := start.host_of.get(unit)) in kind.position}
        row: list[tuple[int, float]] = []
        for host in _kept_hosts(kind, candidates, used):
            column = model.count[number, host] = program.whole(kind.cost(host), units)
            model.by_host.setdefault(host, []).append(number)
            row.append((column, 1.0))
        missing = program.whole(UNPLACED * len(kind.sample.vms), units)
        program.row([*row, (missing, 1.0)], lower=units, upper=units)
    for host, numbers in model.by_host.items():
        _price_crowding(model, host, numbers)
    _keep_apart(model, apart)
    return model


def _price_crowding(model: _Model, host: str, numbers: Sequence[int]) -> None:
    """The n-th unit on a host costs n - 1 times CROWDING: a chain of columns that a flow fills in that order."""
    most = sum(len(model.kinds[number].units) for number in numbers)
    if most < 2:
        return
    program = model.program
    steps = [program.continuous(CROWDING * n, 1.0) for n in range(min(most, 12))]
    if most > 12:
        steps.append(program.continuous(CROWDING * 12, float(most - 12)))
    row = [(model.count[number, host], 1.0) for number in numbers]
    program.row([*row, *((step, -1.0) for step in steps)], lower=0.0, upper=0.0)


def _keep_apart(model: _Model, apart: Sequence[Sequence[Unit]]) -> None:
    kind_of = {unit: number for number, kind in enumerate(model.kinds) for unit in kind.units}
    for members in apart:
        numbers = {kind_of[unit] for unit in members if unit in kind_of}
        for host, present in model.by_host.items():
            row = [(model.count[number, host], 1.0) for number in present if number in numbers]
            if row:
                model.program.row(row, upper=1.0)


def _break_limits(model: _Model, groups: Mapping[str, Group], *, everything: bool) -> bool:
    """Add the limits that these groups break (or all there are); whether one is broken."""
    is_broken = False
    accounts, rows = model.judge.columns.accounts, model.judge.columns.row_of
    for host, group in groups.items():
        if host in model.limited:
            continue
        room = Room(accounts[rows[host]], model.judge.columns, host)
        for limit in limits_of(room, [model.loads[number] for number, _ in group]):
            if sum(limit.taken(model.loads[number]) * units for number, units in group) > limit.most:
                is_broken = True
                break
        else:
            continue
        _add_limits(model, host, room)
    if is_broken and everything:
        for host in model.by_host.keys() - model.limited:
            _add_limits(model, host, Room(accounts[rows[host]], model.judge.columns, host))
    return is_broken


def _add_limits(model: _Model, host: str, room: Room) -> None:
    model.limited.add(host)
    numbers = model.by_host[host]
    for limit in limits_of(room, [model.loads[number] for number in numbers]):
        row = [(n, taken) for n in numbers if (taken := float(limit.taken(model.loads[n])))]
        if sum(taken * len(model.kinds[n].units) for n, taken in row) > limit.most:
            model.program.row([(model.count[n, host], taken) for n, taken in row], upper=float(limit.most))


def _forbid(model: _Model, host: str, group: Group) -> None:
    """Not this group again, nor a larger one."""
    program = model.program
    if len(group) == 1:
        ((number, units),) = group
        program.row([(model.count[number, host], 1.0)], upper=units - 1.0)
        return
    columns = []
    for number, units in group:
        key = (number, host, units)
        if key not in model.at_least:
            column = model.at_least[key] = program.whole(0.0, 1.0)
            # count >= units makes this column 1
            over = len(model.kinds[number].units) - units + 1.0
            program.row([(model.count[number, host], 1.0), (column, -over)], upper=units - 1.0)
        columns.append((model.at_least[key], 1.0))
    program.row(columns, upper=len(columns) - 1.0)


def _checked(model: _Model, groups: Mapping[str, Group], ends_at: float) -> tuple[Assignment, list[tuple[str, Group]]]:
    """The answer with exact places, mended where it is refused; and the groups that cannot be."""
    made = Assignment()
    vetoes: list[tuple[str, Group]] = []
    waiting = [list(kind.units) for kind in model.kinds]
    judge = model.judge
    for host, group in groups.items():
        units = [waiting[number].pop(0) for number, count in group for _ in range(count)]
        placed = judge.group([unit.vms for unit in units], host, made.promises)
        if placed is None:
            vetoes.append((host, _smallest(model, host, group, ends_at)))
            continue
        for unit in units:
            made.put(unit, host, {uuid: placed[uuid] for uuid in unit.uuids}, judge)
    return (greedy(model.kinds, judge, first=made) if vetoes else made), vetoes


def _smallest(model: _Model, host: str, group: Group, ends_at: float) -> Group:
    """A part of the group that cannot be there together, while it can without any one of its units."""
    counts = dict(group)
    for number in list(counts):
        while counts[number] and sum(counts.values()) > 1 and time.monotonic() < ends_at:
            fewer = {**counts, number: counts[number] - 1}
            units = [unit for n, count in fewer.items() for unit in model.kinds[n].units[:count]]
            if model.judge.group([unit.vms for unit in units], host, ()) is not None:
                break
            counts = fewer
    return [(number, count) for number, count in counts.items() if count]
