"""What an editor says of a group while it is edited: at the place, with names, before anything is kept."""

from __future__ import annotations

from dataclasses import replace

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode, VmIntent
from hpconsole.core.planning.affinity_groups import check_group
from hpconsole.core.planning.affinity_rules import Draft
from hpconsole.core.planning.affinity_verdict import Place, judge
from tests.builders import a_snapshot, a_vm

ONE, TWO = a_vm("one", intent=VmIntent(labels=frozenset({"db"}))), a_vm("two", host="host-b")
THREE = a_vm("three", intent=VmIntent(migration_mode=MigrationMode.MANUAL))
TOGETHER = AffinityGroup("pair", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=(ONE.uuid, TWO.uuid))
APART = replace(TOGETHER, name="apart", vm_rule=AffinityRule.NEGATIVE)


def around(*groups: AffinityGroup) -> ClusterSnapshot:
    return replace(a_snapshot(2, [ONE, TWO, THREE]), affinity_groups=groups)


def test_hard_rules_that_contradict_each_other_are_named_with_groups_and_vms() -> None:
    found = judge(APART, around(TOGETHER))
    assert found.problem.startswith("apart keeps one and two apart, and pair keeps them together")
    assert found.at(Place.VMS)
    assert not found.consequence
    assert not judge(replace(APART, is_vm_rule_enforced=False), around(TOGETHER)).problem, "a soft rule may lose"
    assert not judge(APART, around(replace(APART, name="pair")), old_name="pair").problem


def test_a_contradiction_through_a_label_is_found_too() -> None:
    by_label = replace(APART, vms=(TWO.uuid,), vm_labels=frozenset({"db"}))
    assert "one and two" in judge(by_label, around(TOGETHER)).problem
    kept = check_group(Draft(by_label, ("db",)), around(TOGETHER))
    assert kept is not None
    assert kept.kind == "ACTION_TYPE_FAILED_AFFINITY_RULES_COLLISION"


def test_a_contradiction_among_others_is_not_this_group_s_fault() -> None:
    loose = AffinityGroup("loose", vm_rule=AffinityRule.NEGATIVE, is_vm_rule_enforced=True, vms=(ONE.uuid, THREE.uuid))
    assert not judge(loose, around(TOGETHER, APART)).problem


def test_problems_are_said_at_their_place() -> None:
    cases = [
        (replace(TOGETHER, name=" "), Place.NAME, "name"),
        (replace(TOGETHER, name="taken"), Place.NAME, "already"),
        (replace(TOGETHER, vms=("gone",)), Place.VMS, "No host has"),
        (replace(TOGETHER, hosts=("nowhere",)), Place.HOSTS, "nowhere"),
        (replace(TOGETHER, vm_labels=frozenset({"nobody"})), Place.VMS, "nobody"),
        (replace(TOGETHER, host_labels=frozenset({"nothing"})), Place.HOSTS, "nothing"),
    ]
    snapshot = around(AffinityGroup("taken"))
    for group, place, words in cases:
        found = judge(group, snapshot)
        assert [remark.place for remark in found.remarks if remark.is_problem] == [place]
        assert words in found.problem


def test_what_has_no_effect_or_no_way_out_is_said_but_may_be_kept() -> None:
    assert "no effect" in judge(AffinityGroup("empty"), around()).at(Place.VMS)[0].sentence
    only_a = AffinityGroup(
        "only-a", host_rule=AffinityRule.POSITIVE, is_host_rule_enforced=True, vms=(ONE.uuid,), hosts=("host-a",)
    )
    not_a = replace(only_a, name="not-a", host_rule=AffinityRule.NEGATIVE)
    found = judge(not_a, around(only_a))
    assert not found.problem
    assert "leave no host to one" in found.at(Place.HOSTS)[0].sentence
    only_b = replace(only_a, name="only-b", vms=(TWO.uuid,), hosts=("host-b",))
    found = judge(TOGETHER, around(only_a, only_b))
    assert "no host may run both" in found.at(Place.HOSTS)[0].sentence
    three = replace(APART, vms=(ONE.uuid, TWO.uuid, THREE.uuid))
    assert "only 2" in judge(three, around()).at(Place.VMS)[0].sentence


def test_whom_it_would_move_is_known_before_it_is_kept() -> None:
    assert judge(APART, around()).consequence == "Nobody breaks it where the VMs run now."
    moved = judge(replace(APART, vms=(ONE.uuid, THREE.uuid)), around()).consequence
    assert moved.startswith("one and three break it")
    assert "three will not be moved by itself" in moved
