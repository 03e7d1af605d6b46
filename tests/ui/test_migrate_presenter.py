"""Migrate VM(s) without a window: choices, verdicts, plan. Runs where Qt was never imported."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from hpconsole.core.errors import HpconsoleError, PlanningError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.core.scheduler.units import Refusal
from hpconsole.ui.migrate import wording
from hpconsole.ui.migrate.picture import CpuTile, HostPicture, TileKind
from hpconsole.ui.migrate.presenter import MigratePresenter
from hpconsole.ui.migrate.view import HostLine
from tests.builders import a_snapshot, a_vm
from tests.ui.migrate_cases import cluster, hosts, trade_engine

VM = trade_engine().uuid


def a_presenter(snapshot: ClusterSnapshot | None = None, uuids: tuple[str, ...] = (VM,)) -> MigratePresenter:
    return MigratePresenter(uuids, snapshot or cluster(), lambda: DEFAULT_POLICY)


def settle(presenter: MigratePresenter) -> None:
    """Answer whatever it asks, as the worker would."""
    while (question := presenter.next_question()) is not None:
        presenter.take_answer(question())


def own(picture: HostPicture | None) -> dict[int, str]:
    """CPU number and label of every tile that is the VM's."""
    assert picture is not None
    tiles = [tile for box in picture.nodes for core in box.cores for tile in core]
    return {tile.cpu_id: tile.label for tile in tiles if tile.kind is TileKind.OWN}


def tile(picture: HostPicture | None, cpu_id: int) -> CpuTile:
    assert picture is not None
    return next(t for box in picture.nodes for core in box.cores for t in core if t.cpu_id == cpu_id)


def test_importing_presenter_loads_neither_qt_nor_numpy() -> None:
    code = (
        "import hpconsole.ui.migrate.presenter, hpconsole.ui.tasks.task_book, sys;"
        "print(sorted({'PySide6', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_before_the_answer_every_host_is_listed_as_being_checked() -> None:
    presenter = a_presenter()
    question = presenter.next_question()
    view = presenter.view()
    assert view.status == "Checking 6 hosts…"
    assert [line.name for line in view.hosts] == [f"host-{c}" for c in "abcdef"]
    assert {line.verdict for line in view.hosts} == {"checking…"}
    assert not view.can_migrate
    assert view.is_computing
    assert presenter.next_question() is None, "one question at a time"
    with pytest.raises(PlanningError):
        presenter.plan()
    assert question is not None


def test_automatic_choice_says_where_and_why() -> None:
    presenter = a_presenter()
    settle(presenter)
    view = presenter.view()
    assert view.title == "Migrate trade-engine-1, which runs on host-a"
    assert view.is_automatic
    assert view.automatic_text.startswith("Now: host-b")
    assert "before host-c" in view.automatic_text
    assert "CPU load (5 % against 80 %)" in view.automatic_text, "what can be compared, with its unit"
    assert "OptimalFor" not in view.automatic_text, "in words, not in names of units"
    assert view.button_text == "Migrate trade-engine-1 to host-b"
    assert view.can_migrate
    plan = presenter.plan()
    assert [(step.vm_name, step.destination, step.is_destination_chosen) for step in plan.steps] == [
        ("trade-engine-1", "host-b", False)
    ]


def test_all_hosts_are_listed_suitable_ones_in_rank_order_the_others_with_every_reason() -> None:
    presenter = a_presenter()
    settle(presenter)
    view = presenter.view()
    assert view.status == "2 of 6 hosts can take the VM"
    assert [(line.name, line.rank) for line in view.hosts] == [
        ("host-b", 1), ("host-c", 2), ("host-e", None), ("host-f", None), ("host-d", None), ("host-a", None),
    ]  # fmt: skip
    best, second = view.hosts[:2]
    assert best.score > second.score
    assert best.score == sum(part.contribution for part in best.parts)
    assert best.is_destination
    counts = [len(line.refusals) for line in view.hosts[2:-1]]
    assert counts == sorted(counts), "the nearest first, and the present host last"
    small = next(line for line in view.hosts if line.name == "host-d")
    assert len(small.refusals) > 1
    assert small.verdict.endswith(f"(+{len(small.refusals) - 1} more)")
    assert small.verdict.startswith(small.refusals[0].sentence)
    assert any(shortage.missing > 0 for refusal in small.refusals for shortage in refusal.shortages)
    assert small.will_help
    lost = next(line for line in view.hosts if line.name == "host-f")
    assert "disconnected" in lost.verdict
    assert "Connection refused" in lost.verdict


def test_pinning_there_beside_the_present_one() -> None:
    presenter = a_presenter()
    settle(presenter)
    detail = presenter.view().detail
    assert detail is not None
    assert detail.host == "host-b"
    assert own(detail.now) == {2: "0", 18: "1", 10: "2", 26: "3"}
    there = own(detail.there)
    assert sorted(there.values()) == ["0", "1", "2", "3"]
    placement = presenter.plan().steps[0].placement
    assert {cpu: int(label) for cpu, label in there.items()} == {
        cpus.first: vcpu for vcpu, cpus in placement.pinning.vcpus
    }
    rows = {row.what.strip(): (row.now, row.there) for row in detail.rows}
    assert rows["vCPU 0"] == ("CPU 2", f"CPU {placement.pinning.vcpus[0][1].format()}")
    assert rows["Virtual node 0"][0] == "node 0 strict"


def test_cpus_of_others_are_drawn_as_taken() -> None:
    neighbour = replace(trade_engine("host-b"), uuid="other", name="neighbour")
    presenter = a_presenter(cluster(neighbour))
    settle(presenter)
    presenter.highlight("host-b")
    settle(presenter)
    detail = presenter.view().detail
    assert detail is not None
    assert tile(detail.there, 2).kind is TileKind.TAKEN
    assert "neighbour" in tile(detail.there, 2).tip
    assert 2 not in own(detail.there)


def test_looking_at_a_host_does_not_choose_it() -> None:
    presenter = a_presenter()
    settle(presenter)
    presenter.highlight("host-d")
    settle(presenter)
    view = presenter.view()
    assert view.highlighted is not None
    assert view.highlighted.name == "host-d"
    assert view.is_automatic
    assert view.button_text == "Migrate trade-engine-1 to host-b"
    assert view.can_migrate


def test_choosing_a_host() -> None:
    presenter = a_presenter()
    settle(presenter)
    presenter.highlight("host-c")
    presenter.pick_highlighted()
    assert not presenter.view().can_migrate, "not before it is judged"
    assert presenter.is_hurried
    settle(presenter)
    view = presenter.view()
    assert not view.is_automatic
    assert view.chosen_text == "Migrate to the host selected below: host-c"
    assert view.button_text == "Migrate trade-engine-1 to host-c"
    assert [step.is_destination_chosen for step in presenter.plan().steps] == [True]
    presenter.highlight("host-d")
    settle(presenter)
    view = presenter.view()
    assert not view.can_migrate
    assert view.problem.startswith("trade-engine-1 cannot go to host-d: ")
    presenter.pick_automatic()
    settle(presenter)
    assert presenter.view().button_text == "Migrate trade-engine-1 to host-b"


def test_choosing_before_looking_takes_the_best() -> None:
    presenter = a_presenter()
    settle(presenter)
    presenter.pick_highlighted()
    settle(presenter)
    assert presenter.plan().steps[0].destination == "host-b"
    assert presenter.plan().steps[0].is_destination_chosen


def test_refresh_keeps_the_choice_and_judges_it_anew() -> None:
    presenter = a_presenter()
    settle(presenter)
    presenter.highlight("host-c")
    presenter.pick_highlighted()
    settle(presenter)
    full = [replace(host, usage=replace(host.usage, nodes=())) if host.name == "host-c" else host for host in hosts()]
    busy = [
        replace(trade_engine("host-c"), uuid=f"n{i}", name=f"n{i}", pinning=replace(vm.pinning, vcpus=((0, cpus),)))
        for i, (vm, cpus) in enumerate((trade_engine(), cpu.siblings) for cpu in full[2].topology.cpus)
    ]
    presenter.refresh(a_snapshot(full, [trade_engine(), *busy], serial=2))
    view = presenter.view()
    assert view.can_migrate, "what was known stays until the new answer is there"
    settle(presenter)
    view = presenter.view()
    assert not view.is_automatic
    assert view.highlighted is not None
    assert view.highlighted.name == "host-c"
    assert not view.can_migrate
    assert "host-c" in view.problem


def test_a_snapshot_of_the_same_serial_asks_nothing() -> None:
    presenter = a_presenter()
    settle(presenter)
    presenter.refresh(cluster())
    assert presenter.next_question() is None
    presenter.refresh(cluster(serial=2))
    assert not presenter.is_hurried
    assert presenter.next_question() is not None


def test_only_the_highlight_reuses_the_survey() -> None:
    presenter = a_presenter()
    settle(presenter)
    presenter.highlight("host-c")
    question = presenter.next_question()
    assert question is not None
    assert question.known is not None
    answer = question()
    assert answer.survey is question.known
    assert answer.detail is not None
    assert answer.detail.host == "host-c"


def test_a_vm_without_pinning_says_so() -> None:
    plain = a_vm("web-1", host="host-a")
    presenter = a_presenter(cluster(plain), (plain.uuid,))
    settle(presenter)
    detail = presenter.view().detail
    assert detail is not None
    assert "is not pinned" in detail.remark
    assert detail.there is None


def test_several_vms_get_a_destination_each() -> None:
    others = tuple(a_vm(f"web-{i}", host="host-c") for i in range(2))
    presenter = a_presenter(cluster(*others), (VM, *(vm.uuid for vm in others)))
    settle(presenter)
    view = presenter.view()
    assert view.title == "Migrate 3 VMs: trade-engine-1, web-0 and web-1"
    assert {line.name: bool(line.destination) for line in view.vms} == dict.fromkeys(
        ("trade-engine-1", "web-0", "web-1"), True
    )
    assert all(line.destination != line.source for line in view.vms)
    assert "3 VMs" in view.button_text
    presenter.highlight_vm(others[0].uuid)
    settle(presenter)
    detail = presenter.view().detail
    assert detail is not None
    assert detail.vm_uuid == others[0].uuid


def test_those_that_are_there_already_are_counted() -> None:
    web = a_vm("web-1", host="host-c")
    presenter = a_presenter(cluster(web), (VM, web.uuid))
    settle(presenter)
    presenter.highlight("host-c")
    presenter.pick_highlighted()
    settle(presenter)
    view = presenter.view()
    assert view.chosen_text == "Migrate to the host selected below: host-c (1 to move, 1 already there)"
    assert {line.name: line.destination or line.remark for line in view.vms} == {
        "trade-engine-1": "host-c", "web-1": "already there",
    }  # fmt: skip
    assert view.button_text == "Migrate trade-engine-1 to host-c"


def test_what_cannot_move_is_said() -> None:
    off = a_vm("off-1", host=None)
    presenter = a_presenter(cluster(off), (VM, off.uuid))
    settle(presenter)
    view = presenter.view()
    assert view.can_migrate
    assert len(view.warnings) == 1
    assert "off-1 is not running" in view.warnings[0]
    assert [line.remark for line in view.vms] == ["", view.warnings[0]]


def test_no_suitable_host_is_a_sentence() -> None:
    snapshot = a_snapshot([h for h in hosts() if h.name in ("host-a", "host-d")], [trade_engine()])
    presenter = a_presenter(snapshot)
    settle(presenter)
    view = presenter.view()
    assert not view.can_migrate
    assert view.problem == "No host can take trade-engine-1; it stays on host-a."
    assert view.highlighted is not None
    assert view.highlighted.refusals
    assert [line.name for line in view.hosts] == ["host-d", "host-a"], "the present host last"
    assert view.highlighted.name == "host-d"
    reasons = len(view.highlighted.refusals)
    assert view.status == f"No host can take trade-engine-1. Nearest: host-d, {reasons} reasons"
    assert view.chosen_text == "Migrate to the host selected below (host-d cannot take it)"
    presenter.pick_highlighted()
    settle(presenter)
    assert presenter.view().automatic_text == ""


def test_a_vm_that_vanishes_meanwhile_is_a_sentence() -> None:
    presenter = a_presenter()
    settle(presenter)
    presenter.refresh(a_snapshot(hosts(), [], serial=2))
    settle(presenter)
    view = presenter.view()
    assert not view.can_migrate
    assert "no VM" in view.problem


def test_a_failure_is_shown_and_the_next_answer_clears_it() -> None:
    presenter = a_presenter()
    assert presenter.next_question() is not None
    presenter.take_failure(HpconsoleError("The policy is gone."))
    assert presenter.view().problem == "The policy is gone."
    presenter.refresh(cluster(serial=2))
    settle(presenter)
    assert presenter.view().problem == ""


def test_the_nearest_host_is_one_that_answers() -> None:
    def line(name: str, *kinds: str) -> HostLine:
        refusals = tuple(Refusal("unit", "No.", kind) for kind in kinds)
        return HostLine(name, None, False, True, False, 0.0, "", (), refusals, "", None, None, None)

    away, there = line("away", "HOST_NOT_UP"), line("there", "NOT_ENOUGH_MEMORY", "CPU_OVERLOADED")
    assert wording.status((away, there), 1, "vm-1") == "No host can take vm-1. Nearest: there, 2 reasons"
    assert wording.status((away,), 1, "vm-1") == "No host can take vm-1. Nearest: away, 1 reason"
