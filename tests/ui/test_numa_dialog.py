"""NUMA Topology by mouse, menu and keys: pins per host, what does not fit, undo, and what is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QFrame,
    QLineEdit,
    QMenu,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from hpconsole.core.machines.draft import CpuPinningPolicy, VmDraft
from hpconsole.core.machines.editing import with_hosts, with_node_count, with_policy
from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import NumaMode, VcpuTopology
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.ui.numa.chip_widget import ChipWidget
from hpconsole.ui.numa.dialog import NumaDialog
from hpconsole.ui.numa.presenter import NumaPresenter
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.changes_dialog import ChangesDialog
from hpconsole.ui.widgets.text_label import TextLabel
from tests.builders import a_host, a_snapshot, a_topology, a_vm, virtual_nodes
from tests.ui.gestures import child, click, press, type_text

WAIT_MS = 30_000
GIB = 1 << 20
Opener = Callable[..., NumaDialog]


def hosts() -> list[Host]:
    """A and b have two nodes, b's are small; c has only one; d has eight."""
    return [
        a_host("host-a"),
        a_host("host-b", topology=a_topology(2, 1, 8, 2, mib_per_node=4096, huge_2m=0)),
        a_host("host-c", topology=a_topology(1, 1, 8, 2)),
        a_host("host-d", topology=a_topology(2, 4, 4, 2)),
    ]


def a_draft(name: str = "db", *, chosen: Sequence[str] = ("host-a", "host-c", "host-d"), gib: int = 8) -> VmDraft:
    """4 vCPUs in two virtual nodes, not pinned."""
    draft = VmDraft(
        name=name,
        memory_kib=gib * GIB,
        memory_now_kib=gib * GIB,
        topology=VcpuTopology(cores=4),
        vcpus_now=4,
        virt_type="kvm",
    )
    draft = with_hosts(with_node_count(with_policy(draft, CpuPinningPolicy.NONE), 2), chosen)
    return replace(draft, numa_nodes=tuple(replace(node, mode=NumaMode.STRICT) for node in draft.numa_nodes))


@pytest.fixture
def opened(qtbot: QtBot) -> Opener:
    def open_(
        drafts: Sequence[VmDraft] = (),
        *,
        names: Sequence[str] = ("host-a", "host-b", "host-c", "host-d"),
        **more: object,
    ) -> NumaDialog:
        neighbour = a_vm(
            "neighbour", vcpus=2, memory_mib=2048, virtual_nodes=virtual_nodes(1, vcpus=2, memory_mib=2048, pins=[[1]])
        )
        snapshot: ClusterSnapshot = a_snapshot(hosts(), [neighbour])
        is_for_host = bool(more.get("is_for_host"))
        presenter = NumaPresenter(
            tuple(drafts) or (a_draft(),), snapshot, lambda: DEFAULT_POLICY, hosts=names, is_for_host=is_for_host
        )
        dialog = NumaDialog(presenter, LIGHT)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitExposed(dialog)
        settle(qtbot, dialog)
        return dialog

    return open_


def settle(qtbot: QtBot, dialog: NumaDialog) -> None:
    presenter = dialog._presenter
    qtbot.waitUntil(lambda: not presenter._is_wanted and not presenter._is_computing, timeout=WAIT_MS)


def chip(dialog: NumaDialog, name: str) -> ChipWidget:
    """The chip that is seen; a spanning node has several."""
    QApplication.processEvents()  # what was drawn anew appears with the next turn of the event loop
    return next(found for found in dialog.findChildren(ChipWidget, name) if found.isVisible())


def middle(widget: QWidget) -> QPoint:
    return widget.mapToGlobal(widget.rect().center())


def carry(source: QWidget, place: QPoint, *, drop: bool = True) -> None:
    """Press on a chip and move to a global place."""
    start = source.rect().center()
    QTest.mousePress(source, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(source, start + QPoint(15, 0))
    QTest.mouseMove(source, source.mapFromGlobal(place))
    if drop:
        QTest.mouseRelease(
            source, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, source.mapFromGlobal(place)
        )


def pins(dialog: NumaDialog, draft: int = 0) -> list[tuple[int | None, ...]]:
    return [node.host_nodes for node in dialog._presenter.drafts[draft].numa_nodes]


def node(dialog: NumaDialog, number: int) -> QFrame:
    QApplication.processEvents()
    return next(found for found in dialog.findChildren(QFrame, f"node_{number}") if found.isVisible())


def test_dragging_onto_a_node_pins_and_back_unpins(opened: Opener) -> None:
    dialog = opened()
    carry(chip(dialog, "chip_db_0"), middle(node(dialog, 1)))
    assert pins(dialog) == [(1,), ()]
    carry(chip(dialog, "chip_db_0"), middle(child(dialog, QFrame, "loose_nodes")))
    assert pins(dialog) == [(), ()]


def test_what_cannot_fit_says_so_before_the_drop_and_refuses_it(opened: Opener) -> None:
    dialog = opened([a_draft(chosen=("host-b",), gib=16)], names=("host-b", "host-a"))
    source = chip(dialog, "chip_db_0")
    carry(source, middle(node(dialog, 0)), drop=False)
    said = child(dialog, TextLabel, "numa_remark").text()
    assert said == "Virtual node 0 needs 8 GiB; node 0 of host-b has 4 GiB in all: 4 GiB missing."
    QTest.mouseRelease(source, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, source.rect().center())
    carry(chip(dialog, "chip_db_0"), middle(node(dialog, 0)))
    assert pins(dialog) == [(), ()]
    assert "Nothing was changed" in child(dialog, TextLabel, "numa_remark").text()


def test_pinning_on_several_hosts_of_which_one_does_not_fit(opened: Opener, qtbot: QtBot) -> None:
    dialog = opened(names=("host-a", "host-c", "host-d"))
    assert dialog._presenter.view().host == "host-a", "the first of the specific hosts"
    carry(chip(dialog, "chip_db_0"), middle(node(dialog, 0)))
    carry(chip(dialog, "chip_db_1"), middle(node(dialog, 1)))
    settle(qtbot, dialog)
    tones = {mark.name: mark.tone for mark in dialog._presenter.view().hosts}
    assert tones == {"host-a": Tone.GOOD, "host-c": Tone.BAD, "host-d": Tone.GOOD}
    click(child(dialog, QToolButton, "strip_host-c"))
    assert "host-c" in child(dialog, TextLabel, "numa_reasons").text()
    click(child(dialog, QToolButton, "strip_host-d"))
    click(child(dialog, QCheckBox, "numa_single_host"), QPoint(8, 8))
    carry(chip(dialog, "chip_db_0"), middle(node(dialog, 5)))
    assert pins(dialog) == [(0,), (1,)], "the other hosts keep theirs"
    own = dialog._presenter.drafts[0].per_host
    assert [(item.host, [(p.node_id, p.host_nodes) for p in item.numa]) for item in own] == [("host-d", [(0, (5,))])]
    click(child(dialog, QToolButton, "strip_host-a"))
    assert chip(dialog, "chip_db_0").chip.host_nodes == (0,)


def test_keys_alone(opened: Opener) -> None:
    dialog = opened()
    first = chip(dialog, "chip_db_0")
    first.setFocus(Qt.FocusReason.TabFocusReason)
    press(first, Qt.Key.Key_Right)
    assert pins(dialog)[0] == (0,)
    press(chip(dialog, "chip_db_0"), Qt.Key.Key_Right)
    assert pins(dialog)[0] == (1,)
    press(chip(dialog, "chip_db_0"), Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    assert pins(dialog)[0] == (1, 0), "spanning"
    press(chip(dialog, "chip_db_0"), Qt.Key.Key_Delete)
    assert pins(dialog)[0] == ()
    press(chip(dialog, "chip_db_1"), Qt.Key.Key_1)
    assert pins(dialog) == [(), (1,)]
    press(dialog, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    click(child(dialog, QPushButton, "numa_undo"))
    assert pins(dialog)[1] in ((), (1,))


def test_the_context_menu_pins_splits_and_merges(opened: Opener) -> None:
    dialog = opened()

    def choose(text: str) -> None:
        press(chip(dialog, "chip_db_0"), Qt.Key.Key_Space)
        menu = next(found for found in dialog.findChildren(QMenu, "numa_menu") if found.isVisible())
        entry = next(found for found in menu.actions() if found.text().replace("&", "") == text)
        place = menu.actionGeometry(entry).center()
        QTest.mouseClick(menu, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    choose("Pin to node 1")
    assert pins(dialog)[0] == (1,)
    choose("Split in Two")
    assert [node.vcpus for node in dialog._presenter.drafts[0].numa_nodes] == [(0,), (1,), (2, 3)]
    choose("Merge with 2")
    assert [node.vcpus for node in dialog._presenter.drafts[0].numa_nodes] == [(0, 2, 3), (1,)]


def test_mode_memory_and_vcpus_of_a_node(opened: Opener) -> None:
    dialog = opened()
    mode = child(dialog, QComboBox, "node_mode")
    mode.setFocus()
    press(mode, Qt.Key.Key_Home)
    press(mode, Qt.Key.Key_Down)
    assert dialog._presenter.drafts[0].numa_nodes[0].mode is NumaMode.INTERLEAVE
    memory = child(dialog, QLineEdit, "node_memory")
    memory.selectAll()
    type_text(memory, "3 GiB")
    assert dialog._presenter.drafts[0].numa_nodes[0].memory_kib == 3 * GIB
    vcpus = child(dialog, QLineEdit, "node_vcpus")
    vcpus.selectAll()
    type_text(vcpus, "0-x")
    assert child(dialog, TextLabel, "node_problem").text()
    vcpus.selectAll()
    type_text(vcpus, "0")
    assert dialog._presenter.drafts[0].numa_nodes[0].vcpus == (0,)


def test_a_vcpu_in_two_nodes_is_said_and_not_saved(opened: Opener, qtbot: QtBot) -> None:
    dialog = opened()
    vcpus = child(dialog, QLineEdit, "node_vcpus")
    vcpus.selectAll()
    type_text(vcpus, "0-2")
    settle(qtbot, dialog)
    assert "two virtual nodes" in child(dialog, TextLabel, "numa_remark").text()
    assert not child(dialog, QPushButton, "numa_accept").isEnabled()


def test_auto_assign_shows_the_best_before_it_is_taken(opened: Opener, qtbot: QtBot) -> None:
    dialog = opened(names=("host-d", "host-a"))
    click(child(dialog, QPushButton, "numa_auto"))
    qtbot.waitUntil(lambda: dialog.findChild(ChangesDialog) is not None, timeout=WAIT_MS)
    assert pins(dialog) == [(), ()]
    click(child(child(dialog, ChangesDialog, "changes_dialog"), QPushButton, "changes_accept"))
    first, second = (node.host_nodes[0] for node in dialog._presenter.drafts[0].numa_nodes)
    assert first is not None
    assert second is not None
    assert first // 4 == second // 4, "both on one socket: the shortest distance"
    click(child(dialog, QPushButton, "numa_undo"))
    assert pins(dialog) == [(), ()]
    click(child(dialog, QPushButton, "numa_redo"))
    assert pins(dialog) == [(first,), (second,)]


def test_only_vms_that_may_run_on_the_host_are_listed(opened: Opener) -> None:
    here, elsewhere = a_draft("here", chosen=("host-a",)), a_draft("elsewhere", chosen=("host-d",))
    dialog = opened([replace(here, uuid="u1"), replace(elsewhere, uuid="u2")], is_for_host=True)
    assert chip(dialog, "chip_here_0").isVisible()
    assert {found.chip.vm_name for found in dialog.findChildren(ChipWidget)} == {"here", "neighbour"}
    click(child(dialog, QToolButton, "strip_host-d"))
    assert chip(dialog, "chip_elsewhere_0").isVisible()
    assert {f.chip.vm_name for f in dialog.findChildren(ChipWidget) if f.isVisible()} == {"elsewhere"}


def test_what_is_drawn_is_handed_over(opened: Opener, qtbot: QtBot) -> None:
    dialog = opened([a_draft(chosen=("host-a", "host-d"))])
    accept = child(dialog, QPushButton, "numa_accept")
    assert not accept.isEnabled()
    press(chip(dialog, "chip_db_0"), Qt.Key.Key_1)
    settle(qtbot, dialog)
    qtbot.waitUntil(accept.isEnabled, timeout=WAIT_MS)
    with qtbot.waitSignal(dialog.drafts_accepted, timeout=WAIT_MS) as accepted:
        click(accept)
    (((before, after),),) = accepted.args
    assert before.numa_nodes[0].host_nodes == ()
    assert after.numa_nodes[0].host_nodes == (1,)
