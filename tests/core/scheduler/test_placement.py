"""What the placement engine does for VMs of each kind, on hosts one can see through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostDevices, PciDevice
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import (
    AssignedDevice,
    CpuPinning,
    CpuPinningPolicy,
    HostPinning,
    NumaMode,
    NumaPin,
    NumaTune,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmDevices,
    VmIntent,
)
from hpconsole.core.scheduler.occupancy import Occupancy, occupancy
from hpconsole.core.scheduler.placement import Misfit, place
from tests.builders import MIB, a_host, a_topology, a_vm, virtual_nodes

POLICY = CpuPinningPolicy


def pinned(**cpus: str) -> CpuPinning:
    """`pinned(v0="0-3", v1="4")`, with `emulator` and `io1`."""
    return CpuPinning(
        vcpus=tuple((int(name[1:]), CpuSet.parse(text)) for name, text in cpus.items() if name[0] == "v"),
        emulator=CpuSet.parse(cpus["emulator"]) if "emulator" in cpus else None,
        iothreads=tuple((int(name[2:]), CpuSet.parse(text)) for name, text in cpus.items() if name[:2] == "io"),
    )


def vcpus(answer: Placement | Misfit) -> dict[int, str]:
    assert isinstance(answer, Placement), answer
    return {vcpu: cpus.format() for vcpu, cpus in answer.pinning.vcpus}


def nodes(answer: Placement | Misfit) -> dict[int, tuple[int, ...]]:
    assert isinstance(answer, Placement), answer
    return {binding.node_id: binding.host_nodes for binding in answer.bindings}


def free(host_name: str = "host-b", **shape: Any) -> Occupancy:
    return occupancy(a_host(host_name, topology=a_topology(**shape)), [])


class TestNothingBound:
    def test_a_vm_without_pinning_is_free(self) -> None:
        answer = place(a_vm(), free())
        assert isinstance(answer, Placement)
        assert answer.is_free

    def test_virtual_nodes_alone_bind_nothing(self) -> None:
        answer = place(a_vm(virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=1024)), free())
        assert isinstance(answer, Placement)
        assert answer.is_free


class TestNumaPinnedWithoutCpuPinning:
    """Policy NONE: the CPU pinning is computed from the destination's nodes, never carried along."""

    def test_every_vcpu_gets_all_cpus_of_its_node_there(self) -> None:
        vm = a_vm(virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=2048, pins=[(0,), (1,)]))
        answer = place(vm, free(sockets=2, cores_per_node=2, threads=1))
        assert vcpus(answer) == {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}
        assert nodes(answer) == {0: (0,), 1: (1,)}

    def test_the_old_hosts_numbers_do_not_keep_it_from_a_smaller_host(self) -> None:
        """The limitation that the reference documents: always fails on a host with fewer CPUs."""
        big = a_topology(sockets=2, cores_per_node=16)
        vm = a_vm(
            vcpus=2,
            virtual_nodes=virtual_nodes(1, vcpus=2, memory_mib=1024, pins=[(1,)]),
            pinning=pinned(v0="16-31,48-63", v1="16-31,48-63"),
        )
        answer = place(vm, free(sockets=2, cores_per_node=2, threads=1), source=big)
        assert vcpus(answer) == {0: "2-3", 1: "2-3"}

    def test_cpus_of_others_and_isolated_cpus_are_left_out(self) -> None:
        taken = replace(free(sockets=2, cores_per_node=4, threads=1), exclusive=CpuSet.parse("5"))
        taken = replace(taken, host=replace(taken.host, isolated_cpus=CpuSet.parse("6")))
        vm = a_vm(vcpus=2, virtual_nodes=virtual_nodes(1, vcpus=2, memory_mib=64, pins=[(1,)]))
        assert vcpus(place(vm, taken)) == {0: "4,7", 1: "4,7"}

    def test_a_strict_list_means_one_of_its_nodes(self) -> None:
        intent = VmIntent(numa_pins=(NumaPin(0, (1, 0)),))
        vm = a_vm(vcpus=2, virtual_nodes=virtual_nodes(1, vcpus=2, memory_mib=64), intent=intent)
        assert nodes(place(vm, free())) == {0: (0,)}

    def test_lying_over_several_nodes_is_offered_only_to_a_vm_that_does_so_now(self) -> None:
        half = 40_000 * MIB
        base = free(mib_per_node=65_536, huge_2m=0)
        taken = replace(base, free_kib={0: half, 1: half})
        one = VirtualNumaNode(0, CpuSet.parse("0-1"), 60_000 * MIB, (0,))
        intent = VmIntent(numa_pins=(NumaPin(0, (0, 1)),))
        assert isinstance(place(a_vm(vcpus=2, virtual_nodes=(one,), intent=intent), taken), Misfit)
        two = replace(one, host_nodes=(0, 1))
        assert nodes(place(a_vm(vcpus=2, virtual_nodes=(two,), intent=intent), taken)) == {0: (0, 1)}
        small = replace(two, memory_kib=MIB)
        assert nodes(place(a_vm(vcpus=2, virtual_nodes=(small,), intent=intent), taken)) == {0: (0,)}

    def test_an_interleaved_list_is_divided_evenly(self) -> None:
        taken = replace(free(), free_kib={0: 100, 1: 100})
        intent = VmIntent(numa_pins=(NumaPin(0, (0, 1), NumaMode.INTERLEAVE),))
        fits = a_vm(vcpus=1, virtual_nodes=(VirtualNumaNode(0, CpuSet.parse("0"), 200),), intent=intent)
        assert nodes(place(fits, taken)) == {0: (0, 1)}
        large = replace(fits, virtual_nodes=(VirtualNumaNode(0, CpuSet.parse("0"), 202),))
        assert isinstance(place(large, taken), Misfit)

    def test_memory_only_preferred_somewhere_is_no_requirement(self) -> None:
        taken = replace(free(), free_kib={0: 0, 1: 0})
        intent = VmIntent(numa_pins=(NumaPin(0, (1,), NumaMode.PREFERRED),))
        vm = a_vm(vcpus=1, virtual_nodes=(VirtualNumaNode(0, CpuSet.parse("0"), 200),), intent=intent)
        assert nodes(place(vm, taken)) == {0: (1,)}

    def test_several_virtual_nodes_may_share_a_host_node(self) -> None:
        """The published case of the reference: four of 1000 MB on two nodes of 2500."""
        taken = replace(free(), free_kib={0: 2500, 1: 2500})
        nodes_ = tuple(VirtualNumaNode(i, CpuSet(1 << i), 1000) for i in range(4))
        intent = VmIntent(numa_pins=tuple(NumaPin(i, (0, 1)) for i in range(4)))
        found = nodes(place(a_vm(virtual_nodes=nodes_, intent=intent), taken))
        assert sorted(found.values()) == [(0,), (0,), (1,), (1,)]

    def test_literal_memory_of_a_vm_without_virtual_nodes_stays(self) -> None:
        vm = a_vm(numa_tune=NumaTune(NumaMode.STRICT, CpuSet.parse("1")))
        answer = place(vm, free())
        assert isinstance(answer, Placement)
        assert answer.numa_tune == vm.numa_tune
        assert answer.pinning == CpuPinning()


class TestLiteral:
    def intent(self, text: str = "0-1", **changes: Any) -> VmIntent:
        facts: dict[str, Any] = {"cpu_pinning_policy": POLICY.MANUAL, "cpu_pinning": ((0, CpuSet.parse(text)),)}
        return VmIntent(**(facts | changes))

    def test_the_numbers_are_kept_beside_others_that_share_them(self) -> None:
        taken = replace(free(), shared=CpuSet.parse("0-3"))
        assert vcpus(place(a_vm(intent=self.intent()), taken)) == {0: "0-1"}

    def test_cpus_that_another_vm_has_for_itself_refuse(self) -> None:
        answer = place(a_vm(intent=self.intent()), replace(free(), exclusive=CpuSet.parse("1")))
        assert isinstance(answer, Misfit)
        assert answer.kind == "VM_PINNING_PCPU_DOES_NOT_EXIST"

    def test_a_map_for_one_host_holds_there_only(self) -> None:
        intent = self.intent(per_host=(HostPinning("host-b", ((0, CpuSet.parse("7")),)),))
        assert vcpus(place(a_vm(intent=intent), free("host-b"))) == {0: "7"}
        assert vcpus(place(a_vm(intent=intent), free("host-c"))) == {0: "0-1"}

    def test_without_a_stored_map_the_present_one_is_literal(self) -> None:
        vm = a_vm(pinning=pinned(v0="5", v1="6"), intent=VmIntent(cpu_pinning_policy=POLICY.MANUAL))
        assert vcpus(place(vm, free())) == {0: "5", 1: "6"}

    def test_memory_goes_beside_the_cpus(self) -> None:
        intent = self.intent("8-9", numa_pins=(NumaPin(0),))
        vm = a_vm(vcpus=1, virtual_nodes=virtual_nodes(1, vcpus=1, memory_mib=64), intent=intent)
        assert nodes(place(vm, free())) == {0: (1,)}


class TestDedicated:
    def vm(self, count: int, threads: int = 1, sockets: int = 1, **changes: Any) -> Vm:
        topology = VcpuTopology(sockets, count // threads // sockets, threads)
        facts: dict[str, Any] = {"topology": topology, "intent": VmIntent(cpu_pinning_policy=POLICY.DEDICATED)}
        return a_vm(vcpus=count, **(facts | changes))

    def test_siblings_stay_together_when_the_guest_has_threads(self) -> None:
        assert vcpus(place(self.vm(4, threads=2), free(cores_per_node=2))) == {0: "0", 1: "4", 2: "1", 3: "5"}

    def test_a_free_cpu_beside_a_taken_sibling_is_no_core_for_two_threads(self) -> None:
        taken = replace(free(cores_per_node=2), exclusive=CpuSet.parse("0-3"))
        assert isinstance(place(self.vm(2, threads=2), taken), Misfit)
        assert vcpus(place(self.vm(2), taken)) == {0: "4", 1: "5"}

    def test_one_node_is_better_than_two(self) -> None:
        taken = replace(free(cores_per_node=4, threads=1), exclusive=CpuSet.parse("0"))
        assert vcpus(place(self.vm(4), taken)) == {0: "4", 1: "5", 2: "6", 3: "7"}

    def test_it_spreads_over_near_nodes_where_one_is_too_small(self) -> None:
        answer = place(self.vm(4, sockets=4), free(sockets=2, nodes_per_socket=2, cores_per_node=2, threads=1))
        assert set(vcpus(answer).values()) == {"0", "1", "2", "3"}  # nodes 0 and 1: one socket

    def test_a_virtual_socket_never_lies_over_two_host_sockets(self) -> None:
        taken = free(sockets=2, cores_per_node=3, threads=1)
        assert isinstance(place(self.vm(4, sockets=1), taken), Misfit)
        assert isinstance(place(self.vm(4, sockets=2), taken), Placement)

    def test_virtual_nodes_lie_where_their_vcpus_are(self) -> None:
        vm = self.vm(8, virtual_nodes=virtual_nodes(2, vcpus=8, memory_mib=2048))
        answer = place(vm, free(cores_per_node=4, threads=1))
        assert nodes(answer) == {0: (0,), 1: (1,)}
        assert list(vcpus(answer).values()) == ["0", "1", "2", "3", "4", "5", "6", "7"]

    def test_the_false_fit_of_the_peer_is_none_here(self) -> None:
        """Virtual nodes of 4, 4, 4 and 64 vCPUs do not fit four nodes of 16 CPUs; OpenStack nova says they do."""
        sizes = (4, 4, 4, 64)
        ends = [sum(sizes[: i + 1]) for i in range(4)]
        nodes_ = tuple(
            VirtualNumaNode(i, CpuSet.of(range(end - size, end)), 1024)
            for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
        )
        taken = free(sockets=4, cores_per_node=8)
        for policy in (POLICY.DEDICATED, POLICY.NONE, POLICY.ISOLATE_THREADS):
            intent = VmIntent(cpu_pinning_policy=policy, numa_pins=tuple(NumaPin(i) for i in range(4)))
            answer = place(a_vm(vcpus=76, virtual_nodes=nodes_, intent=intent), taken)
            assert isinstance(answer, Misfit), policy
        answer = place(a_vm(vcpus=16, virtual_nodes=virtual_nodes(4, vcpus=16, memory_mib=4), intent=intent), taken)
        assert isinstance(answer, Placement)

    def test_a_cache_bank_is_kept_whole_where_it_can_be(self) -> None:
        topology = a_topology(sockets=1, cores_per_node=8, threads=1)
        banks = tuple(replace(topology.l3_banks[0], cpus=CpuSet.parse(cpus)) for cpus in ("0-3", "4-7"))
        taken = occupancy(a_host(topology=replace(topology, l3_banks=banks)), [])
        taken = replace(taken, exclusive=CpuSet.parse("1"))
        assert set(vcpus(place(self.vm(4), taken)).values()) == {"4", "5", "6", "7"}

    def test_it_goes_near_its_pci_device(self) -> None:
        host = a_host("host-b", devices=HostDevices(pci=(PciDevice("0000:3b:00.0", 1),)))
        vm = self.vm(2, devices=VmDevices(assigned=(AssignedDevice("pci", "0000:3b:00.0"),)))
        assert set(vcpus(place(vm, occupancy(host, []))).values()) == {"8", "24"}

    def test_it_stays_on_its_cpus_where_the_order_allows(self) -> None:
        vm = self.vm(2, pinning=pinned(v0="12", v1="28"))
        assert vcpus(place(vm, free())) == {0: "12", 1: "28"}

    def test_the_tightest_node_is_taken(self) -> None:
        taken = replace(free(cores_per_node=4, threads=1), exclusive=CpuSet.parse("4-5"))
        assert vcpus(place(self.vm(2), taken)) == {0: "6", 1: "7"}


class TestIsolatedThreads:
    def test_each_vcpu_gets_the_first_cpu_of_a_core_of_its_own(self) -> None:
        vm = a_vm(vcpus=2, intent=VmIntent(cpu_pinning_policy=POLICY.ISOLATE_THREADS))
        taken = replace(free(cores_per_node=2), exclusive=CpuSet.parse("4"))
        assert vcpus(place(vm, taken)) == {0: "2", 1: "3"}

    def test_its_cores_are_closed_to_others_with_all_their_threads(self) -> None:
        intent = VmIntent(cpu_pinning_policy=POLICY.ISOLATE_THREADS)
        host = a_host("host-b", topology=a_topology(cores_per_node=2))
        there = a_vm("there", host="host-b", vcpus=1, intent=intent, pinning=pinned(v0="0"))
        assert occupancy(host, [there]).exclusive == CpuSet.parse("0,4")


class TestKeptShape:
    """Nothing says that the numbers matter: the same sharing, elsewhere."""

    SOURCE = a_topology(sockets=2, cores_per_node=4)  # CPU n and n + 8 are siblings; node 1 begins at 4

    def vm(self, pinning: CpuPinning, pins: list[tuple[int, ...]] | None = None, count: int = 4) -> Vm:
        nodes_ = virtual_nodes(len(pins), vcpus=count, memory_mib=2048, pins=pins) if pins else ()
        intent = VmIntent(cpu_pinning_policy=POLICY.KEEP_SHAPE, numa_pins=tuple(NumaPin(i) for i in range(len(nodes_))))
        return a_vm(vcpus=count, virtual_nodes=nodes_, pinning=pinning, intent=intent)

    def test_two_nodes_stay_two_on_a_host_with_other_numbers(self) -> None:
        vm = self.vm(pinned(v0="2", v1="3", v2="4", v3="5"), pins=[(0,), (1,)])
        taken = replace(free(sockets=4, cores_per_node=2, threads=1), exclusive=CpuSet.parse("0,4"))
        answer = place(vm, taken, source=self.SOURCE)
        assert nodes(answer) == {0: (1,), 1: (3,)}
        assert vcpus(answer) == {0: "2", 1: "3", 2: "6", 3: "7"}

    def test_they_do_not_fit_one_node(self) -> None:
        vm = self.vm(pinned(v0="0", v1="1", v2="4", v3="5"), pins=[(0,), (1,)])
        assert isinstance(place(vm, free(sockets=1, cores_per_node=16), source=self.SOURCE), Misfit)

    def test_siblings_stay_siblings_and_others_apart(self) -> None:
        together = self.vm(pinned(v0="0", v1="8"), count=2)
        answer = vcpus(place(together, free(cores_per_node=2), source=self.SOURCE))
        assert answer == {0: "0", 1: "4"}
        assert isinstance(place(together, free(cores_per_node=8, threads=1), source=self.SOURCE), Misfit)
        apart = self.vm(pinned(v0="0", v1="1"), count=2)
        answer = vcpus(place(apart, free(cores_per_node=2), source=self.SOURCE))
        assert set(answer.values()) == {"0", "1"}

    def test_a_set_that_vcpus_share_stays_shared_and_as_large(self) -> None:
        vm = self.vm(pinned(v0="0-1", v1="0-1", v2="2-3", v3="2-3"))
        taken = replace(free(cores_per_node=8, threads=1), exclusive=CpuSet.parse("0"))
        assert vcpus(place(vm, taken, source=self.SOURCE)) == {0: "1,4", 1: "1,4", 2: "2-3", 3: "2-3"}

    def test_vcpus_at_home_on_a_whole_node_are_at_home_on_a_whole_node(self) -> None:
        vm = self.vm(pinned(v0="4-7,12-15", v1="4-7,12-15"), count=2)
        taken = replace(free(sockets=2, cores_per_node=2, threads=1), exclusive=CpuSet.parse("0-1"))
        assert vcpus(place(vm, taken, source=self.SOURCE)) == {0: "2-3", 1: "2-3"}

    def test_emulator_and_io_threads_keep_their_relation(self) -> None:
        same = self.vm(pinned(v0="0", v1="1", emulator="0-1", io1="1"), count=2)
        taken = replace(free(cores_per_node=4, threads=1), exclusive=CpuSet.parse("0-1"))
        answer = place(same, taken, source=self.SOURCE)
        assert isinstance(answer, Placement)
        assert vcpus(answer) == {0: "2", 1: "3"}
        assert answer.pinning.emulator == CpuSet.parse("2-3")
        assert answer.pinning.iothreads == ((1, CpuSet.parse("3")),)

    def test_an_emulator_beside_the_vcpus_stays_beside_them(self) -> None:
        vm = self.vm(pinned(v0="0", v1="1", emulator="2", io1="0-3,8-11"), count=2)
        taken = replace(free(cores_per_node=4, threads=1), exclusive=CpuSet.parse("0-3"))
        answer = place(vm, taken, source=self.SOURCE)
        assert isinstance(answer, Placement)
        assert vcpus(answer) == {0: "4", 1: "5"}
        assert answer.pinning.emulator == CpuSet.parse("6")
        assert answer.pinning.iothreads == ((1, CpuSet.parse("4-7")),)

    def test_without_its_hosts_topology_the_guest_tells_the_shape(self) -> None:
        vm = self.vm(pinned(v0="0", v1="1", v2="4", v3="5"), pins=[(0,), (1,)])
        answer = place(vm, free(sockets=4, cores_per_node=2, threads=1))
        assert len(set(nodes(answer).values())) == 2
        assert len(set(vcpus(answer).values())) == 4

    def test_huge_pages_are_asked_for_and_plain_memory_is_not(self) -> None:
        nodes_ = (VirtualNumaNode(0, CpuSet.parse("0-1"), 2048 * 10, (0,), page_kib=2048),)
        vm = replace(self.vm(pinned(v0="0", v1="1"), count=2), virtual_nodes=nodes_)
        taken = replace(free(), free_kib={0: 0, 1: 0}, free_pages={0: {2048: 9}, 1: {2048: 10}})
        assert nodes(place(vm, taken, source=self.SOURCE)) == {0: (1,)}

    def test_the_whole_memorys_binding_follows(self) -> None:
        vm = replace(self.vm(pinned(v0="4", v1="5"), count=2), numa_tune=NumaTune(NumaMode.STRICT, CpuSet.parse("1")))
        taken = replace(free(), free_kib={0: vm.memory_kib, 1: vm.memory_kib - 1})
        answer = place(vm, taken, source=self.SOURCE)
        assert isinstance(answer, Placement)
        assert answer.numa_tune == NumaTune(NumaMode.STRICT, CpuSet.parse("0"))
        assert vcpus(answer) == {0: "4", 1: "5"}  # these numbers are on node 0 there


class TestResizedToTheHost:
    def test_virtual_nodes_and_host_nodes_one_to_one_first_core_left_out(self) -> None:
        """The reference's published case, with the host's numbers of `a_topology`."""
        intent = VmIntent(cpu_pinning_policy=POLICY.RESIZE_AND_PIN_NUMA)
        vm = a_vm(vcpus=12, virtual_nodes=virtual_nodes(2, vcpus=12, memory_mib=64), intent=intent)
        answer = vcpus(place(vm, free(cores_per_node=4)))
        assert [answer[i] for i in range(0, 12, 2)] == ["1,9", "2,10", "3,11", "5,13", "6,14", "7,15"]
        assert all(answer[i] == answer[i + 1] for i in range(0, 12, 2))


class TestOrder:
    """The documented order, on hosts where two ways compete."""

    def test_near_nodes_before_tight_ones(self) -> None:
        intent = VmIntent(cpu_pinning_policy=POLICY.KEEP_SHAPE)
        vm = a_vm(
            vcpus=2,
            virtual_nodes=virtual_nodes(2, vcpus=2, memory_mib=64, pins=[(0,), (1,)]),
            pinning=pinned(v0="0", v1="8"),
            intent=intent,
        )
        taken = free(sockets=2, nodes_per_socket=2, cores_per_node=2, threads=1)
        taken = replace(taken, exclusive=CpuSet.parse("0,4"))  # nodes 0 and 2 are tight, and far from each other
        assert nodes(place(vm, taken, source=a_topology())) == {0: (0,), 1: (1,)}

    def test_the_same_answer_whatever_the_order_of_vms_and_nodes(self) -> None:
        vm = a_vm(
            virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=64), intent=VmIntent(numa_pins=(NumaPin(1), NumaPin(0)))
        )
        other = replace(vm, intent=VmIntent(numa_pins=(NumaPin(0), NumaPin(1))))
        assert place(vm, free()) == place(other, free())


@pytest.mark.parametrize("policy", [POLICY.DEDICATED, POLICY.ISOLATE_THREADS, POLICY.KEEP_SHAPE])
def test_a_vm_fits_where_it_runs(policy: CpuPinningPolicy) -> None:
    """Placed again on its own host, its memory and CPUs are its own to take; it keeps them."""
    host = a_host("host-a", topology=a_topology(cores_per_node=2, threads=1, mib_per_node=1000, huge_2m=0))
    vm = a_vm(
        host="host-a",
        virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=1900, pins=[(0,), (1,)]),
        pinning=pinned(v0="0", v1="1", v2="2", v3="3"),
        intent=VmIntent(cpu_pinning_policy=policy),
    )
    full = replace(host, usage=replace(host.usage, nodes=tuple(replace(n, free_kib=0) for n in host.usage.nodes)))
    assert isinstance(place(vm, occupancy(full, [vm])), Misfit)
    answer = place(vm, occupancy(full, [vm], without=frozenset({vm.uuid})))
    assert vcpus(answer) == {0: "0", 1: "1", 2: "2", 3: "3"}
    assert nodes(answer) == {0: (0,), 1: (1,)}
