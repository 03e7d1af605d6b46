"""The affinity editor by mouse and keys, on the simulated cluster: the app is asked which groups count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton, QTableView, QTabWidget, QWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.cluster_rules import ClusterRules
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.vm import CpuPinningPolicy, VcpuTopology, VmIntent
from hpconsole.ui.affinity.dialog import AffinityDialog
from hpconsole.ui.affinity.suggestions_page import SuggestionsPage
from hpconsole.ui.main_window.affinity_actions import labels_giver
from hpconsole.ui.main_window.window import MainWindow
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.widgets.member_list import MemberList
from hpconsole.ui.widgets.text_label import TextLabel
from tests.builders import a_snapshot, a_vm
from tests.ui.fakes import FakeConsole
from tests.ui.gestures import child, click, click_row, press, type_text
from tests.ui.machine_cases import WAIT_MS, Shop, shop


@pytest.fixture
def demo(qtbot: QtBot) -> Iterator[Shop]:
    with shop(qtbot) as opened:
        yield opened


def opened(demo: Shop) -> AffinityDialog:
    """The editor with everybody in it."""
    app = demo.app
    dialog = AffinityDialog(
        app.rules,
        lambda: app.store.snapshot,
        LIGHT,
        give_labels=labels_giver(demo.machines, lambda: app.store.snapshot, app.poller.refresh),
    )
    demo.qtbot.addWidget(dialog, before_close_func=lambda _: setattr(dialog, "_is_leaving", True))
    dialog.show()
    demo.qtbot.waitExposed(dialog)
    demo.qtbot.waitUntil(lambda: dialog._survey is not None, timeout=WAIT_MS)
    return dialog


def button(dialog: AffinityDialog, name: str) -> QPushButton:
    return child(dialog, QPushButton, f"affinity_{name}")


def text(dialog: AffinityDialog, name: str) -> str:
    return child(dialog, TextLabel, f"affinity_{name}").text()


def settle(demo: Shop, dialog: AffinityDialog) -> None:
    """Wait until what is edited is judged."""
    demo.qtbot.waitUntil(lambda: dialog._verdict is not None and not dialog._judging.isActive(), timeout=WAIT_MS)


def tick(demo: Shop, dialog: QWidget, which: str, name: str) -> None:
    """Search for somebody, and press Space on the row."""
    search = child(dialog, QLineEdit, f"{which}_search")
    search.clear()
    type_text(search, name)
    view = child(dialog, QWidget, f"{which}_list")
    members = next(part for part in dialog.findChildren(MemberList) if part.view is view)
    model = members.model
    row = next(row for row in range(model.rowCount()) if model.entry_at(row).name == name)
    had = model.entry_at(row).key in model.chosen
    members.view.setCurrentIndex(model.index(row, 0))
    press(members.view, Qt.Key.Key_Space)
    assert (model.entry_at(row).key in model.chosen) is not had


def choose(box: QComboBox, rule: AffinityRule) -> None:
    """By keys."""
    box.setFocus()
    press(box, Qt.Key.Key_Home)
    for _ in range(box.findData(rule.value)):
        press(box, Qt.Key.Key_Down)
    assert box.currentData() == rule.value


def kept(demo: Shop) -> dict[str, AffinityGroup]:
    return {group.name: group for group in demo.app.rules.current().groups}


def save(demo: Shop, dialog: AffinityDialog, name: str) -> None:
    settle(demo, dialog)
    demo.qtbot.waitUntil(button(dialog, "save").isEnabled, timeout=WAIT_MS)
    click(button(dialog, "save"))
    demo.qtbot.waitUntil(lambda: name in kept(demo) and not dialog._drafts.keys, timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: dialog._model.position_of(name) is not None, timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: dialog._selection.keys == (name,), timeout=WAIT_MS)
    settle(demo, dialog)


def make(demo: Shop, dialog: AffinityDialog, name: str, rule: AffinityRule, *vms: str) -> None:
    """A hard group of these VMs, saved."""
    click(button(dialog, "new"))
    type_text(child(dialog, QLineEdit, "affinity_name"), name)
    choose(child(dialog, QComboBox, "affinity_vm_rule"), rule)
    click(child(dialog, QCheckBox, "affinity_vm_hard"))
    for vm in vms:
        tick(demo, dialog, "affinity_vms", vm)
    save(demo, dialog, name)


def test_the_form_waits_for_a_group(demo: Shop) -> None:
    """What is typed belongs to a group that can be seen: a selected one, or the new one after New."""
    dialog = opened(demo)
    name = child(dialog, QLineEdit, "affinity_name")
    assert not name.isEnabled()
    assert text(dialog, "consequence") == "Select a group to change it, or make one with New."
    click(button(dialog, "new"))
    assert name.isEnabled()
    assert name.hasFocus()
    make(demo, dialog, "engines", AffinityRule.NEGATIVE, "trade-engine-1", "trade-engine-2")
    click(button(dialog, "new"))
    dialog.look()  # a poll comes in before a letter was typed
    seen = dialog._survey
    demo.qtbot.waitUntil(lambda: dialog._survey is not seen, timeout=WAIT_MS)
    assert (name.text(), name.isEnabled()) == ("", True), "the new group stays"
    click_row(child(dialog, QTableView, "affinity_table"), 0)
    assert name.text() == "engines"
    click(button(dialog, "remove"))
    demo.qtbot.waitUntil(lambda: not kept(demo) and not name.isEnabled(), timeout=WAIT_MS)


def test_a_group_is_made_changed_removed_and_taken_back(demo: Shop) -> None:
    dialog = opened(demo)
    assert "no affinity group yet" in text(dialog, "summary")
    assert not button(dialog, "save").isEnabled()
    assert button(dialog, "save").toolTip() == "Select a group to change it, or make one with New."
    make(demo, dialog, "engines", AffinityRule.NEGATIVE, "trade-engine-1", "trade-engine-2")
    group = kept(demo)["engines"]
    assert (group.vm_rule, group.is_vm_rule_enforced) == (AffinityRule.NEGATIVE, True)
    assert set(group.vms) == {demo.vm("trade-engine-1").uuid, demo.vm("trade-engine-2").uuid}
    assert "counts from now on" in text(dialog, "remark")

    choose(child(dialog, QComboBox, "affinity_host_rule"), AffinityRule.POSITIVE)
    tick(demo, dialog, "affinity_hosts", "host-02")
    name = child(dialog, QLineEdit, "affinity_name")
    name.setFocus()
    press(name, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    type_text(name, "trading")
    save(demo, dialog, "trading")
    assert set(kept(demo)) == {"trading"}
    assert kept(demo)["trading"].hosts == ("host-02",)
    assert kept(demo)["trading"].host_rule is AffinityRule.POSITIVE

    click(button(dialog, "remove"))
    demo.qtbot.waitUntil(lambda: not kept(demo), timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: "trading is removed" in text(dialog, "remark"), timeout=WAIT_MS)
    click(button(dialog, "undo"))
    demo.qtbot.waitUntil(lambda: "trading" in kept(demo), timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: dialog._selection.keys == ("trading",), timeout=WAIT_MS)


def test_a_contradiction_is_said_at_the_vms_while_it_is_edited(demo: Shop) -> None:
    dialog = opened(demo)
    make(demo, dialog, "pair", AffinityRule.POSITIVE, "web-01", "kafka-1")
    click(button(dialog, "new"))
    type_text(child(dialog, QLineEdit, "affinity_name"), "apart")
    choose(child(dialog, QComboBox, "affinity_vm_rule"), AffinityRule.NEGATIVE)
    hard = child(dialog, QCheckBox, "affinity_vm_hard")
    click(hard)
    tick(demo, dialog, "affinity_vms", "web-01")
    settle(demo, dialog)
    problem = child(dialog, TextLabel, "affinity_problem_vms")
    assert "fewer than two" in problem.text()
    assert button(dialog, "save").isEnabled(), "it may be kept all the same"

    tick(demo, dialog, "affinity_vms", "kafka-1")
    settle(demo, dialog)
    assert problem.isVisible()
    assert "apart keeps kafka-1 and web-01 apart, and pair keeps them together" in problem.text()
    assert not button(dialog, "save").isEnabled()
    assert button(dialog, "save").toolTip() in problem.text()

    click(hard)
    settle(demo, dialog)
    assert not problem.isVisible()
    assert button(dialog, "save").isEnabled()
    name = child(dialog, QLineEdit, "affinity_name")
    press(name, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    type_text(name, "pair")
    settle(demo, dialog)
    assert "already" in child(dialog, TextLabel, "affinity_problem_name").text()
    assert not button(dialog, "save").isEnabled()


def test_only_pinned_vms_are_offered_and_members_stay(demo: Shop) -> None:
    dialog = opened(demo)
    click(button(dialog, "new"))
    tick(demo, dialog, "affinity_vms", "web-01")
    child(dialog, QLineEdit, "affinity_vms_search").clear()
    click(child(dialog, QCheckBox, "affinity_only_pinned"))
    names = {entry.name for entry in dialog._form.vms.model.entries}
    pinned = {vm.name for vm in demo.app.store.snapshot.vms.values() if vm.is_pinned_or_high_performance}
    assert names == pinned | {"web-01"}
    assert "web-01" not in pinned
    assert pinned


def test_what_is_not_saved_is_kept_while_others_are_looked_at_and_pointed_out_on_closing(demo: Shop) -> None:
    for name in ("one", "two"):
        demo.app.rules.save_group(AffinityGroup(name))
    dialog = opened(demo)
    table = child(dialog, QTableView, "affinity_table")
    demo.qtbot.waitUntil(lambda: dialog._model.rowCount() == 2, timeout=WAIT_MS)
    click_row(table, 0)
    type_text(child(dialog, QLineEdit, "affinity_description"), "why")
    click_row(table, 1)
    assert child(dialog, QLineEdit, "affinity_description").text() == ""
    click_row(table, 0)
    assert child(dialog, QLineEdit, "affinity_description").text() == "why"
    press(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    assert "one: changes are not saved" in text(dialog, "remark")
    press(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert kept(demo)["one"].description == ""


def test_a_suggestion_is_read_and_accepted(qtbot: QtBot) -> None:
    intent = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED)
    big = [a_vm(name, vcpus=20, topology=VcpuTopology(2, 10, 1), intent=intent) for name in ("big-1", "big-2")]
    snapshot, rules = a_snapshot(2, [*big, a_vm("plain")]), ClusterRules()
    dialog = AffinityDialog(rules, lambda: snapshot, LIGHT, give_labels=lambda _uuid, _labels: None)
    qtbot.addWidget(dialog)
    dialog.show()
    click(button(dialog, "suggest"))
    page = child(dialog, SuggestionsPage, "affinity_suggestions")
    assert child(dialog, QTabWidget, "affinity_tabs").currentWidget() is page
    accept = child(dialog, QPushButton, "affinity_suggestion_accept")
    qtbot.waitUntil(accept.isEnabled, timeout=WAIT_MS)
    reason = child(dialog, TextLabel, "affinity_suggestion_reason").text()
    assert "big-1 takes 20 CPUs for itself" in reason
    click(accept)
    qtbot.waitUntil(lambda: bool(rules.current().groups), timeout=WAIT_MS)
    (group,) = rules.current().groups
    assert set(group.vms) == {vm.uuid for vm in big}
    assert group.description == reason
    qtbot.waitUntil(lambda: not accept.isEnabled(), timeout=WAIT_MS)
    assert accept.toolTip() == "It is accepted already."
    qtbot.waitUntil(button(dialog, "undo").isVisible, timeout=WAIT_MS)
    click(button(dialog, "undo"))
    qtbot.waitUntil(lambda: not rules.current().groups, timeout=WAIT_MS)
    qtbot.waitUntil(accept.isEnabled, timeout=WAIT_MS)  # it can be accepted again


def test_whoever_goes_to_the_suggestions_by_their_tab_gets_them(qtbot: QtBot) -> None:
    """Before, the page said that there are none without having looked."""
    intent = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED)
    big = [a_vm(name, vcpus=20, topology=VcpuTopology(2, 10, 1), intent=intent) for name in ("big-1", "big-2")]
    snapshot = a_snapshot(2, big)
    dialog = AffinityDialog(ClusterRules(), lambda: snapshot, LIGHT, give_labels=lambda _uuid, _labels: None)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    bar = child(dialog, QTabWidget, "affinity_tabs").tabBar()
    click(bar, bar.tabRect(1).center())
    qtbot.waitUntil(child(dialog, QPushButton, "affinity_suggestion_accept").isEnabled, timeout=WAIT_MS)


def test_labels_are_made_and_given_to_hosts_and_vms(demo: Shop) -> None:
    dialog = opened(demo)
    dialog._tabs.setCurrentIndex(2)
    word = child(dialog, QLineEdit, "affinity_new_label")
    add = child(dialog, QPushButton, "affinity_add_label")
    type_text(word, "rack 1")
    assert not add.isEnabled()
    assert "one word" in add.toolTip()
    word.clear()
    type_text(word, "rack1")
    press(word, Qt.Key.Key_Return)
    assert dialog.isVisible()
    tick(demo, dialog, "affinity_label_hosts", "host-04")
    demo.qtbot.waitUntil(
        lambda: demo.app.rules.current().host_labels == {"host-04": frozenset({"rack1"})}, timeout=WAIT_MS
    )
    tick(demo, dialog, "affinity_label_vms", "web-01")
    demo.qtbot.waitUntil(lambda: demo.vm("web-01").intent.labels == {"rack1"}, timeout=WAIT_MS)
    dialog.look()
    demo.qtbot.waitUntil(lambda: dialog._survey is not None and len(dialog._survey.labels) == 1, timeout=WAIT_MS)
    tick(demo, dialog, "affinity_label_hosts", "host-04")
    demo.qtbot.waitUntil(lambda: not demo.app.rules.current().host_labels.get("host-04"), timeout=WAIT_MS)


def test_a_broken_group_names_who_breaks_it(demo: Shop) -> None:
    vms = [vm for vm in demo.app.store.snapshot.vms.values() if vm.is_running_somewhere]
    one = vms[0]
    other = next(vm for vm in vms if vm.host != one.host)
    group = AffinityGroup("pair", vm_rule=AffinityRule.POSITIVE, is_vm_rule_enforced=True, vms=(one.uuid, other.uuid))
    demo.app.rules.save_group(replace(group, vms=(*group.vms, "gone")))
    demo.app.rules.save_group(replace(group, name="twins"))
    dialog = opened(demo)
    demo.qtbot.waitUntil(lambda: dialog._model.rowCount() == 2, timeout=WAIT_MS)
    rows = {row.key: row for row in dialog._model.shown_rows()}
    assert rows["pair"].standing[0] == "1 member gone"
    assert one.name in rows["twins"].standing[0]
    assert "broken now" in text(dialog, "summary")


def test_the_window_opens_the_editor_by_its_shortcut(qtbot: QtBot, window: MainWindow, console: FakeConsole) -> None:
    snapshot = a_snapshot(2, [a_vm("one"), a_vm("two", host="host-b")])
    group = AffinityGroup("pair", vm_rule=AffinityRule.POSITIVE, vms=tuple(snapshot.vms))
    console.rules.save_group(group)
    console.store.publish(snapshot)
    press(window.frame, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    assert window.frame.cursor().shape() is Qt.CursorShape.BusyCursor, "the key was heard"
    qtbot.waitUntil(lambda: bool(window.frame.findChildren(AffinityDialog)), timeout=WAIT_MS)
    assert window.frame.cursor().shape() is Qt.CursorShape.ArrowCursor
    dialog = window.frame.findChildren(AffinityDialog)[0]
    qtbot.waitUntil(lambda: dialog._model.rowCount() == 1, timeout=WAIT_MS)
    assert dialog._model.row_at(0).standing[0] == "broken by one and two"
    press(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.frame.findChildren(AffinityDialog), timeout=WAIT_MS)


def test_an_answer_about_what_was_there_before_is_not_shown(demo: Shop) -> None:
    dialog = opened(demo)
    click(button(dialog, "new"))
    dialog._judge()
    type_text(child(dialog, QLineEdit, "affinity_name"), "x")
    settle(demo, dialog)
    assert not child(dialog, TextLabel, "affinity_problem_name").isVisible()
