"""Groups as an editor needs them: what may be kept, who breaks it now, and what pinning itself suggests."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy, NumaPin, OptimizedFor, VcpuTopology, Vm, VmIntent
from hpconsole.core.planning.affinity_groups import broken_by, check_group, states
from hpconsole.core.planning.affinity_rules import Draft
from hpconsole.core.planning.affinity_suggest import Scope, pinned_or_high_performance, suggest_groups
from tests.builders import a_snapshot, a_vm, virtual_nodes

DEDICATED = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED)


def uuids(*vms: Vm) -> tuple[str, ...]:
    return tuple(vm.uuid for vm in vms)


def test_states_name_who_breaks_a_group_and_who_is_gone() -> None:
    one, two, three = a_vm("one"), a_vm("two"), a_vm("three", host="host-b")
    apart = AffinityGroup("apart", vm_rule=AffinityRule.NEGATIVE, vms=(*uuids(one, two, three), "gone"))
    tied = AffinityGroup("tied", host_rule=AffinityRule.POSITIVE, vms=uuids(three), hosts=("host-b",))
    snapshot = replace(a_snapshot(2, [one, two, three]), affinity_groups=(apart, tied))
    first, second = states(snapshot)
    assert first.broken_by == ("one", "two")
    assert first.unknown == ("gone",)
    assert second.is_kept
    assert broken_by(one, "host-b", (apart,), snapshot) == {"apart": 1}


def test_labels_bring_members_in() -> None:
    labelled = a_vm("one", intent=VmIntent(labels=frozenset({"db"})))
    group = AffinityGroup("dbs", host_rule=AffinityRule.POSITIVE, vm_labels=frozenset({"db"}), hosts=("host-b",))
    (state,) = states(replace(a_snapshot(2, [labelled]), affinity_groups=(group,)))
    assert (state.members, state.broken_by) == ((labelled.uuid,), ("one",))


def test_a_contradiction_is_found_before_it_is_kept() -> None:
    one, two = a_vm("one"), a_vm("two")
    together = AffinityGroup("together", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=uuids(one, two))
    snapshot = replace(a_snapshot(2, [one, two]), affinity_groups=(together,))
    apart = replace(together, name="apart", vm_rule=AffinityRule.NEGATIVE)
    problem = check_group(Draft(apart), snapshot)
    assert problem is not None
    assert problem.kind == "ACTION_TYPE_FAILED_AFFINITY_RULES_COLLISION"
    assert check_group(Draft(replace(apart, name="together")), snapshot, old_name="together") is None
    taken = check_group(Draft(replace(together)), snapshot)
    assert taken is not None
    assert "already" in taken.sentence
    unknown = check_group(Draft(replace(apart, name="x"), vm_labels=("nobody",)), snapshot)
    assert unknown is not None
    assert "nobody" in unknown.sentence


def test_the_filter_shows_pinned_and_high_performance_vms_only() -> None:
    vms = [a_vm("plain"), a_vm("hp", intent=VmIntent(optimized_for=OptimizedFor.HIGH_PERFORMANCE)), _big("db", 8)]
    assert [vm.name for vm in pinned_or_high_performance(vms)] == ["db", "hp"]


def _big(name: str, vcpus: int, host: str = "host-a") -> Vm:
    return a_vm(name, host=host, vcpus=vcpus, topology=VcpuTopology(2, vcpus // 2, 1), intent=DEDICATED)


def test_vms_that_cannot_share_a_host_are_suggested_to_be_kept_apart() -> None:
    big = [_big("big-1", 20), _big("big-2", 20, "host-b"), _big("big-3", 18, "host-b")]
    (found,) = suggest_groups(a_snapshot(2, [*big, _big("small", 4), a_vm("plain")])).found
    assert found.scope is Scope.HOST
    assert set(found.group.vms) == set(uuids(*big))
    assert (found.group.vm_rule, found.group.is_vm_rule_enforced) == (AffinityRule.NEGATIVE, True)
    assert "big-1 takes 20 CPUs for itself and big-2 20; host-a has 32 in all" in found.reason


def test_a_group_that_exists_covers_the_suggestion() -> None:
    big = [_big("big-1", 20), _big("big-2", 20, "host-b")]
    known = AffinityGroup("mine", vm_rule=AffinityRule.NEGATIVE, is_vm_rule_enforced=True, vms=uuids(*big))
    (found,) = suggest_groups(replace(a_snapshot(2, big), affinity_groups=(known,))).found
    assert found.is_covered
    assert found.group.name != "mine"


def test_two_that_need_most_of_a_node_each_and_two_tied_to_one_cpu() -> None:
    intent = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED, numa_pins=(NumaPin(0),))
    nodes = virtual_nodes(1, vcpus=10, memory_mib=4096, pins=[[0]])
    topology = VcpuTopology(1, 10, 1)
    wide = [a_vm(f"wide-{n}", vcpus=10, virtual_nodes=nodes, topology=topology, intent=intent) for n in range(2)]

    def literal(name: str, *cpus: int) -> Vm:
        pins = tuple((vcpu, CpuSet.of([cpu])) for vcpu, cpu in enumerate(cpus))
        return a_vm(
            name,
            vcpus=len(cpus),
            intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.MANUAL, cpu_pinning=pins),
        )

    tied = [literal("tied-1", 3, 4), literal("tied-2", 4, 5), literal("free", 6)]
    node, core = suggest_groups(a_snapshot(2, [*wide, *tied])).found
    assert (node.scope, set(node.group.vms)) == (Scope.NUMA_NODE, set(uuids(*wide)))
    assert (core.scope, set(core.group.vms)) == (Scope.CORE, set(uuids(*tied[:2])))
    assert "CPU 4" in core.reason
    assert not node.group.is_vm_rule_enforced
    assert not core.group.is_vm_rule_enforced
