"""The curves themselves: CPU and memory of up to sixteen hosts over the last hour. The only importer of pyqtgraph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from hpconsole.ui.load_charts.decimate import Curve, decimate
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel

_HOUR_S = 3600.0
_SPANS = (60.0, 300.0, 900.0, _HOUR_S)  # the axis grows with what is known
_LEGEND_ROWS = 8

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
    """Two plots side by side, and a legend of the hosts."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("load_charts")
        pg.setConfigOptions(antialias=False)
        self.setMinimumWidth(460)
        self._theme = theme
        self._curves: dict[str, tuple[pg.PlotCurveItem, pg.PlotCurveItem]] = {}
        self._legend: dict[str, tuple[QWidget, ElidedLabel]] = {}
        self._cpu = self._plot("plot_cpu")
        self._memory = self._plot("plot_memory")
        self._legend_grid = QGridLayout()
        self._legend_grid.setHorizontalSpacing(8)
        self._legend_grid.setVerticalSpacing(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        for title, plot in (("CPU %", self._cpu), ("Memory %", self._memory)):
            column = QVBoxLayout()
            column.setSpacing(2)
            column.addWidget(TextLabel(title, tone=Tone.MUTED))
            column.addWidget(plot, 1)
            layout.addLayout(column, 1)
        side = QVBoxLayout()
        side.addLayout(self._legend_grid)
        side.addStretch(1)
        layout.addLayout(side)
        self.set_theme(theme)

    def plot(self, series: Mapping[str, Series]) -> None:
        """Draw these hosts and no others. Cheap enough for every poll: decimated, without anti-aliasing."""
        if list(series) != list(self._curves):
            self._set_hosts(tuple(series))
        columns = max(50, self._cpu.width())
        longest = 0.0
        for name, (seconds, cpu, memory) in series.items():
            if not len(seconds):
                continue
            ago = np.asarray(seconds, dtype=float) - float(seconds[-1])
            longest = max(longest, -float(ago[0]))
            for curve, values in zip(self._curves[name], (cpu, memory), strict=True):
                curve.setData(*decimate(ago, np.asarray(values, dtype=float), columns), connect="finite")
        span = next((s for s in _SPANS if longest <= s), _HOUR_S)
        for plot in (self._cpu, self._memory):
            plot.setXRange(-span, 0, padding=0)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        for plot in (self._cpu, self._memory):
            plot.setBackground(QColor(theme.base))
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(QColor(theme.border))
                axis.setTextPen(QColor(theme.muted))
        self._set_hosts(tuple(self._curves))

    def _plot(self, name: str) -> pg.PlotWidget:
        plot = pg.PlotWidget(axisItems={"bottom": _AgoAxis("bottom")})
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
        return plot

    def _set_hosts(self, names: tuple[str, ...]) -> None:
        for curves in self._curves.values():
            for plot, curve in zip((self._cpu, self._memory), curves, strict=True):
                plot.removeItem(curve)
        for swatch, label in self._legend.values():
            swatch.deleteLater()
            label.deleteLater()
        self._curves, self._legend = {}, {}
        for place, name in enumerate(names):
            color = self._theme.curves[place % len(self._theme.curves)]
            # A curve alone: pyqtgraph's plot() would make a scatter item for each as well, at three times the cost.
            pen = pg.mkPen(QColor(color), width=1)
            self._curves[name] = (pg.PlotCurveItem(pen=pen), pg.PlotCurveItem(pen=pen))
            for plot, curve in zip((self._cpu, self._memory), self._curves[name], strict=True):
                plot.addItem(curve)
            self._add_to_legend(place, name, color)

    def _add_to_legend(self, place: int, name: str, color: str) -> None:
        swatch = QWidget()
        swatch.setFixedSize(10, 3)
        swatch.setAutoFillBackground(True)
        palette = swatch.palette()
        palette.setColor(swatch.backgroundRole(), QColor(color))
        swatch.setPalette(palette)
        label = ElidedLabel(name, tone=Tone.MUTED)
        label.setFixedWidth(label.fontMetrics().averageCharWidth() * 14)
        row, column = place % _LEGEND_ROWS, place // _LEGEND_ROWS * 2
        self._legend_grid.addWidget(swatch, row, column, Qt.AlignmentFlag.AlignVCenter)
        self._legend_grid.addWidget(label, row, column + 1)
        self._legend[name] = (swatch, label)
