"""How is each host: fit, reachable but not fit, or silent? Judged from one snapshot; asks nobody and changes nothing.

A silent host is *not responding*, which says nothing of its VMs: they may well run on. Only power that is provably off
(see `offs`) makes a host *off*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hpconsole.core.availability.settings import AvailabilitySettings
from hpconsole.core.model.affinity import ClusterSettings
from hpconsole.core.model.host import Host, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm


class HealthState(StrEnum):
    """What can be said of a host."""

    FIT = "fit"
    NON_OPERATIONAL = "non-operational"  # reachable, but something its VMs need is missing
    NOT_RESPONDING = "not responding"  # silent: nobody knows whether its VMs run
    OFF = "off"  # provably: the fence agent or an administrator says so
    UNKNOWN = "not known yet"


class TroubleKind(StrEnum):
    """Where the trouble is."""

    STORAGE = "storage"
    NETWORK = "network"
    DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that makes a host unfit. `what`: the pool, network or bridge; empty for the daemon."""

    kind: TroubleKind
    what: str
    sentence: str


@dataclass(frozen=True, slots=True)
class HostHealth:
    """The judgement about one host. `since`: from when on it did not answer (None: it answers, or never did)."""

    host: str
    state: HealthState
    troubles: tuple[Trouble, ...] = ()
    since: datetime | None = None
    sentence: str = ""

    def silent_s(self, now: datetime) -> float:
        """For how long it has not answered; 0 for one that answers."""
        return max(0.0, (now - self.since).total_seconds()) if self.since is not None else 0.0


def judge_all(
    snapshot: ClusterSnapshot, settings: AvailabilitySettings, off: Mapping[str, str] | None = None
) -> dict[str, HostHealth]:
    """Every host of a snapshot.

    Args:
        snapshot: What is known now.
        settings: What a host must have.
        off: Hosts that are provably off, each with the sentence that says who said so.
    """
    known = off or {}
    return {
        name: judge(host, snapshot.vms_on(name), snapshot.settings, settings, off=known.get(name, ""))
        for name, host in snapshot.hosts.items()
    }


def judge(
    host: Host, vms: Sequence[Vm], cluster: ClusterSettings, settings: AvailabilitySettings, *, off: str = ""
) -> HostHealth:
    """One host with the VMs that run on it.

    Args:
        off: The proof that it is off; it counts only as long as the host does not answer.
    """
    link = host.link
    if link.state is LinkState.REFUSED:
        sentence = f"{host.name} refuses this console. {link.problem}".strip()
        trouble = Trouble(TroubleKind.DAEMON, "", sentence)
        return HostHealth(host.name, HealthState.NON_OPERATIONAL, (trouble,), sentence=sentence)
    if link.state is not LinkState.CONNECTED:
        if off:
            return HostHealth(host.name, HealthState.OFF, since=link.answered_at or link.since, sentence=off)
        if link.state is LinkState.CONNECTING and link.answered_at is None:
            return HostHealth(host.name, HealthState.UNKNOWN, sentence=f"{host.name} has not answered yet.")
        sentence = f"{host.name} does not respond; whether its VMs run is not known. {link.problem}".strip()
        return HostHealth(
            host.name, HealthState.NOT_RESPONDING, since=link.answered_at or link.since, sentence=sentence
        )
    troubles = (*_storage(host, vms, settings), *_networks(host, vms, cluster), *_daemon(host))
    if not troubles:
        return HostHealth(host.name, HealthState.FIT)
    sentence = " ".join(trouble.sentence for trouble in troubles)
    return HostHealth(host.name, HealthState.NON_OPERATIONAL, troubles, sentence=sentence)


def _storage(host: Host, vms: Sequence[Vm], settings: AvailabilitySettings) -> list[Trouble]:
    """Pools that are asked for, or hold disks of VMs that run here, and are not active."""
    users: dict[str, list[str]] = {pool: [] for pool in settings.required_pools}
    for vm in vms:
        for disk in vm.devices.disks:
            pool, slash, _ = disk.source.partition("/")
            if disk.kind == "volume" and slash and pool:
                users.setdefault(pool, []).append(vm.name)
    missing = sorted(users.keys() - host.devices.storage_pools)
    return [
        Trouble(TroubleKind.STORAGE, pool, f"Storage pool {pool} is not active on {host.name}{_used_by(users[pool])}.")
        for pool in missing
    ]


def _networks(host: Host, vms: Sequence[Vm], cluster: ClusterSettings) -> list[Trouble]:
    networks: dict[str, list[str]] = {name: [] for name in cluster.required_networks}
    bridges: dict[str, list[str]] = {}
    for vm in vms:
        for nic in vm.devices.nics:
            if nic.kind == "network" and nic.source:
                if not cluster.only_required_networks or nic.source in cluster.required_networks:
                    networks.setdefault(nic.source, []).append(vm.name)
            elif nic.kind == "bridge" and nic.source:
                bridges.setdefault(nic.source, []).append(vm.name)
    found = [
        Trouble(TroubleKind.NETWORK, name, f"Network {name} is not active on {host.name}{_used_by(networks[name])}.")
        for name in sorted(networks.keys() - host.devices.networks)
    ]
    if host.devices.bridges:  # hosts without an interface driver tell no bridges at all
        found += [
            Trouble(TroubleKind.NETWORK, name, f"Bridge {name} is gone from {host.name}{_used_by(bridges[name])}.")
            for name in sorted(bridges.keys() - host.devices.bridges)
        ]
    return found


def _daemon(host: Host) -> list[Trouble]:
    """It is connected, and yet its polls fail."""
    if not host.link.problem:
        return []
    sentence = f"The libvirt daemon of {host.name} is in trouble: {host.link.problem}"
    return [Trouble(TroubleKind.DAEMON, "", sentence)]


def _used_by(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"; {', '.join(sorted(set(names))[:3])}{' and others' if len(set(names)) > 3 else ''} use it"
