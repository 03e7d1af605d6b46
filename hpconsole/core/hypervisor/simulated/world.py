"""What all simulated hosts share: the lock, the clock, the migrations under way, the faults, the event thread.

Time moves only when somebody calls: `advance` brings everything to the present, event by event, so that the outcome
does not depend on how often it is called.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from hpconsole.core.hypervisor.port import DomainEvent, DomainEventKind
from hpconsole.core.hypervisor.simulated.event_thread import EventThread
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Lifecycle
from hpconsole.core.hypervisor.simulated.loads import LoadCharacter, character_of, load_of

if TYPE_CHECKING:
    from hpconsole.core.hypervisor.machine_port import VolumeRecord
    from hpconsole.core.hypervisor.simulated.daemon import Daemon
    from hpconsole.core.hypervisor.simulated.demand import Demand
    from hpconsole.core.hypervisor.simulated.domain import Domain
    from hpconsole.core.hypervisor.simulated.loads import Load
    from hpconsole.core.hypervisor.simulated.migration import Migration


class World:
    """Shared by the daemons of one cluster. Every attribute is guarded by `lock`, a condition for all changes."""

    def __init__(self, seed: int, clock: Callable[[], float]) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.seed = seed
        self.daemons: dict[str, Daemon] = {}
        self.migrations: list[Migration] = []
        self.cuts: set[frozenset[str]] = set()
        self.failures: dict[str, str] = {}  # VM name -> why its next migration fails
        self.stalls: set[str] = set()  # names of VMs whose next migration stalls
        self.volumes: dict[tuple[str, str], dict[str, VolumeRecord]] = {}  # by host (empty: on all) and pool
        self.characters: dict[str, LoadCharacter] = {}  # by UUID, where the name does not say it
        self.is_closed = False
        self.events = EventThread()
        self._clock = clock
        self._began = clock()
        self._at = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def now_s(self) -> float:
        """Seconds since the cluster began, as far as everything has been brought."""
        return self._at

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do this when so much time has passed."""
        heapq.heappush(self._timers, (self._at + seconds, next(self._order), action))

    def load_of(self, demand: Demand) -> tuple[LoadCharacter, Load]:
        """What a VM does and how busy it is: the same on whichever host it runs."""
        character = self.characters.get(demand.uuid) or character_of(demand.name)
        return character, load_of(self.seed, demand.uuid, demand.vcpus, character)

    def advance(self) -> None:
        """Bring timers and migrations to the present. Call with the lock held."""
        target = max(self._at, self._clock() - self._began)
        while True:
            steps = [(migration.next_event_s(), migration) for migration in self.migrations]
            wait, due = min(steps, key=lambda step: step[0], default=(float("inf"), None))
            at = self._at + wait
            if self._timers and self._timers[0][0] <= min(at, target):
                when, _, action = heapq.heappop(self._timers)
                self._run_until(when)
                action()
            elif due is not None and at <= target:
                self._run_until(at)
                due.fire()
            else:
                self._run_until(target)
                return

    def next_event_s(self) -> float:
        """Seconds until something happens by itself; infinite if nothing will."""
        waits = [migration.next_event_s() for migration in self.migrations]
        if self._timers:
            waits.append(self._timers[0][0] - self._at)
        return min(waits, default=float("inf"))

    def _run_until(self, at: float) -> None:
        seconds = max(0.0, at - self._at)
        # All at the rates of before: a migration that ends frees its share of the link only from then on.
        for migration, rate in [(migration, migration.rate) for migration in self.migrations]:
            migration.memory.run(seconds, rate)
        self._at = max(self._at, at)

    def tell(self, daemon: Daemon, kind: DomainEventKind, domain: Domain, detail: str = "") -> None:
        """Post an event of this host; one whose daemon is frozen tells it later."""
        event = DomainEvent(kind, domain.uuid, domain.name, detail)
        if daemon.is_crashed:
            return  # nobody is there to tell
        if daemon.is_frozen:
            daemon.untold.append(event)
        else:
            self.events.post(daemon.name, event)

    def tell_lifecycle(self, daemon: Daemon, domain: Domain, event: Lifecycle, detail: int) -> None:
        """Post a lifecycle event; definitions have kinds of their own."""
        kind = {
            Lifecycle.DEFINED: DomainEventKind.DEFINED,
            Lifecycle.UNDEFINED: DomainEventKind.UNDEFINED,
        }.get(event, DomainEventKind.LIFECYCLE)
        self.tell(daemon, kind, domain, f"{int(event)}:{detail}")
