"""Everything that can be asked about a migration before it is begun: policies, checks, forecast. `App.advice`.

Also keeps the user's own migration policies, and which one is the default, in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.execution.checking import Checker
from hpconsole.core.execution.forecasting import Forecaster, Question
from hpconsole.core.execution.journal import Journal
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.planning.forecast import Forecast
from hpconsole.core.planning.migration_options import (
    DEFAULT_OPTIONS,
    MigrationOptions,
    effective_policy,
    filled,
    may_post_copy,
)
from hpconsole.core.planning.migration_policy import BUILT_IN, MINIMAL_DOWNTIME, MigrationPolicy
from hpconsole.core.planning.migration_policy_json import from_json, to_json
from hpconsole.core.planning.plan import Step
from hpconsole.core.planning.preflight_findings import Preflight
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.core.store import Store

if TYPE_CHECKING:
    from hpconsole.core.database.database import Database

_log = logging.getLogger(__name__)

KIND = "migration policy"
DEFAULT_KEY = "migration.policy"


class MigrationPolicies:
    """The presets and the user's own policies. Without a database the own ones last as long as the program.

    Threads: any.
    """

    def __init__(self, database: Database | None = None) -> None:
        self._database = database
        self._own: dict[str, MigrationPolicy] = {}
        self._default_id = MINIMAL_DOWNTIME.policy_id
        if database is not None:
            self._load(database)

    def all(self) -> tuple[MigrationPolicy, ...]:
        """The presets, then the user's own by name."""
        return (*BUILT_IN, *sorted(self._own.values(), key=lambda policy: policy.name.lower()))

    @property
    def default_id(self) -> str:
        """The policy of migrations that name none."""
        known = {policy.policy_id for policy in self.all()}
        return self._default_id if self._default_id in known else MINIMAL_DOWNTIME.policy_id

    def set_default(self, policy_id: str) -> None:
        """Choose the policy of migrations that name none.

        Raises:
            InvalidEdit: there is no such policy.
            StorageError: it could not be kept.
        """
        if policy_id not in {policy.policy_id for policy in self.all()}:
            raise InvalidEdit("policy", f"There is no migration policy {policy_id}.")
        if self._database is not None:
            self._database.settings.set(DEFAULT_KEY, policy_id)
        self._default_id = policy_id

    def save(self, policy: MigrationPolicy) -> None:
        """Keep a policy of the user's own; one of the same id is replaced.

        Raises:
            InvalidEdit: it means nothing that could be done, or is a preset.
            StorageError: it could not be kept.
        """
        checked = from_json(to_json(policy))
        if self._database is not None:
            self._database.documents.save(KIND, checked.policy_id, to_json(checked))
        self._own[checked.policy_id] = checked

    def remove(self, policy_id: str) -> None:
        """Forget a policy of the user's own. Raises StorageError."""
        if self._database is not None:
            self._database.documents.remove(KIND, policy_id)
        self._own.pop(policy_id, None)

    def effective(self, options: MigrationOptions) -> MigrationPolicy:
        """What is followed for these options."""
        return effective_policy(options, self.all(), self.default_id)

    def filled(self, options: MigrationOptions) -> MigrationOptions:
        """The options with what their policy says of bandwidth, connections and TLS."""
        return filled(options, self.effective(options))

    def free_id(self, name: str) -> str:
        """An id nobody has yet, made of a name."""
        stem = "".join(letter if letter.isalnum() else "_" for letter in name.lower())[:60].strip("_") or "policy"
        taken = {policy.policy_id for policy in self.all()}
        return next(one for one in (stem, *(f"{stem}_{n}" for n in range(2, 10_000))) if one not in taken)

    def _load(self, database: Database) -> None:
        for document in database.documents.all(KIND).values():
            try:
                policy = from_json(document)
            except InvalidEdit as error:
                _log.warning("a migration policy was left out: %s", error.sentence)
                continue
            self._own[policy.policy_id] = policy
        chosen = database.settings.get(DEFAULT_KEY)
        if isinstance(chosen, str):
            self._default_id = chosen


class MigrationAdvice:
    """See the module. `forecast` and `check` block: never call them on the thread of a window.

    Args:
        policy: The scheduling policy in force.
        reservations: What running and waiting plans have promised.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        store: Store,
        journal: Journal,
        policies: MigrationPolicies,
        *,
        policy: Callable[[], Policy],
        reservations: Callable[[], Sequence[Reservation]],
    ) -> None:
        self.policies = policies
        self._store = store
        self._policy = policy
        self._reservations = reservations
        self._forecaster = Forecaster(pool, store, journal)
        self._checker = Checker(pool)

    def forecast(
        self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS, *, shared_by: int = 1
    ) -> Forecast:
        """Measure the running guest (7 s, unless that was done in the last five minutes) and say what to expect.

        Raises:
            PlanOutOfDate: the VM does not run.
        """
        return self._forecaster.ask(self._question(vm_uuid, destination, options, shared_by))

    def known_forecast(
        self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS
    ) -> Forecast | None:
        """The same from what is known already, at once, asking the guest nothing; None for a VM that does not run."""
        return self._forecaster.known(self._question(vm_uuid, destination, options, 1))

    def check(self, vm_uuid: str, destination: str, options: MigrationOptions = DEFAULT_OPTIONS) -> Preflight:
        """Every finding about moving this VM there, by the newest snapshot and both hosts: call again to check again.

        Raises:
            PlanOutOfDate: there is no such VM.
        """
        return self._checker.check(
            vm_uuid,
            destination,
            self._store.snapshot,
            policy=self._policy(),
            reservations=self._reservations(),
            options=self.policies.filled(options),
        )

    def with_forecast(self, step: Step) -> Step:
        """The step with what is known to expect of it, for the journal. At once; asks neither guest nor host."""
        if step.forecast is not None:
            return step
        return replace(step, forecast=self.known_forecast(step.vm_uuid, step.destination, step.options))

    def close(self) -> None:
        """Let measurements under way end at once."""
        self._forecaster.close()

    def _question(self, vm_uuid: str, destination: str, options: MigrationOptions, shared_by: int) -> Question:
        options = self.policies.filled(options)
        policy = self.policies.effective(options)
        return Question(
            vm_uuid,
            destination,
            policy,
            limit_mib_s=options.bandwidth_mib_s,
            may_post_copy=may_post_copy(options, policy),
            shared_by=shared_by,
        )
