"""The answer of the scheduler: every host with its verdict, reasons and numbers.

Verdicts are computed for all hosts at once; sentences and exact placements are made when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler import weights
from hpconsole.core.scheduler.columns import Bools, Floats, Ints
from hpconsole.core.scheduler.exact_placements import ExactPlacements
from hpconsole.core.scheduler.explain import what_would_help, why_better
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.performance import Forecast
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.selectors import Table, ranks
from hpconsole.core.scheduler.units import Filter, Refusal, WeightPart

HOST_STATUS = "Host status"
HOST_CHOICE = "Host choice"
PLACEMENT = "Placement"
_PINNING = ("NUMA", "CpuPinning")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the units said. Rows are those of the question's columns."""

    filters: tuple[Filter, ...]
    accepts: Bools  # filters x hosts
    order: Ints  # accepted rows, best first
    scores: Floats  # of `order`
    tables: Sequence[Table]  # weights of the accepted hosts ...
    positions: Ints  # ... which is at this place of them
    unsettled: Bools  # hosts whose exact placement decides; all others were judged exactly


class Ranking:
    """See the module. Safe to read from any thread; reading may compute."""

    def __init__(  # noqa: PLR0917 - made in one place only
        self,
        request: Request,
        snapshot: ClusterSnapshot,
        policy: Policy,
        exact: ExactPlacements,
        question: Question,
        verdicts: Verdicts,
    ) -> None:
        self.request = request
        self.policy_name = policy.name
        self.serial = snapshot.serial
        self._snapshot = snapshot
        self._exact = exact
        self._question = question
        self._verdicts = verdicts

    # The order

    @property
    def accepted(self) -> tuple[str, ...]:
        """The hosts that take the VMs, best first. Every one of them has room for an exact placement."""
        names = self._question.columns.names
        return tuple(names[row] for row in self._verdicts.order.tolist() if self._fits(row))

    @property
    def refused(self) -> tuple[str, ...]:
        """All other hosts, by name."""
        accepted = set(self.accepted)
        return tuple(name for name in self._question.columns.names if name not in accepted)

    @property
    def best(self) -> str | None:
        """The best host; None if every host refuses."""
        names = self._question.columns.names
        return next((names[row] for row in self._verdicts.order.tolist() if self._is_placed(row)), None)

    def score(self, host: str) -> float:
        """What the selector gave this host; 0 for a refused one."""
        place_ = self._place_of.get(self._row(host))
        return float(self._verdicts.scores[place_]) if place_ is not None else 0.0

    def parts(self, host: str) -> tuple[WeightPart, ...]:
        """Each weight's raw value, rank, factor and contribution; empty for a refused host."""
        place_ = self._place_of.get(self._row(host))
        if place_ is None:
            return ()
        position = int(self._verdicts.positions[place_])
        parts: list[WeightPart] = []
        for table, order in zip(self._verdicts.tables, self._ranks, strict=True):
            unit = weights.BY_NAME.get(table.unit)
            told = unit.tells(self._question, self._row(host)) if unit is not None and unit.tells is not None else ""
            parts.append(WeightPart(table.unit, float(table.raw[position]), int(order[position]), table.factor, told))
        return tuple(parts)

    @cached_property
    def _ranks(self) -> list[Ints]:
        return [ranks(table.raw) for table in self._verdicts.tables]

    # The reasons

    def refusals(self, host: str) -> tuple[Refusal, ...]:
        """Every reason against a host, with numbers; empty for an accepted one."""
        row = self._row(host)
        reasons = list(self._outer_refusals(host))
        filters = self._verdicts.filters
        refusing = np.flatnonzero(~self._verdicts.accepts[:, row])
        reasons += [filters[index].because(self._question, row) for index in refusing.tolist()]
        if not any(reason.unit in _PINNING for reason in reasons) and not self._fits(row):
            misfit = self._exact.misfit(self._question, row)
            if misfit is not None:
                reasons.append(Refusal(PLACEMENT, misfit.sentence, "NOT_MEMORY_PINNED_NUMA", misfit.shortages))
        return tuple(reasons)

    def _outer_refusals(self, name: str) -> list[Refusal]:
        host = self._snapshot.hosts[name]
        reasons: list[Refusal] = []
        if not host.is_candidate:
            state = host.status.value if host.status.value != "up" else host.link.state.value
            detail = host.status_reason or host.link.problem
            sentence = f"{name} is not available ({state})." + (f" {detail}" if detail else "")
            reasons.append(Refusal(HOST_STATUS, sentence, "HOST_NOT_UP"))
        if name in self.request.excluded_hosts:
            reasons.append(Refusal(HOST_CHOICE, f"{name} was excluded from the choice.", "EXCLUDED"))
        if self.request.only_hosts and name not in self.request.only_hosts:
            reasons.append(Refusal(HOST_CHOICE, f"{name} is not among the hosts to choose from.", "EXCLUDED"))
        return reasons

    def why(self, better: str, other: str) -> str:
        """One sentence: why this host and not that one."""
        for name in (other, better):
            if self._row(name) not in self._place_of or not self._fits(self._row(name)):
                reasons = self.refusals(name)
                return f"{name} cannot take the VM: {reasons[0].sentence}" if reasons else f"{name} is not ranked."
        return why_better(better, self.parts(better), other, self.parts(other))

    def would_help(self, host: str) -> str:
        """The smallest change that would make a refused host acceptable; empty for an accepted one."""
        reasons = self.refusals(host)
        return what_would_help(host, reasons) if reasons else ""

    # The exact map

    def placement(self, host: str, vm_uuid: str) -> Placement | Misfit:
        """The full map of one VM there, found beside the other VMs of the request."""
        self._row(host)
        placed = self._exact.on(self._question, host)
        return placed if isinstance(placed, Misfit) else placed[vm_uuid]

    def forecast(self, host: str, vm_uuid: str) -> Forecast | None:
        """How a VM will run there against its present place; None where it has no place there."""
        self._row(host)
        return self._exact.forecast(self._question, host, vm_uuid)

    def occupancy(self, host: str) -> Occupancy:
        """What is taken on this host without the VMs of the request."""
        return self._exact.occupancy(host)

    def _fits(self, row: int) -> bool:
        """Whether an accepted host has room; asks the exact engine only where the filters could not settle it."""
        known = self._exact.known(self._question.columns.names[row])
        if known is None and not self._verdicts.unsettled[row]:
            return True
        return self._is_placed(row)

    def _is_placed(self, row: int) -> bool:
        return not isinstance(self._exact.on(self._question, self._question.columns.names[row]), Misfit)

    @cached_property
    def _place_of(self) -> dict[int, int]:
        """Row of an accepted host -> its place in the order."""
        return {row: place_ for place_, row in enumerate(self._verdicts.order.tolist())}

    def _row(self, host: str) -> int:
        row = self._question.columns.row_of.get(host)
        if row is None:
            raise KeyError(host)
        return row
