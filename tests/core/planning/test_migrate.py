"""The Migrate dialog's question and the plan that answers it: which host, which CPUs, and why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostLink, HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    NumaPin,
    Vm,
    VmIntent,
    VmState,
)
from hpconsole.core.planning.migrate import MigrationIntent, choices, plan_migration
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.core.scheduler.reservations import reserve
from tests.builders import a_host, a_snapshot, a_topology, a_vm, virtual_nodes

SMALL = a_topology(1, 1, 4, 2, huge_2m=0)  # 8 CPUs, one node, no huge pages
HP = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED, migration_mode=MigrationMode.MANUAL, is_stored=True)


def pinned(name: str, first_cpu: int = 1, *, host: str = "host-a", vcpus: int = 4) -> Vm:
    """CPUs of its own, from `first_cpu` on."""
    pins = CpuPinning(tuple((vcpu, CpuSet.of([first_cpu + vcpu])) for vcpu in range(vcpus)))
    return a_vm(name, host=host, vcpus=vcpus, pinning=pins, intent=HP)


def huge(name: str, host: str = "host-a") -> Vm:
    """Two virtual nodes of 512 MiB in huge pages, each strictly on one node."""
    nodes = tuple(
        replace(node, page_kib=2048) for node in virtual_nodes(2, vcpus=4, memory_mib=1024, pins=[(0,), (1,)])
    )
    intent = replace(HP, cpu_pinning_policy=CpuPinningPolicy.NONE, numa_pins=(NumaPin(0), NumaPin(1)))
    return a_vm(name, host=host, memory_mib=1024, virtual_nodes=nodes, huge_page_kib=2048, intent=intent)


def intent_of(*vms: Vm, destination: str | None = None, excluded: frozenset[str] = frozenset()) -> MigrationIntent:
    return MigrationIntent(tuple(vm.uuid for vm in vms), destination, excluded)


def hosts_of(*names: str) -> list[Host]:
    return [a_host(name) for name in names]


class TestChoices:
    def test_every_host_is_listed_the_suitable_ones_first_in_rank_order(self) -> None:
        vm = a_vm()
        snapshot = a_snapshot(
            [a_host("host-a"), a_host("host-b", cpu_load_pct=70), a_host("host-c", cpu_load_pct=5)], [vm]
        )
        found = choices(intent_of(vm), snapshot, DEFAULT_POLICY)
        assert {host.name for host in found.hosts} == {"host-a", "host-b", "host-c"}
        suitable = [host.name for host in found.hosts if host.is_suitable]
        assert suitable == list(found.per_vm[vm.uuid].accepted)
        assert [host.name for host in found.hosts[: len(suitable)]] == suitable

    def test_the_present_host_and_full_and_unreachable_ones_say_why(self) -> None:
        vm = a_vm(memory_mib=2048)
        down = HostLink(LinkState.DISCONNECTED, problem="It does not answer.")
        hosts = [
            a_host("host-a"),
            a_host("host-b", link=down),
            a_host("host-c", status=HostStatus.MAINTENANCE),
            a_host("host-d", topology=SMALL),
        ]
        found = {host.name: host for host in choices(intent_of(vm), a_snapshot(hosts, [vm]), DEFAULT_POLICY).hosts}
        assert [host.name for host in found.values() if host.is_suitable] == ["host-d"]
        for name in ("host-a", "host-b", "host-c"):
            assert found[name].refusals
            assert all(refusal.sentence for refusal in found[name].refusals)
        assert "It does not answer." in found["host-b"].refusals[0].sentence

    def test_huge_pages_that_are_missing_are_refused_in_numbers(self) -> None:
        vm = huge("db-1")
        hosts = [a_host("host-a"), a_host("host-b"), a_host("host-c", topology=SMALL)]
        found = {host.name: host for host in choices(intent_of(vm), a_snapshot(hosts, [vm]), DEFAULT_POLICY).hosts}
        assert found["host-b"].is_suitable
        assert not found["host-c"].is_suitable
        assert any(refusal.shortages for refusal in found["host-c"].refusals)

    def test_the_score_is_made_of_the_parts(self) -> None:
        vms = [a_vm("vm-1"), a_vm("vm-2")]
        snapshot = a_snapshot(
            [a_host(f"host-{x}", cpu_load_pct=load) for x, load in zip("abc", (5, 9, 60), strict=True)], vms
        )
        found = choices(intent_of(*vms), snapshot, DEFAULT_POLICY)
        for host in found.hosts:
            if host.is_suitable:
                assert host.score == pytest.approx(sum(part.contribution for part in host.parts))
                assert host.score == pytest.approx(sum(r.score(host.name) for r in found.per_vm.values()))

    def test_several_vms_need_a_host_that_takes_each_of_them(self) -> None:
        small, large = a_vm("small"), huge("large")
        snapshot = a_snapshot([*hosts_of("host-a", "host-b"), a_host("host-c", topology=SMALL)], [small, large])
        found = {host.name: host for host in choices(intent_of(small, large), snapshot, DEFAULT_POLICY).hosts}
        assert found["host-b"].is_suitable
        assert not found["host-c"].is_suitable
        assert all(refusal.sentence.startswith("large: ") for refusal in found["host-c"].refusals)

    def test_two_that_fit_alone_and_not_together_are_refused_together(self) -> None:
        vms = [pinned("db-1", 1), pinned("db-2", 5)]
        tiny = a_host("host-b", topology=a_topology(1, 1, 3, 2))  # 6 CPUs: room for one of them
        found = choices(intent_of(*vms), a_snapshot([a_host("host-a"), tiny, a_host("host-c")], vms), DEFAULT_POLICY)
        alone = [found.per_vm[vm.uuid].accepted for vm in vms]
        assert all("host-b" in accepted for accepted in alone)
        by_name = {host.name: host for host in found.hosts}
        assert by_name["host-c"].is_suitable
        assert not by_name["host-b"].is_suitable
        assert all("with the other VMs there" in refusal.sentence for refusal in by_name["host-b"].refusals)

    def test_the_maps_that_are_shown_do_not_overlap(self) -> None:
        vms = [pinned("db-1", 1), pinned("db-2", 5)]
        found = choices(intent_of(*vms), a_snapshot(2, vms), DEFAULT_POLICY)
        maps = [found.placement("host-b", vm.uuid) for vm in vms]
        one, two = (placement.pinning.all_vcpu_cpus for placement in maps)  # type: ignore[union-attr]  # both fit
        assert len(one) == len(two) == 4
        assert one.isdisjoint(two)

    def test_a_vm_that_is_there_already_does_not_stand_against_the_host(self) -> None:
        here, there = a_vm("here", host="host-a"), a_vm("there", host="host-b")
        found = choices(intent_of(here, there), a_snapshot(3, [here, there]), DEFAULT_POLICY)
        assert {host.name for host in found.hosts if host.is_suitable} == {"host-a", "host-b", "host-c"}

    def test_vms_that_cannot_be_moved_are_named(self) -> None:
        vm, off = a_vm("vm-1"), a_vm("off-1", host="host-a", state=VmState.SHUT_OFF)
        found = choices(intent_of(vm, off), a_snapshot(2, [vm, off]), DEFAULT_POLICY)
        assert list(found.per_vm) == [vm.uuid]
        assert len(found.problems) == 1
        assert "off-1" in found.problems[0]
        assert choices(intent_of(off), a_snapshot(2, [off]), DEFAULT_POLICY).hosts == ()


class TestAutomatic:
    def test_the_best_host_of_the_ranking(self) -> None:
        vm = a_vm()
        snapshot = a_snapshot(
            [a_host("host-a"), a_host("host-b", cpu_load_pct=70), a_host("host-c", cpu_load_pct=5)], [vm], serial=7
        )
        plan = plan_migration(intent_of(vm), snapshot, DEFAULT_POLICY)
        best = choices(intent_of(vm), snapshot, DEFAULT_POLICY).hosts[0].name
        (step,) = plan.steps
        assert (step.source, step.destination, step.is_destination_chosen) == ("host-a", best, False)
        assert plan.based_on == 7
        assert step.sentence == f"Move vm-1 from host-a to {best}."
        assert plan.title == f"Migrate vm-1 from host-a to {best}"

    def test_reservations_accumulate_so_that_two_vms_never_get_one_cpu(self) -> None:
        vms = [pinned(f"db-{i}", 1 + 4 * i) for i in range(3)]
        plan = plan_migration(intent_of(*vms), a_snapshot(2, vms), DEFAULT_POLICY)
        taken = [step.placement.pinning.all_vcpu_cpus for step in plan.steps]
        assert [len(cpus) for cpus in taken] == [4, 4, 4]
        assert len(taken[0] | taken[1] | taken[2]) == 12

    def test_what_is_promised_to_others_is_not_given_away(self) -> None:
        vm, other = pinned("db-1", 1), pinned("db-2", 5)
        snapshot = a_snapshot(2, [vm, other])
        first = plan_migration(intent_of(other), snapshot, DEFAULT_POLICY).steps[0]
        promise = reserve(other, first.destination, first.placement)
        second = plan_migration(intent_of(vm), snapshot, DEFAULT_POLICY, [promise]).steps[0]
        assert first.placement.pinning.all_vcpu_cpus.isdisjoint(second.placement.pinning.all_vcpu_cpus)

    def test_those_that_are_hardest_to_place_come_first(self) -> None:
        plain, two, four = a_vm("a-plain"), pinned("b-two", 1, vcpus=2), pinned("c-four", 5, vcpus=4)
        plan = plan_migration(intent_of(plain, two, four), a_snapshot(2, [plain, two, four]), DEFAULT_POLICY)
        assert [step.vm_name for step in plan.steps] == ["c-four", "b-two", "a-plain"]

    def test_one_without_a_host_does_not_hold_up_the_others(self) -> None:
        plain, large = a_vm("plain"), huge("large")
        snapshot = a_snapshot([a_host("host-a"), a_host("host-b", topology=SMALL)], [plain, large])
        plan = plan_migration(intent_of(plain, large), snapshot, DEFAULT_POLICY)
        assert [step.vm_name for step in plan.steps] == ["plain"]
        assert plan.warnings == ("No host can take large; it stays on host-a.",)

    def test_no_host_at_all_carries_the_ranking_with_every_reason(self) -> None:
        vm = huge("large")
        snapshot = a_snapshot([a_host("host-a"), a_host("host-b", topology=SMALL)], [vm])
        with pytest.raises(NoSuitableHost, match="No host can take large") as caught:
            plan_migration(intent_of(vm), snapshot, DEFAULT_POLICY)
        assert set(caught.value.ranking.refused) == {"host-a", "host-b"}
        assert all(caught.value.ranking.refusals(name) for name in ("host-a", "host-b"))

    def test_hosts_that_were_tried_are_left_out(self) -> None:
        vm = a_vm()
        plan = plan_migration(intent_of(vm, excluded=frozenset({"host-b"})), a_snapshot(3, [vm]), DEFAULT_POLICY)
        assert plan.steps[0].destination == "host-c"

    def test_the_sentence_tells_the_new_and_the_old_cpus(self) -> None:
        vm = pinned("db-1")
        plan = plan_migration(intent_of(vm), a_snapshot(2, [vm]), DEFAULT_POLICY)
        cpus = plan.steps[0].placement.pinning.all_vcpu_cpus.format()
        assert f"CPUs {cpus} on node" in plan.steps[0].sentence
        assert plan.steps[0].placement.host == "host-b"


class TestChosen:
    def test_the_chosen_host_even_if_another_is_better(self) -> None:
        vm = a_vm()
        snapshot = a_snapshot(
            [a_host("host-a"), a_host("host-b", cpu_load_pct=70), a_host("host-c", cpu_load_pct=5)], [vm]
        )
        (step,) = plan_migration(intent_of(vm, destination="host-b"), snapshot, DEFAULT_POLICY).steps
        assert (step.destination, step.is_destination_chosen) == ("host-b", True)

    def test_a_host_that_refuses_says_why(self) -> None:
        vm = huge("large")
        snapshot = a_snapshot([a_host("host-a"), a_host("host-b", topology=SMALL), a_host("host-c")], [vm])
        with pytest.raises(NoSuitableHost, match=r"large cannot move to host-b: .+") as caught:
            plan_migration(intent_of(vm, destination="host-b"), snapshot, DEFAULT_POLICY)
        assert "host-c" in caught.value.ranking.accepted

    def test_a_host_that_does_not_exist(self) -> None:
        vm = a_vm()
        with pytest.raises(InvalidEdit, match="no host named nowhere"):
            plan_migration(intent_of(vm, destination="nowhere"), a_snapshot(2, [vm]), DEFAULT_POLICY)

    def test_the_second_of_two_is_refused_when_only_one_fits(self) -> None:
        vms = [pinned("db-1", 1), pinned("db-2", 5)]
        tiny = a_host("host-b", topology=a_topology(1, 1, 3, 2))
        with pytest.raises(NoSuitableHost, match="db-2 cannot move to host-b"):
            plan_migration(
                intent_of(*vms, destination="host-b"), a_snapshot([a_host("host-a"), tiny], vms), DEFAULT_POLICY
            )

    def test_who_is_there_already_is_skipped_with_a_word(self) -> None:
        here, there = a_vm("here", host="host-a"), a_vm("there", host="host-b")
        plan = plan_migration(
            intent_of(here, there, destination="host-b"), a_snapshot(2, [here, there]), DEFAULT_POLICY
        )
        assert [step.vm_name for step in plan.steps] == ["here"]
        assert plan.warnings == ("there is on host-b already.",)

    def test_moving_one_to_where_it_is_is_refused(self) -> None:
        vm = a_vm()
        with pytest.raises(NoSuitableHost):
            plan_migration(intent_of(vm, destination="host-a"), a_snapshot(2, [vm]), DEFAULT_POLICY)


STANDS_AGAINST = {
    "do not migrate": (
        {"intent": VmIntent(migration_mode=MigrationMode.DO_NOT_MIGRATE)},
        "vm-1 is set to “Do not allow migration”",
    ),
    "shut off": ({"state": VmState.SHUT_OFF}, "not running (shut off)"),
    "crashed": ({"state": VmState.CRASHED}, "not running (crashed)"),
    "under way": ({"is_migrating": True}, "being migrated already"),
    "runs twice": ({"also_running_on": ("host-b",)}, "on several hosts at once (host-a, host-b)"),
    "paused by a disk": (
        {"state": VmState.PAUSED, "state_reason": "a disk error"},
        "stands still on host-a (a disk error)",
    ),
}


class TestWhatCannotBeMoved:
    @pytest.mark.parametrize(("changes", "words"), STANDS_AGAINST.values(), ids=STANDS_AGAINST)
    def test_the_vm_is_named_with_the_reason(self, changes: dict[str, Any], words: str) -> None:
        vm = a_vm("vm-1", **changes)
        for destination in (None, "host-b"):
            with pytest.raises(InvalidEdit) as caught:
                plan_migration(intent_of(vm, destination=destination), a_snapshot(2, [vm]), DEFAULT_POLICY)
            assert words in caught.value.sentence

    def test_manual_only_and_paused_vms_may_be_moved_by_hand(self) -> None:
        vm = a_vm(
            "vm-1",
            state=VmState.PAUSED,
            state_reason="paused by a user",
            intent=VmIntent(migration_mode=MigrationMode.MANUAL),
        )
        assert len(plan_migration(intent_of(vm), a_snapshot(2, [vm]), DEFAULT_POLICY).steps) == 1

    def test_a_source_that_does_not_answer(self) -> None:
        vm = a_vm()
        gone = a_host("host-a", link=HostLink(LinkState.DISCONNECTED, problem="The connection broke."))
        with pytest.raises(InvalidEdit, match=r"host-a, which is disconnected\. The connection broke\."):
            plan_migration(intent_of(vm), a_snapshot([gone, a_host("host-b")], [vm]), DEFAULT_POLICY)

    def test_one_of_several_is_left_out_with_a_warning(self) -> None:
        vm, off = a_vm("vm-1"), a_vm("off-1", host="host-a", state=VmState.SHUT_OFF)
        plan = plan_migration(intent_of(vm, off), a_snapshot(2, [vm, off]), DEFAULT_POLICY)
        assert [step.vm_name for step in plan.steps] == ["vm-1"]
        assert len(plan.warnings) == 1

    def test_a_vm_that_is_gone_and_no_vm_at_all(self) -> None:
        with pytest.raises(InvalidEdit, match="no VM feed any more"):
            plan_migration(MigrationIntent(("feed",)), a_snapshot(2), DEFAULT_POLICY)
        with pytest.raises(InvalidEdit, match="No VM was named"):
            plan_migration(MigrationIntent(()), ClusterSnapshot(), DEFAULT_POLICY)
