"""What is promised on the destinations: to steps that wait or run, and to VMs that have just arrived.

A VM's place stays promised until a poll shows it there, so that nobody takes it in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hpconsole.core.execution.step_queue import QueuedStep
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.plan import Step
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.core.store import Store

# A poll that began before the VM arrived may end after it: only one well after it proves its absence.
_MARGIN = timedelta(seconds=3)


class Promises:
    """Reservations of steps on their way and of steps that ended.

    Threads: under the executor's lock.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, tuple[Reservation, datetime]] = {}

    def keep(self, vm: Vm | None, step: Step) -> None:
        """Hold the place of this VM on the step's destination until it is seen there, or seen not to be."""
        promise = Reservation(step.vm_uuid, step.destination, step.placement, vm)
        self._kept[step.vm_uuid] = (promise, datetime.now(UTC))

    def of(self, entries: Iterable[QueuedStep], *, but: QueuedStep | None = None) -> tuple[Reservation, ...]:
        """What these steps and the VMs that have just arrived hold; `but` is the one that asks."""
        loads = self._store.snapshot.loads
        under_way = [
            # without its VM where an earlier run began it: nothing was polled yet when it was found
            Reservation(step.vm_uuid, step.destination, step.placement, entry.vm, loads.get(step.vm_uuid))
            for entry in entries
            if entry is not but
            for step in (entry.step,)
        ]
        self._kept = {key: value for key, value in self._kept.items() if self._is_needed(*value)}
        own = but.step.vm_uuid if but is not None else None
        return (*under_way, *(reservation for reservation, _ in self._kept.values() if reservation.vm_uuid != own))

    def before(self, entries: Iterable[QueuedStep], entry: QueuedStep) -> tuple[Reservation, ...]:
        """What stands against this step's place: places that are taken, and the wishes of the steps before it.

        Not the wishes of those behind it: of two plans for one place, one must keep it.
        """
        steps = list(entries)
        first = steps[: steps.index(entry)]
        return self.of([*first, *(other for other in steps[len(first) :] if other.is_booked)], but=entry)

    def _is_needed(self, reservation: Reservation, since: datetime) -> bool:
        snapshot = self._store.snapshot
        vm, host = snapshot.vms.get(reservation.vm_uuid), snapshot.hosts.get(reservation.host)
        if host is None or (vm is not None and vm.host == reservation.host and vm.state.is_active):
            return False
        return host.usage.at is None or host.usage.at < since + _MARGIN
