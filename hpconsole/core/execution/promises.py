"""What just-moved VMs are promised until a poll shows them on their new host, so that nobody takes their place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.plan import Step
from hpconsole.core.scheduler.reservations import Reservation, reserve
from hpconsole.core.store import Store

# A poll that began before the VM arrived may end after it: only one well after it proves its absence.
_MARGIN = timedelta(seconds=3)


class Promises:
    """Reservations of steps that ended.

    Threads: under the executor's lock.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, tuple[Reservation, datetime]] = {}

    def keep(self, vm: Vm | None, step: Step) -> None:
        """Hold the place of this VM on the step's destination until it is seen there, or seen not to be."""
        if vm is not None:
            self._kept[vm.uuid] = (reserve(vm, step.destination, step.placement), datetime.now(UTC))

    def current(self) -> tuple[Reservation, ...]:
        """Those still needed."""
        self._kept = {key: value for key, value in self._kept.items() if self._is_needed(*value)}
        return tuple(reservation for reservation, _ in self._kept.values())

    def _is_needed(self, reservation: Reservation, since: datetime) -> bool:
        snapshot = self._store.snapshot
        vm, host = snapshot.vms.get(reservation.vm_uuid), snapshot.hosts.get(reservation.host)
        if host is None or (vm is not None and vm.host == reservation.host and vm.state.is_active):
            return False
        return host.usage.at is None or host.usage.at < since + _MARGIN
