"""The CPUs of a VM's emulator and IO threads: how they relate to its vCPUs now, and what that means elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy, Vm
from hpconsole.core.scheduler.demand import Helper, HelperKind
from hpconsole.core.scheduler.host_tables import HostTables


def helpers_of(vm: Vm, source: HostTables | None, need_of_node: Mapping[int, int]) -> tuple[Helper, ...]:
    """The helpers that are pinned now, and how.

    `need_of_node`: position of a source node -> the need that stands for it, as far as there is one.
    """
    helpers: list[Helper] = []
    emulator = ((0, vm.pinning.emulator),) if vm.pinning.emulator else ()
    for iothread, cpus in (*emulator, *vm.pinning.iothreads):
        if not cpus or (source is not None and not source.online & ~cpus.bits):
            continue  # may run anywhere: not pinned
        if vm.intent.cpu_pinning_policy is CpuPinningPolicy.MANUAL:
            helpers.append(Helper(iothread, HelperKind.LITERAL, cpus))
            continue
        vcpus = tuple(vcpu for vcpu, own in vm.pinning.vcpus if own and own <= cpus)
        needs: tuple[int, ...] = ()
        if source is not None:
            needs = tuple(sorted({need_of_node[i] for i in source.nodes_of(cpus.bits) if i in need_of_node}))
        if vcpus and _together(vm, vcpus) == cpus:
            helpers.append(Helper(iothread, HelperKind.VCPUS, cpus, vcpus))
        elif source is not None and source.is_node_wide(cpus.bits, 0):
            helpers.append(Helper(iothread, HelperKind.NODES, cpus, needs=needs))
        else:
            helpers.append(Helper(iothread, HelperKind.OWN, cpus, needs=needs))
    return tuple(helpers)


def _together(vm: Vm, vcpus: Iterable[int]) -> CpuSet:
    wanted, cpus = set(vcpus), EMPTY
    for vcpu, own in vm.pinning.vcpus:
        if vcpu in wanted:
            cpus |= own
    return cpus
