"""Puts a watch together from the parts of a running console: the one place that knows how they fit."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from hpconsole.core.availability.guard import Guard, Means
from hpconsole.core.availability.leadership import LIFE_S, Leader
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.watch import Pace, Watch
from hpconsole.core.balancing.worth import Duration, assumed_duration


def build_watch(
    means: Means,
    *,
    acts: bool = True,
    pace: Pace | None = None,
    life_s: float = LIFE_S,
    duration: Duration = assumed_duration,
    reload: Callable[[], object] = lambda: None,
    on_round: Callable[[RoundReport], None] = lambda _report: None,
) -> Watch:
    """A watch that is not started yet.

    Args:
        acts: False: dry run, recommends only.
        life_s: How long the lease of whoever acts lasts.
        reload: Reads rules and policies that another console may have changed; called before each round.
    """
    leader = Leader(
        means.pool,
        identities=lambda: {host.name: host.uuid for host in means.snapshot().hosts.values()},
        off=lambda: frozenset(means.availability.off()),
        who=f"{socket.gethostname()}, process {os.getpid()}",
        life_s=life_s,
    )
    return Watch(
        leader,
        Guard(means, may_act=leader.may_act if acts else lambda: False),
        means.availability.documents,
        snapshot=means.snapshot,
        policy=means.policy,
        reservations=means.reservations,
        submit=means.submit,
        tell=means.tell,
        pace=pace,
        acts=acts,
        duration=duration,
        before_round=reload,
        on_round=on_round,
    )
