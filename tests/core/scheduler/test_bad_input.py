"""Hosts and intents that make no sense: a sentence, never a wrong placement and never a traceback."""

from __future__ import annotations

from dataclasses import replace
from time import thread_time
from typing import Any

import pytest

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host, HostCpu, HostNumaNode, HostTopology, HostUsage, NodeUsage
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    NumaMode,
    NumaPin,
    NumaTune,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmIntent,
)
from hpconsole.core.scheduler.occupancy import Occupancy, occupancy
from hpconsole.core.scheduler.placement import Misfit, place
from tests.builders import a_host, a_topology, a_vm, virtual_nodes
from tests.core.scheduler.validity import violations

POLICY = CpuPinningPolicy
EVERY_POLICY = list(CpuPinningPolicy)


def pinned_vm(policy: CpuPinningPolicy, **changes: Any) -> Vm:
    facts: dict[str, Any] = {
        "virtual_nodes": virtual_nodes(2, vcpus=4, memory_mib=64, pins=[(0,), (1,)]),
        "pinning": CpuPinning(tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate((0, 1, 8, 9)))),
        "intent": VmIntent(cpu_pinning_policy=policy),
    }
    return a_vm(**(facts | changes))


def answer(vm: Vm, taken: Occupancy, source: HostTopology | None = None) -> Placement | Misfit:
    """The answer, checked: a sentence, or a placement that breaks no rule."""
    result = place(vm, taken, source=source)
    if isinstance(result, Misfit):
        assert result.sentence.strip().endswith((".", ")"))
    else:
        assert violations(vm, taken, result) == []
    return result


def odd_hosts() -> dict[str, Host]:
    """Hosts as they should not be."""
    plain = a_topology()
    cpus = plain.cpus
    two = plain.nodes
    lying = tuple(replace(cpu, siblings=CpuSet.parse("0-31")) for cpu in cpus)
    return {
        "nothing known": Host("host-b"),
        "CPUs without nodes": Host(
            "host-b", topology=HostTopology(cpus=cpus), usage=HostUsage(memory_free_kib=1 << 30)
        ),
        "nodes without CPUs": Host("host-b", topology=HostTopology(nodes=two)),
        "nothing told of memory": Host("host-b", topology=plain),
        "nothing free": a_host("host-b", usage=HostUsage(nodes=tuple(NodeUsage(i, 0, ((2048, 0),)) for i in (0, 1)))),
        "less than nothing free": a_host("host-b", usage=HostUsage(nodes=(NodeUsage(0, -5, ((2048, -1),)),))),
        "usage of nodes that are not there": a_host("host-b", usage=HostUsage(nodes=(NodeUsage(77, 1 << 40),))),
        "CPUs that nobody knows in nodes": Host(
            "host-b", topology=replace(plain, nodes=(replace(two[0], cpus=CpuSet.parse("0-7,900")), two[1]))
        ),
        "a CPU in two nodes": Host(
            "host-b", topology=replace(plain, nodes=(two[0], replace(two[1], cpus=two[0].cpus)))
        ),
        "siblings that claim everything": Host("host-b", topology=replace(plain, cpus=lying)),
        "no siblings": Host("host-b", topology=replace(plain, cpus=tuple(replace(c, siblings=EMPTY) for c in cpus))),
        "cache banks across nodes": Host(
            "host-b", topology=replace(plain, l3_banks=(replace(plain.l3_banks[0], cpus=CpuSet.parse("0-31")),))
        ),
        "offline siblings": Host("host-b", topology=replace(plain, cpus=cpus[::3])),
    }


@pytest.mark.parametrize("name", sorted(odd_hosts()))
@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_odd_hosts(name: str, policy: CpuPinningPolicy) -> None:
    host = odd_hosts()[name]
    source = a_topology()
    with_tune = NumaTune(NumaMode.STRICT, CpuSet.parse("0-1"))
    for vm in (
        pinned_vm(policy),
        pinned_vm(policy, virtual_nodes=()),
        pinned_vm(policy, virtual_nodes=(), numa_tune=with_tune),
        pinned_vm(policy, pinning=CpuPinning(emulator=CpuSet.parse("0"), iothreads=((1, CpuSet.parse("99")),))),
        pinned_vm(policy, huge_page_kib=2048),
    ):
        for known in (source, None):
            answer(vm, occupancy(host, []), known)
        answer(vm, occupancy(host, [replace(vm, uuid="other", host="host-b")]), source)


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_odd_vms(policy: CpuPinningPolicy) -> None:
    taken = occupancy(a_host("host-b"), [])
    odd: list[dict[str, Any]] = [
        {"vcpus": 0},
        {"vcpus": 0, "virtual_nodes": ()},
        {"topology": VcpuTopology(0, 0, 0)},
        {"topology": VcpuTopology(3, 5, 7, 2)},
        {"topology": VcpuTopology(1, 1, 64)},
        {"virtual_nodes": (VirtualNumaNode(0, EMPTY, 0),)},
        {"virtual_nodes": (VirtualNumaNode(5, CpuSet.parse("0-300"), 1),)},
        {"virtual_nodes": (VirtualNumaNode(0, CpuSet.parse("0-3"), 1 << 50),)},
        {"virtual_nodes": (VirtualNumaNode(0, CpuSet.parse("0-3"), 4096, (9, 9, 12), page_kib=3),)},
        {"pinning": CpuPinning(((0, EMPTY), (1, CpuSet.parse("5000")), (77, CpuSet.parse("0"))))},
        {"pinning": CpuPinning(((0, CpuSet.parse("0-15")), (1, CpuSet.parse("15-20")), (2, CpuSet.parse("20"))))},
        {"intent": VmIntent(cpu_pinning_policy=policy, numa_pins=(NumaPin(0, (0, 0)), NumaPin(0, (1,))))},
        {"intent": VmIntent(cpu_pinning_policy=policy, numa_pins=(NumaPin(44),))},
        {"intent": VmIntent(cpu_pinning_policy=policy, cpu_pinning=((-1, CpuSet.parse("0")),))},
        {"intent": VmIntent(cpu_pinning_policy=policy, cpu_pinning=((0, CpuSet.parse("0")), (0, CpuSet.parse("1"))))},
        {"numa_tune": NumaTune(NumaMode.STRICT, CpuSet.parse("63"))},
        {"numa_tune": NumaTune(NumaMode.STRICT, EMPTY), "virtual_nodes": ()},
        {"memory_kib": 0, "virtual_nodes": ()},
        {"huge_page_kib": 1 << 40},
    ]
    for changes in odd:
        vm = pinned_vm(policy, **changes)
        for source in (a_topology(), None, HostTopology()):
            answer(vm, taken, source)


def test_a_thousand_cpus_on_sixty_four_nodes() -> None:
    topology = a_topology(sockets=8, nodes_per_socket=8, cores_per_node=8)
    assert len(topology.cpus) == 1024
    taken = occupancy(a_host("host-b", topology=topology), [])
    taken = replace(taken, exclusive=CpuSet.of(range(0, 1024, 3)))
    for policy, count in (
        (POLICY.DEDICATED, 20),
        (POLICY.KEEP_SHAPE, 20),
        (POLICY.NONE, 20),
        (POLICY.ISOLATE_THREADS, 4),
    ):
        vm = pinned_vm(
            policy,
            vcpus=2 * count,
            topology=VcpuTopology(1, 2 * count, 1),
            virtual_nodes=virtual_nodes(count, vcpus=2 * count, memory_mib=count, pins=[(i,) for i in range(count)]),
            pinning=CpuPinning(tuple((v, CpuSet.of([v // 2 * 8 + v % 2])) for v in range(2 * count))),
        )
        began = thread_time()
        found = answer(vm, taken, topology)
        assert isinstance(found, Placement), found
        assert thread_time() - began < 2


def test_more_needs_than_a_table_of_sets_holds() -> None:
    """24 virtual nodes on 24 host nodes: no portion of 16 nodes is enough, and yet they fit."""
    topology = a_topology(sockets=24, cores_per_node=2, threads=1)
    vm = pinned_vm(
        POLICY.KEEP_SHAPE,
        vcpus=24,
        virtual_nodes=virtual_nodes(24, vcpus=24, memory_mib=24, pins=[(i,) for i in range(24)]),
        pinning=CpuPinning(tuple((v, CpuSet.of([2 * v])) for v in range(24))),
    )
    taken = occupancy(a_host("host-b", topology=topology), [])
    assert isinstance(answer(vm, taken, topology), Placement)
    full = replace(taken, exclusive=CpuSet.parse("46-47"))
    misfit = answer(vm, full, topology)
    assert isinstance(misfit, Misfit)
    assert "24 host nodes" in misfit.sentence


def test_a_host_with_holes_in_its_numbers() -> None:
    cpus = tuple(HostCpu(n, n // 100, n // 100, 0, n, CpuSet.of([n])) for n in (3, 40, 177, 199, 1001))
    nodes = (
        HostNumaNode(0, 1024, CpuSet.parse("3,40")),
        HostNumaNode(1, 1024, CpuSet.parse("177,199")),
        HostNumaNode(5, 1024, EMPTY),
        HostNumaNode(10, 0, CpuSet.parse("1001")),
    )
    usage = HostUsage(nodes=tuple(NodeUsage(node.node_id, node.memory_kib) for node in nodes))
    taken = occupancy(Host("host-b", topology=HostTopology(cpus, nodes), usage=usage), [])
    intent = VmIntent(cpu_pinning_policy=POLICY.DEDICATED)
    found = place(a_vm(vcpus=2, virtual_nodes=(VirtualNumaNode(0, CpuSet.parse("0-1"), 1000),), intent=intent), taken)
    assert isinstance(found, Placement)
    assert (found.bindings[0].host_nodes, found.pinning.all_vcpu_cpus.format()) == ((0,), "3,40")
    memory_only = a_vm(
        vcpus=1, virtual_nodes=(VirtualNumaNode(0, EMPTY, 1000),), intent=VmIntent(numa_pins=(NumaPin(0, (5,)),))
    )
    assert isinstance(place(memory_only, taken), Placement)
    without_memory = a_vm(
        vcpus=1,
        virtual_nodes=(VirtualNumaNode(0, CpuSet.parse("0"), 1),),
        intent=VmIntent(numa_pins=(NumaPin(0, (10,)),)),
    )
    assert isinstance(place(without_memory, taken), Misfit)
