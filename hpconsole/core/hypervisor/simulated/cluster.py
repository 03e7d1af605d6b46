"""The simulated cluster: an in-memory implementation of the port for `--demo`, what-if and tests.

It answers in libvirt's own XML, statistics and errors, so that everything that reads and edits them is the real code.
Deterministic: the same seed and the same clock give the same answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from hpconsole.core.errors import HostUnreachable
from hpconsole.core.hypervisor.machine_port import VolumeRecord
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.hypervisor.simulated import demo, large
from hpconsole.core.hypervisor.simulated.daemon import Daemon
from hpconsole.core.hypervisor.simulated.demand import read_demand
from hpconsole.core.hypervisor.simulated.guests import GuestModel, definition
from hpconsole.core.hypervisor.simulated.host import SCHEME, SimulatedHost, host_name
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Shutoff
from hpconsole.core.hypervisor.simulated.machines import HostModel
from hpconsole.core.hypervisor.simulated.world import World

_DISK_KIB = 20 * 1024**2


class SimulatedCluster:
    """Hosts and their VMs, and the faults that can befall them.

    Args:
        seed: Everything random follows from it.
        clock: Seconds, rising; tests drive their own. Nothing happens between two readings that a call could see.
        hosts: The machines, by unique names.
        guests: The VMs of each host, by the host's name.

    Threads: any. One thread of its own delivers events while somebody listens; `close` ends it.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        clock: Callable[[], float] = time.monotonic,
        hosts: Sequence[HostModel] = (),
        guests: Mapping[str, Sequence[GuestModel]] | None = None,
    ) -> None:
        self._world = World(seed, clock)
        for model in hosts:
            self._world.daemons[model.name] = Daemon(self._world, model)
        with self._world.lock:
            for host, models in (guests or {}).items():
                for guest in models:
                    self._add(self._world.daemons[host], guest)

    def _add(self, daemon: Daemon, guest: GuestModel) -> None:
        if guest.character is not None:
            self._world.characters[guest.uuid] = guest.character
        name = f"{guest.uuid[:8]}.qcow2"  # as `definition` names it
        disk = VolumeRecord(name, f"/srv/shared/{name}", "qcow2", _DISK_KIB, _DISK_KIB)
        self._world.volumes.setdefault(("", "shared"), {})[name] = disk
        root = definition(guest)
        daemon.define_parsed(root, read_demand(root))
        daemon.domains[guest.uuid].autostart = guest.autostart
        if guest.is_running:
            daemon.start(guest.uuid)

    @classmethod
    def demo(cls, seed: int = 1, *, clock: Callable[[], float] = time.monotonic) -> SimulatedCluster:
        """12 hosts of four topologies and 120 VMs, 30 of them high-performance or pinned."""
        return cls(seed=seed, clock=clock, hosts=demo.HOSTS, guests=demo.guests(seed))

    @classmethod
    def large(
        cls, hosts: int = 100, vms: int = 1000, seed: int = 1, *, clock: Callable[[], float] = time.monotonic
    ) -> SimulatedCluster:
        """Many hosts for benchmarks, with the VMs spread evenly, three of each ten pinned."""
        models = large.hosts(hosts)
        return cls(seed=seed, clock=clock, hosts=models, guests=large.guests(models, vms, seed))

    def uris(self) -> dict[str, str]:
        """The URI of each host by its name."""
        return {name: f"{SCHEME}{name}" for name in self._world.daemons}

    def open(self, uri: str) -> Hypervisor:
        """Open a connection to `sim://NAME`.

        Raises:
            HostUnreachable: there is no such host, or it is down; a frozen one blocks until it is thawed.
        """
        name = host_name(uri)
        with self._world.lock:
            daemon = self._world.daemons.get(name)
            if daemon is None:
                sentence = f"There is no simulated host at {uri}."
                raise HostUnreachable(sentence, detail=f"Unable to resolve address '{name}'", subject=uri)
            self._world.lock.wait_for(lambda: not daemon.is_frozen or daemon.is_crashed or self._world.is_closed)
            if daemon.is_crashed or self._world.is_closed:
                sentence = f"{name} does not answer: it is down."
                raise HostUnreachable(sentence, detail=f"unable to connect to server at '{name}': No route to host")
            return SimulatedHost(self._world, daemon, uri)

    # --- faults ------------------------------------------------------------------

    def fail_next_migration(self, vm_name: str, reason: str) -> None:
        """Let the next migration of this VM fail after its first pass, with this reason."""
        with self._world.lock:
            self._world.failures[vm_name] = reason

    def stall_next_migration(self, vm_name: str) -> None:
        """Let the next migration of this VM send nothing more from the middle of its first pass on."""
        with self._world.lock:
            self._world.stalls.add(vm_name)

    def freeze(self, host: str) -> None:
        """Let calls to this host block (SIGSTOP on its daemon); its VMs go on running."""
        with self._world.lock:
            self._world.advance()
            self._world.daemons[host].is_frozen = True

    def thaw(self, host: str) -> None:
        """Let a frozen host answer again; events it could not tell come now."""
        with self._world.lock:
            self._world.advance()
            daemon = self._world.daemons[host]
            daemon.is_frozen = False
            untold, daemon.untold = daemon.untold, []
            for event in untold:
                self._world.events.post(host, event)
            self._world.lock.notify_all()

    def crash(self, host: str) -> None:
        """Take the host's power: connections are lost, its VMs are gone (their definitions stay on its disk)."""
        with self._world.lock:
            self._world.advance()
            daemon = self._world.daemons[host]
            daemon.is_crashed, daemon.is_frozen = True, False
            for migration in list(self._world.migrations):
                if daemon in (migration.source, migration.destination):
                    migration.lose_host(daemon)
            for domain in list(daemon.domains.values()):
                if domain.is_active:
                    daemon.stop(domain, Shutoff.CRASHED, 2)
            daemon.untold = []
            self._world.lock.notify_all()

    def boot(self, host: str) -> None:
        """Give a crashed host its power back: it answers new connections, and starts its autostart VMs."""
        with self._world.lock:
            self._world.advance()
            daemon = self._world.daemons[host]
            if not daemon.is_crashed:
                return
            daemon.is_crashed = False
            daemon.boots += 1
            for domain in list(daemon.domains.values()):
                if domain.autostart and not domain.is_active:
                    daemon.start(domain.uuid)

    def cut_between(self, first: str, second: str) -> None:
        """Let two hosts' daemons not reach each other: peer-to-peer migrations between them are refused."""
        with self._world.lock:
            self._world.cuts.add(frozenset((first, second)))

    def heal_between(self, first: str, second: str) -> None:
        """Undo `cut_between`."""
        with self._world.lock:
            self._world.cuts.discard(frozenset((first, second)))

    def close(self) -> None:
        """Release every blocked call (they raise HostUnreachable) and end the event thread. Idempotent."""
        with self._world.lock:
            self._world.is_closed = True
            self._world.lock.notify_all()
        self._world.events.close()
