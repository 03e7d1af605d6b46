"""What the window needs of the program behind it (`hpconsole.app.App`), as protocols, so that tests can stand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hpconsole.core.planning.plan import Plan
from hpconsole.core.store import Store

if TYPE_CHECKING:
    from hpconsole.core.availability.availability import Availability
    from hpconsole.core.balancing.watch import Watch
    from hpconsole.core.cluster_rules import ClusterRules
    from hpconsole.core.execution.advice import MigrationAdvice
    from hpconsole.core.execution.journal import Journal
    from hpconsole.core.execution.maintenance import Maintenance
    from hpconsole.core.execution.steering import JobChange
    from hpconsole.core.execution.step_queue import Limits
    from hpconsole.core.hypervisor.pool import ConnectionPool
    from hpconsole.core.keeping import Documents
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.policy_book import PolicyBook
    from hpconsole.core.scheduler.reservations import Reservation


class Runner(Protocol):
    """The part of the executor the task list uses. Any thread; what comes of it is an event."""

    def cancel(self, plan_id: str, index: int | None = None) -> Any:
        """Cancel a plan, or one step of it."""

    def ask_again(self, migration_id: str) -> Any:
        """Ask the hosts once more how an attempt ended."""

    def running(self) -> Sequence[Any]:
        """Every step that waits or runs, as `StepStatus`."""

    @property
    def control(self) -> Control:
        """The queue, and the migrations that run."""


class Control(Protocol):
    """The part of `QueueControl` the task list uses. Any thread; returns at once, or raises ExecutionError."""

    @property
    def limits(self) -> Limits:
        """How many migrations may run at once."""

    def pause(self) -> None:
        """Start nothing new."""

    def resume(self) -> None:
        """Start what waits."""

    def sooner(self, plan_id: str, index: int) -> None:
        """Let this step start before all others that wait."""

    def steer(self, plan_id: str, index: int, change: JobChange) -> None:
        """Change a running migration."""


class Repairer(Protocol):
    """The part of `Repairs` the task list uses. Blocks while hosts are asked."""

    def recover(self, vm_uuid: str, *, may_start_anew: bool = False) -> Any:
        """Let the VM go on where its memory is; a `Situation`."""

    def clean_up(self, vm_uuid: str, host: str) -> str:
        """Remove what is left of it there; a sentence."""


class Refresher(Protocol):
    """The part of the poller the window uses."""

    def refresh(self, host: str | None = None) -> Any:
        """Ask the hosts at once. Any thread."""


class History(Protocol):
    """The part of the load history the charts use."""

    def series(self, host: str) -> tuple[Any, Any, Any]:
        """(seconds, CPU %, memory %) as numpy arrays of equal length, oldest first."""


class Console(Protocol):
    """One running console. Methods may be called from any thread; those that ask hosts or disks take their time."""

    @property
    def store(self) -> Store:
        """Snapshots and events."""

    @property
    def history(self) -> History:
        """Load of the last hour."""

    @property
    def poller(self) -> Refresher:
        """Who asks the hosts."""

    @property
    def executor(self) -> Runner | None:
        """Who runs plans; None while the program starts."""

    @property
    def pool(self) -> ConnectionPool:
        """The connections to the hosts, for worker threads."""

    @property
    def repairs(self) -> Repairer:
        """What can be done about migrations that ended badly; not before `executor` is there."""

    @property
    def advice(self) -> MigrationAdvice | None:
        """Forecasts, checks and migration policies; not before `executor` is there."""

    @property
    def maintenance(self) -> Maintenance:
        """Drain plans, and drains that run. Waits while the program starts: not on the GUI thread."""

    @property
    def documents(self) -> Documents:
        """Where templates and pools are kept. Reads a disk."""

    @property
    def journal(self) -> Journal | None:
        """What was written of migrations, those of earlier runs too; None while the program starts. Reads a disk."""

    @property
    def policy(self) -> Policy:
        """The scheduling policy in force (imports numpy: not on the GUI thread)."""

    @property
    def policies(self) -> PolicyBook:
        """Every scheduling policy, and which is in force. Quick to read; changes write to a disk."""

    @property
    def rules(self) -> ClusterRules:
        """Settings of the cluster, affinity groups, labels of hosts. Quick to read; changes write to a disk."""

    @property
    def availability(self) -> Availability:
        """Hosts that fail: settings, fence devices, the proof before the day. Reads a disk."""

    def start_watching(self) -> Watch:
        """What looks after hosts that fail, rules and load in this console, started if it was not. Reads a disk."""

    @property
    def hosts(self) -> Mapping[str, str]:
        """Name and URI of every host."""

    def start(self) -> None:
        """Begin to work; returns at once."""

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether everything is built, the configured hosts are known among it."""

    def close(self) -> None:
        """Stop everything; takes some seconds at most."""

    def add_host(self, name: str, uri: str) -> None:
        """Add a host and remember it. Raises HpconsoleError."""

    def remove_host(self, name: str) -> None:
        """Forget a host."""

    def submit(self, plan: Plan) -> None:
        """Run a plan. Raises HpconsoleError."""

    def set_queue_limits(self, limits: Limits) -> None:
        """How many migrations may run at once, from now on and in the next runs. Raises HpconsoleError."""

    def reservations(self) -> Sequence[Reservation]:
        """What plans under way have promised."""
