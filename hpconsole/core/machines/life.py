"""Pausing, resuming and deleting VMs: each asks the host once more what is true, just before it changes it.

Every function blocks and asks hosts: never on the GUI thread. Knows nothing of high availability but a sentence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hpconsole.core.errors import HpconsoleError, InvalidEdit, StorageError, VmNotFound
from hpconsole.core.hypervisor.domain_state import is_held_by_migration, reason_of, state_of
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DomainRecord, Hypervisor
from hpconsole.core.machines.applying import DEADLINE_S
from hpconsole.core.machines.own_volumes import delete_volumes, own_volumes, refuse_elsewhere
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmState

_JOB_UNDER_WAY = (1, 2)  # VIR_DOMAIN_JOB_BOUNDED, _UNBOUNDED
# Words of `reason_of`: the vCPUs stand still in the middle of something that ends by itself, or must be repaired.
_IN_THE_MIDDLE = ("being saved", "memory being dumped", "shutting down", "a snapshot is being made", "starting")

Held = Callable[[], str]  # why something else holds the VM, a sentence; empty where nothing does


@dataclass(frozen=True, slots=True)
class Deleted:
    """What is true now. `file`: the definition as it was. `notes`: what is left, a sentence each."""

    uuid: str
    name: str
    host: str
    disks: tuple[str, ...] = ()  # of the VM, deleted or not
    file: Path | None = None
    notes: tuple[str, ...] = ()


def own_disks(vm: Vm) -> tuple[str, ...]:
    """Where its disks lie: no CD drives, nothing shared."""
    disks = (disk for disk in vm.devices.disks if disk.device == "disk" and not disk.is_shareable)
    return tuple(disk.source for disk in disks if disk.source)


def pause(pool: ConnectionPool, vm: Vm) -> None:
    """Stop the vCPUs of a running VM; its memory stays.

    Raises:
        InvalidEdit: it does not run, or is being moved; nothing was changed.
        HypervisorError: the host refused.
    """

    def call(host: Hypervisor) -> None:
        record = _record(host, vm)
        if state_of(record.state) is not VmState.RUNNING:
            raise InvalidEdit("vm", f"{vm.name} is {_words(record)} on {vm.host}: nothing to pause.", subject=vm.name)
        if is_held_by_migration(record.state, record.reason) or host.job_stats(vm.uuid).job_type in _JOB_UNDER_WAY:
            raise _busy(vm, "paused")
        host.suspend(vm.uuid)

    pool.call(vm.host or "", call, deadline_s=DEADLINE_S)


def resume(pool: ConnectionPool, vm: Vm) -> None:
    """Let a paused VM run again, where no other process of it is known and its memory is all there.

    `vm` is what the hosts that answer told last; its own host is asked again. A host that does not answer may have a
    process nobody knows of: the locks of its disks (virtlockd, sanlock, QEMU's own) are what stops it then.

    Raises:
        InvalidEdit: it is not paused, or stands still because of a migration; nothing was changed.
        HypervisorError: the host refused.
    """
    others = [name for name in vm.process_hosts if name != vm.host] + list(vm.also_running_on)
    if others:
        raise InvalidEdit(
            "vm",
            f"{vm.name} has a process on {others[0]} as well as on {vm.host}. Running both would destroy its disks, so "
            "nothing was resumed. Recover or clean up its migration in Tasks.",
            subject=vm.name,
        )

    def call(host: Hypervisor) -> None:
        record = _record(host, vm)
        if state_of(record.state) is not VmState.PAUSED:
            raise InvalidEdit("vm", f"{vm.name} is {_words(record)} on {vm.host}: nothing to resume.", subject=vm.name)
        if is_held_by_migration(record.state, record.reason):
            raise InvalidEdit(
                "vm",
                f"{vm.name} stands still on {vm.host} because of a migration, so what is there may not be all of it. "
                "Nothing was resumed. Wait for its end, or recover it in Tasks.",
                subject=vm.name,
            )
        reason = reason_of(record.state, record.reason)
        if reason in _IN_THE_MIDDLE or host.job_stats(vm.uuid).job_type in _JOB_UNDER_WAY:
            raise _busy(vm, "resumed")
        host.resume(vm.uuid)

    pool.call(vm.host or "", call, deadline_s=DEADLINE_S)


def delete(
    pool: ConnectionPool,
    vm: Vm,
    *,
    held: Held = lambda: "",
    keep_nvram: bool = True,
    with_volumes: ClusterSnapshot | None = None,
    save_in: Path | None = None,
) -> Deleted:
    """Forget a VM that is shut off. Its disks stay, unless the volumes are to go, too.

    Args:
        held: Asked just before.
        keep_nvram: Keep what its firmware and its TPM have stored, where they are on the host.
        with_volumes: Delete its disks in storage pools that it may write to, unless another VM of this snapshot needs
            one. Every host is asked just before whether it runs the VM.
        save_in: The folder its definition is written to first, secrets included, for its owner only.

    Raises:
        InvalidEdit: it runs, or something holds it or its disks; nothing was changed.
        StorageError: the definition could not be written; nothing was changed.
        HypervisorError: the host refused; the sentence names the file that was written.
    """
    host = vm.host or ""
    _refuse(vm, pool.call(host, partial(_record, vm=vm), deadline_s=DEADLINE_S), held())
    volumes = None if with_volumes is None else own_volumes(pool, vm, with_volumes.vms.values())
    file = None
    if save_in is not None:
        xml = pool.call(host, lambda h: h.definition(vm.uuid), deadline_s=DEADLINE_S)
        file = _written(save_in, vm, xml)

    def call(there: Hypervisor) -> None:
        _refuse(vm, _record(there, vm), "")
        there.undefine(vm.uuid, keep_nvram=keep_nvram)

    try:
        if volumes is not None:
            refuse_elsewhere(pool, vm)
        pool.call(host, call, deadline_s=DEADLINE_S)
    except InvalidEdit:  # it is still there, and so is its definition
        if file is not None:
            with suppress(OSError):
                file.unlink()
        raise
    except HpconsoleError as error:  # the host may have done it and not said so: what was written may be all there is
        if file is not None:
            error.sentence += f" Its definition was saved in {file}."
        raise
    notes = () if volumes is None else delete_volumes(pool, host, volumes)
    return Deleted(vm.uuid, vm.name, host, own_disks(vm), file, notes)


def _record(host: Hypervisor, vm: Vm) -> DomainRecord:
    """The host's own line about it, asked now."""
    found = next((record for record in host.sample().domains if record.uuid == vm.uuid), None)
    if found is None:
        raise VmNotFound(f"{vm.name} is not on {vm.host} any more. Nothing was changed.", subject=vm.name)
    return found


def _refuse(vm: Vm, record: DomainRecord, why: str) -> None:
    if state_of(record.state).is_active:
        raise InvalidEdit(
            "vm",
            f"{vm.name} is {_words(record)} on {vm.host}: shut it down first. Nothing was deleted.",
            subject=vm.name,
        )
    if why:
        raise InvalidEdit("vm", f"{why} Nothing was deleted.", subject=vm.name)


def _busy(vm: Vm, what: str) -> InvalidEdit:
    return InvalidEdit(
        "vm",
        f"{vm.name} is being moved, saved or copied on {vm.host} just now: wait for the end, or cancel that. "
        f"It was not {what}.",
        subject=vm.name,
    )


def _words(record: DomainRecord) -> str:
    return state_of(record.state).value


def _written(folder: Path, vm: Vm, xml: str) -> Path:
    """The definition as a new file that only its owner reads: it holds the VM's passwords."""
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", vm.name).lstrip(".") or "vm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            file = folder / (f"{stem}.xml" if number == 1 else f"{stem}-{number}.xml")
            try:
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                    stream.write(xml)
                    stream.flush()
                    os.fsync(descriptor)  # soon it is the only one
            except OSError:
                with suppress(OSError):
                    file.unlink()  # half a definition is none
                raise
            return file
    except OSError as error:
        raise _unwritten(folder, vm, error.strerror or type(error).__name__) from error
    raise _unwritten(folder, vm, "there are too many files of this name")


def _unwritten(folder: Path, vm: Vm, why: str) -> HpconsoleError:
    return StorageError(
        f"The definition of {vm.name} could not be saved in {folder}: {why}. Nothing was deleted.", subject=vm.name
    )
