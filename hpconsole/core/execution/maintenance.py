"""Maintenance of hosts as the window and the command line see it: plan, check, begin, and look after what runs.

Ties the planner to what is true now; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from hpconsole.core.execution.drain_surroundings import DrainSurroundings, at_once
from hpconsole.core.execution.drains import Drains
from hpconsole.core.execution.executor import Executor
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.keeping import Documents
from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.drain import DrainIntent, DrainPlan, PlanProblem
from hpconsole.core.planning.drain_planner import checked, plan_drain
from hpconsole.core.planning.make_room import plan_room
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.store import Store

if TYPE_CHECKING:
    from hpconsole.core.database.database import Database
    from hpconsole.core.polling import Poller


class Console(Protocol):
    """What is needed of `App`."""

    store: Store
    pool: ConnectionPool
    poller: Poller
    database: Database | None

    @property
    def policy(self) -> Policy:
        """The scheduling policy in force."""

    def set_host_status(self, name: str, status: HostStatus, reason: str = "") -> None:
        """Decide about a host."""


class Maintenance(Drains):
    """`Drains`, and plans for them from the newest snapshot.

    Threads: any. `plan` and `check` compute: windows call them off their own thread.
    """

    def __init__(self, surroundings: DrainSurroundings, documents: Documents | None = None) -> None:
        super().__init__(surroundings, documents)
        self._parts = surroundings

    @classmethod
    def of(cls, app: Console, executor: Executor, known: Callable[[str, str], Any]) -> Maintenance:
        """That of a console. `known`: what is known of moving a VM to a host, asking nobody."""
        parts = DrainSurroundings(
            executor,
            app.store,
            app.pool,
            policy=lambda: app.policy,
            set_status=app.set_host_status,
            refresh=app.poller.refresh,
            forecaster=lambda vm, _source, destination: known(vm.uuid, destination),
        )
        return cls(parts, app.database.documents if app.database is not None else None)

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
            at_once=at_once(parts.executor),
            on_first=on_first,
        )

    def plan_room(self, vm_uuid: str, *, on: str | None = None) -> DrainPlan:
        """The fewest moves that make room for a VM; see `make_room.plan_room`.

        Raises:
            InvalidEdit: no such VM or host, or the VM may not be moved.
            NoSuitableHost: room cannot be made; `ranking` says what each host lacks.
        """
        parts = self._parts
        return plan_room(
            vm_uuid,
            parts.store.snapshot,
            parts.policy(),
            parts.executor.reservations(),
            on=on,
            forecaster=parts.forecaster,
        )

    def check(self, plan: DrainPlan) -> tuple[PlanProblem, ...]:
        """What of a plan does not hold any more."""
        parts = self._parts
        return checked(plan, parts.store.snapshot, parts.policy(), parts.executor.reservations())
