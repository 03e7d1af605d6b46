"""What one VM takes from a host: memory with its overhead, huge pages, shared and exclusive vCPUs, CPU load.

Pure arithmetic over `Vm`; knows nothing of hosts. All memory in KiB, loads in percent of one logical CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hpconsole.core.model.vm import CpuPinningPolicy, NumaMode, Vm, VmLoad, VmState

MIB = 1024
STARTING_VCPU_LOAD_PCT = 10.0  # what a vCPU is taken to use until it is measured


@dataclass(frozen=True, slots=True)
class Overheads:
    """What QEMU takes beside the guest's memory."""

    page_table_share: int = 512  # one KiB of page tables for so many KiB of guest memory (x86); 0 = none
    fixed_kib: int = 64 * MIB
    per_thread_kib: int = 8 * MIB  # stack and buffers of each vCPU and IO thread


USUAL_OVERHEADS = Overheads()


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What a VM needs of a host's memory."""

    normal_kib: int  # not backed by huge pages
    static_overhead_kib: int
    possible_overhead_kib: int
    pages: Mapping[int, int]  # page size in KiB -> pages

    @property
    def overhead_kib(self) -> int:
        """Static and possible overhead together."""
        return self.static_overhead_kib + self.possible_overhead_kib

    @property
    def total_kib(self) -> int:
        """Everything that is not huge pages: memory and overhead."""
        return self.normal_kib + self.overhead_kib


def memory_need(vm: Vm, overheads: Overheads = USUAL_OVERHEADS) -> MemoryNeed:
    """The memory a VM takes, with the reference's overhead formulas (behaviour.md A3)."""
    pages = required_pages(vm)
    huge_kib = sum(size * count for size, count in pages.items())
    tables_kib = vm.memory_kib // overheads.page_table_share if overheads.page_table_share else 0
    return MemoryNeed(
        normal_kib=max(0, vm.memory_kib - huge_kib),
        static_overhead_kib=tables_kib + overheads.fixed_kib,
        possible_overhead_kib=overheads.per_thread_kib * (vm.vcpus + vm.iothreads),
        pages=pages,
    )


def required_pages(vm: Vm) -> dict[int, int]:
    """Huge pages by size: per virtual node where nodes say their page size, else for the whole memory."""
    pages: dict[int, int] = {}
    by_node = [(node.page_kib, node.memory_kib) for node in vm.virtual_nodes if node.page_kib]
    if not by_node and vm.huge_page_kib:
        by_node = [(vm.huge_page_kib, vm.memory_kib)]
    for size, memory_kib in by_node:
        if size and size > 0:
            pages[size] = pages.get(size, 0) + page_count(memory_kib, size)
    return pages


def page_count(memory_kib: int, page_kib: int) -> int:
    """How many pages of this size hold so much memory."""
    return -(-memory_kib // page_kib)


def page_kib_from_property(custom_properties: str) -> int | None:
    """The huge page size a VM asks for in custom properties `name=value;...`; None unless a positive whole number."""
    for item in custom_properties.split(";"):
        name, _, value = item.partition("=")
        if name.strip() == "hugepages" and value.strip().isascii() and value.strip().isdigit():
            return int(value) or None
    return None


def cores(vm: Vm) -> int:
    """Virtual cores of the running topology: threads do not count."""
    per_core = max(1, vm.topology.threads)
    return -(-vm.vcpus // per_core)


def load_pct(vm: Vm, load: VmLoad | None) -> float:
    """CPU load as it adds to a host: measured for a running VM, else the usual load of a starting vCPU."""
    if vm.is_running_somewhere and load is not None:
        return load.cpu_pct
    return STARTING_VCPU_LOAD_PCT * vm.vcpus


def is_paused(vm: Vm) -> bool:
    """Whether its vCPUs stand still (its memory is already there)."""
    return vm.state is VmState.PAUSED


def pinned_cpus(vm: Vm) -> int:
    """The union of the CPUs that its vCPUs are pinned to, as a bit mask; what libvirt reports first."""
    if vm.pinning.vcpus:
        return vm.pinning.all_vcpu_cpus.bits
    return intended_cpus(vm)


def intended_cpus(vm: Vm) -> int:
    """The union of the CPUs of the literal map (policy MANUAL), as a bit mask."""
    if vm.intent.cpu_pinning_policy is not CpuPinningPolicy.MANUAL:
        return 0
    bits = 0
    for _, cpus in vm.intent.cpu_pinning:
        bits |= cpus.bits
    return bits


def has_preferred_node(vm: Vm) -> bool:
    """Whether any virtual node is only preferred to be somewhere, now or as it is meant."""
    modes = [node.mode for node in vm.virtual_nodes] + [pin.mode for pin in vm.intent.numa_pins]
    return NumaMode.PREFERRED in modes
