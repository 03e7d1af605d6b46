"""What the VM table says of a VM."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostLink, LinkState
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    NumaMode,
    NumaTune,
    OptimizedFor,
    Vm,
    VmIntent,
    VmLoad,
    VmState,
)
from hpconsole.ui.main_window import vm_rows
from hpconsole.ui.main_window.vm_rows import VmRow, VmRows
from hpconsole.ui.tone import Tone
from tests.builders import NOW, a_host, a_snapshot, a_topology, a_vm, virtual_nodes

TITLES = [column.title for column in vm_rows.COLUMNS]


def text(row: VmRow, title: str) -> str:
    return vm_rows.COLUMNS[TITLES.index(title)].text(row)


def a_row(vm: Vm, cpu_pct: float | None = None, state: LinkState = LinkState.CONNECTED) -> VmRow:
    loads = {} if cpu_pct is None else {vm.uuid: VmLoad(cpu_pct=cpu_pct)}
    link = HostLink(state, answered_at=NOW - timedelta(seconds=9))
    return VmRows().rows(a_snapshot([a_host("host-a", link=link)], [vm], loads), NOW)[0]


def test_a_vm_says_everything_the_list_promises() -> None:
    intent = VmIntent(optimized_for=OptimizedFor.HIGH_PERFORMANCE, migration_mode=MigrationMode.MANUAL)
    pinning = CpuPinning(tuple((i, CpuSet.of([i])) for i in range(4)))
    row = a_row(a_vm("trade-1", vcpus=4, memory_mib=16_384, intent=intent, pinning=pinning), cpu_pct=100.0)
    said = [text(row, title) for title in TITLES]
    assert said == [
        "trade-1", "running", "High performance", "host-a", "4", "16 GiB", "25 %", "4 vCPUs on node 0", "Manual only",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pinning", "says"),
    [
        ({}, ""),
        ({"pinning": CpuPinning(((0, CpuSet.of([9])),))}, "1 of 4 vCPUs on node 1"),
        ({"pinning": CpuPinning(tuple((i, CpuSet.of([i * 4])) for i in range(4)))}, "4 vCPUs on nodes 0-1"),
        ({"numa_tune": NumaTune(NumaMode.STRICT, CpuSet.of([1]))}, "memory on node 1"),
        ({"virtual_nodes": virtual_nodes(2, vcpus=4, memory_mib=64, pins=[[0], [1]])}, "memory on nodes 0-1"),
    ],
)
def test_pinning_in_a_few_words(pinning: dict[str, object], says: str) -> None:
    assert vm_rows.pinning_text(a_vm(**pinning), a_topology()) == says  # type: ignore[arg-type]


def test_states_that_need_attention() -> None:
    assert text(a_row(a_vm(is_migrating=True)), "State") == "migrating"
    twice = a_row(a_vm(also_running_on=("host-b",)))
    assert text(twice, "State") == "on 2 hosts!"
    tip = vm_rows.COLUMNS[TITLES.index("State")].tooltip
    assert tip is not None
    assert "host-a and host-b" in tip(twice)
    assert "stop the others now" in tip(twice)
    assert "host-a does not answer" in tip(a_row(a_vm(), state=LinkState.UNRESPONSIVE))


def test_what_is_old_or_off_is_grey() -> None:
    its = vm_rows.COLUMNS[0].tone
    assert its is not None
    assert its(a_row(a_vm())) is Tone.NORMAL
    assert its(a_row(a_vm(), state=LinkState.UNRESPONSIVE)) is Tone.MUTED
    assert its(a_row(a_vm(state=VmState.SHUT_OFF))) is Tone.MUTED


def test_a_vm_of_a_lost_host_says_when_it_was_seen() -> None:
    lost = a_row(a_vm(), state=LinkState.DISCONNECTED)
    assert text(lost, "State") == "running (last seen 9 s ago)"
    assert vm_rows.facts(lost) != vm_rows.facts(lost._replace(age_s=10)), "drawn anew as it grows older"
    assert text(a_row(a_vm(host=None, state=VmState.SHUT_OFF)), "State") == "shut off"


def test_no_load_is_no_number() -> None:
    assert text(a_row(a_vm()), "CPU load") == "–"
    assert text(a_row(a_vm(state=VmState.SHUT_OFF), cpu_pct=50), "CPU load") == "–"


def test_unchanged_vms_are_not_described_again(monkeypatch: pytest.MonkeyPatch) -> None:
    maker, host = VmRows(), a_host()
    first, second = a_vm("a"), a_vm("b")
    maker.rows(a_snapshot([host], [first, second]), NOW)
    described: list[str] = []

    def describe(vm: Vm, _: object) -> str:
        described.append(vm.name)
        return ""

    monkeypatch.setattr(vm_rows, "pinning_text", describe)
    maker.rows(a_snapshot([host], [first, replace(second, vcpus=9)]), NOW)
    assert described == ["b"]


def test_search_words() -> None:
    intent = VmIntent(optimized_for=OptimizedFor.HIGH_PERFORMANCE, labels=frozenset({"paying"}))
    vm = a_vm("trade-1", intent=intent, pinning=CpuPinning(((0, CpuSet.of([1])),)))
    found = vm_rows.haystack(a_row(vm))
    for word in ("trade-1", "host-a", "running", "High performance", "pinned", "paying", vm.uuid):
        assert word in found


def test_the_policy_is_explained() -> None:
    tip = vm_rows.COLUMNS[TITLES.index("Pinned")].tooltip
    assert tip is not None
    pinning = CpuPinning(tuple((i, CpuSet.of([i])) for i in range(20)))
    policy = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED)
    said = tip(a_row(a_vm(vcpus=20, pinning=pinning, intent=policy)))
    assert "dedicated" in said
    assert "vCPU 15: CPU 15" in said
    assert "4 more" in said
    assert "nothing was written" in said
