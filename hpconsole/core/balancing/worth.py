"""Does a move pay for itself? What it brings against what it costs, in one unit: percent of a host's CPU x seconds.

*Gain*: by how much the busier of the two hosts is relieved (its CPU load, or the memory it is short of), held for the
time the VM will then be left alone. *Cost*: what copying the guest takes on both hosts, for as long as it is expected
to take. Both are estimates; a move has to bring several times its cost, so that noise moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.forecast import Forecast, Verdict
from hpconsole.core.scheduler import cpu_load
from hpconsole.core.scheduler.question import Question

LEAST_GAIN_PCT = 2.0  # of the busier host; less is noise
FACTOR = 3.0  # so many times its cost a move has to bring
_BUSY_PCT = 75.0  # where the policy says nothing, as in the reference
_ASSUMED_MIB_S = 110.0  # one Gbit/s, where nothing better is known
_COPYING_CPUS = 1.5  # QEMU's migration thread, and what the network takes, on each side

# Seconds a migration is expected to take from host to host; None = it is not expected to end.
Duration = Callable[[Vm, str, str], float | None]


def assumed_duration(vm: Vm, _source: str, _destination: str) -> float | None:
    """All memory once over a slow network, with two seconds around it."""
    return 2.0 + vm.memory_kib / 1024 / _ASSUMED_MIB_S


def foreseen(known_forecast: Callable[[str, str], Forecast | None]) -> Duration:
    """What the forecast expects of a VM's migration to a host, from what is known already."""

    def duration(vm: Vm, source: str, destination: str) -> float | None:
        forecast = known_forecast(vm.uuid, destination)
        if forecast is None:
            return assumed_duration(vm, source, destination)
        return None if forecast.verdict is Verdict.DOES_NOT_CONVERGE else forecast.total_s

    return duration


@dataclass(frozen=True, slots=True)
class Worth:
    """`gain_pct` and `duration_s` are what `gain` and `cost` were made of."""

    gain: float
    cost: float
    gain_pct: float
    duration_s: float | None
    sentence: str

    @property
    def pays(self) -> bool:
        """Whether the move should be made."""
        return self.duration_s is not None and self.gain_pct >= LEAST_GAIN_PCT and self.gain >= FACTOR * self.cost


class Judge:
    """Judges moves of one round. The question's VMs are all running VMs of the cluster."""

    def __init__(self, question: Question, balancer: str, *, rest_s: float, duration: Duration) -> None:
        self._question = question
        self._balancer = balancer
        self._rest_s = rest_s
        self._duration = duration
        self._durations: dict[str, float | None] = {}
        self._load = cpu_load.shared_load(question)
        self._cpus = cpu_load.shared_cpus(question)

    def busy_pct(self, host: str) -> float:
        """How busy a host's shared CPUs are now."""
        row = self._question.columns.row_of[host]
        return float(self._share(self._load[row], row))

    def judge(self, vm: Vm, source: str, destination: str) -> Worth:
        """What moving this VM brings and costs."""
        rows = self._question.columns.row_of
        here, there = rows[source], rows[destination]
        gain_pct = self._gain_pct(vm, here, there)
        duration_s = self._expected_s(vm, source, destination)
        if duration_s is None:
            return Worth(0, 0, gain_pct, None, f"moving {vm.name} is not expected to end: it writes memory too fast")
        both = [self._cpus[row] for row in (here, there) if self._cpus[row] > 0]
        cost_pct = sum(_COPYING_CPUS * 100 / cpus for cpus in both)
        gain, cost = gain_pct * self._rest_s, cost_pct * duration_s
        sentence = (
            f"moving {vm.name} relieves {source} by {gain_pct:.1f} points for at least {self._rest_s / 60:.0f} min "
            f"and takes {duration_s:.0f} s of copying at {cost_pct:.1f} points"
        )
        return Worth(float(gain), float(cost), float(gain_pct), duration_s, sentence)

    def _expected_s(self, vm: Vm, source: str, destination: str) -> float | None:
        """Asked once per VM: paths differ little beside what guests do, and there may be many hosts."""
        if vm.uuid not in self._durations:
            self._durations[vm.uuid] = self._duration(vm, source, destination)
        return self._durations[vm.uuid]

    def _gain_pct(self, vm: Vm, here: int, there: int) -> float:
        if self._balancer == "OptimalForEvenGuestDistribution":
            counts = self._question.columns.number("vm_count")
            apart = counts[here] - counts[there] - 1
            return float(100 * apart / max(1.0, counts[here]))
        cpu = self._relief(self._load_shares(vm, here, there))
        memory = self._relief(self._memory_shares(vm, here, there))
        if self._balancer == "OptimalForPowerSaving" and self._is_idle(here):
            # an emptied host may be switched off: each of its VMs brings its part of that
            return float(100 / max(1.0, self._question.columns.number("vm_count")[here]))
        # a host whose CPUs are the trouble is not helped by memory
        return cpu if self._is_busy(here) else max(cpu, memory)

    def _is_busy(self, row: int) -> bool:
        limit = self._question.parameter("HighUtilization")
        return bool(self._share(self._load[row], row) >= (_BUSY_PCT if limit is None else limit) - 10)

    def _is_idle(self, row: int) -> bool:
        limit = self._question.parameter("LowUtilization")
        return bool(self._share(self._load[row], row) < (20.0 if limit is None else limit))

    def _load_shares(self, vm: Vm, here: int, there: int) -> tuple[float, float, float, float]:
        added = self._question.load_pct(vm) if self._question.own_demand(vm) is None else 0.0
        return (
            self._share(self._load[here], here),
            self._share(self._load[there], there),
            self._share(self._load[here] - added, here),
            self._share(self._load[there] + added, there),
        )

    def _memory_shares(self, vm: Vm, here: int, there: int) -> tuple[float, float, float, float]:
        columns = self._question.columns
        total, free = columns.number("memory_kib"), columns.scheduling_kib
        with np.errstate(divide="ignore", invalid="ignore"):
            used = 100 * (1 - free / total)
            moved = 100 * vm.memory_kib / total
        values = (used[here], used[there], used[here] - moved[here], used[there] + moved[there])
        return values if all(np.isfinite(values)) else (0.0, 0.0, 0.0, 0.0)

    def _share(self, load: float, row: int) -> float:
        return load / self._cpus[row] if self._cpus[row] > 0 else 0.0

    @staticmethod
    def _relief(shares: tuple[float, float, float, float]) -> float:
        """By how much the busier of both is less busy afterwards; negative where the other one becomes busier."""
        before_here, before_there, after_here, after_there = shares
        return max(before_here, before_there) - max(after_here, after_there)
