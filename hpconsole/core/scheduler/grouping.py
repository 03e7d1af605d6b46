"""Which VMs must be placed together, and in which order: the most demanding first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.vm import CpuPinningPolicy, Vm
from hpconsole.core.scheduler.affinity import unified

# From least to most demanding. Keeping a shape asks for more than whole cores and less than fixed CPU numbers.
_DEMAND = (
    CpuPinningPolicy.NONE,
    CpuPinningPolicy.DEDICATED,
    CpuPinningPolicy.ISOLATE_THREADS,
    CpuPinningPolicy.KEEP_SHAPE,
    CpuPinningPolicy.RESIZE_AND_PIN_NUMA,
    CpuPinningPolicy.MANUAL,
)


def pinning_demand(vm: Vm) -> tuple[int, int, int, int, int]:
    """How hard a VM is to place by its CPUs; larger is harder."""
    topology = vm.topology
    return (
        _DEMAND.index(vm.intent.cpu_pinning_policy),
        topology.vcpus,
        topology.threads,
        topology.cores * topology.dies,
        topology.sockets,
    )


def most_demanding_first(vms: Iterable[Vm]) -> tuple[Vm, ...]:
    """Sorted for placing one after the other; equal VMs keep their order."""
    return tuple(sorted(vms, key=pinning_demand, reverse=True))


def groups(
    vms: Sequence[Vm], affinity_groups: Iterable[AffinityGroup] = (), *, ignore_hard_vm_affinity: bool = False
) -> tuple[tuple[Vm, ...], ...]:
    """The VMs in groups that go to one host each: those that enforced groups keep together, and the rest alone."""
    ordered = most_demanding_first(vms)
    wanted = {vm.uuid: vm for vm in ordered}
    together: list[tuple[str, ...]] = []
    if len(wanted) > 1 and not ignore_hard_vm_affinity:
        positive = [
            group
            for group in affinity_groups
            if group.is_vm_rule_enforced and group.vm_rule is AffinityRule.POSITIVE and wanted.keys() & set(group.vms)
        ]
        together = unified(positive)
    group_of = {uuid: number for number, members in enumerate(together) for uuid in members if uuid in wanted}
    made: dict[object, list[Vm]] = {}
    for vm in ordered:
        made.setdefault(group_of.get(vm.uuid, vm.uuid), []).append(vm)
    return tuple(tuple(members) for members in made.values())
