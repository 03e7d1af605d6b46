"""Several VMs on one host together: each placed as well as it can be beside the ones before it, and none forgotten.

The most demanding VMs come first, which nearly always succeeds. Where it does not, the earlier ones' host nodes are
varied, and the order, until all have a place; for small groups every way is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations, product

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.scheduler.demand import CoreRule, Demand
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.occupancy import PLAIN, CpuUser, Occupancy, claims_of, own_cpus, shared_cpus
from hpconsole.core.scheduler.placing import find, fits
from hpconsole.core.scheduler.room import HostRoom

BUDGET = 1500  # placements tried before a group is given up
_ALL_ORDERS = 4  # VMs up to which every order is tried


def occupied(occupancy: Occupancy, demand: Demand, placement: Placement) -> Occupancy:
    """The occupancy with this VM placed as well."""
    vm, topology = demand.vm, occupancy.host.topology
    free_kib = dict(occupancy.free_kib)
    free_pages = {node: dict(pages) for node, pages in occupancy.free_pages.items()}
    for claim in claims_of(vm, placement):
        if claim.page_kib == PLAIN:
            free_kib[claim.node_id] = free_kib.get(claim.node_id, 0) - claim.amount
        else:
            pages = free_pages.setdefault(claim.node_id, {})
            pages[claim.page_kib] = pages.get(claim.page_kib, 0) - claim.amount
    own, shared = own_cpus(vm, placement.pinning, topology), shared_cpus(vm, placement.pinning, topology)
    users = [CpuUser(vm.uuid, vm.name, own, True)] if own else []
    users += [CpuUser(vm.uuid, vm.name, shared, False)] if shared else []
    return replace(
        occupancy,
        free_kib=free_kib,
        free_pages=free_pages,
        exclusive=occupancy.exclusive | own,
        shared=occupancy.shared | shared,
        users=(*occupancy.users, *users),
    )


def demanding_first(demands: Sequence[Demand]) -> list[Demand]:
    """Literal maps (they have no choice), then whole cores, then by the widest block, then by CPUs."""

    def key(demand: Demand) -> tuple[object, ...]:
        blocks = [block for need in demand.node_needs for block in need.blocks]
        blocks += [block for socket in demand.sockets for block in socket]
        widest = max((block.size for block in blocks), default=0)
        return (
            not demand.literal,
            -widest,
            demand.rule is not CoreRule.SHAPE,
            -sum(block.size for block in blocks),
            -sum(need.memory_kib for need in demand.node_needs),
            demand.vm.name,
            demand.vm.uuid,
        )

    return sorted(demands, key=key)


def find_together(demands: Sequence[Demand], occupancy: Occupancy) -> dict[str, Placement] | None:
    """Placements by UUID; None if no way was found."""
    ordered = demanding_first(demands)
    search = _Search()
    found = search.extend(ordered, occupancy, varied=False)
    if found is not None:
        return found
    if not all(fits(demand, occupancy) for demand in ordered):
        return None
    orders = permutations(ordered) if len(ordered) <= _ALL_ORDERS else iter((tuple(ordered),))
    for order in orders:
        found = search.extend(list(order), occupancy, varied=True)
        if found is not None or search.tried > BUDGET:
            return found
    return None


class _Search:
    def __init__(self) -> None:
        self.tried = 0

    def extend(self, waiting: Sequence[Demand], occupancy: Occupancy, *, varied: bool) -> dict[str, Placement] | None:
        """Places all that wait, the first one first; with `varied` in every way it can be."""
        if not waiting:
            return {}
        demand, rest = waiting[0], waiting[1:]
        for placement in self._ways(demand, occupancy, varied=varied):
            taken = occupied(occupancy, demand, placement)
            if varied and not all(fits(other, taken) for other in rest):
                continue
            found = self.extend(rest, taken, varied=varied)
            if found is not None:
                return {demand.vm.uuid: placement, **found}
        return None

    def _ways(self, demand: Demand, occupancy: Occupancy, *, varied: bool) -> Iterator[Placement]:
        """The best placement first, then, with `varied`, the best one for every other choice of host nodes."""
        if demand.is_free:
            yield Placement(demand.vm.uuid, occupancy.host.name)
            return
        best = find(demand, occupancy)
        if best is None:
            return
        yield best
        if not varied:
            return
        for narrowed, room_left in _narrowed(demand, occupancy):
            self.tried += 1
            if self.tried > BUDGET:
                return
            placement = find(narrowed, room_left)
            if placement is not None:
                yield placement


def _narrowed(demand: Demand, occupancy: Occupancy) -> Iterator[tuple[Demand, Occupancy]]:
    """The demand bound to each possible choice of host nodes."""
    room = HostRoom(demand, occupancy)
    ids = room.tables.node_ids
    if demand.sockets:
        for open_nodes in range(1, 1 << min(room.tables.size, 10)):
            closed = 0
            for i, bits in enumerate(room.tables.node_bits):
                if not open_nodes >> i & 1:
                    closed |= bits
            yield demand, replace(occupancy, exclusive=occupancy.exclusive | CpuSet(closed))
        return
    options = [list(positions(room.fit_mask(need))) for need in demand.node_needs]
    for chosen in product(*options):
        if demand.nodes_distinct and len(set(chosen)) != len(chosen):
            continue
        needs = tuple(
            replace(need, allowed_nodes=(ids[i],), takes_all_allowed=False, span=1)
            for need, i in zip(demand.node_needs, chosen, strict=True)
        )
        yield replace(demand, node_needs=needs), occupancy
