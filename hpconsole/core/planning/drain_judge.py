"""Would the scheduler let these VMs go to this host beside what the plan has promised so far, and where exactly?

The scheduler's own filters and placement engine, asked about one host at a time (or ranked over all hosts once). Knows
nothing of drains; pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.projection import without
from hpconsole.core.scheduler import selectors
from hpconsole.core.scheduler.account import account_of
from hpconsole.core.scheduler.column_cache import columns_of, vms_on
from hpconsole.core.scheduler.columns import HostColumns
from hpconsole.core.scheduler.engine import filters_of, question_about, weigh
from hpconsole.core.scheduler.exact_placements import ExactPlacements
from hpconsole.core.scheduler.occupancy import Occupancy, occupancy
from hpconsole.core.scheduler.placement import Misfit, place, place_group
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.reservations import Reservation, reserve
from hpconsole.core.scheduler.units import Filter

# What these filters say does not depend on what is promised; NUMA and CpuPinning count what the exact placement finds.
_ONCE = frozenset({
    "Compatibility-Version", "CPU-Level", "CPUTopology", "CpuPinning", "PinToHost", "ClusterInMaintenance",
    "Emulated-Machine", "Swap", "NUMA", "Migration", "Network", "Migration-Tsc-Frequency", "In-Cluster-Upgrade",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """The hosts that take some VMs when nothing else moves, best first, with the scheduler's scores.

    `is_settled`: every one of them has room for certain; else the exact engine must be asked about each.
    """

    hosts: tuple[str, ...]
    scores: tuple[float, ...]
    is_settled: bool = True

    def loss(self, position: int) -> float:
        """How much worse than the best one, in points from 0 to 100."""
        best = self.scores[0]
        return 100.0 * (best - self.scores[position]) / best if best > 0 else 0.0


class Judge:
    """See the module.

    Args:
        promises: What running and waiting plans have promised.
        excluded: Hosts that take nobody: those to be emptied.

    Threads: any, one at a time.
    """

    def __init__(
        self,
        snapshot: ClusterSnapshot,
        policy: Policy,
        promises: Sequence[Reservation] = (),
        *,
        excluded: frozenset[str] = frozenset(),
        ignores_vm_affinity: bool = False,
    ) -> None:
        self.snapshot = snapshot
        self.policy = policy
        self.excluded = excluded
        self.ignores_vm_affinity = ignores_vm_affinity
        self.promises = tuple(
            promise if promise.vm is not None else replace(promise, vm=snapshot.vms.get(promise.vm_uuid))
            for promise in promises
        )
        self.columns = columns_of(snapshot, self.promises)
        self._filters = filters_of(policy)
        self._sensitive = tuple(unit for unit in self._filters if unit.name not in _ONCE)
        self._blank = replace(
            question_about((), snapshot, policy),
            everything=self.columns,
            topologies={name: host.topology for name, host in snapshot.hosts.items()},
            ignore_hard_vm_affinity=ignores_vm_affinity,
        )
        self.asked = 0  # how many exact answers were computed

    def standing(self, vms: Sequence[Vm], *, avoided: frozenset[str] = frozenset()) -> Standing:
        """All hosts at once, as `engine.rank` does it, without promises of this plan."""
        question = self._question(vms, self.columns, ())
        own = frozenset(vm.uuid for vm in vms)
        exact = ExactPlacements(self.snapshot, self.promises, own)
        question = replace(question, penalty=exact.penalty)
        allowed = self.columns.flag("is_candidate") & ~self.columns.rows(self.excluded | avoided)
        for unit in self._filters:
            allowed &= unit.accepts(question)
        rows = np.flatnonzero(allowed)
        if not rows.size:
            return Standing((), ())
        tables = weigh(question.narrowed(rows), self.policy)
        selector = next((known for known in selectors.ALL if known.name == self.policy.selector), selectors.RANK)
        scores = selector.scores(tables) if tables else np.zeros(rows.size)
        if selector is not selectors.RANK and scores.size:
            scores = scores - scores.min() + 1  # sums of weights may be negative; only their order and distance count
        order = selectors.order(scores)
        names = self.columns.names
        is_open = len(vms) > 1 or any(bool(fit.is_open.any()) for fit in question.fits)
        return Standing(
            tuple(names[row] for row in rows[order].tolist()), tuple(scores[order].tolist()), is_settled=not is_open
        )

    def possible(self, vms: Sequence[Vm], *, avoided: frozenset[str] = frozenset()) -> list[str]:
        """The hosts that refuse these VMs, if at all, only for want of room, by name."""
        question = self._question(vms, self.columns, ())
        allowed = self.columns.flag("is_candidate") & ~self.columns.rows(self.excluded | avoided)
        for unit in self._filters:
            if unit.name in _ONCE and unit.name not in ("NUMA", "CpuPinning"):
                allowed &= unit.accepts(question)
        names = self.columns.names
        return [names[row] for row in np.flatnonzero(allowed).tolist()]

    def after(self, leaving: Iterable[str]) -> Judge:
        """The same when these VMs (UUIDs) have left their hosts."""
        snapshot = without(self.snapshot, leaving)
        if snapshot is self.snapshot:
            return self
        return Judge(
            snapshot,
            self.policy,
            self.promises,
            excluded=self.excluded,
            ignores_vm_affinity=self.ignores_vm_affinity,
        )

    def fits(
        self, vms: Sequence[Vm], host: str, mine: Sequence[Reservation] = (), *, is_accepted: bool = False
    ) -> dict[str, Placement] | None:
        """The exact places of `vms` on `host` beside `mine` (what this plan has promised anywhere); None: refused.

        Args:
            is_accepted: The filters have accepted the host already, when nothing of `mine` was promised.
        """
        self.asked += 1
        here = tuple(promise for promise in mine if promise.host == host)
        units = self._filters if not is_accepted else self._sensitive if here or len(vms) > 1 else ()
        if units and not self._accepts(vms, host, here, mine, units):
            return None
        taken = self._occupancy(host, here, frozenset(vm.uuid for vm in vms))
        sources = self._topologies(vms)
        if len(vms) > 1:
            placed = place_group(vms, taken, sources=sources)
            return None if isinstance(placed, Misfit) else placed
        vm = vms[0]
        one = place(vm, taken, source=sources.get(vm.uuid))
        return None if isinstance(one, Misfit) else {vm.uuid: one}

    def group(
        self, groups: Sequence[Sequence[Vm]], host: str, mine: Sequence[Reservation]
    ) -> dict[str, Placement] | None:
        """Places for several groups that all go to `host`, one after the other as they come; None: no way was found.

        The filters have accepted each of them alone.

        Where each beside those before it fails, all are placed together by the complete search, and the filters are
        asked again with those places.
        """
        placed: dict[str, Placement] = {}
        promised = list(mine)
        for vms in groups:
            found = self.fits(vms, host, promised, is_accepted=True)
            if found is None:
                return self._together(groups, host, mine)
            placed |= found
            promised += self.promised(vms, host, found)
        return placed

    def promised(self, vms: Sequence[Vm], host: str, placed: Mapping[str, Placement]) -> list[Reservation]:
        """The promises that go with these places."""
        loads = self.snapshot.loads
        return [reserve(vm, host, placed.get(vm.uuid), loads.get(vm.uuid)) for vm in vms]

    def occupancy(self, host: str, mine: Sequence[Reservation] = ()) -> Occupancy:
        """What is taken on a host beside these promises."""
        return self._occupancy(host, tuple(promise for promise in mine if promise.host == host), frozenset())

    # --- inside ---------------------------------------------------------------------------------------------------

    def _together(
        self, groups: Sequence[Sequence[Vm]], host: str, mine: Sequence[Reservation]
    ) -> dict[str, Placement] | None:
        everybody = [vm for vms in groups for vm in vms]
        if len(everybody) < 2:
            return None
        here = tuple(promise for promise in mine if promise.host == host)
        taken = self._occupancy(host, here, frozenset(vm.uuid for vm in everybody))
        placed = place_group(everybody, taken, sources=self._topologies(everybody))
        if isinstance(placed, Misfit):
            return None
        for vms in groups:
            others = [*mine, *(p for other in groups if other is not vms for p in self.promised(other, host, placed))]
            local = tuple(promise for promise in others if promise.host == host)
            if not self._accepts(vms, host, local, others, self._sensitive):
                return None
        return placed

    def _accepts(
        self,
        vms: Sequence[Vm],
        host: str,
        here: tuple[Reservation, ...],
        mine: Sequence[Reservation],
        units: Sequence[Filter],
    ) -> bool:
        row = self.columns.row_of.get(host)
        if row is None or host in self.excluded or not self.columns.accounts[row].is_candidate:
            return False
        question = self._question(vms, self._one(host, row, here), mine)
        return all(bool(unit.accepts(question)[0]) for unit in units)

    def _one(self, host: str, row: int, here: tuple[Reservation, ...]) -> HostColumns:
        part = self.columns.take(np.array([row]))
        if not here:
            return part
        promises = (*(promise for promise in self.promises if promise.host == host), *here)
        snapshot = self.snapshot
        account = account_of(snapshot.hosts[host], vms_on(snapshot, host), promises, snapshot.settings, snapshot.vms)
        return part.replaced({0: account})

    def _question(self, vms: Sequence[Vm], columns: HostColumns, mine: Sequence[Reservation]) -> Question:
        promised: dict[str, tuple[str, ...]] = {}
        own = {vm.uuid for vm in vms}
        for promise in (*self.promises, *mine):
            if promise.vm_uuid not in own:
                promised[promise.vm_uuid] = (*promised.get(promise.vm_uuid, ()), promise.host)
        return replace(self._blank, vms=tuple(vms), columns=columns, promised=promised)

    def _occupancy(self, host: str, here: tuple[Reservation, ...], own: frozenset[str]) -> Occupancy:
        snapshot = self.snapshot
        promises = (*(promise for promise in self.promises if promise.host == host), *here)
        return occupancy(snapshot.hosts[host], vms_on(snapshot, host), promises, without=own)

    def _topologies(self, vms: Sequence[Vm]) -> dict[str, HostTopology]:
        hosts = self.snapshot.hosts
        return {vm.uuid: hosts[vm.host].topology for vm in vms if vm.host is not None and vm.host in hosts}
