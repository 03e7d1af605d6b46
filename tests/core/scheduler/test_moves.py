"""Several VMs at once, balancing and affinity enforcement, each as a chain of ordinary decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, VcpuTopology, VmIntent, VmLoad
from hpconsole.core.scheduler.moves import balancing_move, enforcement_move, schedule
from hpconsole.core.scheduler.policies import BUILT_IN, Policy
from tests.builders import NOW, a_host, a_snapshot, a_topology, a_vm


def policy(name: str) -> Policy:
    return next(item for item in BUILT_IN if item.name == name)


def test_each_vm_gets_its_own_place_the_hardest_first() -> None:
    """Two VMs of three own cores each, hosts of four cores: they cannot share one."""
    hosts = [a_host(f"host-{x}", topology=a_topology(1, 1, 4, 1)) for x in "ab"]
    own = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED)
    vms = [a_vm(f"v{i}", host=None, vcpus=3, memory_mib=64, topology=VcpuTopology(1, 3, 1), intent=own) for i in "12"]
    small = a_vm("small", host=None, vcpus=1, memory_mib=64)
    decisions = schedule([small.uuid, *(vm.uuid for vm in vms)], a_snapshot(hosts, [small, *vms]))
    assert [len(decision.vm_uuids) for decision in decisions] == [1, 1, 1]
    assert decisions[2].vm_uuids == (small.uuid,)
    assert {decision.host for decision in decisions[:2]} == {"host-a", "host-b"}


def test_a_group_that_must_be_together_goes_together_or_not_at_all() -> None:
    vms = [a_vm(f"v{i}", host=None, vcpus=6, memory_mib=64) for i in range(2)]
    group = AffinityGroup(
        "pair", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=tuple(v.uuid for v in vms)
    )
    snapshot = replace(a_snapshot(2, vms), affinity_groups=(group,))
    assert [set(decision.vm_uuids) for decision in schedule(group.vms, snapshot)] == [set(group.vms)]
    apart = schedule(group.vms, snapshot, ignore_hard_vm_affinity=True)
    assert [len(decision.vm_uuids) for decision in apart] == [1, 1]
    none = schedule(group.vms, snapshot, excluded_hosts=frozenset(snapshot.hosts))
    assert [decision.host for decision in none] == [None]
    with pytest.raises(InvalidEdit):
        schedule(["nobody"], snapshot)


def loaded(host: Host, pct: float, *, minutes: int | None = None) -> Host:
    since = None if minutes is None else NOW - timedelta(minutes=minutes)
    return replace(host, usage=replace(host.usage, cpu_pct=pct, overloaded_since=since))


def a_busy_cluster(mode: MigrationMode = MigrationMode.AUTOMATIC) -> ClusterSnapshot:
    vms = [
        a_vm(f"v{i}", host="host-a", vcpus=2, memory_mib=512, intent=VmIntent(migration_mode=mode)) for i in range(3)
    ]
    hosts = [loaded(a_host("host-a"), 95, minutes=10), loaded(a_host("host-b"), 10), loaded(a_host("host-c"), 70)]
    return a_snapshot(hosts, vms, {vm.uuid: VmLoad(cpu_pct=50 + 10 * i) for i, vm in enumerate(vms)})


def test_an_overloaded_host_gives_its_least_busy_vm_away() -> None:
    snapshot = a_busy_cluster()
    move = balancing_move(snapshot, policy("evenly_distributed"))
    assert move is not None
    assert (snapshot.vms[move.vm_uuid].name, move.source, move.host) == ("v0", "host-a", "host-b")
    assert "over 80 % busy" in move.reason
    assert balancing_move(snapshot, policy("none")) is None


def test_vms_in_manual_mode_are_left_alone() -> None:
    assert balancing_move(a_busy_cluster(MigrationMode.MANUAL), policy("evenly_distributed")) is None


def test_power_saving_empties_an_idle_host() -> None:
    vm = a_vm("lonely", host="host-a", vcpus=1, memory_mib=512)
    hosts = [loaded(a_host("host-a"), 5), loaded(a_host("host-b"), 40)]
    move = balancing_move(a_snapshot(hosts, [vm], {vm.uuid: VmLoad(cpu_pct=20)}), policy("power_saving"))
    assert move is not None
    assert (move.source, move.host) == ("host-a", "host-b")


def test_guests_are_balanced_by_number() -> None:
    vms = [a_vm(f"v{i}", host="host-a", vcpus=1, memory_mib=64) for i in range(11)]
    snapshot = a_snapshot(2, vms)
    move = balancing_move(snapshot, policy("vm_evenly_distributed"))
    assert move is not None
    assert (move.source, move.host) == ("host-a", "host-b")
    fewer = a_snapshot(2, vms[:9])
    assert balancing_move(fewer, policy("vm_evenly_distributed")) is None, "fewer than HighVmCount"


def test_broken_affinity_is_mended() -> None:
    vms = [a_vm(name, host="host-a", vcpus=1, memory_mib=64) for name in ("one", "two")]
    apart = AffinityGroup(
        "apart", vm_rule=AffinityRule.NEGATIVE, is_vm_rule_enforced=True, vms=tuple(v.uuid for v in vms)
    )
    snapshot = replace(a_snapshot(2, vms), affinity_groups=(apart,))
    move = enforcement_move(snapshot)
    assert move is not None
    assert (move.source, move.host) == ("host-a", "host-b")
    mended = replace(snapshot, vms={**snapshot.vms, move.vm_uuid: replace(snapshot.vms[move.vm_uuid], host="host-b")})
    assert enforcement_move(mended) is None
