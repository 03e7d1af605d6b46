"""The placement engine: the exact map of a VM, or of several VMs together, on one host; or why there is none.

Complete: finds a map whenever one exists. Optimal in the documented order of `placement_order`. Pure functions over
an `Occupancy`; any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.demand import Demand
from hpconsole.core.scheduler.demand_reading import demand_of
from hpconsole.core.scheduler.group_misfit import explain_group
from hpconsole.core.scheduler.group_placement import demanding_first, find_together
from hpconsole.core.scheduler.misfit import Misfit, explain
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placing import find

__all__ = ["Misfit", "place", "place_group"]
_KEPT = 64
_demands: dict[tuple[int, int, str], tuple[Vm, HostTopology | None, Demand]] = {}


def place(
    vm: Vm, occupancy: Occupancy, *, source: HostTopology | None = None, demand: Demand | None = None
) -> Placement | Misfit:
    """The best placement of `vm` on the occupancy's host, or the smallest cause that makes one impossible.

    Args:
        vm: The VM as it is now.
        occupancy: What is taken on the host, this VM apart (`occupancy(..., without={vm.uuid})`).
        source: The topology of the host the VM runs on: the shape of its pinning is read from it. Without it the
            shape is what the VM alone tells.
        demand: The VM's demand, where the caller has it already; `source` is not looked at then.
    """
    if demand is None:
        demand = demand_for(vm, occupancy, source)
    if demand.is_free:
        return Placement(vm.uuid, occupancy.host.name)
    found = None if demand.problems else find(demand, occupancy)
    return found if found is not None else explain(demand, occupancy)


def demand_for(vm: Vm, occupancy: Occupancy, source: HostTopology | None = None) -> Demand:
    """The demand of `vm` on this host; a VM that is on the host itself has its shape read from there."""
    name = occupancy.host.name
    if source is None and vm.host == name:
        source = occupancy.host.topology
    # A VM is asked about on host after host: its demand is the same unless its literal map differs per host.
    key = (id(vm), id(source), name if vm.intent.per_host else "")
    known = _demands.get(key)
    if known is not None and known[0] is vm and known[1] is source:
        return known[2]
    demand = demand_of(vm, source, host=name)
    if len(_demands) >= _KEPT:
        _demands.clear()
    _demands[key] = (vm, source, demand)
    return demand


def place_group(
    vms: Sequence[Vm], occupancy: Occupancy, *, sources: Mapping[str, HostTopology] | None = None
) -> dict[str, Placement] | Misfit:
    """Placements by UUID of VMs that go to one host together, or why they cannot.

    Args:
        vms: The VMs, in any order.
        occupancy: What is taken on the host, these VMs apart.
        sources: By UUID, the topology of the host each VM runs on.
    """
    sources = sources or {}
    demands = [demand_for(vm, occupancy, sources.get(vm.uuid)) for vm in vms]
    for demand in demands:
        if demand.problems:
            return explain(demand, occupancy)
    found = find_together(demands, occupancy)
    if found is not None:
        return {vm.uuid: found[vm.uuid] for vm in vms}
    for demand in demands:
        if not demand.is_free and find(demand, occupancy) is None:
            return explain(demand, occupancy)
    return explain_group(demanding_first(demands), occupancy)
