"""The columns of a snapshot, kept from one decision to the next and patched where a snapshot differs.

Snapshots share what did not change, so two snapshots are compared by identity: only hosts that are another object,
or whose VMs are, get new books. A promise changes the books of its host for one decision only.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.account import HostAccount, account_of
from hpconsole.core.scheduler.columns import HostColumns
from hpconsole.core.scheduler.reservations import Reservation, latest

_KEPT = 4


@dataclass(frozen=True)
class Books:
    """A snapshot's columns and what they were made of."""

    snapshot: weakref.ref[ClusterSnapshot]
    hosts: Mapping[str, Host]
    vms: Mapping[str, Vm]
    settings: object
    by_host: Mapping[str, dict[str, Vm]]  # VMs with a process on each host
    by_name: Mapping[str, tuple[str, ...]]  # UUIDs of the VMs of each name
    columns: HostColumns


_lock = threading.Lock()
_books: list[Books] = []


def columns_of(
    snapshot: ClusterSnapshot, reservations: Sequence[Reservation] = (), without: Collection[str] = ()
) -> HostColumns:
    """The columns of a snapshot with these promises; VMs of `without` do not count where they are on their way to.

    Threads: any; concurrent callers wait for each other.
    """
    books = _books_of(snapshot)
    promises = latest(reservations)
    arriving = [
        process.host for uuid in without if uuid in snapshot.vms for process in snapshot.vms[uuid].other_processes
    ]
    if not promises and not arriving:
        return books.columns
    changed: dict[int, HostAccount] = {}
    by_host: dict[str, list[Reservation]] = {name: [] for name in arriving}
    for promise in promises:
        by_host.setdefault(promise.host, []).append(promise)
    for name, promised in by_host.items():
        row = books.columns.row_of.get(name)
        if row is not None:
            here = books.by_host.get(name, {}).values()
            vms = tuple(vm for vm in here if vm.uuid not in without or vm.host == name)
            changed[row] = account_of(snapshot.hosts[name], vms, promised, snapshot.settings, snapshot.vms)
    return books.columns.replaced(changed)


def vms_on(snapshot: ClusterSnapshot, host: str) -> tuple[Vm, ...]:
    """The VMs with a process on a host, those on their way to it too; without sorting all VMs of a new snapshot."""
    return tuple(_books_of(snapshot).by_host.get(host, {}).values())


def vms_named(snapshot: ClusterSnapshot, name: str) -> tuple[Vm, ...]:
    """The VMs of this name, without looking at all of them."""
    return tuple(snapshot.vms[uuid] for uuid in _books_of(snapshot).by_name.get(name, ()))


def forget() -> None:
    """Drop everything that is kept (tests, memory measurements)."""
    with _lock:
        _books.clear()


def _books_of(snapshot: ClusterSnapshot) -> Books:
    with _lock:
        for books in _books:
            if books.snapshot() is snapshot:
                return books
        made = _patched(_books[0], snapshot) if _books else None
        if made is None:
            made = _made(snapshot)
        _books.insert(0, made)
        del _books[_KEPT:]
        return made


def _made(snapshot: ClusterSnapshot) -> Books:
    by_host: dict[str, dict[str, Vm]] = {name: {} for name in snapshot.hosts}
    by_name: dict[str, tuple[str, ...]] = {}
    for uuid, vm in snapshot.vms.items():
        for name in vm.process_hosts if vm.other_processes else (vm.host,):
            if name in by_host and vm.state.is_active:
                by_host[name][uuid] = vm
        by_name[vm.name] = (*by_name[vm.name], uuid) if vm.name in by_name else (uuid,)
    names = sorted(snapshot.hosts)
    accounts = [
        account_of(snapshot.hosts[name], tuple(by_host[name].values()), (), snapshot.settings) for name in names
    ]
    columns = HostColumns(accounts)
    return Books(weakref.ref(snapshot), snapshot.hosts, snapshot.vms, snapshot.settings, by_host, by_name, columns)


def _patched(before: Books, snapshot: ClusterSnapshot) -> Books | None:
    """The books of a later snapshot from those of an earlier one; None where too little is the same."""
    if snapshot.settings != before.settings or snapshot.hosts.keys() != before.hosts.keys():
        return None
    dirty = {name for name, host in snapshot.hosts.items() if before.hosts[name] is not host}
    by_host: dict[str, dict[str, Vm]] = dict(before.by_host)
    touched: set[str] = set()
    differences = _differences(before.vms, snapshot.vms)
    for uuid, old, new in differences:
        for name in {*_processes(old), *_processes(new)} & by_host.keys():
            if name not in touched:
                by_host[name] = dict(by_host[name])  # the earlier books keep theirs
                touched.add(name)
                dirty.add(name)
            by_host[name].pop(uuid, None)
        if new is not None:
            for name in _processes(new):
                if name in touched:
                    by_host[name][uuid] = new
    row_of = before.columns.row_of
    changed = {
        row_of[name]: account_of(snapshot.hosts[name], tuple(by_host[name].values()), (), snapshot.settings)
        for name in dirty
    }
    return Books(
        weakref.ref(snapshot),
        snapshot.hosts,
        snapshot.vms,
        snapshot.settings,
        by_host,
        _renamed(before.by_name, differences),
        before.columns.replaced(changed),
    )


def _processes(vm: Vm | None) -> tuple[str, ...]:
    return () if vm is None else vm.process_hosts


def _renamed(
    by_name: Mapping[str, tuple[str, ...]], differences: Sequence[tuple[str, Vm | None, Vm | None]]
) -> Mapping[str, tuple[str, ...]]:
    """The VMs by name after these differences."""
    new_names: dict[str, tuple[str, ...]] | None = None
    for uuid, old, new in differences:
        if old is not None and new is not None and old.name == new.name:
            continue
        if new_names is None:
            new_names = dict(by_name)
        if old is not None:
            rest = tuple(other for other in new_names.get(old.name, ()) if other != uuid)
            new_names[old.name] = rest
            if not rest:
                del new_names[old.name]
        if new is not None:
            new_names[new.name] = (*new_names.get(new.name, ()), uuid)
    return by_name if new_names is None else new_names


def _differences(before: Mapping[str, Vm], after: Mapping[str, Vm]) -> list[tuple[str, Vm | None, Vm | None]]:
    """(UUID, old, new) of the VMs that are not the same object."""
    if before is after:
        return []
    old_keys, new_keys = list(before), list(after)
    if old_keys == new_keys:
        differ = list(map(operator.is_not, before.values(), after.values()))
        if True not in differ:
            return []
        return [(uuid, before[uuid], after[uuid]) for uuid, is_new in zip(new_keys, differ, strict=True) if is_new]
    changes: list[tuple[str, Vm | None, Vm | None]] = [
        (uuid, before.get(uuid), vm) for uuid, vm in after.items() if before.get(uuid) is not vm
    ]
    return changes + [(uuid, vm, None) for uuid, vm in before.items() if uuid not in after]
