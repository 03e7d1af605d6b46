"""Migration Policies by mouse and keys: the database is asked what is kept, and a migration what it really does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton, QSpinBox, QTableView
from pytestqt.qtbot import QtBot

from hpconsole.core.database.database import Database
from hpconsole.core.events import StepFinished
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.migration_options import AUTO_CONNECTIONS
from hpconsole.core.planning.migration_policy import ABORT, BUILT_IN, MINIMAL_DOWNTIME, MigrationPolicy, downtime
from hpconsole.ui.migrate.options_box import OptionsBox
from hpconsole.ui.migration_policies.dialog import MigrationPoliciesDialog
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.widgets.text_label import TextLabel
from tests.ui.gestures import child, click, click_row, press, retype, set_number
from tests.ui.machine_cases import WAIT_MS, shop


class Desk:
    """The dialog over a database of its own."""

    def __init__(self, qtbot: QtBot, ways: MigrationPolicies) -> None:
        self.qtbot = qtbot
        self.ways = ways
        self.dialog = MigrationPoliciesDialog(ways, LIGHT)
        qtbot.addWidget(self.dialog)
        self.dialog.show()
        qtbot.waitExposed(self.dialog)

    def button(self, name: str) -> QPushButton:
        return child(self.dialog, QPushButton, f"way_{name}")

    def text(self, name: str) -> str:
        return child(self.dialog, TextLabel, name).text()

    def said(self, words: str) -> None:
        self.qtbot.waitUntil(lambda: words in self.text("ways_remark"), timeout=WAIT_MS)

    def select(self, name: str) -> None:
        click_row(child(self.dialog, QTableView, "ways_table"), [one.name for one in self.ways.all()].index(name))
        assert child(self.dialog, QLineEdit, "way_name").text() == name

    def copy(self, name: str) -> None:
        self.select(name)
        click(self.button("copy"))
        self.said("is your own")

    def retype(self, name: str, text: str) -> None:
        retype(child(self.dialog, QLineEdit, name), text)

    def number(self, name: str, value: int) -> None:
        set_number(child(self.dialog, QSpinBox, name), value)

    def tick(self, name: str) -> None:
        click(child(self.dialog, QCheckBox, name), QPoint(8, 8))

    def save(self) -> MigrationPolicy:
        click(self.button("save"))
        self.said("was saved")
        return next(one for one in self.ways.all() if one.policy_id == self.dialog._presenter.selected)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "hpconsole.sqlite3")
    yield database
    database.close()


@pytest.fixture
def desk(qtbot: QtBot, database: Database) -> Iterator[Desk]:
    desk = Desk(qtbot, MigrationPolicies(database))
    yield desk
    desk.dialog.done(0)


def test_presets_say_that_they_stay(desk: Desk) -> None:
    for policy in BUILT_IN:
        desk.select(policy.name)
        assert "is a preset and stays as it is" in desk.text("way_locked")
        assert not child(desk.dialog, QLineEdit, "way_name").isEnabled()
        assert not desk.button("save").isEnabled()
        assert not desk.button("remove").isEnabled()
        assert desk.button("copy").isEnabled()
    assert "Allows" in desk.text("way_story")
    assert "A stall: a pass over" in child(desk.dialog, QSpinBox, "way_stalls_0").toolTip()


def test_an_own_policy_is_made_and_kept(desk: Desk, database: Database) -> None:
    desk.copy("Minimal downtime")
    desk.retype("way_name", "Night")
    desk.number("way_initial", 80)
    click(desk.button("step_remove_4"))
    desk.number("way_stalls_3", 7)
    desk.number("way_pause_3", 900)
    last = child(desk.dialog, QComboBox, "way_last")
    last.setFocus()
    press(last, Qt.Key.Key_Down)
    desk.number("way_last_pause", 2500)
    desk.tick("way_is_limited")
    desk.number("way_limit", 250)
    desk.tick("way_is_parallel")
    desk.tick("way_tls")
    desk.tick("way_auto_converge")
    made = desk.save()
    assert made.name == "Night"
    assert made.schedule.initial == (downtime(80),)
    assert [(step.limit, step.action) for step in made.schedule.stalling][-2:] == [
        (3, downtime(300)),
        (7, downtime(900)),
    ]
    assert made.schedule.last == (downtime(2500), ABORT)
    assert (made.bandwidth_mib_s, made.parallel_connections) == (250, AUTO_CONNECTIONS)
    assert (made.tls, made.auto_converge, made.compressed) == (True, False, False)
    click(desk.button("default"))
    desk.said("follow Night from now on")
    again = MigrationPolicies(database)
    assert made in again.all()
    assert again.default_id == made.policy_id
    assert not desk.button("remove").isEnabled()
    assert "default" in desk.button("remove").toolTip()


def test_what_is_wrong_is_said_at_the_field(desk: Desk) -> None:
    desk.copy("Minimal downtime")
    problem = child(desk.dialog, TextLabel, "way_problem_steps")
    assert not problem.isVisible()
    desk.number("way_stalls_1", 9)
    assert problem.isVisible()
    assert "3 follows 9" in problem.text()
    assert desk.button("save").toolTip() == problem.text()
    assert not desk.button("save").isEnabled()
    desk.number("way_stalls_1", 2)
    assert not problem.isVisible()
    desk.tick("way_is_parallel")
    desk.tick("way_compressed")
    assert "Compression cannot be had over parallel" in desk.text("way_problem_together")
    desk.tick("way_compressed")
    last = child(desk.dialog, QComboBox, "way_last")
    last.setFocus()
    press(last, Qt.Key.Key_Down)
    press(last, Qt.Key.Key_Down)
    assert "Post-copy cannot be had over parallel" in desk.text("way_problem_together")
    desk.retype("way_name", "Very large VMs")
    assert "already" in desk.text("way_problem_name")
    press(desk.dialog, Qt.Key.Key_Escape)
    assert desk.dialog.isVisible()
    desk.said("not saved")
    click(desk.button("revert"))
    assert not child(desk.dialog, TextLabel, "way_problem_name").isVisible()
    assert desk.dialog._presenter.unsaved == ()


def test_a_step_is_added_later_and_more_patient_than_the_last(desk: Desk) -> None:
    desk.copy("Post-copy migration")
    click(desk.button("step_add"))
    assert desk.dialog._presenter.steps == ((1, 150), (2, 200), (3, 300))
    assert child(desk.dialog, QSpinBox, "way_pause_2").value() == 300


def test_policies_travel_as_files(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "way.json"
    desk.select("Very large VMs")
    desk.dialog.export_to(file)
    desk.said("was written")
    desk.dialog.import_from(file)
    desk.said("Very large VMs 2 was imported")
    click(desk.button("remove"))
    desk.said("Delete Very large VMs 2 for good?")
    click(desk.button("remove"))
    desk.said("was deleted")
    assert desk.ways.all() == BUILT_IN
    for wrong in ("[]", "{", json.dumps({"format": "hpconsole-migration-policy/1", "name": "x", "stalling": 3})):
        file.write_text(wrong)
        desk.dialog.import_from(file)
        desk.qtbot.waitUntil(lambda: bool(desk.text("ways_remark")), timeout=WAIT_MS)
    assert desk.ways.all() == BUILT_IN


def test_the_migrate_dialog_offers_them_and_shows_what_they_ask_for(qtbot: QtBot) -> None:
    ways = MigrationPolicies()
    box = OptionsBox(ways.all(), ways.default_id)
    qtbot.addWidget(box)
    box.show()
    own = MigrationPolicy("night", "Night", MINIMAL_DOWNTIME.schedule, bandwidth_mib_s=250, tls=True)
    ways.save(own)
    box.offer(ways.all(), ways.default_id)
    choice = child(box, QComboBox, "migration_policy")
    choice.setFocus()
    press(choice, Qt.Key.Key_End)
    assert choice.currentText() == "Night"
    assert box.options.policy_id == "night"
    assert (box.options.bandwidth_mib_s, box.options.tls) == (250, True)
    limit = child(box, QCheckBox, "option_limit_bandwidth")
    assert not limit.isEnabled()
    assert "Night asks for a limit" in limit.toolTip()
    press(choice, Qt.Key.Key_Home)
    assert (box.options.bandwidth_mib_s, box.options.tls) == (None, False), "what the policy asked for goes with it"
    assert limit.isEnabled()
    box.offer(BUILT_IN, ways.default_id)
    assert choice.findText("Night") < 0


def test_a_migration_follows_the_default_policy_of_ones_own(qtbot: QtBot) -> None:
    with shop(qtbot) as opened:
        app = opened.app
        app.advice.policies.save(
            MigrationPolicy("slow", "Slow", MINIMAL_DOWNTIME.schedule, bandwidth_mib_s=7777, parallel_connections=2)
        )
        app.advice.policies.set_default("slow")
        ended: list[StepFinished] = []
        app.store.subscribe_events(lambda event: ended.append(event) if isinstance(event, StepFinished) else None)
        vm = opened.vm("web-01")
        app.submit(plan_migration(MigrationIntent((vm.uuid,)), app.store.snapshot, app.policy))
        qtbot.waitUntil(lambda: bool(ended), timeout=2 * WAIT_MS)
        assert (ended[0].step.options.bandwidth_mib_s, ended[0].step.options.parallel_connections) == (7777, 2)
