"""The table: sorts, filters and follows polls, and never loses what the user selected."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QItemSelectionModel, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QPaintEvent, QRegion
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QTableView, QWidget
from pytestqt.qtbot import QtBot

from hpconsole.ui import format as fmt
from hpconsole.ui.theme import LIGHT
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import SHARE_ROLE
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.views import table_view

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


class Row(NamedTuple):
    facts: tuple[str, int | None]
    load: float = 0.0


COLUMNS: tuple[Column[Row], ...] = (
    Column("Name", lambda r: fmt.natural(r.facts[0]), lambda r: r.facts[0], tooltip=lambda r: f"<b>{r.facts[0]}</b>"),
    Column("Size", lambda r: r.facts[1], lambda r: str(r.facts[1] or ""), align=Align.RIGHT),
    Column("Load", lambda r: r.load, lambda r: fmt.pct(r.load), share=lambda r: r.load / 100, is_live=True,
           tone=lambda r: Tone.BAD if r.load > 90 else Tone.NORMAL),
)  # fmt: skip


def key(row: Row) -> str:
    return row.facts[0]


def facts(row: Row) -> object:
    return row.facts


def haystack(row: Row) -> str:
    return f"{row.facts[0]} {row.facts[1]}"


def a_model(rows: list[Row] | None = None) -> TableModel[Row]:
    model: TableModel[Row] = TableModel(
        COLUMNS, lambda r: r.facts[0], facts=lambda r: r.facts, haystack=lambda r: f"{r.facts[0]} {r.facts[1]}"
    )
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    if rows is not None:
        model.set_rows(rows)
    return model


def names(model: TableModel[Row]) -> list[str]:
    return [model.index(i, 0).data() for i in range(model.rowCount())]


def some(*texts: str) -> list[Row]:
    return [Row((text, i)) for i, text in enumerate(texts)]


def shown(qtbot: QtBot, model: TableModel[Row]) -> tuple[QTableView, KeyedSelection]:
    """A table over the model, and what is selected in it."""
    view = table_view(model, "t", "Table")
    qtbot.addWidget(view)
    return view, KeyedSelection(view, model)


def test_sorts_naturally_and_keeps_unknown_last() -> None:
    model = a_model([Row(("vm-10", 3)), Row(("vm-2", None)), Row(("VM-1", 7))])
    assert names(model) == ["VM-1", "vm-2", "vm-10"]
    model.sort(1, DOWN)
    assert names(model) == ["VM-1", "vm-10", "vm-2"]
    model.sort(1, UP)
    assert names(model) == ["vm-10", "VM-1", "vm-2"]


def test_searches_for_all_words_in_any_case() -> None:
    model = a_model(some("web alpha", "web beta", "db alpha"))
    model.search("ALPHA we")
    assert names(model) == ["web alpha"]
    assert model.row_total == 3
    model.search("")
    assert len(names(model)) == 3
    model.search("nowhere")
    assert names(model) == []


def test_one_signal_for_a_poll_that_moves_loads(qtbot: QtBot) -> None:
    known = [(f"vm-{i}", i) for i in range(50)]
    model = a_model([Row(fact, 10) for fact in known])
    seen: list[tuple[int, int, int, int]] = []
    model.dataChanged.connect(lambda a, b: seen.append((a.row(), b.row(), a.column(), b.column())))
    moved: list[str] = []
    model.layoutChanged.connect(lambda: moved.append("layout"))
    model.modelReset.connect(lambda: moved.append("reset"))
    model.set_rows([Row(fact, 20 if 3 <= i <= 7 else 10) for i, fact in enumerate(known)])
    assert seen == [(3, 7, 2, 2)]
    model.set_rows([Row(fact, 20 if 3 <= i <= 7 else 10) for i, fact in enumerate(known)])
    assert len(seen) == 1, "a poll that brings nothing new is silent"
    model.set_rows([Row(("vm-0", 99), 10), *(Row(f, 20 if 3 <= i <= 7 else 10) for i, f in list(enumerate(known))[1:])])
    assert seen[1:] == [(0, 0, 0, 2)]
    assert moved == []


def test_cells_say_what_views_need() -> None:
    model = a_model([Row(("<i>evil</i>", 1), 95)])
    tip = model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "<qt>&lt;b&gt;&lt;i&gt;evil&lt;/i&gt;&lt;/b&gt;</qt>"
    assert model.index(0, 1).data(Qt.ItemDataRole.TextAlignmentRole) & int(Qt.AlignmentFlag.AlignRight)
    assert model.index(0, 2).data(SHARE_ROLE) == pytest.approx(0.95)
    assert model.index(0, 2).data(Qt.ItemDataRole.ForegroundRole) is not None
    assert model.index(0, 2).data(Qt.ItemDataRole.AccessibleTextRole) == "Load: 95 %"


def test_selection_and_current_row_survive_polls_sorting_and_filtering(qtbot: QtBot) -> None:
    model = a_model([Row((f"vm-{i}", i), i) for i in range(100)])
    view, selection = shown(qtbot, model)
    selection.select(["vm-40", "vm-7"])
    current = QPersistentModelIndex(view.currentIndex())
    model.sort(1, DOWN)
    assert set(selection.keys) == {"vm-40", "vm-7"}
    assert selection.current == "vm-40"
    assert current.row() == 59
    model.set_rows([Row((f"vm-{i}", i), 100 - i) for i in range(5, 100)])
    assert set(selection.keys) == {"vm-40", "vm-7"}
    model.search("vm-4")
    assert selection.keys == ("vm-40",)
    model.search("")
    assert set(selection.keys) == {"vm-40", "vm-7"}
    assert selection.current == "vm-40"
    model.set_rows([Row((f"vm-{i}", i), 1) for i in range(8, 100)])
    assert selection.keys == ("vm-40",)


def test_what_a_search_hid_is_forgotten_once_the_user_selects_another_row(qtbot: QtBot) -> None:
    model = a_model([Row((f"vm-{i}", i)) for i in range(100)])
    view, selection = shown(qtbot, model)
    selection.select(["vm-1"])
    model.search("vm-9")
    flags = QItemSelectionModel.SelectionFlag
    view.selectionModel().select(model.index(0, 0), flags.ClearAndSelect | flags.Rows)
    assert selection.keys == ("vm-9",)
    model.search("")
    assert selection.keys == ("vm-9",)


def test_changed_is_told_once_for_a_gesture_and_not_for_a_quiet_poll(qtbot: QtBot) -> None:
    model = a_model([Row((f"vm-{i}", i)) for i in range(10)])
    view, selection = shown(qtbot, model)
    told: list[tuple[str, ...]] = []
    selection.changed.connect(lambda: told.append(selection.keys))
    view.selectRow(3)
    model.set_rows([Row((f"vm-{i}", i), 5) for i in range(10)])
    model.sort(0, DOWN)
    assert told == [("vm-3",)]
    model.set_rows([Row((f"vm-{i}", i), 5) for i in range(3)])
    assert told[1:] == [()]


KEYS = st.lists(st.integers(0, 40), unique=True, max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(polls=st.lists(st.tuples(KEYS, st.sampled_from(["", "1", "vm-2 2"]), st.integers(0, 2)), min_size=1, max_size=6))
def test_any_polls_end_in_the_same_rows_as_a_fresh_table(qtbot: QtBot, polls: list[tuple[list[int], str, int]]) -> None:
    model = a_model()
    held: dict[str, QPersistentModelIndex] = {}
    for keys, text, column in polls:
        rows = [Row((f"vm-{k}", k % 5 or None), k * 7 % 11) for k in sorted(keys)]
        model.set_rows(rows)
        model.search(text)
        model.sort(column, DOWN if column == 1 else UP)
        for name, index in held.items():
            if index.isValid():
                assert model.index(index.row(), 0).data() == name
        held = {name: QPersistentModelIndex(model.index(i, 0)) for i, name in enumerate(names(model))}
        fresh: TableModel[Row] = TableModel(
            COLUMNS, lambda r: r.facts[0], facts=lambda r: r.facts, haystack=lambda r: f"{r.facts[0]} {r.facts[1]}"
        )
        fresh.set_rows(rows)
        fresh.search(text)
        fresh.sort(column, DOWN if column == 1 else UP)
        assert names(model) == names(fresh)


def _sort_next(model: TableModel[Row], column: int, orders: Iterator[Qt.SortOrder]) -> None:
    model.sort(column, next(orders))


def _best_ms(action: Callable[[], None]) -> float:
    times = []
    for _ in range(5):
        gc.collect()
        started = time.thread_time()
        action()
        times.append((time.thread_time() - started) * 1000)
    return min(times)


def test_a_hundred_thousand_rows_are_sorted_and_filtered_at_once(qtbot: QtBot) -> None:
    """The goal is 100 ms of an idle machine: processor time is measured here, the benchmark measures the clock."""
    rng = random.Random(1)
    rows = [Row((f"vm-{rng.randrange(10**9)}-{i}", rng.randrange(10**6)), rng.random() * 100) for i in range(100_000)]
    model: TableModel[Row] = TableModel(
        COLUMNS, lambda r: r.facts[0], facts=lambda r: r.facts, haystack=lambda r: f"{r.facts[0]} {r.facts[1]}"
    )
    model.set_rows(rows)
    view = table_view(model, "t", "Table")
    qtbot.addWidget(view)
    view.resize(1000, 700)
    view.show()
    selection = KeyedSelection(view, model)
    selection.select([model.key_at(5)])
    orders = iter([DOWN, UP] * 10)
    for column in range(3):
        assert _best_ms(partial(_sort_next, model, column, orders)) < 150
    texts = iter(["7", "vm 99", "x", "12 3", "vm-5"] * 2)
    assert _best_ms(lambda: model.search(next(texts))) < 150


class _Painted(QObject):
    """What was drawn of a widget."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.region = QRegion()
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            self.region |= event.region()
        return False


@pytest.mark.parametrize("first", [0, 10, 490])
def test_a_poll_draws_what_changed_and_is_in_sight(qtbot: QtBot, first: int) -> None:
    """Qt itself draws everything in sight where the last changed row is out of sight."""
    rows = [Row((f"vm-{i:03}", i), 1.0) for i in range(500)]
    model = a_model(rows)
    view = table_view(model, "t", "t")
    qtbot.addWidget(view)
    view.resize(600, 300)
    view.show()
    qtbot.waitExposed(view)
    view.verticalScrollBar().setValue(5)
    qtbot.wait(50)
    painted = _Painted(view.viewport())
    model.set_rows([row._replace(load=row.load + (i >= first)) for i, row in enumerate(rows)])
    qtbot.wait(50)
    drawn = painted.region.boundingRect()
    if first == 490:
        assert drawn.isEmpty(), "nothing of it can be seen"
        return
    assert drawn.left() >= view.columnViewportPosition(2), "a column that did not change was drawn"
    assert drawn.top() == max(0, view.rowViewportPosition(first))
    assert drawn.bottom() == view.viewport().rect().bottom()


def test_a_poll_draws_only_the_cells_that_look_new(qtbot: QtBot) -> None:
    rows = [Row((f"vm-{i:03}", i), 10.0) for i in range(500)]
    model = a_model(rows)
    view = table_view(model, "t", "t")
    qtbot.addWidget(view)
    view.resize(600, 300)
    view.show()
    qtbot.waitExposed(view)
    qtbot.wait(50)
    painted = _Painted(view.viewport())
    little = [row._replace(load=10.2) for row in rows]
    model.set_rows([row._replace(load=50.0) if i == 3 else row for i, row in enumerate(little)])
    qtbot.wait(50)
    drawn = painted.region.boundingRect()
    assert (drawn.top(), drawn.height()) == (view.rowViewportPosition(3), view.rowHeight(3)), "10.2 % is shown as 10 %"
    painted.region = QRegion()
    model.set_theme(LIGHT)
    qtbot.wait(50)
    assert painted.region.boundingRect() == view.viewport().rect(), "a theme changes what does not change its values"
