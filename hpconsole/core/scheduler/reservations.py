"""What is promised to VMs on their way to a host, so that nobody promises it twice.

A reservation holds the VM as it was when the promise was made; what it takes is computed from that, the same way as
for a VM that already runs there. A second reservation of the same VM on the same host replaces the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import Vm, VmLoad


@dataclass(frozen=True, slots=True)
class Reservation:
    """A VM is about to be on `host`, at `placement` where that is known.

    `vm` may be left out when the snapshot that is ranked holds the VM under `vm_uuid`.
    """

    vm_uuid: str
    host: str
    placement: Placement | None = None
    vm: Vm | None = None
    load: VmLoad | None = None


def latest(reservations: Iterable[Reservation]) -> tuple[Reservation, ...]:
    """One per VM and host: the last one made."""
    by_key = {(item.vm_uuid, item.host): item for item in reservations}
    return tuple(by_key.values())


def reserve(vm: Vm, host: str, placement: Placement | None = None, load: VmLoad | None = None) -> Reservation:
    """Promise a host to this VM."""
    return Reservation(vm.uuid, host, placement, vm, load)
