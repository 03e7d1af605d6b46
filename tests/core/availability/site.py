"""Three simulated hosts, a console that polls them, and a guard that looks when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hpconsole.app import App
from hpconsole.core.availability.guard import Guard, Means
from hpconsole.core.hypervisor.intent_xml import format_intent
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.large import hosts as some_hosts
from hpconsole.core.hypervisor.simulated.machines import HostModel
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.vm import VmIntent
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.reservations import Reservation
from tests.changes import Changes

HA = VmIntent(high_availability=True)
A, B, C = "host-01", "host-02", "host-03"
UUIDS = {name: f"00000000-0000-4000-8000-00000000000{number}" for number, name in enumerate(("bank", "shop", "toy"))}


def guest(name: str, intent: VmIntent = HA, **changes: object) -> GuestModel:
    model = GuestModel(
        name, UUIDS[name], 2, 2 * 1024 * 1024, metadata=format_intent(intent), cpu_model="qemu64", networks=()
    )
    return replace(model, **changes)  # type: ignore[arg-type]  # a builder


class Site:
    """Three simulated hosts, a console that polls them, and a guard that the test lets look."""

    def __init__(
        self,
        guests: dict[str, list[GuestModel]],
        *,
        models: tuple[HostModel, ...] = (),
        documents: Any = None,
        cluster: SimulatedCluster | None = None,
    ) -> None:
        self.cluster = cluster or SimulatedCluster(hosts=models or some_hosts(3), guests=guests)
        self.before_start: Callable[[str], None] = lambda _host: None  # may raise what the host answers
        self.promised: list[Reservation] = []
        self.app = App(self.cluster.uris(), opener=self._open, interval_s=0.05)
        if documents is not None:
            self.app._documents = documents  # another console on the same database
        self.told: list[str] = []
        self.submitted: list[Plan] = []
        self.may_act = True
        self.answers: list[bool] = []  # to the next questions whether this console leads; then `may_act`
        self.now_s = 0.0
        self._changes = Changes(self.app.store)
        self.app.start()
        assert self.app.wait_ready(20)
        self.documents = self.app.availability.documents
        self.guard = Guard(
            Means(
                pool=self.app.pool,
                availability=self.app.availability,
                snapshot=lambda: self.app.store.snapshot,
                policy=lambda: self.app.policy,
                reservations=lambda: tuple(self.promised),
                submit=self.submitted.append,
                decisions=self.app.statuses.all,
                decide=self.app.set_host_status,
                tell=lambda _severity, sentence, _subject: self.told.append(sentence),
                refresh=self.app.poller.refresh,
            ),
            may_act=lambda: self.answers.pop(0) if self.answers else self.may_act,
            clock=lambda: self.now_s,
            now=lambda: datetime.now(UTC) + timedelta(seconds=self.now_s),
        )
        self.until(lambda: all(self.is_known(name) for name in self.cluster.uris()))
        self.guard.look()

    def is_known(self, name: str) -> bool:
        """Whether it answers, or cannot (a console that starts after the loss)."""
        return self.link(name) in (LinkState.CONNECTED, LinkState.DISCONNECTED)

    def _open(self, uri: str) -> Hypervisor:
        opened = self.cluster.open(uri)
        start, host = opened.start, uri.rpartition("/")[2] or uri.rpartition("//")[2]

        def begin(uuid: str, *, paused: bool = False) -> None:
            self.before_start(host)
            start(uuid, paused=paused)

        vars(opened)["start"] = begin
        return opened

    def until(self, is_wanted: Callable[[], bool]) -> None:
        self._changes.until(is_wanted, lambda: (self.told, [self.link(name) for name in self.cluster.uris()]))

    def link(self, name: str) -> LinkState | None:
        host = self.app.store.snapshot.hosts.get(name)
        return host.link.state if host is not None else None

    def crash(self, name: str) -> None:
        self.cluster.crash(name)
        self.until(lambda: self.link(name) is LinkState.DISCONNECTED)

    def running(self, name: str) -> list[str]:
        """Where it runs, as the hosts themselves say."""
        found = []
        for host, uri in self.cluster.uris().items():
            if self.link(host) is LinkState.CONNECTED:
                connection = self.cluster.open(uri)
                records = {record.name: record.state for record in connection.sample().domains}
                connection.close()
                found += [host] if records.get(name) == 1 else []
        return found

    def look(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.guard.look()

    def close(self) -> None:
        self.app.close()
        self.cluster.close()
