"""Builds everything about moving VMs once it is known what remembers it: journal, advice, executor, maintenance.

The composition root's part for migrations: one value that is there as a whole or not yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hpconsole.core.errors import StorageError
from hpconsole.core.execution import maintenance as maintenance_of_hosts
from hpconsole.core.execution.advice import MigrationAdvice, MigrationPolicies
from hpconsole.core.execution.executor import Executor
from hpconsole.core.execution.journal import Journal, MemoryJournal
from hpconsole.core.execution.maintenance import Maintenance
from hpconsole.core.execution.migration import Timings
from hpconsole.core.execution.queue_limits import kept_limits
from hpconsole.core.execution.step_queue import Limits
from hpconsole.core.scheduler.reservations import Reservation


class Console(maintenance_of_hosts.Console, Protocol):
    """What is needed of `App`."""

    def reservations(self) -> tuple[Reservation, ...]:
        """What running and waiting plans have promised."""

    def notify(self, severity: str, sentence: str, subject: str = "") -> None:
        """Tell the user something that belongs to no plan."""


@dataclass(frozen=True, slots=True)
class Moving:
    """What moves VMs, and what is known of it. Threads: any."""

    journal: Journal
    advice: MigrationAdvice
    executor: Executor
    maintenance: Maintenance

    @classmethod
    def of(cls, app: Console, timings: Timings | None) -> Moving:
        """That of a console whose database is open, if it has one."""
        database = app.database
        journal = database.journal if database is not None else MemoryJournal()
        policies = MigrationPolicies(database)
        advice = MigrationAdvice(
            app.pool, app.store, journal, policies, policy=lambda: app.policy, reservations=app.reservations
        )
        executor = Executor(
            app.pool,
            app.store,
            journal,
            policy=lambda: app.policy,
            timings=timings,
            refresh=app.poller.refresh,
            how=policies.effective,
            fill=policies.filled,
            limits=_limits(app),
            foresee=advice.with_forecast,
        )
        return cls(journal, advice, executor, Maintenance.of(app, executor, advice.known_forecast))

    def recover(self) -> None:
        """Look after the migrations and drains that an earlier run left unfinished."""
        self.executor.recover()
        self.maintenance.recover()

    def close(self) -> None:
        """Stop; two seconds at most. Migrations between hosts go on."""
        self.maintenance.close(timeout_s=1)
        self.executor.close(timeout_s=1)


def _limits(app: Console) -> Limits:
    try:
        return kept_limits(app.database)
    except StorageError as error:
        app.notify("warning", error.sentence)
        return kept_limits(None)
