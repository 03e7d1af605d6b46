"""Load Balancing by mouse and keys, on simulated hosts: the hosts are asked what moved, the database what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from hpconsole.app import App
from hpconsole.core.availability.leadership import Leadership
from hpconsole.core.balancing.mode import Mode, read_mode
from hpconsole.core.balancing.moves_log import read_log
from hpconsole.core.balancing.watch import Pace, Watch
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.large import hosts as some_hosts
from hpconsole.core.scheduler.policy_editing import with_parameter
from hpconsole.ui.balancing import presenter
from hpconsole.ui.balancing.dialog import BalancingDialog
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.widgets.text_label import TextLabel
from tests.ui.gestures import child, click, press, type_text

WAIT_MS = 20_000
GUEST = GuestModel("web", "00000000-0000-4000-8000-000000000001", 2, 256 * 1024, networks=(), cpu_model="qemu64")


class Desk:
    """Two hosts, four VMs on the first, and the dialog over a watch that makes no rounds by itself."""

    def __init__(self, qtbot: QtBot, folder: Path) -> None:
        self.qtbot = qtbot
        guests = [replace(GUEST, name=f"web-{n}", uuid=f"00000000-0000-4000-8000-00000000000{n}") for n in range(1, 5)]
        self.cluster = SimulatedCluster(hosts=some_hosts(2), guests={"host-01": guests})
        self.app = App(self.cluster.uris(), opener=self.cluster.open, interval_s=0.05, data=folder)
        self.app.start()
        assert self.app.wait_ready(20)
        qtbot.waitUntil(lambda: len(self.app.store.snapshot.vms) == 4, timeout=WAIT_MS)
        self.watch: Watch = self.app.start_watching(pace=Pace(round_s=3600, look_s=0.05), life_s=0.6)
        self.dialog = BalancingDialog(self.app.policies, self.watch, LIGHT)
        qtbot.addWidget(self.dialog)
        self.dialog.show()
        qtbot.waitExposed(self.dialog)

    def text(self, name: str) -> str:
        return child(self.dialog, TextLabel, f"balancing_{name}").text()

    def button(self, name: str) -> QPushButton:
        return child(self.dialog, QPushButton, f"balancing_{name}")

    def choose(self, box: str, text: str) -> None:
        """By keys, as somebody without a mouse would."""
        combo = child(self.dialog, QComboBox, f"balancing_{box}")
        combo.setFocus()
        press(combo, Qt.Key.Key_Home)
        for _ in range(combo.findText(text)):
            press(combo, Qt.Key.Key_Down)
        assert combo.currentText() == text

    def put_in_force(self, name: str) -> None:
        self.choose("policy", name)
        assert self.app.policy.name != name, "only looked at"
        click(self.button("use"))
        self.qtbot.waitUntil(lambda: self.app.policy.name == name, timeout=WAIT_MS)
        self.wait_for("remark", "is in force")
        assert not self.button("use").isEnabled()
        assert "in force already" in self.button("use").toolTip()

    def wait_for(self, name: str, words: str) -> None:
        self.qtbot.waitUntil(lambda: words in self.text(name), timeout=WAIT_MS)

    def look_until(self, name: str, words: str) -> None:
        """Looks again, as a user would, where hosts had not told everything yet when it looked."""

        def is_there() -> bool:
            if words not in self.text(name) and self.button("look").isEnabled():
                click(self.button("look"))
            return words in self.text(name)

        self.qtbot.waitUntil(is_there, timeout=WAIT_MS)

    def spread(self) -> None:
        """A policy that balances two hosts with four VMs."""
        made = self.app.policies.copy("vm_evenly_distributed", "spread")
        self.app.policies.save(with_parameter(with_parameter(made, "HighVmCount", 1), "MigrationThreshold", 2))
        self.dialog.reload()
        self.put_in_force("spread")


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(qtbot, tmp_path)
    yield desk
    desk.dialog.done(0)
    desk.app.close()
    desk.cluster.close()


def test_why_nothing_is_answered_at_once_and_after_each_choice(desk: Desk) -> None:
    desk.wait_for("headline", "Nothing should move now")
    assert "The policy none does not balance" in desk.text("reasons")
    assert "Nobody needs to act" in desk.text("who") or desk.text("who") == ""
    assert "Nothing is moved for load" in desk.text("mode_help")
    assert "nothing is moved for load" in desk.text("balancer")
    desk.wait_for("log_title", "No moves so far.")
    assert not desk.button("apply").isEnabled()
    assert "Nothing is recommended" in desk.button("apply").toolTip()
    desk.put_in_force("evenly_distributed")
    desk.look_until("reasons", "No host is beyond the limits of evenly_distributed")
    desk.wait_for("who", "This console acts")
    assert "At most one VM a minute" in desk.text("mode_help")


def test_a_recommendation_is_applied_by_a_click_and_leaves_a_line(desk: Desk) -> None:
    desk.choose("mode", "Only recommend")
    desk.wait_for("remark", "Kept: Only recommend")
    assert read_mode(desk.app.documents) is Mode.RECOMMEND
    desk.spread()
    desk.look_until("headline", "should move from host-01 to host-02")
    assert "relieves host-01" in desk.text("reasons")
    assert "Gain" in desk.text("reasons")
    assert "cost" in desk.text("reasons")
    desk.wait_for("who", "only recommend")
    assert len(desk.app.store.snapshot.vms_on("host-02")) == 0, "recommended, not moved"
    click(desk.button("apply"))
    desk.qtbot.waitUntil(lambda: len(desk.app.store.snapshot.vms_on("host-02")) == 1, timeout=WAIT_MS)
    desk.qtbot.waitUntil(lambda: not desk.button("apply").isEnabled(), timeout=WAIT_MS)
    (line,) = read_log(desk.app.documents)
    assert line.by == "applied by hand"
    desk.qtbot.waitUntil(lambda: desk.dialog._model.rowCount() == 1, timeout=WAIT_MS)
    assert desk.dialog._model.row_at(0).move == "host-01 → host-02"
    desk.qtbot.waitUntil(lambda: not desk.app.reservations(), timeout=WAIT_MS)
    click(desk.button("look"))
    desk.qtbot.waitUntil(desk.button("look").isEnabled, timeout=WAIT_MS)
    assert line.vm_name not in desk.text("headline"), "it rests"


def test_limits_are_edited_on_a_copy_and_checked_at_the_field(desk: Desk) -> None:
    desk.choose("policy", "evenly_distributed")
    edit = child(desk.dialog, QLineEdit, "balancing_HighUtilization")
    assert not edit.isEnabled()
    assert "built in" in desk.text("locked")
    click(desk.button("copy"))
    desk.wait_for("remark", "is your own")
    assert edit.isEnabled()
    click(edit)
    edit.selectAll()
    type_text(edit, "30")
    problem = child(desk.dialog, TextLabel, "balancing_problem_HighUtilization")
    assert problem.isVisible()
    assert "50 to 99 %" in problem.text()
    assert not desk.button("save").isEnabled()
    press(desk.dialog, Qt.Key.Key_Escape)
    assert desk.dialog.isVisible()
    assert "not saved" in desk.text("remark")
    edit.selectAll()
    type_text(edit, "65")
    assert not problem.isVisible()
    click(desk.button("save"))
    desk.wait_for("remark", "were saved")
    assert desk.app.policy.parameters["HighUtilization"] == 65
    assert desk.app.policy.name == "evenly_distributed-2"


def test_off_looks_at_nothing_by_itself_and_look_now_still_answers(desk: Desk) -> None:
    desk.spread()
    desk.look_until("headline", "should move")
    desk.choose("mode", "Off")
    desk.wait_for("who", "balancing is off")
    assert "switched off" in desk.watch.run_now().why_nothing[0]
    desk.wait_for("reasons", "switched off")
    click(desk.button("look"))
    desk.look_until("headline", "should move")
    assert len(desk.app.store.snapshot.vms_on("host-02")) == 0


def test_who_acts_is_told_for_every_case() -> None:
    other = Leadership(False, "Another console acts for the cluster: console-b.", "console-b")
    assert "console-b" in presenter.who_acts(other, Mode.ACT, "OptimalForEvenDistribution")[0]
    mine = Leadership(True, "This console acts for the cluster.")
    assert presenter.who_acts(mine, Mode.ACT, "OptimalForEvenDistribution")[0] == mine.sentence
    for leadership in (mine, other):
        told = presenter.who_acts(leadership, Mode.ACT, "None")[0]
        assert told == f"For affinity rules only, not for load: {leadership.sentence}"
    assert "only recommend" in presenter.who_acts(mine, Mode.RECOMMEND, "None")[0]


@pytest.mark.parametrize("mode", Mode)
def test_a_policy_that_does_not_balance_is_never_said_to_move_vms_for_load(mode: Mode) -> None:
    told = presenter.mode_help(mode, "None")
    assert told.startswith("Nothing is moved for load, whatever is chosen here")
    assert "affinity rule" in told
    assert "for load" not in presenter.mode_help(mode, "OptimalForEvenDistribution")
