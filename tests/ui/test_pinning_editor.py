"""Pinning by text, by mouse and by keys: three views of one value."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, VmLoad
from hpconsole.ui.migrate.picture import TileKind
from hpconsole.ui.pinning.board import neighbours
from hpconsole.ui.pinning.board_view import BoardView
from hpconsole.ui.pinning.editor import PinningEditor
from hpconsole.ui.pinning.presenter import PinningPresenter
from hpconsole.ui.pinning.thread_list import ThreadList
from hpconsole.ui.theme import ThemeKeeper
from hpconsole.ui.widgets.text_label import TextLabel
from tests.builders import a_host, a_topology
from tests.ui.gestures import child, click, press, type_text
from tests.ui.migrate_cases import trade_engine

Opener = Callable[..., PinningEditor]


def a_presenter(vcpus: int = 4, policy: CpuPinningPolicy = CpuPinningPolicy.MANUAL) -> PinningPresenter:
    """4 vCPUs and an IO thread; on host-a the trade engine is pinned to 2, 10, 18 and 26 already."""
    neighbour = trade_engine()
    hosts = {"host-a": a_host("host-a"), "host-b": a_host("host-b", topology=a_topology(2, 2, 8, 2))}
    loads = {neighbour.uuid: VmLoad(cpu_pct=200.0)}
    others = {name: neighbours(host, [neighbour], loads) for name, host in hosts.items()}
    presenter = PinningPresenter()
    presenter.set_vm(vcpus, (1,), policy)
    presenter.set_hosts(hosts, others, ("host-a", "host-b"))
    return presenter


@pytest.fixture
def opened(qtbot: QtBot, themes: ThemeKeeper) -> Opener:
    def open_(presenter: PinningPresenter | None = None) -> PinningEditor:
        editor = PinningEditor(presenter or a_presenter())
        editor.set_theme(themes.theme)
        qtbot.addWidget(editor)
        editor.resize(1100, 520)
        editor.show()
        qtbot.waitExposed(editor)
        return editor

    return open_


def middle(threads: ThreadList, row: int) -> QPoint:
    return threads.visualRect(threads.model().index(row, 0)).center()


def cell(editor: PinningEditor, row: int) -> str:
    """The CPUs a thread has by the table."""
    return str(child(editor, ThreadList, "pinning_threads").model().index(row, 1).data())


def drag_thread(editor: PinningEditor, row: int, cpu: int) -> None:
    """Carry what is selected in the table, pressed at this row, to a CPU."""
    threads, board = child(editor, ThreadList, "pinning_threads"), child(editor, BoardView, "pinning_board")
    start = middle(threads, row)
    goal = board.place_of(cpu)
    assert goal is not None
    end = threads.viewport().mapFromGlobal(board.mapToGlobal(goal.toPoint()))
    QTest.mousePress(threads.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    for place in (start + QPoint(30, 0), end):
        QTest.mouseMove(threads.viewport(), place)
    QTest.mouseRelease(threads.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)


def drag_on_board(board: BoardView, start: QPoint, end: QPoint) -> None:
    QTest.mousePress(board, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(board, start + QPoint(12, 0))
    QTest.mouseMove(board, end)
    QTest.mouseRelease(board, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)


def test_typing_shows_in_the_picture(opened: Opener) -> None:
    editor = opened()
    field = child(editor, QLineEdit, "pinning_text")
    type_text(field, "0#0_1#16_2#4-5")
    tiles = {tile.cpu_id: tile for tile in editor._presenter.view().board.tiles}  # type: ignore[union-attr]
    assert [tiles[cpu].label for cpu in (0, 16, 4, 5)] == ["0", "1", "2", "2"]
    assert tiles[2].kind is TileKind.TAKEN, "the trade engine has it for itself"
    assert tiles[2].load_share == 0.5, "200 % over four CPUs"
    assert cell(editor, 2) == "4-5"


def test_a_wrong_text_is_said_at_the_field_and_the_picture_keeps_the_last(opened: Opener) -> None:
    editor = opened()
    field, problem = child(editor, QLineEdit, "pinning_text"), child(editor, TextLabel, "pinning_problem")
    type_text(field, "0#1_9#2")
    assert problem.isVisible()
    assert problem.text() == "There is no vCPU 9: the VM has 4, 0 to 3."
    field.selectAll()
    type_text(field, "0#1")
    assert not problem.isVisible()
    type_text(field, "_x")
    assert "not of the form" in problem.text()
    assert editor._presenter.pinning.vcpus == ((0, CpuSet.of([1])),)


def test_a_thread_is_dragged_onto_a_cpu(opened: Opener) -> None:
    editor = opened()
    drag_thread(editor, 1, 5)
    assert child(editor, QLineEdit, "pinning_text").text() == "1#5"


def test_several_threads_dragged_take_cpus_that_follow(opened: Opener) -> None:
    editor = opened()
    threads = child(editor, ThreadList, "pinning_threads")
    click(threads.viewport(), middle(threads, 0))
    last = middle(threads, 3)
    QTest.mouseClick(threads.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, last)
    drag_thread(editor, 2, 4)
    assert child(editor, QLineEdit, "pinning_text").text() == "0#4_1#20_2#5_3#21", "core by core, thread by thread"


def test_a_range_is_selected_and_pinned_by_the_button(opened: Opener) -> None:
    editor = opened()
    board = child(editor, BoardView, "pinning_board")
    first, last = board.place_of(8), board.place_of(25)
    assert first is not None
    assert last is not None
    step = ((board.place_of(9) or first) - first).x()  # from tile to tile: it is as large as the room allows
    free = QPoint(int(first.x() - step / 2), int(first.y()) - 12)  # left of it: no tile
    drag_on_board(board, free, last.toPoint())
    assert board.selected == (8, 24, 9, 25)
    click(child(editor, QPushButton, "pin_all"))
    assert child(editor, QLineEdit, "pinning_text").text() == "0#8-9,24-25"


def test_by_keys_alone(opened: Opener) -> None:
    editor = opened()
    threads, board = child(editor, ThreadList, "pinning_threads"), child(editor, BoardView, "pinning_board")
    threads.setFocus()
    press(threads, Qt.Key.Key_Down)
    press(threads, Qt.Key.Key_Up)
    board.setFocus()
    press(board, Qt.Key.Key_Down)  # CPU 16, the other thread of core 0
    press(board, Qt.Key.Key_Return)
    assert child(editor, QLineEdit, "pinning_text").text() == "0#16"
    press(board, Qt.Key.Key_Up)
    press(board, Qt.Key.Key_Right)
    press(board, Qt.Key.Key_Return)
    assert child(editor, QLineEdit, "pinning_text").text() == "0#16_1#1", "Enter went on to the next vCPU"
    press(board, Qt.Key.Key_Delete)
    assert child(editor, QLineEdit, "pinning_text").text() == "0#16"
    press(editor, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    click(child(editor, QPushButton, "pin_undo"))
    assert child(editor, QLineEdit, "pinning_text").text() in ("0#16_1#1", "0#16")


def test_a_pinned_thread_is_carried_to_another_cpu(opened: Opener) -> None:
    editor = opened()
    type_text(child(editor, QLineEdit, "pinning_text"), "0#0")
    board = child(editor, BoardView, "pinning_board")
    start, end = board.place_of(0), board.place_of(7)
    assert start is not None
    assert end is not None
    drag_on_board(board, start.toPoint(), end.toPoint())
    assert child(editor, QLineEdit, "pinning_text").text() == "0#7"


def test_helpers_on_vcpu_cpus_are_warned_of(opened: Opener) -> None:
    editor = opened()
    type_text(child(editor, QLineEdit, "pinning_text"), "0#0_1#1")
    type_text(child(editor, QLineEdit, "emulator_text"), "0")
    type_text(child(editor, QLineEdit, "iothread_text"), "1#3")
    assert "share CPU 0 with vCPUs" in child(editor, TextLabel, "pinning_remarks").text()
    assert editor._presenter.texts.iothreads == ((1, "3"),)
    tiles = {tile.cpu_id: tile for tile in editor._presenter.view().board.tiles}  # type: ignore[union-attr]
    assert tiles[0].is_overlap
    assert tiles[3].kind is TileKind.HELPER


def test_a_map_for_one_host(opened: Opener) -> None:
    editor = opened()
    type_text(child(editor, QLineEdit, "pinning_text"), "0#0")
    hosts = child(editor, QComboBox, "pinning_host")
    hosts.setFocus()
    press(hosts, Qt.Key.Key_Down)
    assert hosts.currentText() == "host-b"
    click(child(editor, QCheckBox, "pinning_own"), QPoint(8, 8))
    drag_thread(editor, 0, 40)
    assert editor._presenter.texts.own == (("host-b", "0#40"),)
    press(hosts, Qt.Key.Key_Up)
    assert child(editor, QLineEdit, "pinning_text").text() == "0#0"


def test_a_policy_that_computes_shows_what_it_would_take(opened: Opener) -> None:
    presenter = a_presenter(policy=CpuPinningPolicy.DEDICATED)
    presenter.set_preview({"host-a": CpuPinning(((0, CpuSet.of([3])),))})
    editor = opened(presenter)
    drag_thread(editor, 1, 5)
    assert presenter.texts.vcpus == ""
    assert not child(editor, QLineEdit, "pinning_text").isEnabled()
    assert cell(editor, 0) == "3"


def test_4096_vcpus_and_cpu_numbers_beyond_all_bounds_are_quick(opened: Opener, qtbot: QtBot) -> None:
    editor = opened(a_presenter(vcpus=4096))
    field = child(editor, QLineEdit, "pinning_text")
    field.setText("_".join(f"{vcpu}#{vcpu % 32}" for vcpu in range(4096)))
    field.textEdited.emit(field.text())
    type_text(field, "_0#1000000000")
    assert "no CPU number" in child(editor, TextLabel, "pinning_problem").text()


def test_a_key_makes_anew_only_what_it_changes() -> None:
    presenter = a_presenter(vcpus=4096)
    presenter.type_vcpus("_".join(f"{vcpu}#{vcpu % 32}" for vcpu in range(4095)))
    before = presenter.view()
    assert presenter.view() is before, "asked again, nothing is computed again"
    presenter.type_vcpus(presenter.texts.vcpus + "_4095#")
    half = presenter.view()
    assert half.vcpu_problem
    assert half.board is before.board, "half a rule: the map is what it was"
    presenter.type_vcpus(presenter.texts.vcpus + "7")
    after = presenter.view()
    changed = [row for row, line in enumerate(after.lines) if line is not half.lines[row]]
    assert changed == [4095]
    assert after.lines[4095].cpus == "7"
    presenter.show_host("host-b")
    assert presenter.view() is not after
