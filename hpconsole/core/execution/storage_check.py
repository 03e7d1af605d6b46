"""Does the destination have the VM's disks, and are they the same ones? Asked of both hosts' storage pools.

A file of the same path on two local disks is the worst that can happen: the VM would go on, on another disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import FileTimes, Hypervisor
from hpconsole.core.model.vm import Disk, Vm
from hpconsole.core.planning.preflight_findings import Finding, Severity

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# Hosts that share a file see a change late: NFS keeps attributes for 60 s (acregmax), and the two are asked in turn.
_SEEN_WITHIN_S = 120.0


def storage_findings(pool: ConnectionPool, vm: Vm, destination: str, *, deadline_s: float) -> list[Finding]:
    """Every disk that the destination lacks, has as another file, or cannot be asked about. Blocks."""

    def ask(host: str, question: Callable[[Hypervisor], _T]) -> _T | None:
        try:
            return pool.call(host, question, deadline_s=deadline_s)
        except HpconsoleError as error:
            _log.info("disks of %s on %s: %s", vm.uuid, host, error)
            return None

    def of_disk(disk: Disk) -> list[Finding]:
        path, target = disk.source, disk.target
        if disk.kind not in ("file", "block"):
            words = f"Whether {destination} reaches {path} ({target}) is not checked: it is no file and no device."
            return [Finding("storage", Severity.NOTE, words)]
        is_there = ask(destination, lambda host: host.has_file(path))
        if is_there is False:
            words = f"{destination} does not have {path}, which is disk {target} of {vm.name}."
            remedy = f"Make the storage available on {destination}; it is not copied."
            return [Finding("storage", Severity.ERROR, words, remedy)]
        if is_there is None:
            words = f"Whether {destination} reaches {path} ({target}) cannot be asked: no pool there holds it."
            return [Finding("storage", Severity.NOTE, words)]
        if disk.kind == "block" or disk.is_readonly:
            return []  # of a device each host has a file of its own; what is only read may be a copy
        here, there = (ask(host, lambda one: one.file_times(path)) for host in (vm.host or "", destination))
        return same_file(vm, disk, destination, here, there)

    return [finding for disk in vm.devices.disks if disk.source for finding in of_disk(disk)]


def same_file(vm: Vm, disk: Disk, destination: str, here: FileTimes | None, there: FileTimes | None) -> list[Finding]:
    """What the times of the two files of one path say: nothing where they are, as far as can be told, one file."""
    both = f"{disk.source} ({disk.target}) on {vm.host} and on {destination}"
    if here is None or there is None:
        words = f"Whether {both} is the same file cannot be asked: not both hosts told when it was changed."
        return [Finding("storage", Severity.NOTE, words)]
    apart_s = max(abs(here.modified_s - there.modified_s), abs(here.changed_s - there.changed_s))
    if apart_s <= _SEEN_WITHIN_S:
        return []
    words = (
        f"{both} seem to be two files: they were not last changed at the same time. If they are, {vm.name} would go on "
        "with another disk, and both would be damaged."
    )
    remedy = f"Look whether the two hosts share that folder; if not, {vm.name} cannot be moved while it runs."
    return [Finding("storage", Severity.WARNING, words, remedy)]
