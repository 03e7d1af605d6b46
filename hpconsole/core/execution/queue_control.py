"""What a user can want of the queue and of the migrations that run: limits, order, pause, changes while they run."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from hpconsole.core.errors import ExecutionError
from hpconsole.core.execution.steering import JobChange
from hpconsole.core.execution.step_queue import Limits, QueuedStep, StepQueue, StepState
from hpconsole.core.planning.migration_options import MigrationOptions, may_post_copy
from hpconsole.core.planning.migration_policy import MigrationPolicy

_RUNNING = (StepState.RUNNING, StepState.WATCHING)


class QueueControl:
    """`Executor.control`. Threads: any; everything returns at once.

    Args:
        wake: Has the executor look at its queue again.
    """

    def __init__(
        self,
        queue: StepQueue,
        lock: RLock,
        how: Callable[[MigrationOptions], MigrationPolicy],
        wake: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._lock = lock
        self._how = how
        self._wake = wake

    # --- what waits -----------------------------------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """How many migrations may run at once."""
        with self._lock:
            return self._queue.limits

    def set_limits(self, limits: Limits) -> None:
        """From now on. Migrations that run beyond a new limit go on."""
        with self._lock:
            self._queue.limits = limits
        self._wake()

    @property
    def is_paused(self) -> bool:
        """Whether nothing new is started."""
        with self._lock:
            return self._queue.is_paused

    def pause(self) -> None:
        """Start nothing new; migrations that run go on."""
        with self._lock:
            self._queue.is_paused = True
        self._wake()

    def resume(self) -> None:
        """Start what waits."""
        with self._lock:
            self._queue.is_paused = False
        self._wake()

    def sooner(self, plan_id: str, index: int) -> None:
        """Let this step start before all others that wait.

        Raises:
            ExecutionError: it does not wait (any more).
        """
        with self._lock:
            entry = self._entry(plan_id, index)
            if entry is None or entry.state is not StepState.WAITING:
                raise ExecutionError("This step does not wait any more; its place cannot be changed.")
            self._queue.put_first(entry)
        self._wake()

    # --- what runs ------------------------------------------------------------------------------------------------

    def steer(self, plan_id: str, index: int, change: JobChange) -> None:
        """Change a running migration: bandwidth, allowed pause, post-copy. A Notice says what came of it.

        Raises:
            ExecutionError: it does not run (any more), or this cannot be had; nothing was changed.
        """
        if change.problem():
            raise ExecutionError(f"{change.problem()} Nothing was changed.")
        with self._lock:
            entry = self._entry(plan_id, index)
            if entry is None or entry.state not in _RUNNING:
                raise ExecutionError("This migration does not run, so nothing was changed about it.")
            if change.post_copy and not self.can_post_copy(plan_id, index):
                raise ExecutionError(
                    f"{entry.step.vm_name} cannot be switched to post-copy: its migration was begun without. "
                    "Cancel it and begin again with post-copy allowed.",
                    subject=entry.step.vm_name,
                )
            entry.steering.ask(change)
            entry.token.poke()

    def steer_vm(self, vm_uuid: str, change: JobChange) -> bool:
        """As `steer`, for the migration of this VM; False if none of this console's runs."""
        with self._lock:
            entry = self._queue.of_vm(vm_uuid)
            if entry is None or entry.state not in _RUNNING:
                return False
            self.steer(entry.plan.plan_id, entry.index, change)
        return True

    def can_post_copy(self, plan_id: str, index: int) -> bool:
        """Whether this migration was begun so that it can be switched to post-copy."""
        with self._lock:
            entry = self._entry(plan_id, index)
            return entry is not None and may_post_copy(entry.step.options, self._how(entry.step.options))

    def _entry(self, plan_id: str, index: int) -> QueuedStep | None:
        return next((one for one in self._queue.of_plan(plan_id) if one.index == index), None)
