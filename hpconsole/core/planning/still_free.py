"""Can this very map still be had on a host? Pure."""

from __future__ import annotations

from hpconsole.core.model.cpuset import EMPTY
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.occupancy import (
    PLAIN,
    NodeClaim,
    Occupancy,
    claims_of,
    own_cpus,
    shared_cpus,
)


def is_still_free(placement: Placement, vm: Vm, taken: Occupancy) -> bool:
    """Whether this very map can still be had: its CPUs exist and clash with nobody's, its nodes hold the memory."""
    topology, pinning = taken.host.topology, placement.pinning
    used = pinning.all_vcpu_cpus | (pinning.emulator or EMPTY)
    for _, cpus in pinning.iothreads:
        used |= cpus
    own = own_cpus(vm, pinning, topology)
    if not used <= topology.all_cpus or not own.isdisjoint(taken.exclusive | taken.shared):
        return False
    if not shared_cpus(vm, pinning, topology).isdisjoint(taken.exclusive):
        return False
    return all(_is_left(claim, taken) for claim in claims_of(vm, placement))


def _is_left(claim: NodeClaim, taken: Occupancy) -> bool:
    if claim.page_kib == PLAIN:
        return taken.free_kib.get(claim.node_id, 0) >= claim.amount
    return taken.free_pages.get(claim.node_id, {}).get(claim.page_kib, 0) >= claim.amount
