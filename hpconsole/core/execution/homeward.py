"""Which VMs can go back to where they came from: what the journal knows, put to `planning.return_home`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from hpconsole.core.events import StepOutcome
from hpconsole.core.execution.journal import MigrationRecord
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.drain_items import Forecaster, no_forecast
from hpconsole.core.planning.plan import Plan
from hpconsole.core.planning.return_home import Move, from_host, homes, return_home
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation


def finished_moves(records: Iterable[MigrationRecord], *, since: datetime | None = None) -> tuple[Move, ...]:
    """The moves that were proven, newest first.

    Args:
        records: newest first, as `Journal.records` gives them.
        since: only moves that began then or later.
    """
    return tuple(
        Move(record.vm_uuid, record.source, record.destination, KnownBefore.from_json(record.facts).home)
        for record in records
        if record.outcome is StepOutcome.DONE
        and (since is None or (record.created_at is not None and record.created_at >= since))
    )


def plan_home(
    records: Iterable[MigrationRecord],
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation] = (),
    *,
    hosts: Sequence[str] = (),
    since: datetime | None = None,
    forecaster: Forecaster = no_forecast,
) -> Plan:
    """A plan that takes VMs back to where they came from; it may be empty, and its warnings say what cannot go.

    Args:
        records: newest first, as `Journal.records` gives them.
        hosts: only the VMs that left these hosts, back to them; none: every VM to where its moves began.
        since: as in `finished_moves`.
        forecaster: Duration and downtime of one move.

    Threads: any; takes some milliseconds per VM and thousand hosts.
    """
    moves = finished_moves(records, since=since)
    goals = homes(moves) if not hosts else {}
    for host in reversed(hosts):
        goals |= from_host(moves, host)
    plan = return_home(snapshot, goals.values(), policy, reservations)
    steps = (
        replace(step, forecast=forecaster(snapshot.vms[step.vm_uuid], step.source, step.destination))
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))
