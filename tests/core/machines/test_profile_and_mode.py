"""High Performance, what leaving it restores, and which migration mode follows from what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.machines import editing
from hpconsole.core.machines.draft import CpuPinningPolicy, Graphics, MigrationMode, NodeDraft, OptimizedFor, VmDraft
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.migration_mode import caution, suggestion
from hpconsole.core.machines.profile import profile_changes, with_type
from hpconsole.core.machines.reading import read_draft, vm_from_xml
from hpconsole.core.machines.writing import render
from hpconsole.core.model.cpuset import CpuSet

HIGH = OptimizedFor.HIGH_PERFORMANCE


def a_draft() -> VmDraft:
    return replace(
        new_draft("vm"), has_smartcard=True, watchdog_model="i6300esb", has_sound=True, graphics=Graphics.SPICE
    )


def test_high_performance_sets_what_the_reference_sets() -> None:
    draft = with_type(a_draft(), HIGH)
    assert draft.is_headless
    assert draft.has_serial_console
    assert (draft.has_usb, draft.has_smartcard, draft.has_sound, draft.has_balloon) == (False, False, False, False)
    assert (draft.watchdog_model, draft.has_rng, draft.is_passthrough_cpu) == ("", True, True)
    assert draft.iothreads == 1
    assert draft.nics[0].queues == 2
    assert draft.needs_tsc_frequency
    assert draft.migration_mode is MigrationMode.MANUAL
    shown = {change.field: (change.before, change.now) for change in profile_changes(draft)}
    assert shown["graphics"] == ("SPICE", "headless")
    assert shown["has_balloon"] == ("on", "off")


def test_leaving_restores_what_nobody_touched() -> None:
    before = a_draft()
    draft = replace(with_type(before, HIGH), has_balloon=True, watchdog_model="ib700")  # touched
    left = with_type(draft, OptimizedFor.SERVER)
    assert left == replace(before, has_balloon=True, watchdog_model="ib700")


def test_leaving_restores_also_in_a_later_session() -> None:
    before = a_draft()
    stored = read_draft(render(with_type(before, HIGH)))
    left = with_type(stored, OptimizedFor.SERVER)
    fields = (
        "graphics",
        "has_usb",
        "has_balloon",
        "cpu_mode",
        "has_smartcard",
        "watchdog_model",
        "needs_tsc_frequency",
    )
    assert [getattr(left, field) for field in fields] == [getattr(before, field) for field in fields]
    assert left.migration_mode is MigrationMode.AUTOMATIC
    reread = read_draft(render(left))
    assert (reread.graphics, reread.has_usb, reread.profile) == (Graphics.SPICE, True, ())


def test_power_gets_no_passthrough_cpu() -> None:
    assert not with_type(new_draft("vm", arch="ppc64le"), HIGH).is_passthrough_cpu


PINNINGS = {
    "type": lambda d: with_type(d, HIGH),
    "policy": lambda d: editing.with_policy(d, CpuPinningPolicy.DEDICATED),
    "vcpu": lambda d: editing.pin_vcpus(d, {0: CpuSet.of([3])}),
    "text": lambda d: editing.with_pinning_text(editing.with_policy(d, CpuPinningPolicy.MANUAL), "0#1"),
    "virtual node": lambda d: editing.pin_node(editing.with_node_count(d, 1), 0, [0]),
}


@pytest.mark.parametrize("how", PINNINGS)
def test_pinning_makes_migration_manual_and_one_definition_says_so(how: str) -> None:
    draft = PINNINGS[how](new_draft("vm"))
    assert draft.migration_mode is MigrationMode.MANUAL
    assert draft.is_pinned_or_high_performance
    assert vm_from_xml(render(draft)).is_pinned_or_high_performance


def test_removing_the_last_pin_brings_the_general_default_back() -> None:
    pinned = editing.pin_vcpus(new_draft("vm"), {0: CpuSet.of([3]), 1: CpuSet.of([4])})
    half = editing.pin_vcpus(pinned, {0: None})
    assert half.migration_mode is MigrationMode.MANUAL
    free = editing.pin_vcpus(half, {1: None})
    assert (free.migration_mode, free.cpu_pinning_policy) == (MigrationMode.AUTOMATIC, CpuPinningPolicy.NONE)


@pytest.mark.parametrize("mode", list(MigrationMode))
def test_a_chosen_mode_is_never_overwritten(mode: MigrationMode) -> None:
    draft = editing.with_migration_mode(new_draft("vm"), mode)
    pinned = with_type(editing.pin_vcpus(draft, {0: CpuSet.of([3])}), HIGH)
    assert pinned.migration_mode is mode
    assert suggestion(pinned).is_different is (mode is not MigrationMode.MANUAL)
    assert bool(caution(pinned)) is (mode is MigrationMode.AUTOMATIC)
    free = with_type(editing.pin_vcpus(pinned, {0: None}), OptimizedFor.SERVER)
    assert free.migration_mode is mode
    assert editing.without_chosen_mode(pinned).migration_mode is MigrationMode.MANUAL


def test_a_mode_that_is_not_the_default_survives_an_unrelated_edit() -> None:
    stored = read_draft(render(replace(new_draft("vm"), migration_mode=MigrationMode.DO_NOT_MIGRATE)))
    assert editing.with_memory(stored, 8 << 20).migration_mode is MigrationMode.DO_NOT_MIGRATE


def test_memory_and_vcpus_are_shared_over_the_virtual_nodes() -> None:
    draft = editing.with_node_count(editing.with_vcpus(editing.with_memory(new_draft("vm"), 8 << 20), 8), 2)
    assert [(n.memory_kib >> 20, n.vcpus) for n in draft.numa_nodes] == [(4, (0, 1, 2, 3)), (4, (4, 5, 6, 7))]
    split = editing.split_node(draft, 1)
    assert [(n.index, n.memory_kib >> 20, n.vcpus) for n in split.numa_nodes][1:] == [(1, 2, (4, 5)), (2, 2, (6, 7))]
    merged = editing.merge_nodes(split, 0, 2)
    assert [(n.index, n.memory_kib >> 20, n.vcpus) for n in merged.numa_nodes] == [
        (0, 6, (0, 1, 2, 3, 6, 7)),
        (1, 2, (4, 5)),
    ]


def test_one_virtual_node_may_lie_on_several_host_nodes_and_differently_on_one_host() -> None:
    draft = editing.with_hosts(editing.with_node_count(new_draft("vm"), 1), ["a", "b"])
    draft = editing.pin_node(editing.pin_node(draft, 0, [0, 1]), 0, [3], host="b")
    again = read_draft(render(draft))
    assert again.numa_nodes[0].host_nodes == (0, 1)
    assert again.per_host == draft.per_host
    assert read_draft(render(draft, host="b")).numa_nodes == again.numa_nodes  # the intent is the same on every host
    assert vm_from_xml(render(draft, host="b")).virtual_nodes[0].host_nodes == (3,)


def test_fewer_vcpus_take_their_pins_along() -> None:
    draft = editing.pin_vcpus(editing.with_vcpus(new_draft("vm"), 4), {vcpu: CpuSet.of([vcpu]) for vcpu in range(4)})
    assert editing.with_vcpus(draft, 2).pinning_text == "0#0_1#1"
    assert NodeDraft(0, 1).host_nodes == ()
