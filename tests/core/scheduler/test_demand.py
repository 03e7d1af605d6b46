"""What a VM asks of a host, as everybody who counts nodes reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    HostPinning,
    NumaMode,
    NumaPin,
    VcpuTopology,
    VirtualNumaNode,
    VmIntent,
)
from hpconsole.core.scheduler.demand import CoreRule
from hpconsole.core.scheduler.demand_reading import demand_of
from tests.builders import a_topology, a_vm, virtual_nodes

POLICY = CpuPinningPolicy
SOURCE = a_topology(cores_per_node=4)  # CPU n and n + 8 are siblings; node 1 begins at 4


def one_to_one(*cpus: int) -> CpuPinning:
    return CpuPinning(tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus)))


def test_dedicated_counts_blocks_of_threads() -> None:
    vm = a_vm(
        vcpus=8,
        topology=VcpuTopology(1, 4, 2),
        virtual_nodes=virtual_nodes(2, vcpus=8, memory_mib=64),
        intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED),
    )
    demand = demand_of(vm)
    assert (demand.rule, demand.threads, demand.is_exclusive, demand.nodes_distinct) == (
        CoreRule.SIBLINGS,
        2,
        True,
        False,
    )
    assert [(need.cpus_needed, len(need.blocks), need.memory_kib) for need in demand.node_needs] == [(4, 2, 32768)] * 2
    assert [block.roles for block in demand.node_needs[1].blocks] == [(4, 5), (6, 7)]


def test_isolated_threads_count_whole_cores() -> None:
    vm = a_vm(
        virtual_nodes=virtual_nodes(1, vcpus=4, memory_mib=64),
        intent=VmIntent(cpu_pinning_policy=POLICY.ISOLATE_THREADS),
    )
    need = demand_of(vm).node_needs[0]
    assert (need.whole_cores_needed, need.cpus_needed) == (4, 4)


def test_vcpus_that_are_not_plugged_in_are_not_counted() -> None:
    nodes = (VirtualNumaNode(0, CpuSet.parse("0-3"), 64), VirtualNumaNode(1, CpuSet.parse("4-7"), 64))
    vm = a_vm(vcpus=5, virtual_nodes=nodes, intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED))
    assert [need.cpus_needed for need in demand_of(vm).node_needs] == [4, 1]


def test_a_kept_shape_is_read_from_the_host_it_is_on() -> None:
    vm = a_vm(pinning=one_to_one(0, 8, 1, 4), intent=VmIntent(cpu_pinning_policy=POLICY.KEEP_SHAPE))
    demand = demand_of(vm, SOURCE)
    assert (demand.rule, demand.nodes_distinct) == (CoreRule.SHAPE, True)
    assert [[block.size for block in need.blocks] for need in demand.node_needs] == [[2, 1], [1]]
    assert demand.vcpu_roles[1] == (1, CpuSet.parse("8"))


def test_virtual_nodes_together_now_are_one_need() -> None:
    vm = a_vm(
        virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=2, pins=[(0,), (0,)]),
        pinning=one_to_one(0, 1, 2, 3),
        intent=VmIntent(cpu_pinning_policy=POLICY.KEEP_SHAPE),
    )
    (need,) = demand_of(vm, SOURCE).node_needs
    assert (need.virtual_nodes, need.memory_kib, need.cpus_needed) == ((0, 1), 2048, 4)


def test_memory_over_several_nodes_is_divided_and_pages_are_no_memory() -> None:
    node = VirtualNumaNode(0, CpuSet.parse("0-1"), 5 * 2048, (0, 1), page_kib=2048)
    vm = a_vm(
        vcpus=2, virtual_nodes=(node,), pinning=one_to_one(0, 4), intent=VmIntent(cpu_pinning_policy=POLICY.KEEP_SHAPE)
    )
    demand = demand_of(vm, SOURCE)
    assert [(need.memory_kib, need.page_needs) for need in demand.node_needs] == [(0, ((2048, 3),))] * 2
    assert demand.bound[0].needs == (0, 1)


def test_normal_pages_named_as_such_are_plain_memory() -> None:
    node = VirtualNumaNode(0, CpuSet.parse("0"), 512, (0,), page_kib=4)
    assert demand_of(a_vm(vcpus=1, virtual_nodes=(node,))).node_needs[0].memory_kib == 512


def test_the_intents_pins_count_before_the_present_ones() -> None:
    vm = a_vm(
        virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=2, pins=[(0,), (1,)]),
        intent=VmIntent(numa_pins=(NumaPin(0, (), NumaMode.RESTRICTIVE), NumaPin(1, (1, 0)))),
    )
    demand = demand_of(vm)
    assert [need.allowed_nodes for need in demand.node_needs] == [None, (1, 0)]
    assert [bound.mode for bound in demand.bound] == [NumaMode.RESTRICTIVE, NumaMode.STRICT]


def test_a_virtual_node_never_has_more_vcpus_than_cpus_unless_it_has_now() -> None:
    vm = a_vm(vcpus=12, virtual_nodes=virtual_nodes(1, vcpus=12, memory_mib=2, pins=[(0,)]))
    assert demand_of(vm).node_needs[0].cpus_needed == 12
    assert demand_of(vm, SOURCE).node_needs[0].cpus_needed == 8  # so it runs on node 0 of its host
    tight = replace(vm, pinning=CpuPinning(((0, CpuSet.parse("0-3")),)))
    assert demand_of(tight, SOURCE).node_needs[0].cpus_needed == 4


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"intent": VmIntent(numa_pins=(NumaPin(3),))}, "virtual node 3"),
        ({"intent": VmIntent(cpu_pinning_policy=POLICY.MANUAL, cpu_pinning=((9, CpuSet.parse("0")),))}, "vCPU 9"),
        ({"intent": VmIntent(cpu_pinning_policy=POLICY.MANUAL, cpu_pinning=((0, CpuSet()),))}, "no CPU at all"),
        (
            {"virtual_nodes": (VirtualNumaNode(0, CpuSet.parse("0-1"), 1), VirtualNumaNode(1, CpuSet.parse("1-2"), 1))},
            "vCPU 1 is in two",
        ),
        ({"virtual_nodes": (VirtualNumaNode(0, CpuSet(), 1), VirtualNumaNode(0, CpuSet(), 1))}, "same number"),
        ({"virtual_nodes": (VirtualNumaNode(0, CpuSet.parse("0"), -5),)}, "less than no memory"),
    ],
)
def test_contradictions_are_sentences(changes: dict[str, Any], part: str) -> None:
    facts: dict[str, Any] = {"virtual_nodes": virtual_nodes(1, vcpus=4, memory_mib=2)}
    demand = demand_of(a_vm(**(facts | changes)))
    assert any(part in problem for problem in demand.problems), demand.problems


def test_a_literal_map_may_be_for_one_host() -> None:
    here = HostPinning("host-b", ((0, CpuSet.parse("7")),), (NumaPin(0, (1,)),))
    intent = VmIntent(cpu_pinning_policy=POLICY.MANUAL, cpu_pinning=((0, CpuSet.parse("1")),), per_host=(here,))
    vm = a_vm(virtual_nodes=virtual_nodes(1, vcpus=4, memory_mib=2), intent=intent)
    assert demand_of(vm, host="host-b").literal == ((0, CpuSet.parse("7")),)
    assert demand_of(vm, host="host-b").node_needs[0].allowed_nodes == (1,)
    assert demand_of(vm, host="host-c").literal == ((0, CpuSet.parse("1")),)
    assert demand_of(vm, host="host-c").node_needs == ()
