"""Maintenance of hosts as the window and the command line see it: plan, check, begin, and look after what runs.

Ties the planner to what is true now; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpconsole.core.execution.drain_run import DrainSurroundings
from hpconsole.core.execution.drains import Documents, Drains
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.drain import DrainIntent, DrainPlan, PlanProblem
from hpconsole.core.planning.drain_planner import checked, plan_drain


class Maintenance(Drains):
    """`Drains`, and plans for them from the newest snapshot.

    Threads: any. `plan` and `check` compute: windows call them off their own thread.
    """

    def __init__(self, surroundings: DrainSurroundings, documents: Documents | None = None) -> None:
        super().__init__(surroundings, documents)
        self._parts = surroundings

    def plan(self, intent: DrainIntent, on_first: Callable[[DrainPlan], None] | None = None) -> DrainPlan:
        """Plan to empty hosts, as things are now; see `drain_planner.plan_drain`.

        Raises:
            InvalidEdit: no host was named, or one that is not there; or a VM goes to one of the hosts.
        """
        parts = self._parts
        return plan_drain(
            intent,
            parts.store.snapshot,
            parts.policy(),
            parts.executor.reservations(),
            forecaster=parts.forecaster,
            on_first=on_first,
        )

    def check(self, plan: DrainPlan) -> tuple[PlanProblem, ...]:
        """What of a plan does not hold any more."""
        parts = self._parts
        return checked(plan, parts.store.snapshot, parts.policy(), parts.executor.reservations())


def forecaster_of(known: Callable[[str, str], Any]) -> Callable[[Vm, str, str], Any]:
    """What is known of a move without asking anybody, for the planner."""

    def ask(vm: Vm, _source: str, destination: str) -> Any:
        return known(vm.uuid, destination)

    return ask
