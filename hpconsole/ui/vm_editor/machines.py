"""What the VM dialogs need of the hosts: reading, saving, storage. As a protocol, and over a console's connections.

Every call blocks: worker threads only. Knows no Qt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm

if TYPE_CHECKING:
    from pathlib import Path

    from hpconsole.core.hypervisor.pool import ConnectionPool
    from hpconsole.core.keeping import Documents
    from hpconsole.core.machines.applying import Saved
    from hpconsole.core.machines.life import Deleted
    from hpconsole.core.machines.saving_several import SavedSeveral, VmEdit
    from hpconsole.core.machines.surroundings import Surroundings
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation

_DEADLINE_S = 30.0


class Machines(Protocol):
    """Methods raise HpconsoleError."""

    def open_vm(self, host: str, uuid: str) -> VmDraft:
        """Read a VM's definition."""

    def create(self, host: str, draft: VmDraft, *, start: bool) -> Saved:
        """Make a VM, its new disks included."""

    def save(self, host: str, before: VmDraft, after: VmDraft) -> Saved:
        """Write what differs, and apply to the running VM what can be."""

    def pools(self, host: str) -> tuple[str, ...]:
        """The names of a host's storage pools."""

    def volumes(self, host: str, pool: str) -> tuple[str, ...]:
        """The names of a pool's volumes."""


class HostMachines:
    """`Machines` over the connections of a console.

    Args:
        pool: The connections, by host.
        snapshot: The newest snapshot, asked for at every call; `policy` and `reservations` likewise.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        snapshot: Callable[[], ClusterSnapshot],
        policy: Callable[[], Policy],
        reservations: Callable[[], Sequence[Reservation]],
    ) -> None:
        self._pool = pool
        self._snapshot = snapshot
        self._policy = policy
        self._reservations = reservations

    def around(self, host: str = "") -> Surroundings:
        """What a draft is judged against now."""
        from hpconsole.core.machines.surroundings import Surroundings

        return Surroundings(self._snapshot(), host, tuple(self._reservations()), self._policy())

    def open_vm(self, host: str, uuid: str) -> VmDraft:
        """Read a VM's definition."""
        from hpconsole.core.machines.applying import open_vm

        return open_vm(self._pool, host, uuid)

    def create(self, host: str, draft: VmDraft, *, start: bool) -> Saved:
        """Make a VM."""
        from hpconsole.core.machines.applying import create

        return create(self._pool, host, draft, self.around(host), start=start)

    def save(self, host: str, before: VmDraft, after: VmDraft) -> Saved:
        """Write what differs."""
        from hpconsole.core.machines.applying import save

        return save(self._pool, host, before, after, self.around(host))

    def save_all(self, edits: Sequence[VmEdit]) -> SavedSeveral:
        """Write several VMs in one step."""
        from hpconsole.core.machines.saving_several import save_all

        return save_all(self._pool, edits, self.around())

    def start(self, vm: Vm) -> Saved:
        """Start a VM where it is defined."""
        from hpconsole.core.machines.applying import start_vm

        return start_vm(self._pool, vm, self.around(vm.host or ""))

    def shut_down(self, vm: Vm, *, by_force: bool = False) -> None:
        """Ask the guest to shut down, or end it at once."""
        from hpconsole.core.machines.applying import shut_down

        shut_down(self._pool, vm, by_force=by_force)

    def pause(self, vm: Vm) -> None:
        """Stop a running VM's vCPUs."""
        from hpconsole.core.machines.life import pause

        pause(self._pool, vm)

    def resume(self, vm: Vm) -> None:
        """Let a paused VM run again."""
        from hpconsole.core.machines.life import resume

        resume(self._pool, vm)

    def delete(self, vm: Vm, documents: Documents, *, keep_nvram: bool, save_in: Path | None) -> Deleted:
        """Forget a VM that is shut off, unless a migration or high availability holds it; its disks stay."""
        from hpconsole.core.availability.holding import why_held
        from hpconsole.core.machines.life import delete

        def held() -> str:
            return why_held(vm.uuid, self._snapshot(), self._reservations(), documents)

        return delete(self._pool, vm, held=held, keep_nvram=keep_nvram, save_in=save_in)

    def pools(self, host: str) -> tuple[str, ...]:
        """The active storage pools."""
        records = self._pool.call(host, lambda h: h.storage_pools(), deadline_s=_DEADLINE_S)
        return tuple(sorted(record.name for record in records if record.is_active))

    def volumes(self, host: str, pool: str) -> tuple[str, ...]:
        """The volumes of a pool."""
        records = self._pool.call(host, lambda h: h.volumes(pool), deadline_s=_DEADLINE_S)
        return tuple(sorted(record.name for record in records))
