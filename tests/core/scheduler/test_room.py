"""What one host node has room for, at the limits: exactly enough is enough, one less is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import NumaMode, NumaPin, VirtualNumaNode, VmIntent
from hpconsole.core.scheduler.demand import WHOLE, Block, CoreRule, Demand, NodeNeed, Tune
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placement import place
from hpconsole.core.scheduler.room import HostRoom, NodeRoom
from tests.builders import a_host, a_topology, a_vm

# Two nodes of two cores with two threads each: CPUs 0,4 1,5 | 2,6 3,7.
HOST = a_host("host-b", topology=a_topology(2, 1, 2, 2))


def room(rule: CoreRule, *needs: NodeNeed, threads: int = 1, exclusive: str = "", isolated: str = "") -> HostRoom:
    taken = Occupancy(
        host=replace(HOST, isolated_cpus=CpuSet.parse(isolated)),
        free_kib={0: 1000, 1: 500},
        free_pages={0: {2048: 10}},
        exclusive=CpuSet.parse(exclusive),
    )
    return HostRoom(Demand(a_vm(), rule=rule, threads=threads, node_needs=needs), taken)


def first(rule: CoreRule, *, threads: int = 1, exclusive: str = "", isolated: str = "") -> NodeRoom:
    return room(rule, threads=threads, exclusive=exclusive, isolated=isolated).nodes[0]


def blocks(count: int, size: int = 1) -> tuple[Block, ...]:
    return tuple(Block((i,), size, (0,), 1) for i in range(count))


@pytest.mark.parametrize(("need", "nodes"), [
    (NodeNeed(memory_kib=500), 0b11), (NodeNeed(memory_kib=501), 0b01), (NodeNeed(memory_kib=1000), 0b01),
    (NodeNeed(memory_kib=1001), 0), (NodeNeed(page_kib=2048, pages=10), 0b01), (NodeNeed(page_kib=2048, pages=11), 0),
    (NodeNeed(page_kib=1024, pages=1), 0), (NodeNeed(cpus_needed=4), 0b11), (NodeNeed(cpus_needed=5), 0),
    (NodeNeed(allowed_nodes=(1, 9)), 0b10), (NodeNeed(memory_kib=501, allowed_nodes=(1,)), 0),
])  # fmt: skip
def test_the_nodes_a_need_fits(need: NodeNeed, nodes: int) -> None:
    assert room(CoreRule.FLOATING, need).fit_mask(need) == nodes


@pytest.mark.parametrize("count", [0, 1])
def test_needs_together(count: int) -> None:
    node = first(CoreRule.FLOATING)
    assert node.fits_all([NodeNeed(memory_kib=500), NodeNeed(memory_kib=500 + count)]) is (count == 0)
    pages = [NodeNeed(page_kib=2048, pages=4), NodeNeed(page_kib=2048, pages=6 + count)]
    assert node.fits_all(pages) is (count == 0)
    # Floating vCPUs share CPUs: each need by itself.
    assert node.fits_all([NodeNeed(cpus_needed=4), NodeNeed(cpus_needed=4 + count)]) is (count == 0)
    siblings = first(CoreRule.SIBLINGS)
    assert siblings.fits_all([NodeNeed(blocks=blocks(2)), NodeNeed(blocks=blocks(2 + count))]) is (count == 0)


@pytest.mark.parametrize("needed", [4, 5])
def test_usable_cpus_for_those_without_their_own(needed: int) -> None:
    assert first(CoreRule.SHAPE).fits_all([NodeNeed(usable_needed=needed)]) is (needed == 4)
    need = NodeNeed(usable_needed=needed)
    assert room(CoreRule.SHAPE, need).fit_mask(need) == (0b11 if needed == 4 else 0)


def test_shares_of_memory_are_rounded_up() -> None:
    node = first(CoreRule.FLOATING)
    assert node.has_memory(NodeNeed(memory_kib=2000), 2)
    assert not node.has_memory(NodeNeed(memory_kib=2001), 2)
    assert node.has_memory(NodeNeed(page_kib=2048, pages=20), 2)
    assert not node.has_memory(NodeNeed(page_kib=2048, pages=21), 2)


def test_cores_by_rule() -> None:
    assert first(CoreRule.SIBLINGS, threads=2).capacity == 2
    assert first(CoreRule.SIBLINGS, threads=2, exclusive="4").capacity == 1
    assert first(CoreRule.SIBLINGS, threads=3).capacity == 0
    assert first(CoreRule.WHOLE_CORES, exclusive="4").capacity == 1
    assert first(CoreRule.SHAPE, exclusive="4").capacity == 2
    # Resized VMs leave the first core of each node alone.
    assert first(CoreRule.RESIZED).capacity == 2
    assert first(CoreRule.RESIZED, exclusive="5").capacity == 0


def test_shapes() -> None:
    node = first(CoreRule.SHAPE, exclusive="4")
    assert node.has_cpus(0, blocks(1, 2) + blocks(1, 1))
    assert not node.has_cpus(0, blocks(2, 2))
    assert not node.has_cpus(0, blocks(3, 1))
    whole = first(CoreRule.WHOLE_CORES)
    assert whole.has_cpus(0, blocks(2, WHOLE))
    assert not whole.has_cpus(0, blocks(3, WHOLE))


def test_isolated_and_exclusive_cpus_are_not_for_floating_vcpus() -> None:
    assert first(CoreRule.FLOATING, isolated="0,4").usable_bits == 0b100010
    assert first(CoreRule.FLOATING, exclusive="0,4").usable_bits == 0b100010
    assert first(CoreRule.FLOATING, isolated="0,4").capacity == 2
    # Those pinned by name may have isolated CPUs.
    assert first(CoreRule.SIBLINGS, isolated="0,4").free_bits == 0b110011


@pytest.mark.parametrize(("memory", "fits"), [(1000, True), (1001, False)])
def test_a_literal_binding_is_taken_first(memory: int, fits: bool) -> None:
    tune = Tune(NumaMode.STRICT, (0, 1), memory_kib=memory)
    taken = Occupancy(host=HOST, free_kib={0: 1000, 1: 500}, free_pages={})
    found = HostRoom(Demand(a_vm(), rule=CoreRule.FLOATING, tune=tune), taken)
    assert found.has_tune_memory is fits
    if fits:
        assert [node.free_kib for node in found.nodes] == [500, 0]


@pytest.mark.parametrize(("second", "fits"), [(998, True), (999, False)])
def test_interleaved_nodes_side_by_side_count_begun_shares(second: int, fits: bool) -> None:
    """501 KiB of the first on each node leave 499 of 1,000."""
    pins = tuple(NumaPin(i, (0, 1), NumaMode.INTERLEAVE) for i in range(2))
    memory = (1001, second)
    vm = replace(
        a_vm(),
        memory_kib=sum(memory),
        virtual_nodes=tuple(VirtualNumaNode(i, CpuSet.of([i]), memory[i]) for i in range(2)),
        intent=VmIntent(numa_pins=pins),
    )
    taken = Occupancy(host=HOST, free_kib={0: 1000, 1: 1000}, free_pages={})
    assert isinstance(place(vm, taken), Placement) is fits
