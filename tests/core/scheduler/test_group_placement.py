"""Several VMs on one host together: all or none, and which of them is too much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from random import Random

import pytest

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, NumaPin, VcpuTopology, VirtualNumaNode, Vm, VmIntent
from hpconsole.core.scheduler.occupancy import Occupancy, occupancy
from hpconsole.core.scheduler.placement import Misfit, place_group
from tests.builders import MIB, a_host, a_topology, a_vm, virtual_nodes
from tests.core.scheduler.random_cases import random_occupancy, random_topology
from tests.core.scheduler.validity import violations

POLICY = CpuPinningPolicy


def own(name: str, count: int, policy: CpuPinningPolicy = POLICY.DEDICATED, nodes: int = 1, memory_mib: int = 64) -> Vm:
    return a_vm(
        name,
        vcpus=count,
        virtual_nodes=virtual_nodes(nodes, vcpus=count, memory_mib=memory_mib),
        intent=VmIntent(cpu_pinning_policy=policy),
    )


def free(cores_per_node: int, threads: int = 2) -> Occupancy:
    return occupancy(a_host("host-b", topology=a_topology(cores_per_node=cores_per_node, threads=threads)), [])


def test_each_gets_a_place_and_no_cpu_is_given_twice() -> None:
    vms = [own("a", 2), own("b", 3), own("c", 2, POLICY.ISOLATE_THREADS)]
    answer = place_group(vms, free(cores_per_node=3))
    assert isinstance(answer, dict)
    assert list(answer) == [vm.uuid for vm in vms]
    used = [cpu for placement in answer.values() for _, cpus in placement.pinning.vcpus for cpu in cpus]
    assert len(set(used)) == len(used) == 7


def test_the_first_best_place_is_given_up_where_another_vm_needs_it() -> None:
    """The one that may go anywhere makes room for the one whose pin list names a node."""
    anywhere = own("anywhere", 3)
    bound = replace(own("bound", 2), intent=VmIntent(cpu_pinning_policy=POLICY.DEDICATED))
    bound = replace(bound, intent=replace(bound.intent, numa_pins=(NumaPin(0, (0,)),)))
    answer = place_group([anywhere, bound], free(cores_per_node=4, threads=1))
    assert isinstance(answer, dict)
    assert answer[bound.uuid].bindings[0].host_nodes == (0,)
    assert answer[anywhere.uuid].bindings[0].host_nodes == (1,)


def test_who_is_too_much_is_named() -> None:
    vms = [own("small", 1), own("large", 4), own("other", 4)]
    answer = place_group(vms, free(cores_per_node=4, threads=1))
    assert isinstance(answer, Misfit)
    assert answer.sentence.startswith("Beside “large”, “other”, “small” has no place: ")
    fewer = place_group(vms[:2], free(cores_per_node=4, threads=1))
    assert isinstance(fewer, dict)


def test_memory_is_counted_together() -> None:
    taken = replace(free(cores_per_node=8), free_kib={0: 300 * MIB, 1: 100 * MIB})
    vms = [own("a", 2, memory_mib=200), own("b", 2, memory_mib=200)]
    assert isinstance(place_group(vms, taken), Misfit)
    assert isinstance(place_group(vms, replace(taken, free_kib={0: 300 * MIB, 1: 200 * MIB})), dict)


def test_one_that_fits_nowhere_is_told_for_itself() -> None:
    answer = place_group([own("a", 2), own("huge", 40)], free(cores_per_node=4))
    assert isinstance(answer, Misfit)
    assert answer.sentence.startswith("Virtual node 0 needs 40 CPUs on one host node")


def test_free_vms_never_stand_in_the_way() -> None:
    answer = place_group([a_vm("free"), own("own", 8)], free(cores_per_node=8, threads=1))
    assert isinstance(answer, dict)
    assert answer[a_vm("free").uuid].is_free


def test_no_vms_no_placements() -> None:
    assert place_group([], free(cores_per_node=1)) == {}


def _ways(vm: Vm, taken: Occupancy) -> Iterator[Occupancy]:
    """What every way to place an exclusive VM leaves, exhaustively: its own search, not the engine's."""
    online = {cpu.cpu_id: cpu.siblings for cpu in taken.host.topology.cpus}
    nodes = {node.node_id: node.cpus for node in taken.host.topology.nodes}
    closed = taken.exclusive | taken.shared
    whole = vm.intent.cpu_pinning_policy is POLICY.ISOLATE_THREADS
    threads = 1 if whole else vm.topology.threads

    def seat(waiting: Sequence[tuple[int, int]], used: CpuSet) -> Iterator[CpuSet]:
        if not waiting:
            yield used
            return
        (node, count), rest = waiting[0], waiting[1:]
        if not count:
            yield from seat(rest, used)
            return
        for core in {online[cpu] for cpu in nodes[node] if cpu in online}:
            left = core - used - closed
            taking = core if whole else left.lowest(threads)
            if len(taking) >= threads and taking <= left:
                yield from seat([(node, count - 1), *rest], used | taking)

    seen: set[tuple[CpuSet, tuple[tuple[int, int], ...]]] = set()
    for chosen in product(nodes, repeat=len(vm.virtual_nodes)):
        free_kib = dict(taken.free_kib)
        for node, vnode in zip(chosen, vm.virtual_nodes, strict=True):
            free_kib[node] = free_kib.get(node, 0) - vnode.memory_kib
        if any(kib < 0 for kib in free_kib.values()):
            continue
        blocks = [(n, -(-len(v.vcpus) // threads)) for n, v in zip(chosen, vm.virtual_nodes, strict=True)]
        for used in seat(blocks, CpuSet()):
            state = replace(taken, free_kib=free_kib, exclusive=taken.exclusive | used)
            key = (used, tuple(free_kib.items()))
            if key not in seen:
                seen.add(key)
                yield state


def _possible(vms: Sequence[Vm], taken: Occupancy) -> bool:
    return not vms or any(_possible(vms[1:], left) for left in _ways(vms[0], taken))


def _random_group(rng: Random) -> list[Vm]:
    vms: list[Vm] = []
    for i in range(rng.randint(2, 3)):
        policy = rng.choice([POLICY.DEDICATED, POLICY.DEDICATED, POLICY.ISOLATE_THREADS])
        threads = rng.choice([1, 1, 2]) if policy is POLICY.DEDICATED else 1
        nodes, first = [], 0
        for node in range(rng.randint(1, 2)):
            size = rng.randint(1, 2) * threads
            nodes.append(VirtualNumaNode(node, CpuSet.of(range(first, first + size)), rng.randint(0, 4)))
            first += size
        vms.append(
            a_vm(
                f"vm-{i}",
                vcpus=first,
                topology=VcpuTopology(1, first // threads, threads),
                virtual_nodes=tuple(nodes),
                pinning=CpuPinning(),
                intent=VmIntent(cpu_pinning_policy=policy),
            )
        )
    return vms


def _random_case(seed: int) -> tuple[list[Vm], Occupancy]:
    rng = Random(seed)
    taken = random_occupancy(rng, random_topology(rng, most_nodes=3, most_cpus=8))
    return _random_group(rng), taken


@pytest.mark.parametrize("seed", [1576, 2697, 3887, 4650])
def test_groups_that_fit_only_if_one_gives_up_its_best_place(seed: int) -> None:
    """Whatever the order, the best places of the first ones leave none for the last."""
    assert isinstance(place_group(*_random_case(seed)), dict)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_small_groups_against_every_way_there_is(first: int) -> None:
    fitting = 0
    for seed in range(first, first + 100):
        vms, taken = _random_case(seed)
        answer = place_group(vms, taken)
        assert isinstance(answer, dict) == _possible(vms, taken), seed
        if isinstance(answer, dict):
            fitting += 1
            used: list[int] = []
            for vm in vms:
                placement = answer[vm.uuid]
                assert isinstance(placement, Placement)
                assert violations(vm, taken, placement) == [], seed
                used += [cpu for _, cpus in placement.pinning.vcpus for cpu in cpus]
            assert len(set(used)) == len(used), seed
    assert fitting > 10
