"""Scheduling Policies by mouse and keys: the book is asked what became of policies, and the scheduler what counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton, QSpinBox, QTableView, QTabWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.database.database import Database
from hpconsole.core.scheduler.policies import BUILT_IN
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.ui.policies.dialog import PoliciesDialog
from hpconsole.ui.policies.presenter import PoliciesPresenter
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.widgets.text_label import TextLabel
from tests.ui.gestures import child, click, click_row, press, retype, set_number
from tests.ui.machine_cases import WAIT_MS, Patience, Shop, shop


@pytest.fixture(scope="module")
def cluster() -> Iterator[Shop]:
    """One cluster for all: nothing here changes hosts."""
    with shop(Patience()) as opened:
        yield opened


class Desk:
    """The dialog over a database of its own."""

    def __init__(self, qtbot: QtBot, cluster: Shop, book: PolicyBook) -> None:
        self.qtbot = qtbot
        self.book = book
        app = cluster.app
        self.dialog = PoliciesDialog(
            book,
            LIGHT,
            snapshot=lambda: app.store.snapshot,
            reservations=app.reservations,
            vm_uuid=cluster.vm("web-01").uuid,
        )
        qtbot.addWidget(self.dialog)
        self.dialog.show()
        qtbot.waitExposed(self.dialog)

    def button(self, name: str) -> QPushButton:
        return child(self.dialog, QPushButton, f"policy_{name}")

    def press(self, name: str) -> None:
        click(self.button(name))

    def select(self, name: str) -> None:
        view = child(self.dialog, QTableView, "policies_table")
        click_row(view, [policy.name for policy in self.book.all()].index(name))
        assert self.field("policy_name") == name

    def field(self, name: str) -> str:
        return child(self.dialog, QLineEdit, name).text()

    def retype(self, name: str, text: str) -> None:
        retype(child(self.dialog, QLineEdit, name), text)

    def tab(self, place: int) -> None:
        bar = child(self.dialog, QTabWidget, "policy_tabs").tabBar()
        click(bar, bar.tabRect(place).center())

    def factor(self, weight: str, value: int) -> None:
        set_number(child(self.dialog, QSpinBox, f"policy_weight_{weight}"), value)

    def wait(self, name: str) -> None:
        """Until the book has a policy of this name, selected in the dialog."""
        self.qtbot.waitUntil(lambda: self.field("policy_name") == name, timeout=WAIT_MS)

    def said(self) -> str:
        return child(self.dialog, TextLabel, "policies_remark").text()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[PolicyBook]:
    database = Database.open(tmp_path / "hpconsole.sqlite3")
    book = PolicyBook()
    book.keep_in(database)
    yield book
    database.close()


@pytest.fixture
def desk(qtbot: QtBot, cluster: Shop, book: PolicyBook) -> Iterator[Desk]:
    desk = Desk(qtbot, cluster, book)
    yield desk
    desk.dialog.done(0)  # without the question about edits


def kept(tmp_path: Path) -> PolicyBook:
    """What another start of the program would read."""
    book = PolicyBook()
    database = Database.open(tmp_path / "hpconsole.sqlite3")
    try:
        assert book.keep_in(database) == ()
    finally:
        database.close()
    return book


def test_built_in_policies_say_that_they_stay_and_offer_a_copy(desk: Desk) -> None:
    desk.select("evenly_distributed")
    assert "built in" in child(desk.dialog, TextLabel, "policy_locked").text()
    assert "Copy" in child(desk.dialog, TextLabel, "policy_locked").text()
    assert not child(desk.dialog, QLineEdit, "policy_name").isEnabled()
    for name in ("save", "remove"):
        assert not desk.button(name).isEnabled()
        assert "built in" in desk.button(name).toolTip()
    assert desk.button("copy").isEnabled()
    desk.press("copy")
    desk.wait("evenly_distributed-2")
    assert child(desk.dialog, QLineEdit, "policy_name").isEnabled()


def test_an_own_policy_is_made_named_edited_and_put_in_force(desk: Desk, tmp_path: Path) -> None:
    desk.select("evenly_distributed")
    desk.press("copy")
    desk.wait("evenly_distributed-2")
    desk.retype("policy_name", "office")
    desk.factor("Performance forecast", 7)
    desk.tab(1)
    click(child(desk.dialog, QCheckBox, "policy_filter_Swap"), QPoint(8, 8))
    desk.tab(2)
    desk.retype("policy_parameter_HighUtilization", "70")
    assert not desk.button("use").isEnabled()
    assert "Save" in desk.button("use").toolTip()
    desk.press("save")
    desk.qtbot.waitUntil(lambda: "saved" in desk.said(), timeout=WAIT_MS)
    made = desk.book.named("office")
    assert dict(made.weights)["Performance forecast"] == 7
    assert "Swap" not in made.filters
    assert made.parameters["HighUtilization"] == 70
    assert "evenly_distributed-2" not in [policy.name for policy in desk.book.all()]
    with desk.qtbot.waitSignal(desk.dialog.chosen, timeout=WAIT_MS):
        desk.press("use")
    assert desk.book.chosen == made
    assert kept(tmp_path).chosen == made
    assert not desk.button("remove").isEnabled(), "what is in force cannot be deleted"
    desk.retype("policy_name", "bureau")
    press(child(desk.dialog, QLineEdit, "policy_name"), Qt.Key.Key_Return)
    desk.qtbot.waitUntil(lambda: desk.book.chosen.name == "bureau", timeout=WAIT_MS)
    assert kept(tmp_path).chosen.name == "bureau", "renamed, it stays in force"


def test_what_is_wrong_is_said_at_the_field_and_cannot_be_saved(desk: Desk) -> None:
    desk.press("copy")
    desk.wait("none-2")
    desk.tab(2)
    problem = child(desk.dialog, TextLabel, "policy_other_problem_HighUtilization")
    desk.retype("policy_other_HighUtilization", "120")
    assert problem.isVisible()
    assert "50 to 99 %" in problem.text()
    assert not desk.button("save").isEnabled()
    assert desk.button("save").toolTip() == problem.text()
    desk.retype("policy_other_HighUtilization", "much")
    assert "a number" in problem.text()
    desk.retype("policy_other_HighUtilization", "75")
    assert not problem.isVisible()
    assert desk.button("save").isEnabled()
    desk.retype("policy_name", "none")
    name_problem = child(desk.dialog, TextLabel, "policy_problem_name")
    assert name_problem.isVisible()
    assert "already" in name_problem.text()
    desk.retype("policy_name", "")
    assert "needs a name" in name_problem.text()
    desk.press("revert")
    assert desk.field("policy_name") == "none-2"
    assert not name_problem.isVisible()


def test_each_unit_says_what_it_does_and_mandatory_filters_stay(desk: Desk) -> None:
    desk.press("copy")
    desk.wait("none-2")
    assert (
        "(OptimalForCpuEvenDistribution)"
        in child(desk.dialog, QSpinBox, "policy_weight_OptimalForCpuEvenDistribution").toolTip()
    )
    desk.tab(1)
    for box in desk.dialog.findChildren(QCheckBox):
        assert box.toolTip(), box.objectName()
    level = child(desk.dialog, QCheckBox, "policy_filter_CPU-Level")
    assert level.isChecked()
    assert not level.isEnabled()
    assert "every policy" in level.toolTip()
    desk.tab(2)
    balancer = child(desk.dialog, QComboBox, "policy_balancer")
    balancer.setFocus()
    press(balancer, Qt.Key.Key_End)
    assert desk.dialog._presenter.draft.balancer == "OptimalForEvenGuestDistribution"
    assert child(desk.dialog, QLineEdit, "policy_parameter_HighVmCount").isVisible()
    assert not child(desk.dialog, QLineEdit, "policy_parameter_HighUtilization").isVisible()


def test_the_effect_shows_the_order_before_and_after_the_edit(desk: Desk) -> None:
    effect = desk.dialog._effect
    desk.qtbot.waitUntil(lambda: effect.effect is not None, timeout=WAIT_MS)
    desk.press("copy")
    desk.wait("none-2")
    desk.factor("OptimalForMemoryEvenDistribution", 0)
    desk.factor("OptimalForCpuEvenDistribution", 0)
    desk.factor("OptimalForCpuPowerSaving", 50)
    desk.qtbot.waitUntil(
        lambda: effect.effect is not None and any(r.change for r in effect.effect.rows), timeout=WAIT_MS
    )
    assert effect.effect is not None
    accepted = [row for row in effect.effect.rows if row.after is not None]
    assert [row.after for row in accepted] == list(range(1, len(accepted) + 1))
    assert sorted(row.before for row in accepted if row.before) == sorted(row.after for row in accepted if row.after)
    assert "CPU packing" in accepted[0].why
    assert "web-01" in child(desk.dialog, TextLabel, "effect_sentence").text()


def test_closing_with_edits_asks_once(desk: Desk) -> None:
    desk.press("copy")
    desk.wait("none-2")
    desk.retype("policy_description", "for the night")
    press(desk.dialog, Qt.Key.Key_Escape)
    assert desk.dialog.isVisible()
    assert "none-2 has changes that are not saved" in desk.said()
    press(desk.dialog, Qt.Key.Key_Escape)
    assert not desk.dialog.isVisible()
    assert desk.book.named("none-2").description != "for the night"


def test_deleting_asks_once_and_forgets(desk: Desk, tmp_path: Path) -> None:
    desk.press("copy")
    desk.wait("none-2")
    desk.press("remove")
    assert "Delete none-2 for good?" in desk.said()
    desk.press("remove")
    desk.qtbot.waitUntil(lambda: "was deleted" in desk.said(), timeout=WAIT_MS)
    assert [policy.name for policy in kept(tmp_path).all()] == [policy.name for policy in BUILT_IN]


def test_policies_travel_as_files_and_replace_none(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    desk.select("power_saving")
    desk.dialog.export_to(file)
    desk.qtbot.waitUntil(lambda: "was written" in desk.said(), timeout=WAIT_MS)
    desk.dialog.import_from(file)
    desk.wait("power_saving-2")
    assert "already" in desk.said()
    assert desk.book.named("power_saving-2").balancer == "OptimalForPowerSaving"
    file.write_text(json.dumps({"format": "hpconsole-policy", "version": 1, "name": "x", "filters": ["Nonsense"]}))
    desk.dialog.import_from(file)
    desk.qtbot.waitUntil(lambda: "Nonsense" in desk.said(), timeout=WAIT_MS)
    assert "x" not in [policy.name for policy in desk.book.all()]


def test_edits_of_several_policies_wait_for_each_other() -> None:
    book = PolicyBook()
    book.copy("none", "a")
    book.copy("none", "b")
    presenter = PoliciesPresenter(book, "a")
    presenter.weigh("PreferredHosts", 5)
    presenter.select("b")
    presenter.set_parameter("HighUtilization", "1000")
    assert list(presenter.unsaved) == ["a", "b"]
    assert "50 to 99" in presenter.why_not_save
    presenter.select("a")
    assert presenter.why_not_save == ""
    presenter.weigh("PreferredHosts", 99)
    assert list(presenter.unsaved) == ["b"], "back to what is kept: nothing to save"
