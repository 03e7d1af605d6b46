"""The demo and the large cluster: what they hold, that they are deterministic, and that polling them is cheap."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from hpconsole.core.hypervisor.domain_xml import read_vm
from hpconsole.core.hypervisor.simulated import demo
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.libvirt_numbers import State
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, Vm
from tests.core.hypervisor.simulated_clock import FakeClock


def all_vms(cluster: SimulatedCluster) -> list[Vm]:
    found = []
    for name, uri in cluster.uris().items():
        host = cluster.open(uri)
        found += [read_vm(record, host.domain_xml(record.uuid), host=name) for record in host.sample().domains]
    return found


@pytest.fixture(scope="module")
def vms() -> list[Vm]:
    return all_vms(SimulatedCluster.demo(clock=FakeClock()))


def test_demo_has_twelve_hosts_of_four_topologies() -> None:
    assert list(SimulatedCluster.demo().uris()) == [f"host-{n:02}" for n in range(1, 13)]
    assert len({model.shape for model in demo.HOSTS}) == 4
    assert sorted({model.shape.nodes for model in demo.HOSTS}) == [1, 2, 4, 8]
    assert all(256 - 8 <= model.total_kib / 1024**2 <= 1024 for model in demo.HOSTS)


def test_demo_has_a_hundred_and_twenty_vms_of_which_thirty_are_special(vms: list[Vm]) -> None:
    assert len(vms) == 120
    assert len({vm.uuid for vm in vms}) == len({vm.name for vm in vms}) == 120
    special = [vm for vm in vms if vm.is_pinned_or_high_performance]
    assert len(special) == 30
    policies = Counter(vm.intent.cpu_pinning_policy for vm in special)
    for policy in CpuPinningPolicy:
        if policy is not CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
            assert policies[policy] >= 2, policy
    assert {vm.intent.migration_mode for vm in special} == set(MigrationMode)
    assert sum(not vm.state.is_active for vm in vms) >= 4
    assert any(not vm.intent.is_stored for vm in special)


def test_no_cpu_is_pinned_twice_for_itself(vms: list[Vm]) -> None:
    for host in {vm.host for vm in vms}:
        exclusive: Counter[int] = Counter()
        for vm in vms:
            if vm.host == host and vm.intent.cpu_pinning_policy.is_exclusive:
                exclusive.update(cpu for _, cpus in vm.pinning.vcpus if len(cpus) == 1 for cpu in cpus)
        assert not [cpu for cpu, times in exclusive.items() if times > 1], host


def test_the_tours_vm_is_the_obvious_one(vms: list[Vm]) -> None:
    vm = next(vm for vm in vms if vm.name == "trade-engine-1")
    assert (vm.vcpus, len(vm.virtual_nodes), vm.host) == (8, 2, "host-02")
    assert vm.devices.nics[1].source == "market"


def test_nobodys_memory_is_below_zero() -> None:
    cluster = SimulatedCluster.demo()
    for uri in cluster.uris().values():
        sample = cluster.open(uri).sample()
        assert all(0 <= cell.free_kib < cell.total_kib for cell in sample.cells)
        assert all(count >= 0 for pools in sample.free_pages.values() for count in pools.values())
        together = sample.memory.free_kib + sample.memory.buffers_kib + sample.memory.cached_kib
        assert together < sample.memory.total_kib
        assert sample.memory.free_kib == sum(cell.free_kib for cell in sample.cells)


def picture(seed: int) -> list[object]:
    clock = FakeClock()
    cluster = SimulatedCluster.demo(seed, clock=clock)
    told: list[object] = []
    for seconds in (0, 1, 61.5):
        clock.advance(seconds)
        for uri in cluster.uris().values():
            host = cluster.open(uri)
            sample = host.sample()
            told += [sample, host.facts(), host.devices()]
            told += [host.domain_xml(record.uuid) for record in sample.domains]
    return told


def test_same_seed_and_clock_give_the_same_answers_and_another_seed_others() -> None:
    first, second = picture(1), picture(1)
    assert first == second
    assert picture(2) != first


def test_counters_rise_and_loads_vary() -> None:
    clock = FakeClock()
    cluster = SimulatedCluster.demo(clock=clock)
    host = cluster.open("sim://host-02")
    loads: dict[str, set[int]] = {}
    cpus = sum(host.sample().online_cpus)
    for _ in range(60):
        before = host.sample()
        clock.advance(5)
        after = host.sample()
        passed = sum(after.cpu_time_ns[key] - before.cpu_time_ns[key] for key in after.cpu_time_ns)
        assert passed == pytest.approx(5e9 * cpus, rel=1e-3)
        for key, value in after.cpu_time_ns.items():
            assert value >= before.cpu_time_ns[key]
        for uuid, stats in after.domain_stats.items():
            if stats["state.state"] != State.RUNNING:
                continue
            used = int(stats["cpu.time"]) - int(before.domain_stats[uuid]["cpu.time"])
            vcpus = int(stats["vcpu.current"])
            assert 0 <= used <= 5e9 * vcpus
            together = sum(int(stats[f"vcpu.{n}.time"]) for n in range(vcpus))
            assert together == pytest.approx(int(stats["cpu.time"]), abs=vcpus)
            loads.setdefault(uuid, set()).add(round(100 * used / 5e9))
    assert all(len(values) > 1 for values in loads.values() if max(values) > 5)
    assert any(max(values) - min(values) > 50 for values in loads.values())


def test_list_is_the_same_object_until_something_changes() -> None:
    clock = FakeClock()
    host = SimulatedCluster.demo(clock=clock).open("sim://host-02")
    first = host.sample().domains
    clock.advance(10)
    assert host.sample().domains is first
    host.suspend(first[0].uuid)
    assert host.sample().domains is not first


def test_large_cluster_has_the_size_asked_for() -> None:
    cluster = SimulatedCluster.large(hosts=8, vms=80)
    assert len(cluster.uris()) == 8
    counts = [len(cluster.open(uri).sample().domains) for uri in cluster.uris().values()]
    assert counts == [10] * 8
    vms = all_vms(cluster)
    assert sum(vm.is_pinned_or_high_performance for vm in vms) == 24
    assert len({vm.uuid for vm in vms}) == 80


def test_large_cluster_on_one_host() -> None:
    cluster = SimulatedCluster.large(hosts=1, vms=40)
    assert len(cluster.open("sim://host-01").sample().domains) == 40


def test_polling_a_host_of_ten_vms_is_cheap() -> None:
    clock = FakeClock()
    cluster = SimulatedCluster.large(hosts=20, vms=200, clock=clock)
    hosts = [cluster.open(uri) for uri in cluster.uris().values()]
    best_ms = 1000.0
    for _ in range(8):
        clock.advance(1)
        began = time.thread_time()
        for host in hosts:
            host.sample()
        best_ms = min(best_ms, 1000 * (time.thread_time() - began) / len(hosts))
    assert best_ms <= 0.3  # measured: 0.1
