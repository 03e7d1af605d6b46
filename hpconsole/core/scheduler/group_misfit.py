"""Why a group of VMs has no place on a host together, though each of them has one alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hpconsole.core.scheduler.demand import Demand
from hpconsole.core.scheduler.group_placement import find_together, occupied
from hpconsole.core.scheduler.misfit import Misfit, explain
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placing import find
from hpconsole.core.scheduler.wording import listed


def explain_group(demands: Sequence[Demand], occupancy: Occupancy) -> Misfit:
    """The fewest VMs that cannot be together, and what the last of them lacks beside the rest."""
    together = _smallest(list(demands), occupancy)
    taken = occupancy
    for demand in together:
        placement = None if demand.is_free else find(demand, taken)
        if placement is None and not demand.is_free:
            others = listed([f"“{other.vm.name}”" for other in together if other is not demand])
            cause = explain(demand, taken)
            beside = f"Beside {others}, “{demand.vm.name}” has no place"
            return replace(cause, sentence=f"{beside}: {cause.sentence}")
        if placement is not None:
            taken = occupied(taken, demand, placement)
    first = together[0]
    names = listed([f"“{demand.vm.name}”" for demand in together])
    return Misfit(first.vm.uuid, occupancy.host.name, f"No way was found to place {names} together.")


def _smallest(demands: list[Demand], occupancy: Occupancy) -> list[Demand]:
    """A part of the group that cannot be placed, while it can be without any one of its VMs."""
    for demand in list(demands):
        rest = [other for other in demands if other is not demand]
        if rest and find_together(rest, occupancy) is None:
            demands = rest
    return demands
