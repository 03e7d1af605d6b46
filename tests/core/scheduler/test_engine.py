"""What holds for every decision, on random clusters; and what hpconsole does better than the reference."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostStatus, NodeUsage
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    NumaMode,
    NumaPin,
    VcpuTopology,
    Vm,
    VmIntent,
)
from hpconsole.core.scheduler import filters
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.occupancy import occupancy
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import reserve
from tests.builders import MIB, a_host, a_snapshot, a_topology, a_vm, virtual_nodes
from tests.core.scheduler.random_clusters import cluster

SEEDS = st.integers(0, 100_000)
FEW = settings(max_examples=40, deadline=None)


def decide(seed: int, policy: Policy = DEFAULT_POLICY) -> tuple[ClusterSnapshot, Vm, Ranking]:
    snapshot, vm = cluster(seed)
    return snapshot, vm, rank(Request((vm.uuid,)), snapshot, policy)


# Properties


@FEW
@given(SEEDS)
def test_a_refused_host_has_a_reason_and_an_accepted_one_none(seed: int) -> None:
    snapshot, _, ranking = decide(seed)
    assert sorted((*ranking.accepted, *ranking.refused)) == sorted(snapshot.hosts)
    for name in ranking.refused:
        reasons = ranking.refusals(name)
        assert reasons
        assert all(reason.sentence and reason.unit for reason in reasons)
        # The exact engine's own shortages also tell what there is enough of, where only all together is too much.
        exact = [reason for reason in reasons if reason.unit != "Placement"]
        assert all(shortage.missing > 0 for reason in exact for shortage in reason.shortages), exact
    assert all(not ranking.refusals(name) and not ranking.would_help(name) for name in ranking.accepted)


@FEW
@given(SEEDS)
def test_every_filter_alone_agrees_with_its_own_reason(seed: int) -> None:
    """`because` is asked exactly where `accepts` said no, and always has an answer of its own unit."""
    _, _, ranking = decide(seed)
    for name in ranking.refused:
        units = [reason.unit for reason in ranking.refusals(name)]
        assert len(units) == len(set(units))
        known = {*filters.BY_NAME, "Placement", "Host status", "Host choice"}
        assert set(units) <= known


@FEW
@given(SEEDS, st.integers(0, len(filters.ALL) - 1))
def test_a_further_filter_never_adds_a_host(seed: int, index: int) -> None:
    snapshot, vm = cluster(seed)
    unit = filters.ALL[index]
    without = replace(DEFAULT_POLICY, filters=tuple(name for name in DEFAULT_POLICY.filters if name != unit.name))
    more = rank(Request((vm.uuid,)), snapshot, replace(without, filters=(*without.filters, unit.name)))
    less = rank(Request((vm.uuid,)), snapshot, without)
    assert set(more.accepted) <= set(less.accepted)


@FEW
@given(SEEDS)
def test_the_order_does_not_depend_on_the_order_of_hosts(seed: int) -> None:
    snapshot, vm, ranking = decide(seed)
    names = list(snapshot.hosts)
    Random(seed).shuffle(names)
    shuffled = replace(snapshot, hosts={name: snapshot.hosts[name] for name in names})
    again = rank(Request((vm.uuid,)), shuffled, DEFAULT_POLICY)
    assert again.accepted == ranking.accepted
    assert [again.score(name) for name in again.accepted] == [ranking.score(name) for name in ranking.accepted]


@FEW
@given(SEEDS, st.sampled_from(BUILT_IN))
def test_scores_are_the_sum_of_their_parts_and_fall(seed: int, policy: Policy) -> None:
    _, _, ranking = decide(seed, policy)
    scores = [ranking.score(name) for name in ranking.accepted]
    assert scores == sorted(scores, reverse=True)
    for name in ranking.accepted:
        assert ranking.score(name) == sum(part.contribution for part in ranking.parts(name))
    for better, worse in zip(ranking.accepted, ranking.accepted[1:], strict=False):
        assert better in ranking.why(better, worse)


@FEW
@given(SEEDS)
def test_a_placement_never_takes_what_is_not_free(seed: int) -> None:
    snapshot, vm, ranking = decide(seed)
    for name in ranking.accepted:
        placed = ranking.placement(name, vm.uuid)
        assert not isinstance(placed, Misfit)
        taken = occupancy(snapshot.hosts[name], snapshot.vms_on(name), without=frozenset({vm.uuid}))
        if vm.intent.cpu_pinning_policy.is_exclusive:
            own = [cpus for _, cpus in placed.pinning.vcpus if len(cpus) == 1]
            assert all(cpus.isdisjoint(taken.exclusive) for cpus in own)
        assert placed.pinning.all_vcpu_cpus <= snapshot.hosts[name].topology.all_cpus


@FEW
@given(SEEDS)
def test_a_promise_is_never_given_twice(seed: int) -> None:
    """After a VM got its place, a copy of it either fits beside it or is refused: CPUs of their own never overlap."""
    snapshot, vm, ranking = decide(seed)
    twin = replace(vm, uuid="twin", name="twin")
    both = replace(snapshot, vms={**snapshot.vms, "twin": twin})
    for name in ranking.accepted[:2]:
        placed = ranking.placement(name, vm.uuid)
        assert not isinstance(placed, Misfit)
        after = rank(Request(("twin",)), both, DEFAULT_POLICY, [reserve(vm, name, placed)])
        if name not in after.accepted or not vm.intent.cpu_pinning_policy.is_exclusive:
            continue
        second = after.placement(name, "twin")
        assert not isinstance(second, Misfit)
        mine = CpuSet(_own_bits(placed))
        assert mine.isdisjoint(CpuSet(_own_bits(second)))


def _own_bits(placed: Placement) -> int:
    bits = 0
    for _, cpus in placed.pinning.vcpus:
        bits |= cpus.bits if len(cpus) == 1 else 0
    return bits


# Requests


def test_unknown_vms_get_a_sentence() -> None:
    with pytest.raises(InvalidEdit, match="There is no VM"):
        rank(Request(("nobody",)), a_snapshot(2))
    with pytest.raises(InvalidEdit, match="No VM"):
        rank(Request(()), a_snapshot(2))


def test_hosts_that_are_no_candidates_say_why() -> None:
    vm = a_vm(host="host-a")
    hosts = [a_host("host-a"), a_host("host-b", status=HostStatus.MAINTENANCE), a_host("host-c"), a_host("host-d")]
    request = Request((vm.uuid,), excluded_hosts=frozenset({"host-c"}), only_hosts=frozenset({"host-b", "host-c"}))
    ranking = rank(request, a_snapshot(hosts, [vm]))
    assert ranking.accepted == ()
    assert ranking.best is None
    assert [r.unit for r in ranking.refusals("host-b")] == ["Host status"]
    assert "maintenance" in ranking.refusals("host-b")[0].sentence
    assert [r.unit for r in ranking.refusals("host-c")] == ["Host choice"]
    assert [r.unit for r in ranking.refusals("host-d")] == ["Host choice"]
    assert ranking.would_help("host-b") == "Bring host-b back into service."


def test_the_present_host_counts_only_when_asked_for() -> None:
    vm = a_vm(host="host-a")
    snapshot = a_snapshot(2, [vm])
    assert rank(Request((vm.uuid,)), snapshot).accepted == ("host-b",)
    assert set(rank(Request((vm.uuid,), may_stay=True), snapshot).accepted) == {"host-a", "host-b"}


def test_several_vms_go_to_one_host_together() -> None:
    """Each fits alone on the small host, both only on the large one."""
    small = a_host("small", topology=a_topology(1, 1, 4, 1))
    large = a_host("large", topology=a_topology(2, 1, 4, 1))
    vms = [a_exclusive(f"vm-{i}", 3) for i in range(2)]
    ranking = rank(Request(tuple(vm.uuid for vm in vms)), a_snapshot([small, large], vms))
    assert ranking.accepted == ("large",)
    assert ranking.refusals("small")
    assert {uuid: type(ranking.placement("large", uuid)) for uuid in ranking.request.vm_uuids} == {
        vm.uuid: Placement for vm in vms
    }


def a_exclusive(name: str, vcpus: int, *, host: str | None = None, cpus: tuple[int, ...] = ()) -> Vm:
    return a_vm(
        name,
        host=host,
        vcpus=vcpus,
        memory_mib=256,
        topology=VcpuTopology(1, vcpus, 1),
        pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus))),
        intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED),
    )


# Where the reference is wrong or vague


def a_paged_host(name: str, free: int) -> object:
    topology = a_topology(1, 1, 8, 1, huge_2m=4096)
    host = a_host(name, topology=topology)
    node = NodeUsage(0, free_kib=32 * 1024 * MIB, free_pages=((2048, free),), total_pages=((2048, 4096),))
    return replace(host, usage=replace(host.usage, nodes=(node,)))


def test_pending_huge_pages_are_counted_by_size_in_every_filter() -> None:
    """The reference's memory filter looks pending pages up by their number."""
    host = a_paged_host("host-a", 1000)
    first = a_vm("first", host=None, memory_mib=1200, huge_page_kib=2048)
    second = a_vm("second", host=None, memory_mib=1200, huge_page_kib=2048)
    snapshot = a_snapshot([host], [first, second])  # type: ignore[list-item]
    assert rank(Request((second.uuid,)), snapshot).accepted == ("host-a",)
    after = rank(Request((second.uuid,)), snapshot, DEFAULT_POLICY, [reserve(first, "host-a")])
    assert [refusal.unit for refusal in after.refusals("host-a")] == ["HugePages"]
    assert after.refusals("host-a")[0].shortages[0].missing == 200


def test_a_larger_pool_does_not_count_as_memory_for_others() -> None:
    """Memory in the huge page pool is gone for VMs without huge pages, whether or not anybody uses it."""
    host = a_paged_host("host-a", 4096)
    vm = a_vm(host=None, memory_mib=58_000)
    refusals = rank(Request((vm.uuid,)), a_snapshot([host], [vm])).refusals("host-a")  # type: ignore[list-item]
    assert [refusal.unit for refusal in refusals] == ["Memory"]


def test_cpus_that_follow_from_numa_pins_are_checked() -> None:
    """The reference checks CPU pinning only where a policy says so, not where it is derived from NUMA pins."""
    vm = a_vm(
        host=None, vcpus=8, memory_mib=1024, virtual_nodes=virtual_nodes(1, vcpus=8, memory_mib=1024, pins=((0,),))
    )
    small = a_host("small", topology=a_topology(2, 1, 2, 1))
    large = a_host("large", topology=a_topology(2, 1, 8, 1))
    ranking = rank(Request((vm.uuid,)), a_snapshot([small, large], [vm]))
    assert ranking.accepted == ("large",)
    assert "CpuPinning" in {refusal.unit for refusal in ranking.refusals("small")}


def test_the_numbers_of_the_old_host_do_not_travel() -> None:
    """A pinned VM gets CPUs of the destination: no filter asks for the numbers it has now."""
    source = a_host("source", topology=a_topology(2, 1, 8, 2))
    smaller = a_host("smaller", topology=a_topology(2, 1, 4, 1))
    vm = a_vm(
        host="source",
        vcpus=2,
        memory_mib=512,
        pinning=CpuPinning(vcpus=((0, CpuSet.of([14])), (1, CpuSet.of([15])))),
        intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE, migration_mode=MigrationMode.MANUAL),
    )
    ranking = rank(Request((vm.uuid,)), a_snapshot([source, smaller], [vm]))
    assert ranking.accepted == ("smaller",)
    placed = ranking.placement("smaller", vm.uuid)
    assert not isinstance(placed, Misfit)
    assert placed.pinning.all_vcpu_cpus <= smaller.topology.all_cpus
    literal = replace(vm, intent=replace(vm.intent, cpu_pinning_policy=CpuPinningPolicy.MANUAL))
    refusals = rank(Request((vm.uuid,)), a_snapshot([source, smaller], [literal])).refusals("smaller")
    assert [refusal.kind for refusal in refusals] == ["VM_PINNING_PCPU_DOES_NOT_EXIST"]


def test_an_exclusive_vm_may_be_grouped_with_an_unpinned_one() -> None:
    """The reference rejects such a group on every host."""
    pinned, plain = a_exclusive("pinned", 2), a_vm("plain", host=None, vcpus=1, memory_mib=256)
    ranking = rank(Request((pinned.uuid, plain.uuid)), a_snapshot(2, [pinned, plain]))
    assert ranking.accepted == ("host-a", "host-b")
    assert ranking.placement("host-a", plain.uuid) == Placement(plain.uuid, "host-a")


def test_ties_go_by_name() -> None:
    vm = a_vm(host=None)
    names = ["host-c", "host-a", "host-b"]
    ranking = rank(Request((vm.uuid,)), a_snapshot([a_host(name) for name in names], [vm]))
    assert ranking.accepted == ("host-a", "host-b", "host-c")
    assert "equal" in ranking.why("host-a", "host-b")


# Reservations and affinity


def test_a_promised_place_is_taken() -> None:
    host = a_host("host-a", topology=a_topology(1, 1, 4, 1))
    first, second = a_exclusive("first", 3), a_exclusive("second", 3)
    snapshot = a_snapshot([host], [first, second])
    placed = rank(Request((first.uuid,)), snapshot).placement("host-a", first.uuid)
    assert not isinstance(placed, Misfit)
    after = rank(Request((second.uuid,)), snapshot, DEFAULT_POLICY, [reserve(first, "host-a", placed)])
    assert after.accepted == ()
    assert {refusal.unit for refusal in after.refusals("host-a")} >= {"CpuPinning"}
    own = rank(Request((first.uuid,)), snapshot, DEFAULT_POLICY, [reserve(first, "host-a", placed)])
    assert own.accepted == ("host-a",), "a promise to the VM itself does not stand in its way"


def test_numa_memory_of_a_promise_is_gone() -> None:
    vm = a_vm(host=None, vcpus=2, memory_mib=40_000, virtual_nodes=virtual_nodes(1, vcpus=2, memory_mib=40_000))
    vm = replace(vm, intent=VmIntent(numa_pins=(NumaPin(0, (0,)),)))
    other = replace(vm, uuid="other", name="other")
    snapshot = a_snapshot([a_host("host-a", reserved_kib=0)], [vm, other])
    placed = Placement(vm.uuid, "host-a", (NodeBinding(0, (0,), NumaMode.STRICT),))
    after = rank(Request(("other",)), snapshot, DEFAULT_POLICY, [reserve(vm, "host-a", placed)])
    assert "NUMA" in {refusal.unit for refusal in after.refusals("host-a")}


def test_affinity_keeps_vms_together_and_apart() -> None:
    vm, friend, foe = a_vm("vm", host=None), a_vm("friend", host="host-b"), a_vm("foe", host="host-c")
    groups = (
        AffinityGroup("team", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=(vm.uuid, friend.uuid)),
        AffinityGroup("rivals", vm_rule=AffinityRule.NEGATIVE, is_vm_rule_enforced=True, vms=(vm.uuid, foe.uuid)),
    )
    snapshot = replace(a_snapshot(3, [vm, friend, foe]), affinity_groups=groups)
    ranking = rank(Request((vm.uuid,)), snapshot)
    assert ranking.accepted == ("host-b",)
    assert "foe is on host-c" in ranking.refusals("host-c")[0].sentence
    assert "together" in ranking.refusals("host-c")[0].sentence
    free = rank(Request((vm.uuid,), ignore_hard_vm_affinity=True), snapshot)
    assert len(free.accepted) == 3
