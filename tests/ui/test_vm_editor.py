"""New VM and Edit VM by mouse and keys, on the simulated cluster: what is saved is asked from the hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTableWidget,
    QWidget,
)
from pytestqt.qtbot import QtBot

from hpconsole.core.machines.draft import CpuPinningPolicy, MigrationMode, OptimizedFor
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.changes_dialog import ChangesDialog
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.fields import Tab
from hpconsole.ui.widgets.text_label import TextLabel
from tests.ui.gestures import child, click, press, type_text
from tests.ui.machine_cases import WAIT_MS, Shop, shop

PLAIN = "web-01"


@pytest.fixture
def demo(qtbot: QtBot) -> Iterator[Shop]:
    with shop(qtbot) as opened:
        yield opened


def choose(box: QComboBox, text: str) -> None:
    """By keys: type the beginning of the entry."""
    box.setFocus()
    place = box.findText(text)
    assert place >= 0, f"{text} is not offered"
    press(box, Qt.Key.Key_Home)
    for _ in range(place):
        press(box, Qt.Key.Key_Down)
    assert box.currentText() == text


def demo_mode(dialog: VmEditorDialog) -> MigrationMode:
    return dialog._presenter.draft.migration_mode


def save(demo: Shop, dialog: VmEditorDialog) -> None:
    """Press Save, and wait until it is done."""
    demo.settle(dialog)
    button = child(dialog, QPushButton, "editor_save")
    demo.qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)
    with demo.qtbot.waitSignal(dialog.saved, timeout=WAIT_MS):
        click(button)


def test_choosing_high_performance_and_saving(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    choose(child(dialog, QComboBox, "field_optimized_for"), "High Performance")
    demo.settle(dialog)
    draft = dialog._presenter.draft
    assert draft.migration_mode is MigrationMode.MANUAL
    assert draft.is_headless
    assert not draft.has_balloon
    assert child(dialog, QWidget, "performance_panel").isVisible()
    changes = child(dialog, TextLabel, "profile_changes").text()
    assert "Memory balloon: off, was on" in changes
    demo.go(dialog, Tab.RESOURCES)
    assert (
        "was on"
        in child(dialog, TextLabel, "mark_has_balloon").toolTip()
        + dialog.findChildren(TextLabel, "mark_has_balloon")[0].accessibleName()
    )
    save(demo, dialog)
    after = demo.draft(PLAIN)
    assert after.optimized_for is OptimizedFor.HIGH_PERFORMANCE
    assert after.migration_mode is MigrationMode.MANUAL
    assert after.is_passthrough_cpu

    again = demo.edit(PLAIN)
    choose(child(again, QComboBox, "field_optimized_for"), "Server")
    save(demo, again)
    assert demo.draft(PLAIN).has_balloon, "what nobody touched since is restored, also after a save"


def test_one_button_fills_in_all_advice_and_shows_it_before(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    choose(child(dialog, QComboBox, "field_optimized_for"), "High Performance")
    demo.settle(dialog)
    before = dialog._presenter.draft
    click(child(dialog, QPushButton, "fill_all"))
    demo.qtbot.waitUntil(lambda: dialog.findChild(ChangesDialog) is not None, timeout=WAIT_MS)
    preview = child(dialog, ChangesDialog, "changes_dialog")
    assert dialog._presenter.draft == before, "nothing is filled in silently"
    assert "+" in child(preview, QPlainTextEdit, "changes_difference").toPlainText()
    click(child(preview, QPushButton, "changes_accept"))
    demo.settle(dialog)
    draft = dialog._presenter.draft
    assert draft.numa_nodes
    assert draft.cpu_pinning_policy is not CpuPinningPolicy.NONE
    assert all(item.is_done or item.obstacle for item in dialog._presenter.view().advice)
    save(demo, dialog)
    assert [(n.memory_kib, n.vcpus, n.host_nodes) for n in demo.draft(PLAIN).numa_nodes] == [
        (n.memory_kib, n.vcpus, n.host_nodes) for n in draft.numa_nodes
    ]


def test_a_mode_chosen_by_hand_stays_and_is_cautioned_about(demo: Shop) -> None:
    dialog = demo.edit("trade-engine-1")
    demo.go(dialog, Tab.HOST)
    choose(child(dialog, QComboBox, "field_migration_mode"), "Allow manual and automatic migration")
    demo.settle(dialog)
    assert "Automatic migration" in child(dialog, TextLabel, "mode_caution").text()
    choose(child(dialog, QComboBox, "field_optimized_for"), "Server")
    choose(child(dialog, QComboBox, "field_optimized_for"), "High Performance")
    demo.settle(dialog)
    assert demo_mode(dialog) is MigrationMode.AUTOMATIC
    click(child(dialog, QPushButton, "take_suggestion"))
    assert demo_mode(dialog) is MigrationMode.MANUAL


def test_pinning_by_hand_is_saved(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    demo.go(dialog, Tab.HOST)
    table = child(dialog, QTableWidget, "vm_hosts")
    box = table.visualRect(table.model().index(0, 0))
    click(table.viewport(), QPoint(box.left() + 12, box.center().y()))
    demo.settle(dialog)
    assert dialog._presenter.draft.allowed_hosts == ("host-01",)
    demo.go(dialog, Tab.PINNING)
    choose(child(dialog, QComboBox, "field_cpu_pinning_policy"), "Manual")
    type_text(child(dialog, QLineEdit, "pinning_text"), "0#8_1#40")
    type_text(child(dialog, QLineEdit, "emulator_text"), "9")
    save(demo, dialog)
    assert demo.draft(PLAIN).pinning_text == "0#8_1#40"
    assert demo.draft(PLAIN).migration_mode is MigrationMode.MANUAL, "pinned: the default follows"
    assert "<emulatorpin cpuset='9'/>" in demo.definition(PLAIN).replace('"', "'")


def test_hosts_are_judged_while_one_edits(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    demo.go(dialog, Tab.SYSTEM)
    field = child(dialog, QLineEdit, "field_memory_kib")
    field.selectAll()
    type_text(field, "400 GiB")
    demo.go(dialog, Tab.HOST)
    lines = {line.name: line for line in dialog._presenter.view().hosts}
    assert lines["host-07"].tone is Tone.BAD
    assert "are needed" in lines["host-07"].verdict
    assert any(character.isdigit() for character in lines["host-07"].verdict), "with its numbers"


BAD = (
    (Tab.GENERAL, "field_name", "a/b", "problem_name"),
    (Tab.GENERAL, "field_name", "x" * 300, "problem_name"),
    (Tab.GENERAL, "field_name", 'shop "9"', "problem_name"),
    (Tab.GENERAL, "field_name", "it's", "problem_name"),
    (Tab.GENERAL, "field_name", "<b>web</b>", "problem_name"),
    (Tab.GENERAL, "field_name", "web\N{ROCKET}", "problem_name"),
    (Tab.GENERAL, "field_name", "", "problem_name"),
    (Tab.SYSTEM, "field_memory_kib", "many", "problem_memory_kib"),
    (Tab.SYSTEM, "field_memory_kib", "0", "problem_memory_kib"),
    (Tab.SYSTEM, "field_memory_kib", "99999999 TiB", "problem_memory_kib"),
)


def test_bad_input_is_said_at_the_field_and_nothing_is_written(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    before = demo.definition(PLAIN)
    for tab, field, text, problem in BAD:
        demo.go(dialog, tab)
        edit = child(dialog, QLineEdit, field)
        good = edit.text()
        edit.selectAll()
        press(edit, Qt.Key.Key_Delete)
        if text.isascii():
            type_text(edit, text)
        else:  # no key has it: it comes from an input method
            typed = QInputMethodEvent()
            typed.setCommitString(text)
            QApplication.sendEvent(edit, typed)
        assert edit.text() == text
        demo.settle(dialog)
        label = child(dialog, TextLabel, problem)
        assert label.isVisible(), text
        assert label.text().endswith("."), label.text()
        assert not child(dialog, QPushButton, "editor_save").isEnabled()
        press(edit, Qt.Key.Key_Return)
        assert dialog.isVisible()
        edit.selectAll()
        type_text(edit, good)
        demo.settle(dialog)
        assert not label.isVisible(), f"{good!r} is as it was"
    assert demo.definition(PLAIN) == before


def bomb(levels: int = 12) -> str:
    """A billion laughs: a few hundred characters that an eager parser makes 10 ** levels of."""
    laughs = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, levels))
    return f"<!DOCTYPE d [<!ENTITY e0 'ha'>{laughs}]><domain><name>&e{levels - 1};</name></domain>"


BAD_XML = (
    bomb(),
    "<!DOCTYPE domain SYSTEM 'http://127.0.0.1:9/x.dtd'><domain><name>x</name></domain>",
    "<domain",
    "not xml at all",
    "<!DOCTYPE d [<!ENTITY a 'b'><!ENTITY c '&a;&a;&a;'>]><domain><name>&c;</name></domain>",
    "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>",
)


def test_bad_xml_is_said_below_and_changes_nothing(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    before, written = dialog._presenter.draft, demo.definition(PLAIN)
    demo.go(dialog, Tab.XML)
    edit, problem = child(dialog, QPlainTextEdit, "xml_text"), child(dialog, TextLabel, "problem_xml")
    for text in BAD_XML:
        edit.setPlainText(text)
        demo.qtbot.waitUntil(lambda: bool(problem.text()), timeout=WAIT_MS)
        assert problem.isVisible()
        assert problem.text().endswith("."), problem.text()
        assert "root:" not in problem.text(), "no file was read"
        assert not child(dialog, QPushButton, "editor_save").isEnabled()
        click(child(dialog, QPushButton, "xml_forget"))
        demo.settle(dialog)
        assert edit.toPlainText() == before.xml
        assert dialog._presenter.draft == before
    assert demo.definition(PLAIN) == written


def test_xml_and_fields_are_one(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    demo.go(dialog, Tab.XML)
    edit = child(dialog, QPlainTextEdit, "xml_text")
    text = edit.toPlainText()
    assert text == dialog._presenter.before.xml
    edit.setPlainText(text.replace("</name>", "</name><title>Shop window</title>"))
    demo.qtbot.waitUntil(lambda: dialog._presenter.draft.title == "Shop window", timeout=WAIT_MS)
    demo.go(dialog, Tab.GENERAL)
    assert child(dialog, QLineEdit, "field_title").text() == "Shop window"
    save(demo, dialog)
    assert demo.draft(PLAIN).title == "Shop window"


def test_what_takes_effect_when_is_said(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    demo.go(dialog, Tab.SYSTEM)
    field = child(dialog, QLineEdit, "field_memory_kib")
    field.selectAll()
    type_text(field, "6 GiB")
    demo.settle(dialog)
    assert "next start" in dialog.findChildren(TextLabel, "mark_memory_kib")[0].accessibleName()
    assert "next start" in child(dialog, TextLabel, "editor_remark").text()
    click(child(dialog, QPushButton, "editor_changes"))
    demo.qtbot.waitUntil(lambda: dialog.findChild(ChangesDialog) is not None, timeout=WAIT_MS)
    preview = child(dialog, ChangesDialog, "changes_dialog")
    assert "6291456" in child(preview, QPlainTextEdit, "changes_difference").toPlainText()
    press(preview, Qt.Key.Key_Escape)


def test_undo_and_redo(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    before = dialog._presenter.draft
    type_text(child(dialog, QLineEdit, "field_title"), "abc")
    assert dialog._presenter.draft.title == "abc"
    dialog._presenter.undo()
    assert dialog._presenter.draft == before, "one field, one step"
    dialog._presenter.redo()
    assert dialog._presenter.draft.title == "abc"


def test_a_new_vm_is_made_and_started(demo: Shop) -> None:
    dialog = demo.new("")
    field = child(dialog, QLineEdit, "field_name")
    assert field.hasFocus(), "who makes a VM types its name first"
    assert not child(dialog, QPushButton, "editor_save").isEnabled(), "it has no name"
    type_text(field, "fresh & <new>".replace("<", "").replace(">", "").replace("& ", ""))
    demo.settle(dialog)
    click(child(dialog, QCheckBox, "editor_start"), QPoint(8, 8))
    save(demo, dialog)
    demo.app.poller.refresh()
    demo.qtbot.waitUntil(lambda: demo.has("fresh new"), timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: demo.vm("fresh new").state.is_active, timeout=WAIT_MS)


def test_every_tab_by_keys(demo: Shop) -> None:
    dialog = demo.edit(PLAIN)
    seen = []
    for _ in Tab:
        seen.append(child(dialog, QWidget, "editor_pages").property("currentIndex"))
        press(dialog, Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    assert seen == list(range(len(Tab)))
