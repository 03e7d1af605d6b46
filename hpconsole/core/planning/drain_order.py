"""In which order, how many at once, and how loaded the hosts are before and after each step. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.drain import USUAL, AtOnce, DrainAction, DrainIntent, DrainItem, HostLoad, StepLoad
from hpconsole.core.scheduler.needs import memory_need


def arranged(
    items: Sequence[DrainItem],
    intent: DrainIntent,
    snapshot: ClusterSnapshot,
    asides: Mapping[str, tuple[str, ...]],
    at_once: AtOnce = USUAL,
) -> tuple[tuple[DrainItem, ...], tuple[StepLoad, ...]]:
    """The items in order with their waves, and the loads of each step.

    The administrator's order first; then by priority, then the most demanding. Who steps aside goes before whom it
    makes room for (`asides`: VM -> those before it). Shutting down comes last: only once the others have left.
    """
    ordered = _ordered(items, intent, snapshot, asides)
    waves = _waves(ordered, asides, at_once)
    numbered = tuple(replace(item, wave=waves.get(item.vm_uuid, 0)) for item in ordered)
    acting = [item for item in numbered if item.wave]
    idle = [item for item in numbered if not item.wave]
    acting.sort(key=lambda item: item.wave)
    return (*acting, *idle), _loads(acting, snapshot)


def _ordered(
    items: Sequence[DrainItem],
    intent: DrainIntent,
    snapshot: ClusterSnapshot,
    asides: Mapping[str, tuple[str, ...]],
) -> list[DrainItem]:
    wished = {uuid: i for i, uuid in enumerate(intent.order)}
    kinds = list(DrainAction)
    first = {uuid for before in asides.values() for uuid in before}

    def key(item: DrainItem) -> tuple[object, ...]:
        vm = snapshot.vms[item.vm_uuid]
        return (
            kinds.index(item.action),
            item.vm_uuid not in first,
            wished.get(item.vm_uuid, len(wished)),
            -vm.intent.priority,
            not item.is_special,
            -vm.memory_kib,
            item.vm_name,
            item.vm_uuid,
        )

    return sorted(items, key=key)


def _waves(ordered: Sequence[DrainItem], asides: Mapping[str, tuple[str, ...]], at_once: AtOnce) -> dict[str, int]:
    """The earliest wave of each item within the limits and after those that make room for it."""
    waves: dict[str, int] = {}
    outgoing: Counter[tuple[int, str]] = Counter()
    incoming: Counter[tuple[int, str]] = Counter()
    total: Counter[int] = Counter()
    for item in ordered:
        if item.action is not DrainAction.MOVE:
            continue
        wave = 1 + max((waves.get(uuid, 0) for uuid in asides.get(item.vm_uuid, ())), default=0)
        destination = item.destination or ""
        while (
            outgoing[wave, item.source] >= at_once.outgoing
            or incoming[wave, destination] >= at_once.incoming
            or total[wave] >= at_once.total
        ):
            wave += 1
        waves[item.vm_uuid] = wave
        outgoing[wave, item.source] += 1
        incoming[wave, destination] += 1
        total[wave] += 1
    last = max(waves.values(), default=0)
    for item in ordered:
        if item.action in (DrainAction.SHUT_DOWN, DrainAction.POWER_OFF):
            waves[item.vm_uuid] = last + 1
    return waves


@dataclass(slots=True)
class _Book:
    """One host's load while the steps are gone through."""

    name: str
    memory_kib: float | None
    threads: int
    vms: int
    promised_kib: float
    cpu_pct: float | None
    own_cpus: int

    def now(self) -> HostLoad:
        memory = 100.0 * self.promised_kib / self.memory_kib if self.memory_kib else None
        cpu = None if self.cpu_pct is None else max(0.0, self.cpu_pct)
        return HostLoad(self.name, self.vms, memory, cpu, self.own_cpus)

    def add(self, vm: Vm, sign: int, cpu_of_vm_pct: float | None, own_cpus: int) -> None:
        self.vms += sign
        self.promised_kib += sign * _memory_kib(vm)
        self.own_cpus += sign * own_cpus
        if self.cpu_pct is not None and cpu_of_vm_pct is not None and self.threads:
            self.cpu_pct += sign * cpu_of_vm_pct / self.threads


def _memory_kib(vm: Vm) -> float:
    need = memory_need(vm)
    return need.total_kib + sum(size * count for size, count in need.pages.items())


def _loads(acting: Sequence[DrainItem], snapshot: ClusterSnapshot) -> tuple[StepLoad, ...]:
    books: dict[str, _Book] = {}

    def book(name: str) -> _Book:
        if name not in books:
            host, vms = snapshot.hosts[name], snapshot.vms_on(name)
            books[name] = _Book(
                name,
                host.memory_kib,
                len(host.topology.cpus),
                len(vms),
                sum(_memory_kib(vm) for vm in vms),
                host.usage.cpu_pct,
                sum(len(vm.pinning.all_vcpu_cpus) for vm in vms if vm.intent.cpu_pinning_policy.is_exclusive),
            )
        return books[name]

    steps: list[StepLoad] = []
    for item in acting:
        vm = snapshot.vms[item.vm_uuid]
        touched = [book(name) for name in (item.source, item.destination) if name is not None]
        before = tuple(one.now() for one in touched)
        load = snapshot.loads.get(vm.uuid)
        cpu = load.cpu_pct if load is not None else None
        exclusive = vm.intent.cpu_pinning_policy.is_exclusive
        touched[0].add(vm, -1, cpu, len(vm.pinning.all_vcpu_cpus) if exclusive else 0)
        if len(touched) > 1 and item.placement is not None:
            touched[1].add(vm, 1, cpu, len(item.placement.pinning.all_vcpu_cpus) if exclusive else 0)
        steps.append(StepLoad(item.vm_uuid, before, tuple(one.now() for one in touched)))
    return tuple(steps)
