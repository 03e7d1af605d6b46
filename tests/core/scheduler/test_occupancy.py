"""What is taken on a host: by whom, how exclusively, and what promises add."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import HostTopology, HostUsage
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    NumaMode,
    NumaTune,
    VirtualNumaNode,
    VmIntent,
    VmState,
)
from hpconsole.core.scheduler.occupancy import NodeClaim, claims_of, occupancy
from hpconsole.core.scheduler.reservations import Reservation
from tests.builders import MIB, a_host, a_topology, a_vm, virtual_nodes

POLICY = CpuPinningPolicy
HOST = a_host("host-a", topology=a_topology(cores_per_node=4, huge_2m=100))  # CPU n and n + 8 are siblings


def pinned(policy: CpuPinningPolicy, *texts: str, **changes: str) -> dict[str, Any]:
    pinning = CpuPinning(
        tuple((i, CpuSet.parse(text)) for i, text in enumerate(texts)),
        emulator=CpuSet.parse(changes["emulator"]) if "emulator" in changes else None,
    )
    return {"pinning": pinning, "intent": VmIntent(cpu_pinning_policy=policy)}


@pytest.mark.parametrize(
    ("policy", "texts", "exclusive", "shared"),
    [
        (POLICY.DEDICATED, ("0", "8"), "0,8", ""),
        (POLICY.ISOLATE_THREADS, ("0", "1"), "0-1,8-9", ""),
        (POLICY.KEEP_SHAPE, ("0-1", "0-1"), "0-1", ""),
        (POLICY.KEEP_SHAPE, ("0-3,8-11", "0-3,8-11"), "", ""),  # at home on node 0
        (POLICY.MANUAL, ("0-1", "4"), "", "0-1,4"),
        (POLICY.NONE, ("0-3,8-11",), "", ""),  # derived from its host nodes: nobody's
    ],
)
def test_whose_cpus_they_are(policy: CpuPinningPolicy, texts: tuple[str, ...], exclusive: str, shared: str) -> None:
    vm = a_vm(vcpus=len(texts), **pinned(policy, *texts))
    taken = occupancy(HOST, [vm])
    assert taken.exclusive == CpuSet.parse(exclusive)
    assert taken.shared == CpuSet.parse(shared)


def test_an_emulator_beside_its_vcpus_is_shared() -> None:
    taken = occupancy(HOST, [a_vm(vcpus=1, **pinned(POLICY.DEDICATED, "1", emulator="0"))])
    assert (taken.exclusive, taken.shared) == (CpuSet.parse("1"), CpuSet.parse("0"))
    assert [user.name for user in taken.users_of(CpuSet.parse("0"))] == ["vm-1"]
    assert taken.users_of(CpuSet.parse("5")) == ()


def test_only_vms_with_a_process_on_the_host_count() -> None:
    facts = pinned(POLICY.DEDICATED, "0")
    others = [
        a_vm("off", vcpus=1, state=VmState.SHUT_OFF, **facts),
        a_vm("elsewhere", host="host-b", vcpus=1, **facts),
        a_vm("itself", vcpus=1, **facts),
    ]
    assert occupancy(HOST, others, without=frozenset({others[2].uuid})).exclusive == EMPTY


def test_a_promise_takes_cpus_and_memory() -> None:
    vm = a_vm("coming", host="host-b", vcpus=2, virtual_nodes=virtual_nodes(1, vcpus=2, memory_mib=100),
              intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED))  # fmt: skip
    there = Placement(
        vm.uuid, "host-a", (NodeBinding(0, (1,), NumaMode.STRICT),), CpuPinning(((0, CpuSet.parse("4")),))
    )
    before, after = occupancy(HOST, []), occupancy(HOST, [], [Reservation(vm.uuid, "host-a", there, vm)])
    assert after.exclusive == CpuSet.parse("4")
    assert before.free_kib[1] - after.free_kib[1] == 100 * MIB
    assert before.free_kib[0] == after.free_kib[0]
    elsewhere = Reservation(vm.uuid, "host-b", there, vm)
    assert occupancy(HOST, [], [elsewhere]) == before
    assert occupancy(HOST, [], [Reservation(vm.uuid, "host-a", there, vm)], without=frozenset({vm.uuid})) == before
    assert occupancy(HOST, [vm], [Reservation(vm.uuid, "host-a", there)]) == after  # found among the VMs


def test_a_promise_is_counted_once_and_not_after_arrival() -> None:
    vm = a_vm("coming", host="host-a", vcpus=1, **pinned(POLICY.DEDICATED, "4"))
    there = Placement(
        vm.uuid, "host-a", (NodeBinding(0, (1,), NumaMode.STRICT),), CpuPinning(((0, CpuSet.parse("5")),))
    )
    promise = Reservation(vm.uuid, "host-a", there, replace(vm, host="host-b"))
    assert occupancy(HOST, [vm], [promise]).exclusive == CpuSet.parse("4")
    twice = [promise, promise]
    assert len(occupancy(HOST, [], twice).users) == 1


def test_a_promise_to_a_vm_nobody_knows_keeps_its_cpus() -> None:
    there = Placement("unknown", "host-a", (), CpuPinning(((0, CpuSet.parse("4-5")),)))
    assert occupancy(HOST, [], [Reservation("unknown", "host-a", there)]).exclusive == CpuSet.parse("4-5")


def test_memory_of_the_vm_that_is_placed_again_is_given_back() -> None:
    nodes = (
        VirtualNumaNode(0, CpuSet.parse("0"), 10 * 2048, (0,), page_kib=2048),
        VirtualNumaNode(1, CpuSet.parse("1"), 64 * MIB, (0, 1)),
        VirtualNumaNode(2, CpuSet.parse("2"), 64 * MIB, (0,), NumaMode.PREFERRED),
    )
    vm = a_vm(virtual_nodes=nodes)
    before, after = occupancy(HOST, [vm]), occupancy(HOST, [vm], without=frozenset({vm.uuid}))
    assert after.free_pages[0][2048] - before.free_pages[0][2048] == 10
    assert [after.free_kib[i] - before.free_kib[i] for i in (0, 1)] == [32 * MIB, 32 * MIB]


def test_what_a_placement_claims() -> None:
    vm = a_vm(
        memory_mib=100,
        virtual_nodes=(
            VirtualNumaNode(0, CpuSet.parse("0"), 5000, page_kib=2048),
            VirtualNumaNode(1, CpuSet.parse("1"), 7),
            VirtualNumaNode(2, CpuSet.parse("2"), 9),
        ),
    )
    there = Placement(
        vm.uuid,
        "host-a",
        (NodeBinding(0, (0,), NumaMode.STRICT), NodeBinding(1, (0, 1), NumaMode.INTERLEAVE)),
        numa_tune=NumaTune(NumaMode.STRICT, CpuSet.parse("1")),
    )
    assert claims_of(vm, there) == (NodeClaim(0, 0, 4), NodeClaim(0, 2048, 3), NodeClaim(1, 0, 4 + 9))
    whole = replace(vm, virtual_nodes=())
    assert claims_of(whole, replace(there, bindings=())) == (NodeClaim(1, 0, 100 * MIB),)


def test_a_host_without_numa_nodes_is_one_node() -> None:
    plain = replace(HOST, topology=HostTopology(cpus=HOST.topology.cpus), usage=HostUsage(memory_free_kib=77))
    assert occupancy(plain, []).free_kib == {0: 77}
    silent = replace(plain, usage=HostUsage())
    assert occupancy(silent, []).free_kib == {}
