"""One move a round at most, with its reason; none without a gain; an answer when nothing is moved; no to and fro."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hpconsole.core.balancing.report import Cause
from hpconsole.core.balancing.resting import Rests, rests_from_json
from hpconsole.core.balancing.rounds import run_round
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.host import Host, HostLink, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode, Vm, VmIntent, VmLoad
from hpconsole.core.scheduler.policies import Policy, built_in
from tests.builders import NOW, a_host, a_snapshot, a_vm

NOBODY = Rests({})


def policy(name: str) -> Policy:
    found = built_in(name)
    assert found is not None
    return found


def busy(name: str, pct: float, minutes: float = 10) -> Host:
    host = a_host(name, cpu_load_pct=pct)
    since = NOW - timedelta(minutes=minutes) if pct >= 80 else None
    return replace(host, usage=replace(host.usage, overloaded_since=since))


def cluster(vms: list[Vm], *hosts: Host, vm_pct: float = 100) -> ClusterSnapshot:
    loads = {vm.uuid: VmLoad(NOW, cpu_pct=vm_pct) for vm in vms}
    return a_snapshot(hosts or [busy("host-a", 90), busy("host-b", 10), busy("host-c", 30)], vms, loads)


def some(count: int = 8, **changes: object) -> list[Vm]:
    return [a_vm(f"vm-{number}", **changes) for number in range(count)]  # type: ignore[arg-type]  # a builder


def test_an_overloaded_host_gives_one_vm_to_the_calmest_with_its_reason() -> None:
    report = run_round(cluster(some()), policy("evenly_distributed"), rests=NOBODY)
    found = report.recommendation
    assert found is not None
    assert (found.cause, found.source, found.destination) == (Cause.BALANCE, "host-a", "host-b")
    assert found.gain > 3 * found.cost > 0
    assert "over 80 % busy" in found.reason
    assert [step.vm_uuid for step in found.plan.steps] == [found.vm_uuid]
    assert found.plan.reason == found.reason


@pytest.mark.parametrize("mode", [MigrationMode.MANUAL, MigrationMode.DO_NOT_MIGRATE])
def test_only_automatic_vms_ever_move(mode: MigrationMode) -> None:
    vms = some(intent=VmIntent(migration_mode=mode))
    report = run_round(cluster(vms), policy("evenly_distributed"), rests=NOBODY)
    assert report.recommendation is None
    assert any("8 VMs never move by themselves" in why for why in report.why_nothing)


def test_a_calm_cluster_says_how_busy_it_is() -> None:
    snapshot = cluster(some(), busy("host-a", 50), busy("host-b", 10))
    (why, *_) = run_round(snapshot, policy("evenly_distributed"), rests=NOBODY).why_nothing
    assert "host-a (50 %)" in why
    assert "(busy from a CPU load of 80 %, busy counts after 2 min)" in why


def test_a_peak_that_is_short_moves_nothing() -> None:
    snapshot = cluster(some(), busy("host-a", 95, minutes=1), busy("host-b", 10))
    assert run_round(snapshot, policy("evenly_distributed"), rests=NOBODY).recommendation is None


def test_a_policy_without_balancer_says_so() -> None:
    assert "does not balance" in run_round(cluster(some()), policy("none"), rests=NOBODY).why_nothing[-1]


def test_power_saving_names_the_hosts_that_run_nothing_but_never_all() -> None:
    snapshot = cluster(some(), busy("host-a", 50), busy("host-b", 5), busy("host-c", 5))
    *_, why = run_round(snapshot, policy("power_saving"), rests=NOBODY).why_nothing
    assert why.startswith("host-b, host-c run no VM")
    assert not any("run no VM" in why for why in run_round(snapshot, policy("none"), rests=NOBODY).why_nothing)
    one = cluster([a_vm("vm", host="host-a")], busy("host-a", 50))
    assert not any("no VM:" in why for why in run_round(one, policy("power_saving"), rests=NOBODY).why_nothing)


def test_what_gains_little_is_left_alone() -> None:
    report = run_round(cluster(some(), vm_pct=10), policy("evenly_distributed"), rests=NOBODY)
    assert report.recommendation is None
    assert any("It would not pay" in why for why in report.why_nothing)


def test_what_would_not_end_is_left_alone() -> None:
    report = run_round(cluster(some()), policy("evenly_distributed"), rests=NOBODY, duration=lambda *_: None)
    assert report.recommendation is None
    assert any("not expected to end" in why for why in report.why_nothing)


def test_a_vm_that_was_moved_rests_and_does_not_go_back_for_longer() -> None:
    snapshot, even = cluster(some(1)), policy("evenly_distributed")
    first = run_round(snapshot, even, rests=NOBODY).recommendation
    assert first is not None
    rests = rests_from_json(NOBODY.moved(first.vm_uuid, "host-b", "host-a", NOW).to_json())
    resting = run_round(snapshot, even, rests=rests, now=NOW + timedelta(minutes=10))
    assert resting.recommendation is None
    assert "rests" in resting.why_nothing[0]
    later = run_round(snapshot, even, rests=rests, now=NOW + timedelta(minutes=40))
    assert later.recommendation is not None
    assert later.recommendation.destination == "host-c", "not back to host-b within the hour"
    assert run_round(snapshot, even, rests=rests, now=NOW + timedelta(hours=2)).recommendation is not None


def test_hosts_out_of_service_take_no_part_and_are_named() -> None:
    silent = replace(busy("host-b", 10), link=HostLink(LinkState.DISCONNECTED))
    report = run_round(cluster(some(), busy("host-a", 90), silent), policy("evenly_distributed"), rests=NOBODY)
    assert report.recommendation is None
    assert any("host-b" in why for why in report.why_nothing)


def test_power_saving_empties_an_idle_host() -> None:
    vms = [a_vm("lone", host="host-a"), *(a_vm(f"vm-{n}", host="host-b") for n in range(4))]
    snapshot = cluster(vms, busy("host-a", 5), busy("host-b", 40))
    found = run_round(snapshot, policy("power_saving"), rests=NOBODY).recommendation
    assert found is not None
    assert (found.vm_name, found.destination) == ("lone", "host-b")


def test_even_guests_moves_only_while_hosts_differ_by_the_threshold() -> None:
    def crowd(here: int, there: int) -> ClusterSnapshot:
        vms = [a_vm(f"a-{n}", host="host-a") for n in range(here)] + [
            a_vm(f"b-{n}", host="host-b") for n in range(there)
        ]
        return cluster(vms, busy("host-a", 30), busy("host-b", 30))

    assert run_round(crowd(12, 4), policy("vm_evenly_distributed"), rests=NOBODY).recommendation is not None
    assert run_round(crowd(12, 9), policy("vm_evenly_distributed"), rests=NOBODY).recommendation is None


# Affinity


def apart(*vms: Vm, hard: bool = True, name: str = "apart") -> AffinityGroup:
    return AffinityGroup(
        name, vm_rule=AffinityRule.NEGATIVE, is_vm_rule_enforced=hard, vms=tuple(vm.uuid for vm in vms)
    )


def with_groups(snapshot: ClusterSnapshot, *groups: AffinityGroup) -> ClusterSnapshot:
    return replace(snapshot, affinity_groups=groups)


@pytest.mark.parametrize("hard", [True, False])
def test_a_broken_rule_comes_before_load(hard: bool) -> None:
    vms = some(4)
    report = run_round(with_groups(cluster(vms), apart(*vms[:2], hard=hard)), policy("none"), rests=NOBODY)
    found = report.recommendation
    assert found is not None
    assert found.cause is Cause.AFFINITY
    assert found.vm_name in ("vm-0", "vm-1")
    assert "breaks the affinity of apart" in found.reason


def test_manual_vms_break_rules_and_stay() -> None:
    vms = some(2, intent=VmIntent(migration_mode=MigrationMode.MANUAL))
    assert run_round(with_groups(cluster(vms), apart(*vms)), policy("none"), rests=NOBODY).recommendation is None


def test_two_soft_rules_that_contradict_send_nobody_to_and_fro() -> None:
    """Together by one, apart by the other: whatever is done, one of them is broken; then it is left."""
    vms = some(2)
    together = AffinityGroup("together", vm_rule=AffinityRule.POSITIVE, vms=tuple(vm.uuid for vm in vms))
    snapshot = with_groups(cluster(vms), apart(*vms, hard=False), together)
    moves = 0
    for minute in range(300):
        report = run_round(snapshot, policy("none"), rests=NOBODY, now=NOW + timedelta(minutes=minute))
        found = report.recommendation
        if found is None:
            continue
        moves += 1
        moved = replace(snapshot.vms[found.vm_uuid], host=found.destination)
        snapshot = replace(snapshot, vms={**snapshot.vms, found.vm_uuid: moved})
    assert moves == 0


def test_a_scattered_group_is_brought_together_in_as_many_moves_as_needed() -> None:
    vms = [a_vm(f"vm-{n}", host=f"host-{'abc'[n % 3]}") for n in range(6)]
    group = AffinityGroup(
        "team", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=tuple(vm.uuid for vm in vms)
    )
    snapshot = with_groups(cluster(vms, *(busy(f"host-{x}", 10) for x in "abc")), group)
    moves = 0
    while (found := run_round(snapshot, policy("none"), rests=NOBODY).recommendation) is not None and moves < 20:
        moved = replace(snapshot.vms[found.vm_uuid], host=found.destination)
        snapshot = replace(snapshot, vms={**snapshot.vms, found.vm_uuid: moved})
        moves += 1
    assert len({vm.host for vm in snapshot.vms.values()}) == 1
    assert moves == 4
