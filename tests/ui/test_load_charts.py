"""Host load: peaks survive decimation, only what is seen is drawn, and a frame is cheap."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from hpconsole.ui.load_charts.decimate import decimate
from hpconsole.ui.load_charts.dock import LoadPanel
from hpconsole.ui.theme import DARK, LIGHT
from tests.builders import a_host, a_snapshot
from tests.ui.fakes import FakeHistory


def test_peaks_survive_decimation() -> None:
    seconds = np.arange(3600.0)
    values = np.zeros(3600)
    values[1777] = 100.0
    values[2001] = -5.0
    few_seconds, few = decimate(seconds, values, 300)
    assert len(few) <= 610
    assert few.max() == 100.0
    assert few.min() == -5.0
    assert few_seconds[few.argmax()] == 1777
    assert (np.diff(few_seconds) >= 0).all()


def test_a_gap_stays_a_gap() -> None:
    values = np.ones(3600)
    values[1000:1500] = np.nan
    few_seconds, few = decimate(np.arange(3600.0), values, 300)
    assert np.isnan(few[(few_seconds > 1024) & (few_seconds < 1480)]).all()
    assert not np.isnan(few[(few_seconds < 980) | (few_seconds > 1520)]).any()


@given(st.integers(0, 500), st.integers(1, 100))
def test_decimation_keeps_ends_order_and_values(length: int, columns: int) -> None:
    seconds = np.arange(float(length))
    values = np.sin(seconds * 1.7) * 50
    few_seconds, few = decimate(seconds, values, columns)
    assert len(few) == len(few_seconds) <= max(length, 1)
    assert np.isin(few, values).all()
    if length:
        assert few.max() == values.max()
        assert few.min() == values.min()


class _CountingHistory(FakeHistory):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def series(self, host: str) -> tuple[object, object, object]:
        self.asked.append(host)
        return super().series(host)


def a_panel(qtbot: QtBot) -> tuple[LoadPanel, _CountingHistory]:
    history = _CountingHistory()
    panel = LoadPanel(history)
    qtbot.addWidget(panel)
    panel.resize(1200, 220)
    panel._next_frame.setInterval(0)
    panel.follow(a_snapshot([a_host(f"host-{i}") for i in range(20)]))
    return panel, history


def loaded(qtbot: QtBot, panel: LoadPanel) -> None:
    panel.show()
    panel.set_active(True)
    qtbot.waitUntil(lambda: panel.findChild(QWidget, "load_charts") is not None, timeout=20_000)


def test_nothing_is_loaded_or_drawn_before_it_is_seen(qtbot: QtBot) -> None:
    panel, history = a_panel(qtbot)
    assert panel.findChild(QWidget, "load_charts") is None
    assert history.asked == []
    loaded(qtbot, panel)
    qtbot.waitUntil(lambda: len(history.asked) == 16)
    panel.set_active(False)
    history.asked.clear()
    panel.follow(a_snapshot([a_host("host-1")], serial=2))
    qtbot.waitUntil(lambda: not panel._next_frame.isActive())
    assert history.asked == []
    panel.close_loading()


def test_selected_hosts_are_plotted(qtbot: QtBot) -> None:
    panel, history = a_panel(qtbot)
    loaded(qtbot, panel)
    qtbot.waitUntil(lambda: len(history.asked) == 16)
    history.asked.clear()
    panel.select(["host-3", "host-11"])
    assert history.asked == ["host-3", "host-11"]
    shown = {label.text() for label in panel.findChildren(QLabel) if label.text().startswith("host-")}
    assert {"host-3", "host-11"} <= shown
    panel.set_theme(DARK)
    panel.set_theme(LIGHT)
    panel.close_loading()


def test_a_frame_of_sixteen_curves_is_cheap(qtbot: QtBot) -> None:
    panel, _ = a_panel(qtbot)
    loaded(qtbot, panel)
    qtbot.waitUntil(lambda: len(panel.findChildren(QLabel)) > 16)
    times = []
    for _ in range(6):
        started = time.thread_time()
        panel._draw()
        panel.grab()
        times.append(time.thread_time() - started)
    panel.close_loading()
    assert min(times) < 0.1


@pytest.mark.parametrize("names", [["<b>evil</b>", "host & co"]])
def test_names_are_plain_text(qtbot: QtBot, names: list[str]) -> None:
    panel, _ = a_panel(qtbot)
    panel.follow(a_snapshot([a_host(name) for name in names], serial=2))
    loaded(qtbot, panel)

    def legend() -> list[QLabel]:
        return [label for label in panel.findChildren(QLabel) if label.text() in names]

    qtbot.waitUntil(lambda: len(legend()) == 2)
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in legend())
    panel.close_loading()


def test_the_plots_are_drawn_in_turns(qtbot: QtBot) -> None:
    from hpconsole.ui.load_charts.charts import LoadCharts

    charts = LoadCharts(LIGHT)
    qtbot.addWidget(charts)
    charts.complete()
    history = FakeHistory()

    def lengths() -> list[int]:
        return [len(plot._curves["host-1"].getData()[0]) if plot._curves else 0 for plot in charts._plots]

    charts.plot({"host-1": history.series("host-1")})
    assert lengths()[0] > 0
    assert lengths()[1] == 0, "both at once hold up the window"
    qtbot.waitUntil(lambda: lengths()[1] > 0)
    charts.plot({"host-1": history.series("host-1")})
    charts.plot({})  # its host was deselected before the second plot had its turn
    qtbot.waitUntil(lambda: not charts._waiting)


def test_sixteen_hosts_are_told_apart_and_one_is_pointed_at(qtbot: QtBot) -> None:
    """Colour and dashes differ for each; the one under the pointer stands out, and all are alike again afterwards."""
    from hpconsole.ui.load_charts.charts import LoadCharts

    charts = LoadCharts(LIGHT)
    qtbot.addWidget(charts)
    charts.complete()
    history = FakeHistory()
    charts.plot({f"host-{n:02}": history.series(f"host-{n}") for n in range(16)})
    curves = charts._plots[0]._curves

    def looks() -> list[tuple[str, str, int]]:
        pens = [curve.opts["pen"] for curve in curves.values()]
        return [(pen.color().name(), str(pen.dashPattern()), pen.width()) for pen in pens]

    before = looks()
    assert len(set(before)) == 16
    entry = next(e for e in charts.findChildren(QWidget, "legend_entry") if e.accessibleName() == "host-11")
    entry.pointed.emit("host-11", True)  # type: ignore[attr-defined]  # what the pointer does
    widths = [width for _, _, width in looks()]
    assert widths[11] == max(widths)
    assert widths.count(max(widths)) == 1
    entry.pointed.emit("host-11", False)  # type: ignore[attr-defined]
    assert looks() == before
