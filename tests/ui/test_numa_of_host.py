"""NUMA Topology of a host by mouse and keys: several VMs saved in one step, on the simulated cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from hpconsole.core.machines import editing
from hpconsole.core.machines.draft import VmDraft
from hpconsole.ui.numa.dialog import NumaDialog
from hpconsole.ui.numa.presenter import NumaPresenter
from hpconsole.ui.numa.survey import Changed, Written, written
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.vm_editor.changes_dialog import ChangesDialog
from hpconsole.ui.widgets.text_label import TextLabel
from tests.ui.gestures import child, click, press
from tests.ui.machine_cases import WAIT_MS, Shop, shop
from tests.ui.test_numa_dialog import chip, settle

HOST = "host-01"
NAMES = ("fresh-1", "fresh-2")


@pytest.fixture
def demo(qtbot: QtBot) -> Iterator[Shop]:
    with shop(qtbot) as opened:
        yield opened


def drafts(demo: Shop) -> tuple[VmDraft, ...]:
    """Two VMs of two virtual nodes each, on a host of two."""
    for name in NAMES:
        draft = demo.new(name)._presenter.draft
        draft = editing.with_hosts(editing.with_node_count(editing.with_vcpus(draft, 4), 2), [HOST])
        demo.machines.create(HOST, draft, start=False)
    demo.app.poller.refresh()
    demo.qtbot.waitUntil(lambda: all(demo.has(name) for name in NAMES), timeout=WAIT_MS)
    return tuple(demo.draft(name) for name in NAMES)


def opened(demo: Shop, of: tuple[VmDraft, ...]) -> NumaDialog:
    app = demo.app
    presenter = NumaPresenter(
        of, app.store.snapshot, lambda: app.policy, app.reservations, hosts=[HOST], is_for_host=True
    )
    places = {draft.uuid: HOST for draft in of}

    def write(changed: Changed) -> Written:
        return written(changed, demo.machines, places)

    dialog = NumaDialog(presenter, LIGHT, write=write)
    demo.qtbot.addWidget(dialog)
    dialog.show()
    demo.qtbot.waitExposed(dialog)
    settle(demo.qtbot, dialog)
    return dialog


def ask(demo: Shop, dialog: NumaDialog) -> ChangesDialog:
    """Press Save, and the question that comes."""
    accept = child(dialog, QPushButton, "numa_accept")
    demo.qtbot.waitUntil(accept.isEnabled, timeout=WAIT_MS)
    click(accept)
    demo.qtbot.waitUntil(lambda: dialog.findChild(ChangesDialog) is not None, timeout=WAIT_MS)
    return child(dialog, ChangesDialog, "changes_dialog")


def bound(demo: Shop) -> list[tuple[int | None, ...]]:
    return [demo.draft(name).numa_nodes[0].host_nodes for name in NAMES]


def test_one_question_for_all_and_then_all_are_written(demo: Shop) -> None:
    dialog = opened(demo, drafts(demo))
    for name in NAMES:
        press(chip(dialog, f"chip_{name}_0"), Qt.Key.Key_1)
    settle(demo.qtbot, dialog)
    question = ask(demo, dialog)
    difference = child(question, QPlainTextEdit, "changes_difference").toPlainText()
    assert difference.count("+") > 2
    assert all(name in difference for name in NAMES)
    assert bound(demo) == [(), ()], "nothing is written before the answer"
    press(question, Qt.Key.Key_Escape)
    assert bound(demo) == [(), ()]
    demo.qtbot.waitUntil(lambda: dialog.findChild(ChangesDialog) is None, timeout=WAIT_MS)
    question = ask(demo, dialog)
    with demo.qtbot.waitSignal(dialog.drafts_accepted, timeout=WAIT_MS):
        click(child(question, QPushButton, "changes_accept"))
    assert bound(demo) == [(1,), (1,)]


def test_one_that_somebody_else_changed_stops_all_before_anything_is_written(demo: Shop) -> None:
    before = drafts(demo)
    dialog = opened(demo, before)
    for name in NAMES:
        press(chip(dialog, f"chip_{name}_0"), Qt.Key.Key_1)
    settle(demo.qtbot, dialog)
    question = ask(demo, dialog)
    demo.machines.save(HOST, before[1], replace(before[1], title="somebody else's"))
    click(child(question, QPushButton, "changes_accept"))
    remark = child(dialog, TextLabel, "numa_remark")
    demo.qtbot.waitUntil(lambda: "somebody else" in remark.text(), timeout=WAIT_MS)
    assert "fresh-2" in remark.text()
    assert "Nothing was saved" in remark.text()
    assert dialog.isVisible()
    assert bound(demo) == [(), ()], "checked before anything is written"
