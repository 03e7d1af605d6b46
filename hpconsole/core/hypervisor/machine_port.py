"""The part of the port that making and editing VMs needs: definitions with secrets, live tuning, storage.

As everywhere in the port: every method blocks, may be called from any thread, raises only HypervisorError subclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hpconsole.core.hypervisor.lent_mark import LentMark


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A storage pool. Sizes in KiB; None where it is not active."""

    name: str
    kind: str  # dir, netfs, logical, rbd ...
    path: str = ""
    is_active: bool = True
    capacity_kib: int | None = None
    free_kib: int | None = None


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A volume of a storage pool."""

    name: str
    path: str
    format: str  # qcow2, raw, iso ...
    capacity_kib: int
    used_kib: int
    backing_path: str = ""  # what it is linked to


@dataclass(frozen=True, slots=True)
class NewVolume:
    """A volume to be made. `clone_from`: a volume of the same pool to copy; with `is_linked` an overlay over it."""

    pool: str
    name: str
    format: str = "qcow2"  # qcow2, raw
    capacity_kib: int | None = None  # None: that of `clone_from`
    clone_from: str = ""
    is_linked: bool = False


class MachinePort(Protocol):
    """See the module."""

    def definition(self, uuid: str) -> str:
        """The persistent definition, secrets included, so that it can be defined again. Never log or store it."""

    def rename(self, uuid: str, name: str) -> None:
        """Give a VM that is shut off another name.

        Raises:
            OperationRefused: it runs, or the name is taken.
        """

    def pin_emulator(self, uuid: str, cpus: str, *, live: bool, config: bool) -> None:
        """Pin the emulator threads to a CPU list such as `0-3`."""

    def pin_iothread(self, uuid: str, thread: int, cpus: str, *, live: bool, config: bool) -> None:
        """Pin an IO thread to a CPU list."""

    def mark_lent(self, uuid: str, mark: LentMark | None) -> None:
        """Say in the running VM's metadata which CPUs its emulator threads are lent; None: remove what is said."""

    def set_memory(self, uuid: str, memory_kib: int, *, live: bool, config: bool) -> None:
        """Ask the balloon to give the guest this much."""

    def storage_pools(self) -> tuple[PoolRecord, ...]:
        """Every storage pool, by name."""

    def volumes(self, pool: str) -> tuple[VolumeRecord, ...]:
        """The volumes of an active pool, by name, as they are now (the pool is looked through again)."""

    def create_volume(self, wanted: NewVolume) -> VolumeRecord:
        """Make a volume; a copy takes as long as copying takes.

        Raises:
            OperationRefused: there is one of this name, no room, or no such pool; nothing was made.
        """

    def delete_volume(self, pool: str, name: str) -> None:
        """Delete a volume and what is in it."""
