"""Why a VM does not fit: the smallest cause, in numbers a person can check."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from hpconsole.core.model.cpuset import CpuSet
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
from hpconsole.core.scheduler.demand_reading import demand_of
from hpconsole.core.scheduler.occupancy import CpuUser, Occupancy, occupancy
from hpconsole.core.scheduler.placement import Misfit, place
from hpconsole.core.scheduler.placing import fits, is_open
from hpconsole.core.scheduler.relaxing import Constraint, relaxed, smallest_cause
from hpconsole.core.scheduler.room import HostRoom
from hpconsole.core.scheduler.units import Shortage
from tests.builders import MIB, a_host, a_topology, a_vm, virtual_nodes
from tests.core.scheduler.random_cases import random_case

POLICY = CpuPinningPolicy
SIX_NODES = a_topology(sockets=6, cores_per_node=4)


def misfit(vm: Vm, taken: Occupancy) -> Misfit:
    answer = place(vm, taken, source=SIX_NODES)
    assert isinstance(answer, Misfit), answer
    assert (answer.vm_uuid, answer.host) == (vm.uuid, taken.host.name)
    return answer


def six(**changes: Any) -> Occupancy:
    return replace(occupancy(a_host("host-b", topology=SIX_NODES), []), **changes)


def kept(pages: int, nodes: int = 3) -> Vm:
    """A VM on three nodes with so many huge pages on each."""
    return a_vm(
        vcpus=nodes,
        virtual_nodes=tuple(
            VirtualNumaNode(i, CpuSet(1 << i), pages * 2048, (i,), page_kib=2048) for i in range(nodes)
        ),
        pinning=CpuPinning(tuple((i, CpuSet.of([4 * i])) for i in range(nodes))),
        intent=VmIntent(cpu_pinning_policy=POLICY.KEEP_SHAPE),
    )


def test_too_few_nodes_with_the_pages() -> None:
    """The issue's own example."""
    pages = {i: {2048: 16_384 if i in (0, 5) else 9_000} for i in range(6)}
    answer = misfit(kept(16_384), six(free_pages=pages))
    assert answer.sentence == ("It needs 3 host nodes with 16,384 free 2-MiB pages each; only nodes 0 and 5 have that.")
    assert answer.shortages == (Shortage("host nodes with 16,384 free 2-MiB pages", 3, 2, "nodes"),)
    assert answer.shortages[0].missing == 1
    assert answer.kind == "NOT_MEMORY_PINNED_NUMA"


def test_no_node_with_the_pages() -> None:
    pages = {i: {2048: 10 + i} for i in range(6)}
    answer = misfit(kept(16), six(free_pages=pages))
    assert answer.sentence == ("Virtual node 0 needs 16 free 2-MiB pages on one host node; node 5 has the most, 15.")
    assert answer.shortages == (Shortage("free 2-MiB pages on node 5", 16, 15, "pages"),)


def test_too_few_cpus_names_who_holds_them() -> None:
    vm = a_vm(
        vcpus=4,
        virtual_nodes=virtual_nodes(1, vcpus=4, memory_mib=64),
        intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED),
    )
    taken = a_topology(sockets=2, cores_per_node=4, threads=1)
    held = occupancy(a_host("host-b", topology=taken), [])
    users = (CpuUser("u", "db", CpuSet.parse("0-1,4"), True),)
    answer = misfit(vm, replace(held, exclusive=CpuSet.parse("0-1,4"), users=users))
    assert answer.sentence == (
        "Virtual node 0 needs 4 free CPUs on one host node; node 1 has the most, 3. "
        "Other VMs hold CPUs there (db: 0-1,4)."
    )
    assert answer.kind == "VM_PINNING_DEDICATED_NOT_FIT"


def test_a_host_that_is_too_small_even_when_empty_says_nothing_of_others() -> None:
    vm = a_vm(
        vcpus=9,
        virtual_nodes=virtual_nodes(1, vcpus=9, memory_mib=64),
        intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED),
    )
    answer = misfit(vm, six(exclusive=CpuSet.parse("0-20")))
    assert answer.sentence == "Virtual node 0 needs 9 CPUs on one host node; node 0 has the most, 8."


def test_cores_not_cpus_are_missing() -> None:
    vm = a_vm(
        vcpus=2, topology=VcpuTopology(1, 1, 2), intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED), memory_mib=64
    )
    taken = occupancy(a_host("host-b", topology=a_topology(cores_per_node=2)), [])
    answer = misfit(vm, replace(taken, exclusive=CpuSet.parse("0-3")))
    assert answer.sentence == ("It needs 1 free set of 2 sibling CPUs; host-b has 0. Other VMs hold CPUs there.")


def test_whole_cores_are_missing() -> None:
    vm = a_vm(vcpus=3, intent=VmIntent(cpu_pinning_policy=POLICY.ISOLATE_THREADS))
    taken = occupancy(a_host("host-b", topology=a_topology(sockets=1, cores_per_node=4)), [])
    answer = misfit(vm, replace(taken, exclusive=CpuSet.parse("0,5")))
    assert "3 completely free cores; host-b has 2" in answer.sentence


def test_a_named_node_that_is_not_there() -> None:
    vm = a_vm(virtual_nodes=virtual_nodes(1, vcpus=4, memory_mib=64), intent=VmIntent(numa_pins=(NumaPin(0, (7, 0)),)))
    answer = misfit(vm, six())
    assert answer.sentence == "It is pinned to host node 7, which host-b does not have (it has 0-5)."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0,99", "It is pinned to CPU 99, which is not there or not online on host-b."),
        ("3-4", "It is pinned to CPUs 3-4, which other VMs have for themselves (web: 3-4)."),
    ],
)
def test_named_cpus(text: str, sentence: str) -> None:
    intent = VmIntent(cpu_pinning_policy=POLICY.MANUAL, cpu_pinning=((0, CpuSet.parse(text)),))
    users = (CpuUser("u", "web", CpuSet.parse("2-4"), True),)
    answer = misfit(a_vm(intent=intent), six(exclusive=CpuSet.parse("2-4"), users=users))
    assert answer.sentence == sentence
    assert answer.kind == "VM_PINNING_PCPU_DOES_NOT_EXIST"


def test_memory_in_a_pin_list() -> None:
    vm = a_vm(virtual_nodes=virtual_nodes(1, vcpus=4, memory_mib=500), intent=VmIntent(numa_pins=(NumaPin(0, (1, 2)),)))
    answer = misfit(vm, six(free_kib={i: (100 + i if i in (1, 2) else 900) * MIB for i in range(6)}))
    assert answer.sentence == (
        "Virtual node 0 needs 500 MiB of free memory on one of nodes 1 and 2; node 2 has the most, 102 MiB."
    )
    assert answer.shortages == (Shortage("free memory on node 2", 500, 102, "MiB"),)


def test_memory_bound_as_a_whole() -> None:
    vm = a_vm(memory_mib=1000, numa_tune=NumaTune(NumaMode.STRICT, CpuSet.parse("0-1")))
    answer = misfit(vm, six(free_kib={0: 600 * MIB, 1: 400 * MIB}))
    assert answer.sentence == ("Its memory is bound to host nodes 0, 1: node 1 has 400 MiB free of 500 MiB.")


def test_together_too_much() -> None:
    nodes = tuple(VirtualNumaNode(i, CpuSet(1 << i), 600 * MIB) for i in range(3))
    intent = VmIntent(numa_pins=tuple(NumaPin(i, (0, 1)) for i in range(3)))
    vm = a_vm(vcpus=3, virtual_nodes=nodes, intent=intent)
    two = occupancy(a_host("host-b", topology=a_topology()), [])
    answer = misfit(vm, replace(two, free_kib={0: 800 * MIB, 1: 900 * MIB}))
    assert answer.sentence == ("It needs 1,800 MiB of free memory in all; nodes 0 and 1 together have 1,700 MiB.")


def test_enough_in_all_but_not_to_be_divided() -> None:
    nodes = tuple(VirtualNumaNode(i, CpuSet(1 << i), 600 * MIB) for i in range(3))
    intent = VmIntent(numa_pins=tuple(NumaPin(i, (0, 1)) for i in range(3)))
    vm = a_vm(vcpus=3, virtual_nodes=nodes, intent=intent)
    answer = misfit(vm, six(free_kib={0: 1000 * MIB, 1: 900 * MIB}))
    assert answer.sentence.startswith(
        "Its virtual nodes cannot be divided over the host nodes: virtual node 0: 600 MiB"
    )
    assert "node 1 has 900 MiB of free memory" in answer.sentence


def test_a_virtual_socket_too_large() -> None:
    vm = a_vm(vcpus=10, topology=VcpuTopology(1, 10, 1), intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED))
    answer = misfit(vm, occupancy(a_host("host-b", topology=a_topology(cores_per_node=4)), []))
    assert answer.sentence == ("It needs 1 virtual socket with 10 CPUs, none over two host sockets; these have 8, 8.")


def test_pages_and_cpus_each_elsewhere() -> None:
    """No single fact explains it: both are named, and for each node which of them it lacks."""
    pages = {i: {2048: 20 if i < 3 else 0} for i in range(6)}
    answer = misfit(kept(16, nodes=1), six(free_pages=pages, exclusive=CpuSet.parse("0-11,24-35")))
    assert answer.sentence.startswith(
        "Virtual node 0 needs 16 free 2-MiB pages and 1 free CPU on one host node: node 0 has 0 free CPUs,"
    )
    assert {shortage.unit for shortage in answer.shortages} == {"pages", "CPUs"}


def test_the_cause_is_minimal() -> None:
    """Random misfits: the cause alone is enough, and no part of it is."""
    seen = 0
    for seed in range(600):
        case = random_case(seed)
        demand = demand_of(case.vm, case.source, host=case.taken.host.name)
        if demand.problems or demand.is_free or not isinstance(place(case.vm, case.taken, source=case.source), Misfit):
            continue
        if not is_open(HostRoom(demand, case.taken)):
            continue  # named nodes or CPUs that are not there: nothing to search for
        cause = smallest_cause(demand, case.taken)
        apart = cause & {Constraint.APART}  # never relaxed
        if cause - apart:
            assert not fits(*relaxed(demand, case.taken, cause))
            for part in combinations(cause - apart, len(cause - apart) - 1):
                assert fits(*relaxed(demand, case.taken, apart | set(part))), (seed, cause, part)
            seen += 1
    assert seen > 60
