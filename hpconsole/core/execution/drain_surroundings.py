"""What every drain works with: the executor, the hosts, the newest snapshot, and how patient it is. A value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hpconsole.core.execution.executor import Executor
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.drain import AtOnce
from hpconsole.core.planning.drain_items import Forecaster
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.store import Store


@dataclass(frozen=True, slots=True)
class DrainSurroundings:
    """What every drain works with."""

    executor: Executor
    store: Store
    pool: ConnectionPool
    policy: Callable[[], Policy]
    set_status: Callable[[str, HostStatus, str], object]
    refresh: Callable[[str], None]
    forecaster: Forecaster
    call_s: float = 10.0
    shut_down_patience_s: float = 180.0  # how long a guest may take to shut down
    look_s: float = 1.0  # how often it looks by itself; events wake it at once


def at_once(executor: Executor) -> AtOnce:
    """How many moves the executor's queue lets run at the same time now."""
    limits = executor.control.limits
    return AtOnce(limits.outgoing, limits.incoming, limits.total)
