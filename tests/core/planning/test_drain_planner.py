"""Draining hosts: complete where it can be, honest where it cannot, and every decision of the administrator kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostStatus
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmIntent,
)
from hpconsole.core.planning.drain import (
    DrainAction,
    DrainChoice,
    DrainIntent,
    DrainOptions,
    DrainPlan,
    PlannedBy,
    in_order,
    leaving_out,
    planned_freely,
    shutting_down,
    with_destination,
)
from hpconsole.core.planning.drain_planner import checked, plan_drain
from tests.builders import MIB, a_host, a_snapshot, a_topology, a_vm

SMALL = a_topology(2, 1, 5, 1, mib_per_node=16_384, huge_2m=0)  # 2 nodes with 5 CPUs and 16 GiB each


def a_pinned(name: str, cpus: list[int], *, host: str = "a", memory_mib: int = 1024, **intent: object) -> Vm:
    """One virtual node on one host node, CPUs of its own."""
    node = cpus[0] // 5
    facts = {"cpu_pinning_policy": CpuPinningPolicy.KEEP_SHAPE, "migration_mode": MigrationMode.MANUAL}
    return a_vm(
        name,
        host=host,
        vcpus=len(cpus),
        memory_mib=memory_mib,
        topology=VcpuTopology(1, len(cpus), 1),
        virtual_nodes=(VirtualNumaNode(0, CpuSet.of(range(len(cpus))), memory_mib * MIB, (node,)),),
        pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(cpus))),
        intent=VmIntent(**(facts | intent)),  # type: ignore[arg-type]  # tests say what they mean
    )


def hosts(*names: str) -> list[Host]:
    return [a_host(name, topology=SMALL) for name in names]


def where(plan: DrainPlan) -> dict[str, str | None]:
    return {item.vm_name: item.destination for item in plan.items}


def check_is_legal(plan: DrainPlan, snapshot: ClusterSnapshot) -> None:
    """No CPU is had twice, and the re-check finds nothing."""
    assert not checked(plan, snapshot)
    used: set[tuple[str, int]] = set()
    for item in plan.moves:
        assert item.placement is not None
        for cpu in item.placement.pinning.all_vcpu_cpus:
            assert (item.destination, cpu) not in used
            used.add((item.destination or "", cpu))


def test_every_vm_gets_a_place_a_reason_and_an_outlook() -> None:
    vms = [a_pinned("db", [0, 1]), a_vm("web", host="a", vcpus=2), a_vm("elsewhere", host="b", vcpus=2)]
    snapshot = a_snapshot(hosts("a", "b", "c"), vms)
    plan = plan_drain(DrainIntent(("a",), reason="new disks"), snapshot)

    assert plan.is_complete
    assert {item.vm_name for item in plan.moves} == {"db", "web"}
    assert {item.destination for item in plan.moves} <= {"b", "c"}
    assert all(item.sentence and item.why and item.performance is not None for item in plan.moves)
    assert [warning.vm_name for warning in plan.warnings] == ["db"], "only pinned and high-performance ones"
    assert [len(step.before) for step in plan.loads] == [2, 2]
    assert plan.loads[-1].after[0].vms == 0, "the host is empty in the end"
    check_is_legal(plan, snapshot)


def _a_puzzle() -> ClusterSnapshot:
    """VMs of 3, 3, 2 and 2 CPUs on a and d; b and c have nodes with 4 and 2 free CPUs each, one CPU each must stay."""
    taken = [a_pinned(f"{host}-0", [0], host=host) for host in "bc"]
    taken += [a_pinned(f"{host}-1", [5, 6, 7], host=host) for host in "bc"]
    moving = [a_pinned("three-1", [0, 1, 2]), a_pinned("three-2", [5, 6, 7])]
    moving += [a_pinned("two-1", [0, 1], host="d"), a_pinned("two-2", [5, 6], host="d")]
    return a_snapshot(hosts("a", "b", "c", "d"), [*taken, *moving])


def test_several_hosts_are_emptied_together() -> None:
    snapshot = _a_puzzle()
    plan = plan_drain(DrainIntent(("a", "d")), snapshot)
    assert plan.is_complete, [(item.vm_name, item.why) for item in plan.open_items]
    assert {item.destination for item in plan.moves} == {"b", "c"}
    check_is_legal(plan, snapshot)


def test_greedy_alone_fails_where_the_exact_planner_does_not() -> None:
    """They fill the memory of b and c: 12 + 6 + 2 and 11 + 7 + 2 twentieths, which no largest-first order finds."""
    sizes = {"twelve": 12, "eleven": 11, "seven": 7, "six": 6, "two-1": 2, "two-2": 2}
    greedy, exact = _packed(sizes, is_exact=False), _packed(sizes, is_exact=True)
    assert len(greedy.open_items) == 1, "or the case is not hard any more"
    assert exact.is_complete
    assert exact.quality.planned_by is PlannedBy.EXACT
    by_host: dict[str | None, set[str]] = {}
    for name, host in where(exact).items():
        by_host.setdefault(host, set()).add(name)
    assert sorted(sum(sizes[name] for name in names) for names in by_host.values()) == [20, 20]


def _packed(sizes: dict[str, int], *, is_exact: bool) -> DrainPlan:
    """VMs of so many twentieths of the memory of b and c each."""
    one = a_topology(1, 1, 32, 1, mib_per_node=65_536, huge_2m=0)
    made = [a_host(name, topology=one) for name in "abc"]
    free_mib = 65_536 - 600  # what may be promised, less what three VMs take beside their memory
    vms = [a_vm(name, host="a", vcpus=1, memory_mib=(free_mib * size) // 20) for name, size in sizes.items()]
    options = DrainOptions(is_exact=is_exact, most_other_moves=0)
    return plan_drain(DrainIntent(("a",), options=options), a_snapshot(made, vms))


def test_a_vm_that_may_not_be_migrated_blocks_by_name_and_has_choices() -> None:
    stuck = a_pinned("stuck", [0], migration_mode=MigrationMode.DO_NOT_MIGRATE)
    snapshot = a_snapshot(hosts("a", "b"), [stuck, a_vm("web", host="a")])
    intent = DrainIntent(("a",))
    plan = plan_drain(intent, snapshot)

    (blocker,) = plan.blockers
    assert (blocker.vm_name, plan.is_complete) == ("stuck", False)
    assert "Do not allow migration" in blocker.why
    assert blocker.choices == (DrainChoice.SHUT_DOWN, DrainChoice.POWER_OFF, DrainChoice.LEAVE)
    assert [item.vm_name for item in plan.moves] == ["web"], "the others are planned all the same"
    by_shutting_down = plan_drain(shutting_down(intent, stuck.uuid), snapshot)
    assert by_shutting_down.is_complete
    assert by_shutting_down.waves[-1][0].action is DrainAction.SHUT_DOWN, "only once the others have left"
    left = plan_drain(leaving_out(intent, stuck.uuid), snapshot)
    assert not left.is_complete
    assert not left.open_items, "nothing is left to be decided"


def test_a_vm_that_no_host_takes_says_so_for_every_host_and_what_would_help() -> None:
    wide = a_pinned("wide", [0, 1, 2, 3])
    fixed = [
        a_pinned(f"{h}{n}", [5 * n, 5 * n + 1], host=h, migration_mode=MigrationMode.DO_NOT_MIGRATE)
        for h in "bc"
        for n in (0, 1)
    ]
    snapshot = a_snapshot(hosts("a", "b", "c"), [wide, *fixed])
    plan = plan_drain(DrainIntent(("a",)), snapshot)

    (item,) = plan.open_items
    assert (item.vm_name, item.action) == ("wide", DrainAction.NO_HOST)
    assert {refusal.host for refusal in item.refusals} == {"b", "c"}
    assert all(reason.sentence for refusal in item.refusals for reason in refusal.refusals)
    assert item.would_help


def test_another_vm_steps_aside_when_nothing_else_works() -> None:
    wide = a_pinned("wide", [0, 1, 2, 3])
    small = a_pinned("small", [0, 1], host="b")  # the only one in the way that may move
    fixed = [
        a_pinned("b-1", [5, 6], host="b", migration_mode=MigrationMode.DO_NOT_MIGRATE),
        a_pinned("c-0", [0, 1], host="c", migration_mode=MigrationMode.DO_NOT_MIGRATE),
        a_pinned("c-1", [5, 6], host="c", migration_mode=MigrationMode.DO_NOT_MIGRATE),
    ]
    snapshot = a_snapshot(hosts("a", "b", "c"), [wide, small, *fixed])
    plan = plan_drain(DrainIntent(("a",)), snapshot)

    assert plan.is_complete
    assert where(plan) == {"small": "c", "wide": "b"}
    aside, moved = plan.item(small.uuid), plan.item(wide.uuid)
    assert aside is not None
    assert moved is not None
    assert aside.is_other
    assert aside.wave < moved.wave, "first it steps aside"
    assert not checked(plan, snapshot)
    strict = plan_drain(DrainIntent(("a",), options=DrainOptions(most_other_moves=0)), snapshot)
    assert [item.vm_name for item in strict.open_items] == ["wide"]


def test_the_administrators_decisions_hold() -> None:
    first, second = a_vm("first", host="a"), a_vm("second", host="a")
    snapshot = a_snapshot(hosts("a", "b", "c"), [first, second])
    intent = with_destination(DrainIntent(("a",)), first.uuid, "c")
    intent = in_order(intent, [second.uuid])
    plan = plan_drain(intent, snapshot)
    item = plan.item(first.uuid)
    assert item is not None
    assert (item.destination, item.is_destination_chosen, item.why) == ("c", True, "Chosen by the administrator.")
    assert plan.moves[0].vm_name == "second"
    assert planned_freely(intent, first.uuid).destination_of(first.uuid) is None
    with pytest.raises(InvalidEdit, match="to be emptied too"):
        plan_drain(with_destination(intent, first.uuid, "a"), snapshot)


def test_a_host_that_failed_a_vm_is_avoided() -> None:
    vm = a_vm("web", host="a")
    snapshot = a_snapshot(hosts("a", "b", "c"), [vm])
    first = plan_drain(DrainIntent(("a",)), snapshot).moves[0].destination or ""
    again = plan_drain(DrainIntent(("a",), avoided=((vm.uuid, first),)), snapshot)
    assert {first, again.moves[0].destination} == {"b", "c"}


def test_one_host_stays_up() -> None:
    snapshot = a_snapshot(hosts("a", "b"), [a_vm("web", host="a")])
    assert "No other host would be up" in plan_drain(DrainIntent(("a", "b")), snapshot).obstacles[0]
    down = replace(snapshot, hosts={**snapshot.hosts, "b": replace(snapshot.hosts["b"], status=HostStatus.MAINTENANCE)})
    assert plan_drain(DrainIntent(("a",)), down).obstacles
    assert not plan_drain(DrainIntent(("a", "b")), replace(snapshot, vms={})).obstacles


def test_hard_vm_affinity_is_ignored_or_kept_as_asked() -> None:
    vms = [a_vm("one", host="a"), a_vm("two", host="a")]
    apart = AffinityGroup(
        "apart", vm_rule=AffinityRule.NEGATIVE, is_vm_rule_enforced=True, vms=tuple(vm.uuid for vm in vms)
    )
    snapshot = replace(a_snapshot(hosts("a", "b"), vms), affinity_groups=(apart,))
    assert plan_drain(DrainIntent(("a",)), snapshot).is_complete, "as the reference has it"
    strict = DrainIntent(("a",), options=DrainOptions(ignores_vm_affinity=False))
    assert len(plan_drain(strict, snapshot).open_items) == 1
    wider = replace(a_snapshot(hosts("a", "b", "c"), vms), affinity_groups=(apart,))
    assert set(where(plan_drain(strict, wider)).values()) == {"b", "c"}
    together = replace(apart, vm_rule=AffinityRule.POSITIVE)
    joined = plan_drain(strict, replace(wider, affinity_groups=(together,)))
    assert len(set(where(joined).values())) == 1


def test_the_recheck_names_what_changed() -> None:
    vm, other = a_vm("web", host="a"), a_vm("late", host="a")
    snapshot = a_snapshot(hosts("a", "b"), [vm])
    plan = plan_drain(DrainIntent(("a",)), snapshot)
    assert not checked(plan, snapshot)
    moved = a_snapshot(hosts("a", "b"), [replace(vm, host="b"), other])
    sentences = [problem.sentence for problem in checked(plan, moved)]
    assert sentences == ["web does not run on a any more; it is on b.", "late runs on a and is not in the plan."]


def test_who_planned_it_is_said() -> None:
    snapshot = _a_puzzle()
    greedy = plan_drain(DrainIntent(("a",), options=DrainOptions(is_exact=False)), snapshot)
    assert greedy.quality.planned_by is PlannedBy.GREEDY
    exact = plan_drain(DrainIntent(("a",)), snapshot)
    assert exact.quality.gap_pct is not None
    assert exact.quality.cost <= greedy.quality.cost
