"""Columns that are patched from snapshot to snapshot are those of a fresh start."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from hpconsole.core.model.affinity import ClusterSettings
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler import column_cache, core_columns, node_columns
from hpconsole.core.scheduler.column_cache import columns_of, forget, vms_on
from hpconsole.core.scheduler.columns import NUMBERS, HostColumns, words
from hpconsole.core.scheduler.reservations import reserve
from tests.builders import a_host, a_snapshot, a_topology, a_vm
from tests.core.scheduler.random_clusters import cluster, host, topology


@pytest.fixture(autouse=True)
def fresh() -> None:
    forget()


def _touch(columns: HostColumns) -> None:
    """Ask for some of everything, so that there is something to patch."""
    columns.coded("features"), columns.coded("layout"), columns.free_pages(2048)
    node_columns.node_free_kib(columns), node_columns.node_pages(columns, 2048), node_columns.node_ids(columns)
    core_columns.whole_cores(columns), core_columns.cores_with(columns, 1), core_columns.usable_cpus(columns)


def _same(mine: HostColumns, other: HostColumns) -> None:
    assert mine.names == other.names
    assert list(mine.accounts) == list(other.accounts)
    assert np.array_equal(mine.numbers, other.numbers, equal_nan=True)
    for build in (
        node_columns.node_free_kib,
        node_columns.node_ids,
        core_columns.whole_cores,
        core_columns.usable_cpus,
    ):
        a, b = build(mine), build(other)
        width = min(a.shape[1], b.shape[1])
        assert np.array_equal(a[:, :width], b[:, :width])
        assert (a[:, width:] <= 0).all()
    values = [mine.coded("layout").values[code] for code in mine.coded("layout").codes]
    assert values == [account.layout for account in other.accounts]


def _fresh(snapshot: ClusterSnapshot) -> HostColumns:
    forget()
    return columns_of(snapshot)


@pytest.mark.parametrize("seed", range(40))
def test_a_patched_snapshot_is_as_a_fresh_one(seed: int) -> None:
    random = Random(seed)
    before, vm = cluster(seed)
    _touch(columns_of(before))
    after = before
    for change in range(3):
        name = random.choice(list(after.hosts))
        hosts, vms = dict(after.hosts), dict(after.vms)
        kind = random.choice(["usage", "topology", "vm moves", "vm stops", "vm goes", "vm comes"])
        if kind == "usage":
            hosts[name] = replace(hosts[name], usage=replace(hosts[name].usage, cpu_pct=random.uniform(0, 99)))
        elif kind == "topology":
            hosts[name] = host(random, name, topology(random))
        elif kind == "vm moves":
            vms[vm.uuid] = replace(vm, host=name)
        elif kind == "vm stops":
            vms[vm.uuid] = replace(vm, host=None)
        elif kind == "vm goes":
            vms.pop(next(iter(vms)))
        else:
            new = a_vm(f"new-{change}", host=name)
            vms[new.uuid] = new
        after = replace(after, serial=after.serial + 1, hosts=hosts, vms=vms)
        patched = columns_of(after)
        _touch(patched)
    _same(patched, _fresh(after))


def test_unchanged_hosts_keep_their_books() -> None:
    before = a_snapshot(50, [a_vm(f"v{i}", host="host-b") for i in range(3)])
    old = columns_of(before)
    hosts = {**before.hosts, "host-a": a_host("host-a", cpu_load_pct=77)}
    new = columns_of(replace(before, serial=2, hosts=hosts))
    kept = [mine is other for mine, other in zip(old.accounts, new.accounts, strict=True)]
    assert kept.count(False) == 1
    assert old.number("cpu_pct")[0] == 10, "the earlier snapshot's columns are as they were"
    assert new.number("cpu_pct")[0] == 77


def test_other_hosts_or_settings_start_anew() -> None:
    before = a_snapshot(3)
    columns_of(before)
    more = columns_of(replace(before, serial=2, hosts={**before.hosts, "host-z": a_host("host-z")}))
    assert len(more) == 4
    generous = columns_of(replace(before, serial=3, settings=ClusterSettings(overcommit_pct=200)))
    assert generous.number("overcommit_pct").tolist() == [200, 200, 200]


def test_promises_change_one_decision_only() -> None:
    vm = a_vm(host=None, vcpus=4)
    snapshot = a_snapshot(3, [vm])
    promised = columns_of(snapshot, [reserve(vm, "host-b")])
    assert promised.number("pending_vm_count").tolist() == [0, 1, 0]
    assert columns_of(snapshot).number("pending_vm_count").tolist() == [0, 0, 0]
    assert vms_on(snapshot, "host-b") == ()


def test_old_snapshots_are_let_go() -> None:
    for serial in range(20):
        columns_of(a_snapshot(2, serial=serial))
    assert len(column_cache._books) <= 4


def test_a_promise_is_no_promise_once_the_vm_is_there() -> None:
    vm = a_vm(host="host-a", vcpus=4)
    columns = columns_of(a_snapshot(2, [vm]), [reserve(vm, "host-a")])
    assert columns.number("pending_vm_count").tolist() == [0, 0]


def test_masks_become_words() -> None:
    assert words([1 << 70 | 1, 2]).tolist() == [[1, 64], [2, 0]]
    assert words([1], 1024).shape == (1, 16)


def test_unknown_is_not_zero() -> None:
    columns = columns_of(a_snapshot([replace(a_host("a"), memory_kib=None, topology=a_topology())]))
    assert np.isnan(columns.numbers[NUMBERS.index("memory_kib")][0])
    assert columns.scheduling_kib.tolist() == [0]
