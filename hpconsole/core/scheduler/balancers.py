"""Balancing: which VM should leave which host, and where it might go. Proposals with reasons; nothing is moved here.

Each proposal's hosts (the present one among them) are then ranked like any other decision, so a balancer never breaks
a rule. Only running VMs that may migrate automatically are proposed. Formulas: behaviour.md A7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hpconsole.core.model.vm import MigrationMode, Vm
from hpconsole.core.scheduler import cpu_load
from hpconsole.core.scheduler.columns import Bools, Floats, Ints, known
from hpconsole.core.scheduler.filters_cpu import HIGH_UTILIZATION, OVERLOAD_DURATION
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Parameter
from hpconsole.core.scheduler.weights_load import HIGH_FREE_MEMORY, LOW_FREE_MEMORY, MANAGER_GRACE, MIB, VCPU_RATIO

LOW_UTILIZATION = Parameter("LowUtilization", 20, 0, 49, "%", "CPU load below which a host is under-utilised.")
HIGH_VM_COUNT = Parameter("HighVmCount", 10, 0, None, "VMs", "Fewer VMs on the fullest host are never balanced.")
MIGRATION_THRESHOLD = Parameter("MigrationThreshold", 5, 2, None, "VMs", "By how many VMs hosts must differ.")


@dataclass(frozen=True, slots=True)
class Proposal:
    """Move this VM to one of these hosts (the present one is the last of them)."""

    vm_uuid: str
    hosts: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Balancer:
    """A way to balance. The question's VMs are all VMs of the cluster."""

    name: str
    proposals: Callable[[Question], Iterator[Proposal]]
    help: str
    parameters: tuple[Parameter, ...] = ()


def _value(question: Question, parameter: Parameter, default: float) -> float:
    value = question.parameter(parameter.name)
    return default if value is None else value


class _Limits:
    """The thresholds of one run."""

    def __init__(self, question: Question, *, memory_high: float) -> None:
        self.high_pct = _value(question, HIGH_UTILIZATION, question.config.balance_high_pct)
        self.low_pct = _value(question, LOW_UTILIZATION, question.config.low_utilization_pct)
        self.minutes = _value(question, OVERLOAD_DURATION, question.config.overload_duration_min)
        share = question.config.utilization_threshold_pct * self.high_pct / 100
        self.destination_pct = min(share, self.high_pct - 10)
        self.low_memory_mib = _value(question, LOW_FREE_MEMORY, 0)
        self.high_memory_mib = _value(question, HIGH_FREE_MEMORY, memory_high)


def settled(question: Question) -> Bools:
    """Hosts that take part: up, nobody on the way to or from them."""
    moving = [vm.host for vm in question.vms if vm.is_migrating and vm.host is not None]
    columns = question.columns
    quiet: Bools = columns.flag("is_candidate") & (columns.number("pending_vm_count") == 0) & ~columns.rows(moving)
    return quiet


class _Hosts:
    """What both balancers ask of the hosts."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.load = np.minimum(known(cpu_load.effective_load_pct(question)), 1e9)
        self.free_mib = question.columns.scheduling_kib / MIB
        self.vms = question.columns.number("vm_count")
        self.settled = settled(question)

    def overloaded(self, at_least: float, minutes: float) -> Ints:
        since = self.question.columns.number("overloaded_since_s")
        with np.errstate(invalid="ignore"):
            long_enough = self.question.now_s - since >= minutes * 60
        return self._busiest_first((self.load >= at_least) & long_enough & (self.vms > 0))

    def busy(self, at_least: float) -> Ints:
        return self._busiest_first((self.load >= at_least) & (self.vms > 0))

    def idle(self, below: float, *, vms: int = 0) -> Ints:
        rows = np.flatnonzero(self.settled & (self.load < below) & (self.vms >= vms))
        return rows[np.argsort(self.load[rows], kind="stable")]

    def above_vcpu_ratio(self, ratio: float) -> Ints:
        if ratio <= 0:
            return np.zeros(0, np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            full = self.question.columns.number("shared_vcpus") / cpu_load.shared_cpus(self.question) >= ratio
        return self._busiest_first(full & (self.vms > 0))

    def little_memory(self, below_mib: float, *, vms: int) -> Ints:
        rows = np.flatnonzero(self.settled & (self.free_mib < below_mib) & (self.vms >= vms))
        return rows[np.argsort(self.free_mib[rows], kind="stable")]

    def much_memory(self, above_mib: float, *, vms: int = 0) -> Ints:
        rows = np.flatnonzero(self.settled & (self.free_mib > above_mib) & (self.vms >= vms))
        return rows[np.argsort(-self.free_mib[rows], kind="stable")]

    def _busiest_first(self, chosen: Bools) -> Ints:
        rows = np.flatnonzero(self.settled & chosen)
        return rows[np.argsort(-self.load[rows], kind="stable")]


def _moves(question: Question, sources: Ints, destinations: Ints, limits: _Limits, reason: str) -> Iterator[Proposal]:
    """For each source, its VMs from least to most busy with the destinations that stay within the limits."""
    load, cpus = cpu_load.shared_load(question), cpu_load.shared_cpus(question)
    free_mib = question.columns.scheduling_kib / MIB
    for source in sources.tolist():
        host = question.account(source).name
        for vm in sorted(_movable(question, host), key=question.load_pct):
            taken = cpu_load.exclusive_cpus_needed(question, vm)
            added = question.load_pct(vm) if question.own_demand(vm) is None else 0.0
            fits = _stays_calm(load + added, cpus - taken, limits.high_pct)
            fits &= free_mib - vm.memory_kib / MIB > limits.low_memory_mib
            names = [question.account(row).name for row in destinations.tolist() if row != source and fits[row]]
            if names:
                yield Proposal(vm.uuid, (*names, host), f"{host} {reason}")


def _stays_calm(load: Floats, cpus: Floats, high_pct: float) -> Bools:
    with np.errstate(divide="ignore", invalid="ignore"):
        calm: Bools = (cpus > 0) & (np.ceil(load / cpus) <= high_pct)
    return calm


def _movable(question: Question, host: str) -> list[Vm]:
    return [
        vm
        for vm in question.vms
        if vm.is_running_somewhere
        and vm.host == host
        and not vm.is_migrating
        and vm.intent.migration_mode is MigrationMode.AUTOMATIC
    ]


def _even(question: Question) -> Iterator[Proposal]:
    hosts = _Hosts(question)
    limits = _Limits(question, memory_high=0)
    ratio = _value(question, VCPU_RATIO, 0)
    sources = hosts.overloaded(limits.high_pct, limits.minutes)
    crowded = hosts.above_vcpu_ratio(ratio)
    sources = np.concatenate([sources, crowded[~np.isin(crowded, sources)]])
    reason = f"is over {limits.high_pct:g} % busy"
    yield from _moves(question, sources, hosts.idle(limits.destination_pct), limits, reason)
    short = hosts.little_memory(limits.low_memory_mib, vms=2)
    reason = f"has less than {limits.low_memory_mib:g} MiB left"
    yield from _moves(question, short, hosts.much_memory(limits.high_memory_mib), limits, reason)


def _saving(question: Question) -> Iterator[Proposal]:
    hosts = _Hosts(question)
    limits = _Limits(question, memory_high=float("inf"))
    busy = hosts.busy(limits.destination_pct)
    idle = hosts.idle(limits.low_pct, vms=1)
    others = hosts.idle(limits.destination_pct)[::-1]
    yield from _moves(question, busy, others, limits, f"is over {limits.destination_pct:g} % busy")
    yield from _moves(question, idle, others, limits, f"is under {limits.low_pct:g} % busy and could be emptied")
    short = hosts.little_memory(limits.low_memory_mib, vms=2)
    empty = hosts.much_memory(limits.high_memory_mib, vms=1)
    rest = hosts.much_memory(limits.low_memory_mib)[::-1]
    yield from _moves(question, short, rest, limits, f"has less than {limits.low_memory_mib:g} MiB left")
    yield from _moves(question, empty, rest, limits, "has much memory left and could be emptied")


def _guests(question: Question) -> Iterator[Proposal]:
    columns = question.columns
    grace = columns.number("is_manager") * _value(question, MANAGER_GRACE, MANAGER_GRACE.default)
    slots = columns.number("vm_count") + columns.number("pending_vm_count") + grace
    slots = np.where(settled(question), slots, np.nan)
    if not np.isfinite(slots).any() or np.nanmax(slots) < _value(question, HIGH_VM_COUNT, HIGH_VM_COUNT.default):
        return
    fullest = int(np.nanargmax(slots))
    apart = _value(question, MIGRATION_THRESHOLD, MIGRATION_THRESHOLD.default)
    emptier = np.flatnonzero(slots <= slots[fullest] - apart)
    names = [columns.names[row] for row in emptier[np.argsort(slots[emptier], kind="stable")].tolist()]
    host = columns.names[fullest]
    if names:
        for vm in sorted(_movable(question, host), key=question.load_pct):
            yield Proposal(vm.uuid, (*names, host), f"{host} has {slots[fullest]:g} VMs, others {apart:g} fewer")


EVEN = Balancer(
    "OptimalForEvenDistribution",
    _even,
    "CPU load and memory alike on all hosts.",
    (HIGH_UTILIZATION, OVERLOAD_DURATION, VCPU_RATIO, LOW_FREE_MEMORY, HIGH_FREE_MEMORY),
)
SAVING = Balancer(
    "OptimalForPowerSaving",
    _saving,
    "Few busy hosts, the rest empty.",
    (HIGH_UTILIZATION, LOW_UTILIZATION, OVERLOAD_DURATION, LOW_FREE_MEMORY, HIGH_FREE_MEMORY),
)
GUESTS = Balancer(
    "OptimalForEvenGuestDistribution",
    _guests,
    "As many VMs on each host.",
    (HIGH_VM_COUNT, MIGRATION_THRESHOLD, MANAGER_GRACE),
)
NONE = Balancer("None", lambda _question: iter(()), "No balancing.")
ALL = (NONE, EVEN, SAVING, GUESTS)
BY_NAME = {unit.name: unit for unit in ALL}
