"""Weights and selectors by hand: worked examples, ties, stretching, and what upstream has no cases for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpconsole.core.model.affinity import ClusterSettings
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, VcpuTopology, Vm, VmIntent
from hpconsole.core.scheduler import exclusive_allocation as allocation
from hpconsole.core.scheduler.column_cache import columns_of
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.grouping import groups
from hpconsole.core.scheduler.host_tables import tables_of
from hpconsole.core.scheduler.occupancy import occupancy
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT_POLICY
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.selectors import RANK, Table, ranks
from hpconsole.core.scheduler.socket_shape import usage
from hpconsole.core.scheduler.weights_load import stretched
from tests.builders import a_host, a_snapshot, a_topology, a_vm
from tests.core.scheduler.random_clusters import cluster


def test_the_worked_example_of_the_reference() -> None:
    """behaviour.md A2: three hosts, a tie in one unit."""
    tables = [Table("hp", 4, np.array([1.0, 1000, 1])), Table("load", 2, np.array([700.0, 1, 300]))]
    assert ranks(tables[0].raw).tolist() == [2, 0, 2]
    assert ranks(tables[1].raw).tolist() == [0, 2, 1]
    assert RANK.scores(tables).tolist() == [8, 4, 10]


def test_worst_tied_hosts_may_rank_above_zero() -> None:
    assert ranks(np.array([1.0, 5, 5, 9])).tolist() == [3, 2, 2, 0]
    assert ranks(np.array([7.0, 7])).tolist() == [1, 1]


def test_stretching_rounds_half_up() -> None:
    assert stretched(np.array([0.0, 1, 2]), 1000).tolist() == [1, 501, 1000]
    assert stretched(np.array([3.0, 3]), 1000).tolist() == [1, 1]
    assert stretched(np.array([]), 1000).tolist() == []


def parts(snapshot: ClusterSnapshot, vm: Vm, unit: str, policy: str = "none") -> dict[str, float]:
    wanted = next(item for item in BUILT_IN if item.name == policy)
    ranking = rank(Request((vm.uuid,)), snapshot, wanted)
    return {name: part.raw for name in ranking.accepted for part in ranking.parts(name) if part.unit == unit}


def test_preferred_hosts_count_only_for_a_start() -> None:
    intent = VmIntent(allowed_hosts=("host-b",))
    down, up = a_vm("down", host=None, intent=intent), a_vm("up", host="host-a", intent=intent)
    assert parts(a_snapshot(3, [down]), down, "PreferredHosts") == {"host-a": 10_000, "host-b": 0, "host-c": 10_000}
    assert parts(a_snapshot(3, [up]), up, "PreferredHosts") == {}


def test_ha_reservation_spreads_ha_vms() -> None:
    ha = VmIntent(high_availability=True)
    vms = [a_vm(f"h{i}", host="host-a", memory_mib=64, intent=ha) for i in range(2)]
    vms.append(a_vm("h2", host="host-b", memory_mib=64, intent=ha))
    vm = a_vm("new", host=None, intent=ha)
    snapshot = replace(a_snapshot(3, [*vms, vm]), settings=ClusterSettings(has_ha_reservation=True))
    assert parts(snapshot, vm, "OptimalForHaReservation") == {"host-a": 100, "host-b": 50, "host-c": 0}


def test_guests_count_running_and_coming() -> None:
    vms = [a_vm(f"v{i}", host="host-a", memory_mib=64) for i in range(3)]
    vm = a_vm("new", host=None)
    raw = parts(a_snapshot(2, [*vms, vm]), vm, "OptimalForEvenGuestDistribution", "vm_evenly_distributed")
    assert raw == {"host-a": 3, "host-b": 0}


def test_high_performance_cpu_counts_sockets_then_cores() -> None:
    """2 vCPUs of their own: one core with two threads is better than two cores."""
    vm = a_vm(
        host=None,
        vcpus=2,
        topology=VcpuTopology(1, 1, 2),
        intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED),
    )
    hosts = [a_host("host-a", topology=a_topology(2, 1, 4, 2)), a_host("host-b", topology=a_topology(2, 1, 4, 2))]
    columns = columns_of(a_snapshot(hosts, [vm]))
    sockets, cores, possible = usage(columns, vm)
    assert (sockets.tolist(), cores.tolist(), possible.tolist()) == ([1, 1], [1, 1], [True, True])


@pytest.mark.parametrize("seed", range(60))
def test_sockets_and_cores_for_all_hosts_are_those_of_the_allocation(seed: int) -> None:
    """The columns give what the reference's allocation gives on each host."""
    snapshot, _ = cluster(seed)
    policy = (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS)[seed % 2]
    shape = VcpuTopology(sockets=1 + seed % 2, cores=1 + seed % 3, threads=1 + seed // 2 % 2)
    vm = a_vm(host=None, vcpus=shape.vcpus, topology=shape, intent=VmIntent(cpu_pinning_policy=policy))
    columns = columns_of(snapshot)
    sockets, cores, possible = usage(columns, vm)
    for row, name in enumerate(columns.names):
        units = _units(snapshot, name)
        found = allocation.allocate(allocation.AllocationRequest("vm", shape, policy), units)
        assert bool(possible[row]) == (found is not None), name
        if found is not None:
            taken = [units[position] for position in found.positions]
            assert sockets[row] == len({unit.socket_id for unit in taken}), name
            assert cores[row] == len({(unit.socket_id, unit.core_id) for unit in taken}), name


def _units(snapshot: ClusterSnapshot, name: str) -> list[allocation.CpuUnit]:
    """The CPUs of a host, node by node and core by core, those of other pinned VMs marked."""
    host = snapshot.hosts[name]
    taken = occupancy(host, snapshot.vms_on(name))
    gone = taken.exclusive.bits | taken.shared.bits
    units: list[allocation.CpuUnit] = []
    for position, node in enumerate(tables_of(host.topology).cores):
        for number, core in enumerate(node):
            for cpu in CpuSet(core.bits):
                pinned = bool(gone >> cpu & 1)
                units.append(
                    allocation.CpuUnit(
                        position,
                        core.socket,
                        position * 1000 + number,
                        cpu,
                        CpuPinningPolicy.MANUAL if pinned else CpuPinningPolicy.NONE,
                        ("other",) if pinned else (),
                    )
                )
    return units


def test_groups_keep_positive_affinity_together_most_demanding_first() -> None:
    plain, pinned = a_vm("plain", host=None), a_vm("pinned", host=None, intent=_policy(CpuPinningPolicy.MANUAL))
    third = a_vm("third", host=None, vcpus=8)
    assert groups([plain, third, pinned]) == ((pinned,), (third,), (plain,))


def _policy(policy: CpuPinningPolicy) -> VmIntent:
    return VmIntent(cpu_pinning_policy=policy)


def test_a_vm_with_cpus_of_its_own_makes_less_shared_load() -> None:
    own = a_vm(
        "own",
        host=None,
        vcpus=2,
        pinning=CpuPinning(),
        intent=_policy(CpuPinningPolicy.DEDICATED),
    )
    raw = parts(a_snapshot([a_host("idle", cpu_load_pct=0), a_host("busy", cpu_load_pct=90)], [own]), own,
                "OptimalForCpuEvenDistribution")  # fmt: skip
    assert raw == {"idle": 1, "busy": 1000}
    assert DEFAULT_POLICY.name == "none"
