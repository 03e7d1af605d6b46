"""A clock that tests drive, and a migration on a thread of its own that follows it."""

from __future__ import annotations

import threading

from hpconsole.core.errors import HypervisorError
from hpconsole.core.hypervisor.port import DomainEvent, Hypervisor, JobStats, MigrationRequest


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class EventLog:
    """Collects a host's events and waits for one."""

    def __init__(self, *hosts: Hypervisor) -> None:
        self.events: list[DomainEvent] = []
        self._changed = threading.Condition()
        self._stops = [host.listen(self._add) for host in hosts]

    def _add(self, event: DomainEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, kind: str, detail: str | None = None, *, seconds: float = 5) -> bool:
        """Whether such an event came in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: any(event.kind == kind and detail in (None, event.detail) for event in self.events), seconds
            )

    def told(self) -> list[tuple[str, str]]:
        with self._changed:
            return [(event.kind.value, event.detail) for event in self.events]

    def close(self) -> None:
        for stop in self._stops:
            stop()


class Move:
    """A migrate() call on its own thread."""

    def __init__(
        self, source: Hypervisor, uuid: str, request: MigrationRequest, destination: Hypervisor | None = None
    ) -> None:
        self.error: HypervisorError | None = None
        self._source, self._uuid, self._request, self._destination = source, uuid, request, destination
        self._thread = threading.Thread(target=self._run, name="move", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._source.migrate(self._uuid, self._request, self._destination)
        except HypervisorError as error:
            self.error = error

    @property
    def is_blocked(self) -> bool:
        return self._thread.is_alive()

    def end(self, seconds: float = 5) -> HypervisorError | None:
        """Wait for the call to return; its error."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "migrate() did not return"
        return self.error


def uuid_of(host: Hypervisor, name: str) -> str:
    return next(record.uuid for record in host.sample().domains if record.name == name)


def follow(clock: FakeClock, source: Hypervisor, uuid: str, step_s: float) -> list[JobStats]:
    """Job statistics every `step_s` of the clock until there is no job any more; needs a migration that has begun."""
    seen: list[JobStats] = []
    for _ in range(10_000):
        try:
            stats = source.job_stats(uuid)
        except HypervisorError:
            return seen
        if stats.job_type == 0:
            return seen
        seen.append(stats)
        clock.advance(step_s)
    raise AssertionError("the migration never ended")
