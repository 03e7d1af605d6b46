"""One domain on one simulated host: its documents, its state, its counters. Guarded by the cluster's lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from hpconsole.core.hypervisor.port import DomainRecord, JobStats, Stats
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.hypervisor.simulated.demand import Demand
from hpconsole.core.hypervisor.simulated.guests import inactive_xml
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Shutoff, State, Vcpu
from hpconsole.core.hypervisor.simulated.loads import Load, LoadCharacter

if TYPE_CHECKING:
    from hpconsole.core.hypervisor.simulated.migration import Migration

_OVERHEAD_KIB = 180_000  # of QEMU itself


@dataclass(slots=True)
class Domain:
    """What a host knows of a VM. Running if `live` is there; persistent if `definition` is."""

    demand: Demand
    character: LoadCharacter
    load: Load
    definition: str | None = None
    state: State = State.SHUTOFF
    reason: int = Shutoff.UNKNOWN
    autostart: bool = False
    migration: Migration | None = None  # the one it takes part in, on either side
    broken: Migration | None = None  # the one whose post-copy broke, on the source
    completed: JobStats | None = None
    dirty_rate_from_s: float | None = None  # when its dirty rate was last measured, and for how long
    dirty_rate_period_s: int = 0
    counted_s: float = 0.0  # what of its CPU time the host's own counters already hold
    _cpu_s: float = 0.0
    _counts_from: float | None = None
    started_s: float = 0.0
    _live: str | Callable[[], str] | None = None
    _stats: dict[str, int | str | float | bool] = field(default_factory=dict)

    @property
    def uuid(self) -> str:
        """Its key."""
        return self.demand.uuid

    @property
    def name(self) -> str:
        """Its name on this host."""
        return self.demand.name

    @property
    def is_active(self) -> bool:
        """Whether it has a QEMU process here."""
        return self._live is not None

    @property
    def live(self) -> str | None:
        """The live XML; None if it does not run."""
        if callable(self._live):
            self._live = self._live()
        return self._live

    @live.setter
    def live(self, xml: str | None) -> None:
        self._live = xml

    def be_live(self, make_xml: Callable[[], str]) -> None:
        """It runs; its live XML is made when somebody asks for it (a thousand VMs start at once)."""
        self._live = make_xml

    @property
    def document(self) -> str:
        """The live XML, or the definition if it does not run. Neither running nor defined does not exist."""
        return self.live or self.definition or ""

    @property
    def record(self) -> DomainRecord:
        """Its line in the host's list."""
        return DomainRecord(
            uuid=self.uuid,
            name=self.name,
            state=int(self.state),
            reason=int(self.reason),
            is_persistent=self.definition is not None,
            autostart=self.autostart,
        )

    def define(self, root: Element, demand: Demand) -> None:
        """Keep this as its definition; what runs goes on as it is."""
        self.definition = inactive_xml(root)
        if not self.is_active:
            self.demand = demand
            self._stats = {}

    def enter(self, state: State, reason: int, now_s: float) -> None:
        """Change its state; CPU time is counted only while it runs, and from nothing in a new QEMU process."""
        if self.state is State.SHUTOFF and state is not State.SHUTOFF:
            self._cpu_s, self.counted_s, self.started_s = 0.0, 0.0, now_s
        else:
            self._cpu_s = self.cpu_s(now_s)
        self._counts_from = self.load.busy_s(now_s) if state is State.RUNNING else None
        self.state, self.reason = state, reason
        self._stats = {}

    def cpu_s(self, now_s: float) -> float:
        """CPU seconds used by this QEMU process."""
        if self._counts_from is None:
            return self._cpu_s
        return self._cpu_s + self.load.busy_s(now_s) - self._counts_from

    def stats(self, now_s: float) -> Stats:
        """Its line of virConnectGetAllDomainStats, in libvirt's own keys."""
        if not self._stats:
            self._stats = self._constant_stats()
        if not self.is_active:
            return self._stats
        stats = self._stats.copy()
        cpu_ns = int(self.cpu_s(now_s) * 1e9)
        stats["cpu.time"] = cpu_ns
        stats["cpu.user"] = cpu_ns * 9 // 10
        stats["cpu.system"] = cpu_ns // 10
        for key, share in zip(_vcpu_time_keys(self.demand.vcpus), self.load.vcpu_shares, strict=False):
            stats[key] = int(cpu_ns * share)
        age = now_s - self.started_s
        for number in range(len(self.demand.networks)):
            stats[f"net.{number}.rx.bytes"] = int(self.load.rx_bytes_s * age)
            stats[f"net.{number}.tx.bytes"] = int(self.load.tx_bytes_s * age)
        stats["block.0.wr.bytes"] = int(self.load.write_bytes_s * age)
        stats["block.0.rd.bytes"] = int(self.load.write_bytes_s * age * 2)
        return stats

    def _constant_stats(self) -> dict[str, int | str | float | bool]:
        memory = self.demand.memory_kib
        stats: dict[str, int | str | float | bool] = {
            "state.state": int(self.state),
            "state.reason": int(self.reason),
            "balloon.maximum": memory,
            "vcpu.maximum": self.demand.vcpus,
        }
        if not self.is_active:
            return stats
        stats["balloon.current"] = memory
        stats["balloon.rss"] = int(memory * self.character.resident_share) + _OVERHEAD_KIB
        stats["balloon.available"] = memory * 98 // 100
        stats["balloon.unused"] = int(memory * (1 - self.character.resident_share))
        stats["vcpu.current"] = self.demand.vcpus
        for vcpu in range(self.demand.vcpus):
            stats[f"vcpu.{vcpu}.state"] = int(Vcpu.RUNNING)
        stats["net.count"] = len(self.demand.networks)
        for number in range(len(self.demand.networks)):
            stats[f"net.{number}.name"] = f"vnet{int(self.uuid[:4], 16) + number}"
        stats["block.count"] = 1
        stats["block.0.name"] = "vda"
        return stats


@lru_cache(maxsize=64)
def _vcpu_time_keys(vcpus: int) -> tuple[str, ...]:
    return tuple(f"vcpu.{vcpu}.time" for vcpu in range(vcpus))
