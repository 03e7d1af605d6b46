"""Migration threads stay off the CPUs of guests, on both hosts."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import NO_PINNING, CpuPinning, CpuPinningPolicy, Vm, VmIntent
from hpconsole.core.planning.migration_threads import UNCHANGED, ThreadPlaces, thread_places
from tests.builders import a_host, a_snapshot, a_topology, a_vm

EIGHT = a_topology(1, 1, 4, 2)
EXCLUSIVE = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED, is_stored=True)


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def pins(*each: str, emulator: str = "") -> CpuPinning:
    vcpus = tuple((number, cpus(text)) for number, text in enumerate(each))
    return CpuPinning(vcpus, cpus(emulator) if emulator else None)


def pinned(name: str, *each: str, host: str = "host-a", emulator: str = "") -> Vm:
    return a_vm(name, host=host, vcpus=len(each), pinning=pins(*each, emulator=emulator), intent=EXCLUSIVE)


def places(vm: Vm, there: CpuPinning, *others: Vm) -> ThreadPlaces:
    snapshot = a_snapshot([a_host(name, topology=EIGHT) for name in ("host-a", "host-b")], [vm, *others])
    return thread_places(vm, Placement(vm.uuid, "host-b", pinning=there), snapshot)


def test_nothing_is_changed_where_no_guest_has_cpus_of_its_own() -> None:
    vm = a_vm()
    assert places(vm, NO_PINNING, a_vm("other"), a_vm("third", host="host-b")) == UNCHANGED
    assert UNCHANGED.sentence("a", "b") == ""


def test_on_the_source_they_leave_every_guest_alone_and_go_back_afterwards() -> None:
    found = places(pinned("db", "1", "5"), pins("2", "6"), pinned("other", "2", "6"))
    assert (found.source, found.source_after) == (cpus("0,3-4,7"), cpus("0-7"))


def test_on_the_destination_they_use_its_own_cpus_only_where_others_would_be_hurt() -> None:
    vm, neighbour = pinned("db", "1", "5"), pinned("other", "3", "7", host="host-b")
    alone = places(vm, pins("2", "6"))
    beside = places(vm, pins("2", "6"), neighbour)
    assert alone.destination is None
    assert (beside.destination, beside.destination_after) == (cpus("2,6"), cpus("0-7"))


def test_a_vm_without_pins_disturbs_no_pinned_one_either() -> None:
    found = places(a_vm("web"), NO_PINNING, pinned("db", "1", "5"), pinned("other", "3", "7", host="host-b"))
    assert (found.source, found.destination) == (cpus("0,2-4,6-7"), cpus("0-2,4-6"))
    said = found.sentence("a", "b")
    assert said == (
        "Meanwhile its migration threads run on CPUs 0,2-4,6-7 of a and CPUs 0-2,4-6 of b, away from other guests' "
        "CPUs."
    )


def test_an_emulator_that_is_pinned_away_stays_there_and_one_in_the_way_is_moved() -> None:
    away = places(pinned("db", "1", "5", emulator="0"), pins("2", "6", emulator="0"))
    assert away == UNCHANGED
    inside = places(pinned("db", "1", "5", emulator="0-1"), pins("2", "6", emulator="0"))
    assert (inside.source, inside.source_after) == (cpus("0"), cpus("0-1"))


def test_a_source_all_of_whose_cpus_are_taken_is_said() -> None:
    found = places(pinned("db", *"0123"), pins(*"0123"), pinned("other", *"4567"))
    assert found == replace(UNCHANGED, is_crowded=True)
