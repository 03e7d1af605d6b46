"""What a step says: from where to where, and what becomes of the pinning."""

from __future__ import annotations

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode, Vm
from hpconsole.core.planning.placement_text import move_sentence
from tests.builders import a_host, a_topology, a_vm, virtual_nodes

# host-a: nodes of 16 CPUs (0-7 and 16-23 on node 0); host-b: four nodes of 4 CPUs.
SOURCE = a_host("host-a")
DESTINATION = a_host("host-b", topology=a_topology(2, 2, 2, 2))


def pins(first: int, count: int = 4) -> CpuPinning:
    return CpuPinning(tuple((vcpu, CpuSet.of([first + vcpu])) for vcpu in range(count)))


def sentence(vm: Vm, pinning: CpuPinning | None = None, *bindings: NodeBinding) -> str:
    placement = Placement(vm.uuid, "host-b", bindings, pinning or CpuPinning())
    return move_sentence(vm, SOURCE, DESTINATION, placement)


def test_a_vm_without_pinning() -> None:
    assert sentence(a_vm("web-1")) == "Move web-1 from host-a to host-b."


def test_a_pinned_vm_gets_other_cpus() -> None:
    text = sentence(a_vm("db-1", pinning=pins(0)), pins(2))
    assert text == (
        "Move db-1 from host-a to host-b; its 4 vCPUs will be pinned to CPUs 2-5 on nodes 1-2 (now CPUs 0-3 on node 0)."
    )


def test_one_vcpu_is_singular() -> None:
    text = sentence(a_vm("db-1", vcpus=1, pinning=pins(0, 1)), pins(2, 1))
    assert text.endswith("; its vCPU will be pinned to CPU 2 on node 1 (now CPU 0 on node 0).")


def test_what_stays_as_it_is_says_so() -> None:
    text = sentence(a_vm("db-1", pinning=pins(0, 2)), pins(0, 2))
    assert text.endswith("; its 2 vCPUs stay pinned to CPUs 0-1 on node 0.")


def test_a_pinning_that_is_new() -> None:
    assert sentence(a_vm("db-1"), pins(2)).endswith("pinned to CPUs 2-5 on nodes 1-2 (now not pinned).")


def test_memory_alone() -> None:
    vm = a_vm("db-1", virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=2048, pins=[(0,), (1,)]))
    there = (NodeBinding(0, (2,), NumaMode.STRICT), NodeBinding(1, (3,), NumaMode.STRICT))
    assert sentence(vm, None, *there).endswith("; its memory will be bound to nodes 2-3 (now nodes 0-1).")
