"""What the VM dialogs need of the hosts, as a protocol: reading, saving and storage. Every call blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hpconsole.core.machines.draft import VmDraft

if TYPE_CHECKING:
    from hpconsole.core.machines.applying import Saved


class Machines(Protocol):
    """Called on worker threads only. Methods raise HpconsoleError."""

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
