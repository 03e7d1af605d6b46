"""Memory of a simulated host: taken from where the XML says, refused in libvirt's words, never below zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpconsole.core.errors import OperationRefused
from hpconsole.core.hypervisor.simulated.accounting import Ledger
from hpconsole.core.hypervisor.simulated.demand import Demand, MemoryPart
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err
from hpconsole.core.hypervisor.simulated.machines import GIB, PAGE_1G, PAGE_2M, HostModel, MachineShape
from hpconsole.core.model.cpuset import EMPTY, CpuSet

MODEL = HostModel("host-x", MachineShape(2, 2, 2, 2, gib_per_node=32), pages_2m_per_node=4096, pages_1g_per_node=4)


def a_demand(*parts: MemoryPart, uuid: str = "u") -> Demand:
    nodes = CpuSet.of(node for part in parts for node in part.nodes)
    return Demand(uuid, "vm", 2, sum(part.kib for part in parts), parts, EMPTY, nodes)


def picture(ledger: Ledger) -> list[tuple[int, int, int]]:
    return [(ledger.free_kib(n), ledger.free_pages(n, PAGE_2M), ledger.free_pages(n, PAGE_1G)) for n in range(4)]


def test_strict_memory_comes_from_its_node_alone() -> None:
    ledger = Ledger(MODEL)
    before = ledger.free_kib(2)
    ledger.claim(a_demand(MemoryPart(4 * GIB, None, "strict", CpuSet.of([2]))))
    assert ledger.free_kib(2) == before - 4 * GIB


def test_huge_pages_come_from_the_pool_of_their_node() -> None:
    ledger = Ledger(MODEL)
    plain = ledger.free_kib(1)
    ledger.claim(a_demand(MemoryPart(2 * GIB, PAGE_2M, "strict", CpuSet.of([1]))))
    assert ledger.free_pages(1, PAGE_2M) == 4096 - 1024
    assert ledger.free_kib(1) == plain


def test_interleaved_memory_is_spread() -> None:
    ledger = Ledger(MODEL)
    before = picture(ledger)
    ledger.claim(a_demand(MemoryPart(4 * GIB, None, "interleave", CpuSet.of([1, 3]))))
    assert [was[0] - now[0] for was, now in zip(before, picture(ledger), strict=True)] == [0, 2 * GIB, 0, 2 * GIB]


def test_preferred_memory_overflows_to_the_nearest_node() -> None:
    ledger = Ledger(MODEL)
    room = ledger.free_kib(3)
    ledger.claim(a_demand(MemoryPart(room + GIB, None, "preferred", CpuSet.of([3]))))
    assert ledger.free_kib(3) == 0
    assert ledger.free_kib(2) == Ledger(MODEL).free_kib(2) - GIB  # the other node of the same socket


@pytest.mark.parametrize(
    ("part", "code", "words"),
    [
        (MemoryPart(40 * GIB, None, "strict", CpuSet.of([0])), Err.INTERNAL_ERROR, "cannot set up guest memory"),
        (MemoryPart(9 * GIB, PAGE_2M, "strict", CpuSet.of([0])), Err.INTERNAL_ERROR, "unable to map backing store"),
        (MemoryPart(5 * GIB, PAGE_1G, "restrictive", CpuSet.of([3])), Err.INTERNAL_ERROR, "unable to map"),
        (MemoryPart(GIB, None, "strict", CpuSet.of([4])), Err.CONFIG_UNSUPPORTED, "NUMA node 4 is unavailable"),
        (MemoryPart(GIB, 16_384), Err.INTERNAL_ERROR, "hugetlbfs mount for 16384 KiB"),
        (MemoryPart(200 * GIB), Err.INTERNAL_ERROR, "cannot set up guest memory"),
    ],
)
def test_refusal_is_libvirts_and_changes_nothing(part: MemoryPart, code: Err, words: str) -> None:
    ledger = Ledger(MODEL)
    before = picture(ledger)
    first = MemoryPart(GIB, PAGE_2M, "strict", CpuSet.of([1]))
    with pytest.raises(OperationRefused, match=words) as refusal:
        ledger.claim(a_demand(first, part))
    assert refusal.value.code == code
    assert picture(ledger) == before


def test_pools_larger_than_the_node_are_an_error_of_the_model() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Ledger(HostModel("host-y", MODEL.shape, pages_2m_per_node=20_000))


_parts = st.builds(
    MemoryPart,
    kib=st.integers(1, 48 * GIB),
    page_kib=st.sampled_from([None, PAGE_2M, PAGE_1G]),
    mode=st.sampled_from(["strict", "preferred", "interleave", "restrictive"]),
    nodes=st.sets(st.integers(0, 3)).map(CpuSet.of),
)
_demands = st.lists(_parts, min_size=1, max_size=3)


@given(st.lists(_demands, max_size=12), st.data())
def test_never_below_zero_and_all_comes_back(demands: list[list[MemoryPart]], data: st.DataObject) -> None:
    ledger = Ledger(MODEL)
    before = picture(ledger)
    held: list[str] = []
    for number, parts in enumerate(demands):
        try:
            ledger.claim(a_demand(*parts, uuid=str(number)))
        except OperationRefused:
            continue
        held.append(str(number))
        assert all(value >= 0 for row in picture(ledger) for value in row)
        if data.draw(st.booleans()):
            ledger.release(held.pop())
    for uuid in held:
        ledger.release(uuid)
    assert picture(ledger) == before
