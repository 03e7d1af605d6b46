"""The performance forecast names what a placement costs or gains against the present one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostCpuModel
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, NumaMode, VcpuTopology, Vm, VmIntent
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.performance import Forecast, Outlook, Setting, forecast, present_placement
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.core.scheduler.request import Request
from tests.builders import a_host, a_snapshot, a_topology, a_vm, virtual_nodes

SOURCE = a_host("source", topology=a_topology(2, 2, 4, 2))


def a_pinned_vm(cpus: tuple[int, ...] = (0, 1, 4, 5)) -> Vm:
    """Two virtual nodes of two vCPUs, each vCPU on a core of its own, on host nodes 0 and 1."""
    return a_vm(
        host="source",
        vcpus=4,
        topology=VcpuTopology(2, 2, 1),
        virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=1024, pins=((0,), (1,))),
        pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus))),
        intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE),
    )


def at(cpus: tuple[int, ...], nodes: tuple[int, ...], *, emulator: int | None = None) -> Placement:
    return Placement(
        "u",
        "there",
        tuple(NodeBinding(i, (node,), NumaMode.STRICT) for i, node in enumerate(nodes)),
        CpuPinning(
            vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus)),
            emulator=CpuSet.of([emulator]) if emulator is not None else None,
        ),
    )


def judged(placement: Placement, *, taken: int = 0, host: object = None, vm: Vm | None = None) -> Forecast:
    there = replace(SOURCE, name="there") if host is None else host
    return forecast(vm or a_pinned_vm(), placement, Setting(there, taken), Setting(SOURCE))  # type: ignore[arg-type]


def kinds(result: Forecast) -> set[str]:
    return {cause.kind for cause in result.causes}


def test_the_same_structure_elsewhere_is_the_same() -> None:
    assert judged(at((2, 3, 6, 7), (0, 1))).outlook is Outlook.SAME
    assert judged(present_placement(a_pinned_vm())) == Forecast(Outlook.SAME)


@pytest.mark.parametrize(
    ("placement", "taken", "kind"),
    [
        (at((0, 4, 8, 9), (0, 2)), 0, "split_nodes"),  # vCPUs of virtual node 0 on two host nodes
        (at((4, 5, 0, 1), (0, 1)), 0, "remote_nodes"),
        (at((0, 1, 12, 13), (0, 3)), 0, "distance"),
        (at((0, 0, 4, 5), (0, 1)), 0, "crowded_cpus"),
        (at((0, 16, 4, 5), (0, 1)), 0, "sibling_vcpus"),  # CPU 16 is the sibling of 0, the guest has one thread a core
        (at((0, 1, 4, 5), (0, 1)), 1 << 16, "neighbours"),
        (at((0, 1, 4), (0, 1)), 0, "floating_vcpus"),
        (at((0, 1, 4, 5), (0, 1), emulator=0), 0, "emulator_overlap"),
    ],
)
def test_each_cause_is_named_and_makes_it_slower(placement: Placement, taken: int, kind: str) -> None:
    result = judged(placement, taken=taken)
    assert kind in kinds(result)
    assert result.outlook is Outlook.SLOWER
    assert result.sentence.startswith("Likely slower: ")


def test_it_is_better_to_come_together() -> None:
    spread = a_pinned_vm((0, 1, 12, 13))
    spread = replace(spread, virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=1024, pins=((0,), (3,))))
    assert judged(at((0, 1, 4, 5), (0, 1)), vm=spread).outlook is Outlook.BETTER


def test_cache_and_clock_count() -> None:
    small = tuple(replace(bank, size_kib=bank.size_kib // 4) for bank in SOURCE.topology.l3_banks)
    host = replace(SOURCE, name="there", topology=replace(SOURCE.topology, l3_banks=small))
    assert kinds(judged(at((0, 1, 4, 5), (0, 1)), host=host)) == {"cache"}
    slow = replace(SOURCE, name="there", cpu=HostCpuModel(tsc_frequency_hz=2_000_000_000))
    fast = replace(SOURCE, cpu=HostCpuModel(tsc_frequency_hz=3_000_000_000))
    result = forecast(a_pinned_vm(), at((0, 1, 4, 5), (0, 1)), Setting(slow), Setting(fast))
    assert (kinds(result), result.outlook) == ({"cpu"}, Outlook.SLOWER)


def test_a_vm_that_does_not_run_is_judged_against_the_ideal() -> None:
    result = forecast(a_pinned_vm(), at((0, 1, 4, 5), (0, 1)), Setting(SOURCE), None)
    assert kinds(result) == {"small_pages", "distance"}


def test_performance_first_prefers_the_host_with_fewer_banks() -> None:
    """A policy that weighs the forecast puts a host where the VM lies together before an idler one."""
    vm = a_pinned_vm()
    wide = a_host("wide", topology=a_topology(4, 1, 4, 2), cpu_load_pct=0)
    like = a_host("like", topology=a_topology(2, 2, 4, 2), cpu_load_pct=60)
    snapshot = a_snapshot([SOURCE, wide, like], [vm])
    assert rank(Request((vm.uuid,)), snapshot).best == "wide"
    first = replace(DEFAULT_POLICY.copied("performance first"), weights=(("Performance forecast", 10),))
    ranking = rank(Request((vm.uuid,)), snapshot, first)
    assert ranking.best == "like"
    found = ranking.forecast("wide", vm.uuid)
    assert found is not None
    assert "distance" in kinds(found)


def test_cache_and_clock_are_told_but_count_nothing_for_a_vm_that_is_neither_pinned_nor_high_performance() -> None:
    slow = replace(SOURCE, name="there", cpu=HostCpuModel(tsc_frequency_hz=2_000_000_000))
    small = tuple(replace(bank, size_kib=bank.size_kib // 4) for bank in SOURCE.topology.l3_banks)
    slow = replace(slow, topology=replace(SOURCE.topology, l3_banks=small))
    fast = replace(SOURCE, cpu=HostCpuModel(tsc_frequency_hz=3_000_000_000))
    plain = a_vm(host="source", vcpus=4)
    assert not plain.is_pinned_or_high_performance
    result = forecast(plain, Placement("u", "there"), Setting(slow), Setting(fast))
    assert kinds(result) == {"cache", "cpu"}
    assert result.outlook is Outlook.SAME
    assert result.sentence.startswith("Much the same: ")
    back = forecast(plain, Placement("u", "there"), Setting(fast), Setting(slow))
    assert back.outlook is Outlook.SAME


def test_memory_on_several_nodes_counts_for_every_vm() -> None:
    plain = a_vm(host="source", vcpus=4)
    spread = Placement("u", "there", (NodeBinding(0, (0, 3), NumaMode.STRICT),))
    result = forecast(plain, spread, Setting(replace(SOURCE, name="there")), Setting(SOURCE))
    assert result.outlook is Outlook.SLOWER
    assert "split_nodes" in kinds(result)


def test_caches_are_counted_in_plain_words() -> None:
    bank = SOURCE.topology.l3_banks[0]
    single = tuple(replace(bank, cpus=CpuSet.of([cpu])) for cpu in (0, 1, 4, 5))
    host = replace(SOURCE, name="there", topology=replace(SOURCE.topology, l3_banks=single))
    result = judged(at((0, 1, 4, 5), (0, 1)), host=host)
    assert result.sentence == "Likely slower: 2 more L3 caches that its vCPUs are spread over."
