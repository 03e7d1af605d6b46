"""Room for a VM that fits nowhere: the fewest moves, and the plan says what is freed where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.vm import MigrationMode
from hpconsole.core.planning.drain_export import plan_json, plan_text
from hpconsole.core.planning.drain_planner import checked
from hpconsole.core.planning.make_room import plan_room
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost
from tests.builders import a_snapshot, a_vm
from tests.core.planning.test_drain_planner import a_pinned, hosts

FIXED = MigrationMode.DO_NOT_MIGRATE


def test_one_vm_steps_aside_for_one_that_needs_a_node() -> None:
    """Every node is touched; c has one VM that may move away, b's may not."""
    wide = a_pinned("wide", [0, 1, 2, 3])
    others = [
        a_pinned("b-0", [0, 1], host="b", migration_mode=FIXED),
        a_pinned("b-1", [5, 6], host="b", migration_mode=FIXED),
        a_pinned("c-0", [0, 1], host="c"),
        a_pinned("c-1", [5, 6], host="c", migration_mode=FIXED),
    ]
    snapshot = a_snapshot(hosts("a", "b", "c"), [wide, *others])
    plan = plan_room(wide.uuid, snapshot)

    assert [(item.vm_name, item.is_other, item.wave) for item in plan.moves] == [("c-0", True, 1), ("wide", False, 2)]
    assert plan.moves[1].destination == "c"
    assert "after one move" in plan.notes[0]
    assert plan.title == "Make room for wide"
    assert not checked(plan, snapshot)
    assert plan_json(plan)["vms"][0]["makes_room"]
    assert "c-0" in plan_text(plan)


def test_of_two_that_could_step_aside_the_one_with_less_against_it_does() -> None:
    wide = a_pinned("wide", [0, 1, 2, 3])
    bound = a_pinned("a-bound", [0, 1], host="b")
    loose = a_pinned("z-loose", [5, 6], host="b")
    loose = replace(
        loose,
        virtual_nodes=tuple(replace(node, host_nodes=()) for node in loose.virtual_nodes),
        intent=replace(loose.intent, numa_pins=()),
    )
    fixed = [a_pinned(f"c-{n}", cpus, host="c", migration_mode=FIXED) for n, cpus in enumerate(([0, 1], [5, 6]))]
    for first, second in ((bound, loose), (loose, bound)):
        snapshot = a_snapshot(hosts("a", "b", "c"), [wide, first, second, *fixed])
        assert [item.vm_name for item in plan_room(wide.uuid, snapshot).moves] == ["z-loose", "wide"]


def test_no_more_moves_than_needed() -> None:
    wide = a_pinned("wide", [0, 1, 2, 3])
    full = [a_pinned(f"{host}-{node}", [5 * node, 5 * node + 1], host=host) for host in "bc" for node in (0, 1)]
    easy = a_vm("web", host="c", vcpus=1)
    snapshot = a_snapshot(hosts("a", "b", "c", "d"), [wide, *full, easy, a_pinned("d-0", [0, 1], host="d")])
    assert [item.vm_name for item in plan_room(wide.uuid, snapshot).moves] == ["wide"], "d has a free node"
    on_b = plan_room(wide.uuid, snapshot, on="b")
    assert len(on_b.moves) == 2
    assert on_b.moves[0].source == "b"


def test_room_for_a_vm_that_does_not_run() -> None:
    wide = a_pinned("wide", [0, 1, 2, 3], host="a")
    stopped = a_vm(
        "wide", host=None, vcpus=4, virtual_nodes=wide.virtual_nodes, pinning=wide.pinning, intent=wide.intent,
        topology=wide.topology,
    )  # fmt: skip
    movable = [a_pinned("b-0", [0, 1], host="b"), a_pinned("b-1", [5, 6], host="b", migration_mode=FIXED)]
    snapshot = a_snapshot(hosts("b"), [stopped, *movable])
    with pytest.raises(NoSuitableHost, match="make room for wide"):
        plan_room(stopped.uuid, snapshot)
    wider = a_snapshot([*hosts("b", "c")], [stopped, *movable, a_pinned("c-0", [0, 1], host="c", migration_mode=FIXED),
                                            a_pinned("c-1", [5, 6], host="c", migration_mode=FIXED)])  # fmt: skip
    plan = plan_room(stopped.uuid, wider)
    assert [item.vm_name for item in plan.moves] == ["b-0"]
    assert plan.notes[0].startswith("wide can be started on b after one move: CPUs 0-3 on node 0")


def test_what_cannot_be_meant_is_refused() -> None:
    vm = a_pinned("fixed", [0], migration_mode=FIXED)
    snapshot = a_snapshot(hosts("a", "b"), [vm])
    with pytest.raises(InvalidEdit, match="Do not allow migration"):
        plan_room(vm.uuid, snapshot)
    with pytest.raises(InvalidEdit, match="no host named x"):
        plan_room(vm.uuid, snapshot, on="x")
