"""The exact maps of one request on each host that somebody asks about: found once, then kept."""

from __future__ import annotations

from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.column_cache import vms_on
from hpconsole.core.scheduler.occupancy import Occupancy, occupancy
from hpconsole.core.scheduler.performance import Forecast, Setting, forecast, penalty, shape_of
from hpconsole.core.scheduler.placement import Misfit, place, place_group
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.reservations import Reservation

UNPLACED = 1e6  # points of a host that cannot hold the VMs: behind every other


class ExactPlacements:
    """Asks the placement engine about single hosts of a question. Any thread; at worst a map is found twice."""

    def __init__(self, snapshot: ClusterSnapshot, promises: tuple[Reservation, ...], own: frozenset[str]) -> None:
        self._snapshot = snapshot
        self._promises = promises
        self._own = own
        self._found: dict[str, dict[str, Placement] | Misfit] = {}

    def occupancy(self, host: str) -> Occupancy:
        """What is taken on this host without the VMs of the request."""
        here = vms_on(self._snapshot, host)
        return occupancy(self._snapshot.hosts[host], here, self._promises, without=self._own)

    def known(self, host: str) -> dict[str, Placement] | Misfit | None:
        """The maps, where they were asked for before."""
        return self._found.get(host)

    def on(self, question: Question, host: str) -> dict[str, Placement] | Misfit:
        """The map of every VM of the request on this host, beside each other; or why there is none."""
        found = self._found.get(host)
        if found is None:
            found = self._found[host] = self._find(question, self.occupancy(host))
        return found

    def misfit(self, question: Question, row: int) -> Misfit | None:
        """Why there is none on the host of this row."""
        found = self.on(question, question.account(row).name)
        return found if isinstance(found, Misfit) else None

    def setting(self, host: str) -> Setting:
        """The host as the VMs of the request find it."""
        taken = self.occupancy(host)
        return Setting(taken.host, taken.exclusive.bits | taken.shared.bits)

    def penalty(self, question: Question, row: int) -> float:
        """What the structure of the VMs' placements there costs, in points of the performance forecast."""
        name = question.account(row).name
        found = self.on(question, name)
        if isinstance(found, Misfit):
            return UNPLACED
        there = self.setting(name)
        return sum(penalty(shape_of(vm, found[vm.uuid], there)) for vm in question.vms)

    def forecast(self, question: Question, host: str, vm_uuid: str) -> Forecast | None:
        """How a VM will run there against its present place; None where it has no place."""
        found = self.on(question, host)
        if isinstance(found, Misfit):
            return None
        vm = next(vm for vm in question.vms if vm.uuid == vm_uuid)
        is_known = vm.is_running_somewhere and vm.host in self._snapshot.hosts
        now = self.setting(vm.host) if is_known and vm.host is not None else None
        return forecast(vm, found[vm_uuid], self.setting(host), now)

    def _find(self, question: Question, taken: Occupancy) -> dict[str, Placement] | Misfit:
        vms, topologies = question.vms, question.topologies
        sources = {vm.uuid: topologies[vm.host] for vm in vms if vm.host is not None and vm.host in topologies}
        if len(vms) > 1:
            return place_group(vms, taken, sources=sources)
        vm = vms[0]
        # A literal map may differ per host: then the engine reads the demand anew for this one.
        demand = None if vm.intent.per_host else question.demands[0]
        placed = place(vm, taken, source=sources.get(vm.uuid), demand=demand)
        return placed if isinstance(placed, Misfit) else {vm.uuid: placed}
