"""Templates and pools by mouse and keys on the simulated cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox, QLineEdit, QPushButton, QSpinBox, QTableWidget
from pytestqt.qtbot import QtBot

from hpconsole.core.machines.draft import CpuPinningPolicy, OptimizedFor
from hpconsole.core.machines.templates import instantiate
from hpconsole.ui.pools.dialog import PoolsDialog
from hpconsole.ui.templates.dialog import TemplatesDialog
from hpconsole.ui.templates.make_dialog import MakeTemplateDialog
from hpconsole.ui.templates.shelf import Shelf
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.vm_editor.dialog import VmEditorDialog
from hpconsole.ui.vm_editor.presenter import VmEditorPresenter
from hpconsole.ui.widgets.text_label import TextLabel
from tests.ui.gestures import child, click, type_text
from tests.ui.machine_cases import WAIT_MS, Shop, shop

PINNED = "trade-engine-1"


@pytest.fixture
def demo(qtbot: QtBot) -> Iterator[Shop]:
    with shop(qtbot) as opened:
        yield opened


@pytest.fixture
def shelf(demo: Shop) -> Shelf:
    return Shelf(lambda: demo.app.documents, demo.app.pool, demo.machines, lambda: demo.app.store.snapshot)


def make_template(demo: Shop, shelf: Shelf, name: str) -> None:
    """By the dialog, from the pinned VM."""
    vm = demo.vm(PINNED)
    dialog = MakeTemplateDialog(vm, lambda n, text, full: shelf.make(vm, n, text, with_content=full), LIGHT)
    demo.qtbot.addWidget(dialog)
    dialog.show()
    field = child(dialog, QLineEdit, "template_name")
    field.selectAll()
    type_text(field, "a/b")
    assert not child(dialog, QPushButton, "template_accept").isEnabled()
    assert child(dialog, TextLabel, "template_remark").text()
    field.selectAll()
    type_text(field, name)
    with demo.qtbot.waitSignal(dialog.made, timeout=WAIT_MS):
        click(child(dialog, QPushButton, "template_accept"))


def templates_dialog(demo: Shop, shelf: Shelf) -> TemplatesDialog:
    dialog = TemplatesDialog(shelf, LIGHT)
    demo.qtbot.addWidget(dialog)
    dialog.show()
    table = child(dialog, QTableWidget, "templates_table")
    demo.qtbot.waitUntil(lambda: table.rowCount() == 1, timeout=WAIT_MS)
    return dialog


def test_a_template_keeps_the_pinning_and_a_vm_from_it_gets_its_own_cores(demo: Shop, shelf: Shelf) -> None:
    make_template(demo, shelf, "trading")
    dialog = templates_dialog(demo, shelf)
    assert "Keep the shape" in child(dialog, TextLabel, "template_detail").text()
    assert child(dialog, QLineEdit, "template_vm_name").text() == "trading-1"
    with demo.qtbot.waitSignal(dialog.use_wanted, timeout=WAIT_MS) as wanted:
        click(child(dialog, QPushButton, "template_use"))
    template, name = wanted.args
    draft = instantiate(shelf.template(template), name)
    assert draft.cpu_pinning_policy is CpuPinningPolicy.KEEP_SHAPE
    assert draft.optimized_for is OptimizedFor.HIGH_PERFORMANCE
    presenter = VmEditorPresenter(
        draft, demo.app.store.snapshot, lambda: demo.app.policy, demo.app.reservations, host="host-02"
    )
    editor = VmEditorDialog(presenter, demo.machines, LIGHT)
    demo.qtbot.addWidget(editor)
    editor.show()
    demo.settle(editor)
    child(editor, QPushButton, "editor_save")
    editor._start.setChecked(True)
    with demo.qtbot.waitSignal(editor.saved, timeout=WAIT_MS):
        demo.qtbot.waitUntil(child(editor, QPushButton, "editor_save").isEnabled, timeout=WAIT_MS)
        click(child(editor, QPushButton, "editor_save"))
    demo.app.poller.refresh()
    demo.qtbot.waitUntil(lambda: demo.has("trading-1") and demo.vm("trading-1").state.is_active, timeout=WAIT_MS)
    mine, first = demo.vm("trading-1"), demo.vm(PINNED)
    assert mine.host == first.host
    assert mine.pinning.all_vcpu_cpus.isdisjoint(first.pinning.all_vcpu_cpus)
    assert len(mine.pinning.all_vcpu_cpus) == len(first.pinning.all_vcpu_cpus)


def test_a_template_goes_out_and_comes_back_as_a_file(demo: Shop, shelf: Shelf, tmp_path: Path) -> None:
    make_template(demo, shelf, "trading")
    dialog = templates_dialog(demo, shelf)
    before = shelf.template("trading")
    path = tmp_path / "trading.json"
    dialog._export_to("trading", str(path))
    remark = child(dialog, TextLabel, "templates_remark")
    demo.qtbot.waitUntil(lambda: "was written" in remark.text(), timeout=WAIT_MS)
    assert json.loads(path.read_text())["name"] == "trading"
    remove = child(dialog, QPushButton, "template_remove")
    click(remove)
    assert shelf.template("trading") == before, "it asks first"
    click(remove)
    table = child(dialog, QTableWidget, "templates_table")
    demo.qtbot.waitUntil(lambda: table.rowCount() == 0, timeout=WAIT_MS)
    dialog.import_from(str(path))
    demo.qtbot.waitUntil(lambda: table.rowCount() == 1, timeout=WAIT_MS)
    assert shelf.template("trading") == before
    path.write_text('{"format": "other"}')
    dialog.import_from(str(path))
    demo.qtbot.waitUntil(lambda: "no template" in remark.text(), timeout=WAIT_MS)


def test_pools_without_a_template_say_how_to_make_one(demo: Shop, shelf: Shelf) -> None:
    dialog = PoolsDialog(shelf, LIGHT)
    demo.qtbot.addWidget(dialog)
    remark = child(dialog, TextLabel, "pools_remark")
    demo.qtbot.waitUntil(lambda: "“Make Template…”" in remark.text(), timeout=WAIT_MS)
    dialog.reject()


def test_a_pool_of_four(demo: Shop, shelf: Shelf) -> None:
    make_template(demo, shelf, "trading")
    dialog = PoolsDialog(shelf, LIGHT)
    demo.qtbot.addWidget(dialog)
    dialog.show()
    box = child(dialog, QComboBox, "pool_template")
    demo.qtbot.waitUntil(lambda: box.count() == 1, timeout=WAIT_MS)
    type_text(child(dialog, QLineEdit, "pool_name"), "desk")
    size = child(dialog, QSpinBox, "pool_size")
    size.selectAll()
    type_text(size, "4")
    started = child(dialog, QSpinBox, "pool_prestarted")
    started.selectAll()
    type_text(started, "2")
    pattern = child(dialog, QLineEdit, "pool_pattern")
    type_text(pattern, "desk")
    assert "needs {n}" in child(dialog, TextLabel, "pools_remark").text()
    assert not child(dialog, QPushButton, "pool_save").isEnabled()
    type_text(pattern, "-{n}")
    with demo.qtbot.waitSignal(dialog.filled, timeout=WAIT_MS) as filled:
        click(child(dialog, QPushButton, "pool_save"))
    assert [saved.name for saved in filled.args[0].made] == ["desk-1", "desk-2", "desk-3", "desk-4"], filled.args[0]
    demo.app.poller.refresh()
    demo.qtbot.waitUntil(lambda: all(demo.has(f"desk-{n}") for n in range(1, 5)), timeout=WAIT_MS)
    demo.qtbot.waitUntil(lambda: sum(demo.vm(f"desk-{n}").state.is_active for n in range(1, 5)) == 2, timeout=WAIT_MS)
    table = child(dialog, QTableWidget, "pools_table")
    demo.qtbot.waitUntil(lambda: table.rowCount() == 1, timeout=WAIT_MS)
    dialog.refresh(None)
    demo.qtbot.waitUntil(lambda: table.model().index(0, 2).data() == "4 of 4", timeout=WAIT_MS)
    running = [demo.vm(f"desk-{n}") for n in range(1, 5) if demo.vm(f"desk-{n}").state.is_active]
    if running[0].host == running[1].host:
        assert running[0].pinning.all_vcpu_cpus.isdisjoint(running[1].pinning.all_vcpu_cpus)
