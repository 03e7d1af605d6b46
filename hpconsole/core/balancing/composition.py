"""Puts a watch together from the parts of a running console: the one place that knows how they fit."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hpconsole.core.availability.availability import Availability
from hpconsole.core.availability.guard import Guard, Means
from hpconsole.core.availability.leadership import LIFE_S, Leader
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.watch import Pace, Watch
from hpconsole.core.balancing.worth import Duration, assumed_duration
from hpconsole.core.host_status import HostDecision
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.model.host import HostStatus
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation


@dataclass(frozen=True, slots=True)
class Parts:
    """A running console, as far as a watch needs it. Every function may be called from any thread."""

    pool: ConnectionPool
    availability: Availability
    snapshot: Callable[[], ClusterSnapshot]
    policy: Callable[[], Policy]
    reservations: Callable[[], Sequence[Reservation]]
    submit: Callable[[Plan], None]
    decisions: Callable[[], Mapping[str, HostDecision]]
    decide: Callable[[str, HostStatus, str], None]
    tell: Callable[[str, str, str], None]  # severity, sentence, subject
    refresh: Callable[[str], None]
    reload: Callable[[], object] = lambda: None  # reads rules and policies that another console may have changed


def build_watch(
    parts: Parts,
    *,
    acts: bool = True,
    pace: Pace | None = None,
    life_s: float = LIFE_S,
    duration: Duration = assumed_duration,
    on_round: Callable[[RoundReport], None] = lambda _report: None,
) -> Watch:
    """A watch that is not started yet.

    Args:
        acts: False: dry run, recommends only.
        life_s: How long the lease of whoever acts lasts.
    """
    leader = Leader(
        parts.pool,
        identities=lambda: {host.name: host.uuid for host in parts.snapshot().hosts.values()},
        off=lambda: frozenset(parts.availability.off()),
        who=f"{socket.gethostname()}, process {os.getpid()}",
        life_s=life_s,
    )
    means = Means(
        pool=parts.pool,
        availability=parts.availability,
        snapshot=parts.snapshot,
        policy=parts.policy,
        reservations=parts.reservations,
        submit=parts.submit,
        decisions=parts.decisions,
        decide=parts.decide,
        tell=parts.tell,
        may_act=leader.may_act if acts else lambda: False,
        refresh=parts.refresh,
    )
    return Watch(
        leader,
        Guard(means),
        parts.availability.documents,
        snapshot=parts.snapshot,
        policy=parts.policy,
        reservations=parts.reservations,
        submit=parts.submit,
        tell=parts.tell,
        pace=pace,
        acts=acts,
        duration=duration,
        before_round=parts.reload,
        on_round=on_round,
    )
