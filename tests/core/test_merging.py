"""One VM out of what several hosts say: who has it, who else knows it, and when it is an emergency."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from hpconsole.core.hypervisor.domain_state import state_of
from hpconsole.core.hypervisor.port import DomainRecord, Hypervisor
from hpconsole.core.merging import HostVms, merge
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host
from hpconsole.core.model.vm import CpuPinning, OtherProcess, Vm
from hpconsole.core.rounds import HostRound

VM = "vm"
RUNNING, PAUSED_FOR_MIGRATION, SHUT_OFF, PAUSED = (1, 1), (3, 2), (5, 1), (3, 1)
MIGRATED_AWAY = (5, 4)


def says(
    host: str, state: tuple[int, int] | None, *, since: float = 0.0, seen: float = 100.0, is_fresh: bool = True
) -> HostVms:
    """What a host says of the VM: its state and reason, since when it saw it run, when it was asked."""
    vms: dict[str, Vm] = {}
    records: dict[str, DomainRecord] = {}
    if state is not None:
        vms[VM] = Vm(VM, "vm-1", host, state_of(state[0]), is_migrating=state == PAUSED_FOR_MIGRATION)
        records[VM] = DomainRecord(VM, "vm-1", *state, True, False)
    running = {VM: since} if state is not None and state[0] == 1 else {}
    got = HostRound(cast("Hypervisor", None), Host(host), seen, records, vms, running_since_s=running)
    return HostVms(got, is_fresh)


def merged(**hosts: HostVms) -> Vm:
    return merge(hosts, {})[VM]


def test_a_vm_on_one_host_is_that_very_object() -> None:
    a = says("a", RUNNING)
    assert merge({"a": a, "b": says("b", None)}, {})[VM] is a.round.vms[VM]


@pytest.mark.parametrize("running_host", ["a", "b"])
def test_the_running_one_wins_over_a_definition(running_host: str) -> None:
    hosts = {name: says(name, RUNNING if name == running_host else SHUT_OFF) for name in ("a", "b")}
    vm = merge(hosts, {})[VM]
    assert vm.host == running_host
    assert set(vm.other_hosts) == {"a", "b"} - {running_host}
    assert vm.also_running_on == ()
    assert not vm.is_migrating


def test_during_a_migration_the_source_has_it() -> None:
    vm = merged(a=says("a", RUNNING), b=says("b", PAUSED_FOR_MIGRATION, seen=101))
    assert (vm.host, vm.other_hosts, vm.also_running_on, vm.is_migrating) == ("a", ("b",), (), True)


def test_the_process_that_waits_at_the_destination_is_told_with_its_pinning() -> None:
    there = says("b", PAUSED_FOR_MIGRATION, seen=101)
    pinning = CpuPinning(vcpus=((0, CpuSet.of([7])),))
    there.round.vms[VM] = replace(there.round.vms[VM], pinning=pinning)  # type: ignore[index]
    vm = merged(a=says("a", RUNNING), b=there, c=says("c", SHUT_OFF))
    assert vm.other_processes == (OtherProcess("b", pinning),)
    assert vm.process_hosts == ("a", "b")
    assert set(vm.known_on) == {"a", "b", "c"}


def test_after_the_switch_the_destination_has_it() -> None:
    vm = merged(a=says("a", PAUSED_FOR_MIGRATION), b=says("b", RUNNING, since=101, seen=101))
    assert (vm.host, vm.other_hosts, vm.also_running_on, vm.is_migrating) == ("b", ("a",), (), True)


def test_a_source_that_was_asked_before_the_switch_is_no_second_instance() -> None:
    vm = merged(a=says("a", RUNNING, since=0, seen=100.0), b=says("b", RUNNING, since=100.5, seen=100.5))
    assert (vm.host, vm.also_running_on) == ("b", ())


def test_two_that_were_seen_running_at_the_same_time_are_an_emergency() -> None:
    vm = merged(a=says("a", RUNNING, since=0, seen=101.0), b=says("b", RUNNING, since=100.5, seen=100.5))
    assert (vm.host, vm.also_running_on) == ("b", ("a",))


def test_a_host_that_does_not_answer_raises_no_alarm_and_loses() -> None:
    vm = merged(a=says("a", RUNNING, since=0, seen=101.0, is_fresh=False), b=says("b", RUNNING, since=0, seen=101))
    assert (vm.host, vm.also_running_on, vm.other_hosts) == ("b", (), ("a",))


def test_a_vm_of_a_silent_host_stays_there_until_somebody_else_has_it_running() -> None:
    vm = merged(a=says("a", RUNNING, is_fresh=False), b=says("b", SHUT_OFF))
    assert vm.host == "a"
    vm = merged(a=says("a", RUNNING, is_fresh=False), b=says("b", PAUSED))
    assert vm.host == "b"


def test_a_definition_left_behind_is_no_migration() -> None:
    vm = merged(a=says("a", MIGRATED_AWAY), b=says("b", RUNNING))
    assert (vm.host, vm.is_migrating) == ("b", False)


def test_post_copy_counts_as_one_vm() -> None:
    vm = merged(a=says("a", (3, 12)), b=says("b", (1, 10), since=100, seen=100))
    assert (vm.host, vm.also_running_on, vm.is_migrating) == ("b", (), True)


def test_three_hosts() -> None:
    vm = merged(a=says("a", SHUT_OFF), b=says("b", RUNNING), c=says("c", SHUT_OFF))
    assert (vm.host, vm.other_hosts) == ("b", ("a", "c"))


def test_an_unchanged_result_is_the_same_object() -> None:
    hosts = {"a": says("a", RUNNING), "b": says("b", SHUT_OFF)}
    first = merge(hosts, {})
    assert merge(hosts, first)[VM] is first[VM]
    hosts["b"] = says("b", PAUSED_FOR_MIGRATION)
    assert merge(hosts, first)[VM] is not first[VM]


def test_the_order_of_hosts_does_not_matter() -> None:
    hosts: dict[str, Any] = {"a": says("a", SHUT_OFF), "b": says("b", SHUT_OFF), "c": says("c", SHUT_OFF)}
    forward = merge(hosts, {})[VM]
    backward = merge(dict(reversed(hosts.items())), {})[VM]
    assert forward == backward
    assert forward.host == "a"
