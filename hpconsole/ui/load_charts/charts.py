"""The curves themselves: CPU and memory of up to sixteen hosts over the last hour. The only importer of pyqtgraph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QTimer, Signal
from PySide6.QtGui import QColor, QEnterEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from hpconsole.ui.load_charts.decimate import Curve, decimate
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.scrolled import clear
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_HOUR_S = 3600.0
_BREATH_MS = 30  # between the two plots of a frame: keys, mouse and the paint of the first come in between
_SPANS = (60.0, 300.0, 900.0, _HOUR_S)  # the axis grows with what is known
_LEGEND_ROWS = 8
_DISTINCT = 8  # colours that are told apart without a doubt
_SWATCH = 20

Series = tuple[Curve, Curve, Curve]  # seconds, CPU %, memory %


class _AgoAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Times as so long ago."""

    def tickValues(self, minimum: float, maximum: float, size: float) -> list[tuple[float, list[float]]]:
        span = maximum - minimum
        step = next((s for s in (10.0, 60.0, 300.0, 900.0) if span / s <= 6.5), 900.0)
        return [(step, list(np.arange(0.0, minimum - 0.5, -step)))]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return ["now" if v > -1 else f"{-v:.0f} s" if spacing < 60 else f"{-v / 60:.0f} min" for v in values]


class LoadCharts(QWidget):
    """Two plots side by side, and a legend of the hosts.

    A plot takes tens of milliseconds to make: the second one comes with `complete`, in a turn of its own.
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("load_charts")
        pg.setConfigOptions(antialias=False)
        self.setMinimumWidth(460)
        self._theme = theme
        self._hosts: tuple[str, ...] = ()
        self._waiting: list[Callable[[], None]] = []
        self._next_plot = QTimer(self, singleShot=True, interval=_BREATH_MS)
        self._next_plot.timeout.connect(self._draw_next)
        self._plots = [_Plot("CPU %", "plot_cpu", theme)]
        self._legend = _Legend()
        self._legend.pointed.connect(self._on_pointed)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(10)
        self._layout.addWidget(self._plots[0], 1)
        self._layout.addWidget(self._legend)

    def complete(self) -> None:
        """Make the second plot."""
        memory = _Plot("Memory %", "plot_memory", self._theme)
        memory.set_hosts(self._hosts, self._theme)
        self._plots.append(memory)
        self._layout.insertWidget(1, memory, 1)

    def plot(self, series: Mapping[str, Series]) -> None:
        """Draw these hosts and no others. Cheap enough for every poll: decimated, without anti-aliasing."""
        if tuple(series) != self._hosts:
            self._set_hosts(tuple(series))
        longest = max((-float(seconds[0]) for seconds, _, _ in series.values() if len(seconds)), default=0.0)
        span = next((s for s in _SPANS if longest <= s), _HOUR_S)
        self._waiting = [
            partial(plot.draw, {name: (values[0], values[place]) for name, values in series.items()}, span)
            for place, plot in enumerate(self._plots, start=1)
        ]
        self._draw_next()

    def _draw_next(self) -> None:
        """One plot a turn of the event loop: both together would hold it up for longer than can be felt."""
        if self._waiting:
            self._waiting.pop(0)()
        if self._waiting:
            self._next_plot.start()

    def _on_pointed(self, host: str, is_pointed: bool) -> None:
        for plot in self._plots:
            plot.stress(host if is_pointed else None, self._theme)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        for plot in self._plots:
            plot.set_theme(theme)
        self._set_hosts(self._hosts)

    def _set_hosts(self, hosts: tuple[str, ...]) -> None:
        self._hosts = hosts
        for plot in self._plots:
            plot.set_hosts(hosts, self._theme)
        self._legend.set_hosts(hosts, self._theme)


class _Plot(QWidget):
    """One quantity in percent over the last while."""

    def __init__(self, title: str, name: str, theme: Theme) -> None:
        super().__init__()
        self._curves: dict[str, pg.PlotCurveItem] = {}
        plot = self._plot = pg.PlotWidget(axisItems={"bottom": _AgoAxis("bottom")})
        plot.setObjectName(name)
        plot.setMouseEnabled(False, False)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setYRange(0, 100, padding=0.03)
        plot.setXRange(-60, 0, padding=0)
        plot.showGrid(x=False, y=True, alpha=0.18)
        plot.getAxis("left").setTicks([[(v, str(v)) for v in (25, 50, 75)]])
        plot.getAxis("left").setWidth(34)
        for side in ("left", "bottom"):
            plot.getAxis(side).setStyle(hideOverlappingLabels=24)
        plot.getPlotItem().layout.setContentsMargins(0, 6, 18, 0)
        plot.setMinimumHeight(80)
        plot.setFrameShape(plot.Shape.NoFrame)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(TextLabel(title, tone=Tone.MUTED))
        layout.addWidget(plot, 1)
        self.set_theme(theme)

    def draw(self, curves: Mapping[str, tuple[Curve, Curve]], span_s: float) -> None:
        """Seconds before now (ascending to 0) and percent, for each host."""
        columns = max(50, self._plot.width())
        for name, (seconds, values) in curves.items():
            if name in self._curves and len(seconds):
                points = decimate(seconds, np.asarray(values, dtype=float), columns)
                self._curves[name].setData(*points, connect="finite")
        self._plot.setXRange(-span_s, 0, padding=0)

    def set_hosts(self, hosts: tuple[str, ...], theme: Theme) -> None:
        """A curve for each host, in the theme's colours."""
        for curve in self._curves.values():
            self._plot.removeItem(curve)
        # A curve alone: pyqtgraph's plot() would make a scatter item for each as well, at three times the cost.
        self._curves = {name: pg.PlotCurveItem(pen=_pen(place, theme, Stress.NONE)) for place, name in enumerate(hosts)}
        for curve in self._curves.values():
            self._plot.addItem(curve)

    def stress(self, host: str | None, theme: Theme) -> None:
        """Draw this host's curve strongly and the others faintly; None: all alike."""
        for place, (name, curve) in enumerate(self._curves.items()):
            stress = Stress.NONE if host is None else Stress.STRONG if name == host else Stress.FAINT
            curve.setPen(_pen(place, theme, stress))
            curve.setZValue(1 if stress is Stress.STRONG else 0)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._plot.setBackground(QColor(theme.base))
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(QColor(theme.border))
            axis.setTextPen(QColor(theme.muted))


class _LegendEntry(QWidget):
    """A piece of the curve and the host's name; tells when the pointer is on it, or it has the focus."""

    pointed = Signal(str, bool)

    def __init__(self, name: str, pen: QPen) -> None:
        super().__init__()
        self.setObjectName("legend_entry")
        self._name = name
        self._pen = pen
        self.setAccessibleName(name)
        self.setToolTip("Point at it to see its curves")
        label = ElidedLabel(name, tone=Tone.MUTED)
        label.setFixedWidth(label.fontMetrics().averageCharWidth() * 14)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(_SWATCH + 8, 0, 0, 0)
        layout.addWidget(label)

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.pointed.emit(self._name, True)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.pointed.emit(self._name, False)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self._pen)
        middle = self.height() // 2
        painter.drawLine(0, middle, _SWATCH, middle)
        painter.end()


class _Legend(QWidget):
    """Which curve is which host."""

    pointed = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._grid)
        layout.addStretch(1)

    def set_hosts(self, hosts: tuple[str, ...], theme: Theme) -> None:
        """Show these hosts."""
        clear(self._grid)
        for place, name in enumerate(hosts):
            pen = QPen(_pen(place, theme, Stress.NONE))
            pen.setWidth(3)
            if place >= _DISTINCT:
                pen.setDashPattern([1.6, 1.4])  # in widths of the pen: three pieces fit
            entry = _LegendEntry(name, pen)
            entry.pointed.connect(self.pointed)
            self._grid.addWidget(entry, place % _LEGEND_ROWS, place // _LEGEND_ROWS)


class Stress(Enum):
    """How much a curve stands out."""

    NONE = 0
    STRONG = 1
    FAINT = 2


def _pen(place: int, theme: Theme, stress: Stress) -> QPen:
    """Eight colours, solid for the first eight hosts, then dashed: sixteen colours would be too near each other."""
    color = QColor(color_of(place % _DISTINCT, theme))
    if stress is Stress.FAINT:
        color.setAlpha(70)
    pen: QPen = pg.mkPen(color, width=3 if stress is Stress.STRONG else 1)
    if place >= _DISTINCT:
        pen.setDashPattern([5, 3])
    return pen


def color_of(place: int, theme: Theme) -> str:
    """The colour of the curve at this place."""
    return theme.curves[place % len(theme.curves)]
