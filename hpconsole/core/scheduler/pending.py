"""Pending resources: what scheduled VMs will take on their hosts until they are seen running there.

One record for each kind and VM (huge pages: and host and page size; node memory: and host and node); adding the same
again replaces it. The kinds and what each is worth are the reference's (behaviour.md A3). A ledger is a value: every
change gives a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hpconsole.core.model.vm import CpuPinningPolicy, NumaMode, Vm
from hpconsole.core.scheduler.needs import cores, load_pct, memory_need
from hpconsole.core.scheduler.reservations import Reservation


class PendingKind(StrEnum):
    """The kinds of record."""

    VM = "vm"
    CPU_CORES = "cpu_cores"
    MEMORY = "memory"  # static overhead: physical memory taken at once
    OVERCOMMIT_MEMORY = "overcommit_memory"
    CPU_PINNING = "cpu_pinning"
    CPU_LOAD = "cpu_load"
    NUMA_MEMORY = "numa_memory"
    HUGE_PAGES = "huge_pages"


_SEVERAL = (PendingKind.NUMA_MEMORY, PendingKind.HUGE_PAGES)


@dataclass(frozen=True, slots=True)
class PendingRecord:
    """One record. Only the fields of its kind are set; memory in KiB, load in percent of one CPU."""

    kind: PendingKind
    host: str
    vm_uuid: str
    cpus: int = 0
    cores: int = 0
    memory_kib: int = 0
    cpu_bits: int = 0
    load_pct: float = 0.0
    node_id: int | None = None
    page_kib: int | None = None
    pages: int = 0
    policy: CpuPinningPolicy = CpuPinningPolicy.NONE

    @property
    def key(self) -> tuple[str, str, str, int | None, int | None]:
        """What makes two records the same: a VM has one of each kind, of pages and node memory several on a host."""
        host = self.host if self.kind in _SEVERAL else ""
        return (self.kind, host, self.vm_uuid, self.node_id, self.page_kib)


@dataclass(frozen=True, slots=True)
class PendingResources:
    """The ledger."""

    records: Mapping[tuple[str, str, str, int | None, int | None], PendingRecord] = field(default_factory=dict)

    def add(self, *records: PendingRecord) -> PendingResources:
        """With these records; a record of the same key is replaced."""
        return PendingResources(dict(self.records) | {record.key: record for record in records})

    def clear_vm(self, vm_uuid: str) -> PendingResources:
        """Without what this VM was promised, on every host. Clearing twice is no error."""
        return PendingResources({key: record for key, record in self.records.items() if record.vm_uuid != vm_uuid})

    def clear_host(self, host: str) -> PendingResources:
        """Without what was promised on this host."""
        return PendingResources({key: record for key, record in self.records.items() if record.host != host})

    def on(self, host: str, kind: PendingKind) -> list[PendingRecord]:
        """The records of a kind on a host, oldest first."""
        return [record for record in self.records.values() if record.host == host and record.kind is kind]

    def vms_on(self, host: str) -> tuple[str, ...]:
        """The VMs about to be on this host."""
        return tuple(record.vm_uuid for record in self.on(host, PendingKind.VM))

    def cpus_on(self, host: str) -> int:
        """How many vCPUs are about to run there."""
        return sum(record.cpus for record in self.on(host, PendingKind.CPU_CORES))

    def shared_cores_on(self, host: str) -> int:
        """Cores of the largest shared VM about to run there."""
        shared = [r.cores for r in self.on(host, PendingKind.CPU_CORES) if not r.policy.is_exclusive]
        return max(shared, default=0)

    def memory_on(self, host: str) -> int:
        """Static overhead about to be taken, KiB."""
        return sum(record.memory_kib for record in self.on(host, PendingKind.MEMORY))

    def pages_on(self, host: str) -> dict[int, int]:
        """Huge pages promised there, by page SIZE (the reference's memory filter looks them up by count)."""
        pages: dict[int, int] = {}
        for record in self.on(host, PendingKind.HUGE_PAGES):
            size = record.page_kib or 0
            pages[size] = pages.get(size, 0) + record.pages
        return pages

    def load_on(self, host: str) -> float:
        """CPU load of shared VMs about to run there, percent of one CPU."""
        return sum(r.load_pct for r in self.on(host, PendingKind.CPU_LOAD) if not r.policy.is_exclusive)

    def hosts_of(self, vm_uuid: str) -> tuple[str, ...]:
        """Where a VM is about to be."""
        return tuple(
            record.host
            for record in self.records.values()
            if record.vm_uuid == vm_uuid and record.kind is PendingKind.VM
        )


NOTHING_PENDING = PendingResources()


def records_of(vm: Vm, reservation: Reservation) -> Iterable[PendingRecord]:
    """Every record of one promise."""
    host, uuid, policy = reservation.host, vm.uuid, vm.intent.cpu_pinning_policy
    need = memory_need(vm)
    yield PendingRecord(PendingKind.VM, host, uuid)
    yield PendingRecord(PendingKind.CPU_CORES, host, uuid, cpus=vm.vcpus, cores=cores(vm), policy=policy)
    yield PendingRecord(PendingKind.MEMORY, host, uuid, memory_kib=need.static_overhead_kib)
    yield PendingRecord(PendingKind.OVERCOMMIT_MEMORY, host, uuid, memory_kib=need.total_kib)
    yield PendingRecord(PendingKind.CPU_LOAD, host, uuid, load_pct=load_pct(vm, reservation.load), policy=policy)
    for size, count in need.pages.items():
        yield PendingRecord(PendingKind.HUGE_PAGES, host, uuid, page_kib=size, pages=count)
    placement = reservation.placement
    if placement is None:
        return
    bits = placement.pinning.all_vcpu_cpus.bits
    if bits:
        yield PendingRecord(PendingKind.CPU_PINNING, host, uuid, cpu_bits=bits, policy=policy)
    if any(binding.mode is NumaMode.PREFERRED for binding in placement.bindings):
        return
    memory = {node.node_id: (node.memory_kib, node.page_kib or vm.huge_page_kib) for node in vm.virtual_nodes}
    taken: dict[tuple[int, int | None], int] = {}
    for binding in placement.bindings:
        memory_kib, page_kib = memory.get(binding.node_id, (0, None))
        for node_id in binding.host_nodes[:1]:
            taken[node_id, page_kib] = taken.get((node_id, page_kib), 0) + memory_kib
    for (node_id, page_kib), memory_kib in taken.items():
        plain, pages = (0, -(-memory_kib // page_kib)) if page_kib else (memory_kib, 0)
        yield PendingRecord(
            PendingKind.NUMA_MEMORY, host, uuid, node_id=node_id, page_kib=page_kib, memory_kib=plain, pages=pages
        )


def ledger(reservations: Iterable[Reservation], vms: Mapping[str, Vm]) -> PendingResources:
    """The ledger of these promises. A promise to a VM that nobody knows is left out: nothing is known of its needs."""
    records: list[PendingRecord] = []
    for reservation in reservations:
        vm = reservation.vm or vms.get(reservation.vm_uuid)
        if vm is not None:
            records += records_of(vm, reservation)
    return NOTHING_PENDING.add(*records)
