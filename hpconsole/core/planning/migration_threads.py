"""Which CPUs carry a migration: QEMU's sending and receiving threads run where its emulator threads may. Pure.

On the source they are kept off every CPU that a guest has for itself, the moving one included. On the destination the
moving VM's own new CPUs are idle until it has arrived: they take what comes in, and no other guest notices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinning, Vm


@dataclass(frozen=True, slots=True)
class ThreadPlaces:
    """Where the emulator threads run while the VM moves. None: they stay where they are, which hurts nobody.

    `*_after`: the CPUs they get back once it is over; `is_crowded`: guests own every CPU of the source.
    """

    source: CpuSet | None = None
    source_after: CpuSet | None = None
    destination: CpuSet | None = None
    destination_after: CpuSet | None = None
    is_crowded: bool = False

    def sentence(self, source: str, destination: str) -> str:
        """For the step; empty where nothing is changed."""
        parts = [
            f"{_cpus(cpus)} of {host}"
            for host, cpus in ((source, self.source), (destination, self.destination))
            if cpus is not None
        ]
        if not parts:
            return ""
        return f"Meanwhile its migration threads run on {' and '.join(parts)}, away from other guests' CPUs."


UNCHANGED = ThreadPlaces()


def thread_places(vm: Vm, placement: Placement, snapshot: ClusterSnapshot) -> ThreadPlaces:
    """Where this VM's emulator threads should run while it moves from where it is to the placement's host."""
    source, there = snapshot.hosts.get(vm.host or ""), snapshot.hosts.get(placement.host)
    here = _kept_off(vm.pinning, _guest_cpus(source, snapshot.vms.values()), source)
    after = _usual(vm.pinning, source)
    arriving = replace(vm, host=placement.host, pinning=placement.pinning)
    others = _guest_cpus(there, (other for other in snapshot.vms.values() if other.uuid != vm.uuid))
    own = _own(arriving, there)
    inside = _kept_off(placement.pinning, others, there)
    destination = own if inside is not None and own else inside
    return ThreadPlaces(
        source=here or None,
        source_after=after if here else None,
        destination=destination or None,
        destination_after=_usual(placement.pinning, there) if destination else None,
        is_crowded=here is not None and not here,
    )


def _kept_off(pinning: CpuPinning, taken: CpuSet, host: Host | None) -> CpuSet | None:
    """The CPUs to use instead; None: the present ones are nobody's; empty: there are no others."""
    present = _usual(pinning, host)
    if host is None or not present or present.isdisjoint(taken):
        return None
    return (present - taken) or (host.topology.all_cpus - taken)


def _usual(pinning: CpuPinning, host: Host | None) -> CpuSet:
    everywhere = host.topology.all_cpus if host is not None else EMPTY
    return pinning.emulator or everywhere


def _guest_cpus(host: Host | None, vms: Iterable[Vm]) -> CpuSet:
    """Every CPU of the host that a guest's vCPUs have for themselves."""
    taken = EMPTY
    for vm in vms:
        if host is not None and vm.is_running_somewhere and vm.host == host.name:
            taken |= _own(vm, host)
    return taken


def _own(vm: Vm, host: Host | None) -> CpuSet:
    # Not at the top: the scheduler (numpy) comes with it, and a window loads this module for its values.
    from hpconsole.core.scheduler.occupancy import own_cpus, shared_cpus

    if host is None:
        return EMPTY
    vcpus_only = replace(vm.pinning, emulator=None, iothreads=())
    return own_cpus(vm, vcpus_only, host.topology) | shared_cpus(vm, vcpus_only, host.topology)


def _cpus(cpus: CpuSet) -> str:
    return f"CPU{'' if len(cpus) == 1 else 's'} {cpus.format()}"
