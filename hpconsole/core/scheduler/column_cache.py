"""The columns of a snapshot, kept from one decision to the next and patched where a snapshot differs.

Snapshots share what did not change, so two snapshots are compared by identity: only hosts that are another object,
or whose VMs are, get new books. A promise changes the books of its host for one decision only.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Mapping, Sequence
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
    by_host: Mapping[str, dict[str, Vm]]  # active VMs of each host
    columns: HostColumns


_lock = threading.Lock()
_books: list[Books] = []


def columns_of(snapshot: ClusterSnapshot, reservations: Sequence[Reservation] = ()) -> HostColumns:
    """The columns of a snapshot with these promises. Threads: any; concurrent callers wait for each other."""
    books = _books_of(snapshot)
    promises = latest(reservations)
    if not promises:
        return books.columns
    changed: dict[int, HostAccount] = {}
    by_host: dict[str, list[Reservation]] = {}
    for promise in promises:
        by_host.setdefault(promise.host, []).append(promise)
    for name, promised in by_host.items():
        row = books.columns.row_of.get(name)
        if row is not None:
            vms = tuple(books.by_host.get(name, {}).values())
            changed[row] = account_of(snapshot.hosts[name], vms, promised, snapshot.settings, snapshot.vms)
    return books.columns.replaced(changed)


def vms_on(snapshot: ClusterSnapshot, host: str) -> tuple[Vm, ...]:
    """The active VMs of a host, without the sorting of all VMs that a new snapshot would cost."""
    return tuple(_books_of(snapshot).by_host.get(host, {}).values())


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
    for uuid, vm in snapshot.vms.items():
        if vm.host in by_host and vm.state.is_active:
            by_host[vm.host][uuid] = vm
    names = sorted(snapshot.hosts)
    accounts = [
        account_of(snapshot.hosts[name], tuple(by_host[name].values()), (), snapshot.settings) for name in names
    ]
    return Books(weakref.ref(snapshot), snapshot.hosts, snapshot.vms, snapshot.settings, by_host, HostColumns(accounts))


def _patched(before: Books, snapshot: ClusterSnapshot) -> Books | None:
    """The books of a later snapshot from those of an earlier one; None where too little is the same."""
    if snapshot.settings != before.settings or snapshot.hosts.keys() != before.hosts.keys():
        return None
    dirty = {name for name, host in snapshot.hosts.items() if before.hosts[name] is not host}
    by_host: dict[str, dict[str, Vm]] = dict(before.by_host)
    touched: set[str] = set()
    for uuid, old, new in _differences(before.vms, snapshot.vms):
        for vm in (old, new):
            if vm is not None and vm.host in by_host and vm.host not in touched:
                by_host[vm.host] = dict(by_host[vm.host])  # the earlier books keep theirs
                touched.add(vm.host)
                dirty.add(vm.host)
        if old is not None and old.host in touched:
            by_host[old.host].pop(uuid, None)
        if new is not None and new.host in touched and new.state.is_active:
            by_host[new.host][uuid] = new
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
        before.columns.replaced(changed),
    )


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
