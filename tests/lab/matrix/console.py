"""A console as the matrix uses it: the App itself, its events kept, less patient than for people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from hpconsole.app import App
from hpconsole.core.events import Event, Notice, StepFinished, StepOutcome
from hpconsole.core.execution.journal import MigrationRecord
from hpconsole.core.execution.migration import Timings
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.plan import Plan
from tests.lab.commands import LabError

TIMINGS = Timings(poll_s=0.3, call_s=5.0, settle_s=3.0, patience_s=8.0, silence_s=60.0)
_READY_S = 90.0


class Console:
    """A started console whose hosts have answered."""

    def __init__(self, uris: Mapping[str, str], data: Path, *, wait_for_hosts: bool = True) -> None:
        """Start it, and wait for its hosts."""
        self._changed = threading.Condition()
        self.events: list[Event] = []
        self.app = App(uris, data=data, timings=TIMINGS)
        self.app.store.subscribe_events(self._add)
        self.app.start()
        if not self.app.wait_ready(60):
            raise LabError("the console did not start")
        if wait_for_hosts:
            self.until(lambda snapshot: all(_is_polled(snapshot, name) for name in uris), "a host is not polled")

    def _add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def until(self, check: Callable[[ClusterSnapshot], bool], complaint: str, *, seconds: float = _READY_S) -> None:
        """Wait for a snapshot that passes."""
        changed = threading.Event()
        stop = self.app.store.subscribe(lambda _snapshot: changed.set())
        try:
            deadline = time.monotonic() + seconds
            while not check(self.app.store.snapshot):
                if time.monotonic() > deadline:
                    raise LabError(f"{complaint} (waited {seconds:g} s): {self._in_short()}")
                changed.wait(0.2)
                changed.clear()
        finally:
            stop()

    def _in_short(self) -> str:
        snapshot = self.app.store.snapshot
        links = [f"{host.name} {host.link.state.value}" for host in snapshot.hosts.values()]
        vms = [f"{vm.name} {vm.state.value} on {vm.host}, migrating {vm.is_migrating}" for vm in snapshot.vms.values()]
        return "; ".join([*links, *vms])

    def plan(self, uuid: str, to: str | None) -> Plan:
        """A plan for this VM from what was polled."""

        def is_ready(snapshot: ClusterSnapshot) -> bool:
            vm = snapshot.vms.get(uuid)
            if vm is None or vm.host is None or not vm.state.is_active or vm.is_migrating:
                return False
            return _is_polled(snapshot, vm.host) and (to is None or _is_polled(snapshot, to))

        self.until(is_ready, "the VM is not seen running")
        return plan_migration(
            MigrationIntent((uuid,), to), self.app.store.snapshot, self.app.policy, self.app.reservations()
        )

    def ends(self) -> list[StepFinished]:
        """Every end of a step so far."""
        with self._changed:
            return [event for event in self.events if isinstance(event, StepFinished)]

    def notices(self) -> list[str]:
        """What it told besides."""
        with self._changed:
            return [event.sentence for event in self.events if isinstance(event, Notice)]

    def wait_for_end(self, seconds: float, *, number: int = 1) -> StepFinished | None:
        """The end of the step with this number (from 1); None where it does not come in this time."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.ends()) >= number, seconds)
        ends = self.ends()
        return ends[number - 1] if len(ends) >= number else None

    def wait_for_known_end(self, seconds: float) -> StepFinished | None:
        """The newest end, once one is more than "unknown"."""
        with self._changed:
            self._changed.wait_for(lambda: any(end.outcome is not StepOutcome.UNKNOWN for end in self.ends()), seconds)
        ends = self.ends()
        return ends[-1] if ends else None

    def open_records(self) -> tuple[MigrationRecord, ...]:
        """What its journal does not know the end of."""
        assert self.app.database is not None
        return self.app.database.journal.open_records()

    def close(self) -> None:
        """Close it."""
        self.app.close()


def _is_polled(snapshot: ClusterSnapshot, name: str) -> bool:
    host = snapshot.hosts.get(name)
    # the load of CPUs is known from the second round on
    return host is not None and host.link.state is LinkState.CONNECTED and host.usage.cpu_pct is not None
