"""Host load: what is shown before the charts are, and the charts once they are wanted.

The charts (pyqtgraph, numpy) cost a third of a second to load: that happens on a worker thread, when first shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from hpconsole.core.model.snapshot import EMPTY_SNAPSHOT, ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui.bridge import Background
from hpconsole.ui.console import History
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel

if TYPE_CHECKING:
    from hpconsole.ui.load_charts.charts import LoadCharts

_MOST_CURVES = 16
_FRAME_MS = 1000  # the history has a value a second


class LoadPanel(QWidget):
    """Plots the selected hosts; all of them, up to sixteen, where none is selected."""

    def __init__(self, history: History, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("load_panel")
        self._history = history
        self._theme = LIGHT
        self._selected: tuple[str, ...] = ()
        self._snapshot: ClusterSnapshot = EMPTY_SNAPSHOT
        self._is_active = False
        self._charts: LoadCharts | None = None
        self._loading: Background | None = None
        self._next_frame = QTimer(self, singleShot=True, interval=_FRAME_MS)
        self._next_frame.timeout.connect(self._draw)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 2, 8, 6)
        self._note = TextLabel("Loading…", name="load_note", tone=Tone.MUTED)
        self._note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._layout.addWidget(self._note)

    @property
    def shown_hosts(self) -> tuple[str, ...]:
        """The hosts whose curves are drawn."""
        known = [name for name in self._selected if name in self._snapshot.hosts]
        names = known or sorted(self._snapshot.hosts, key=fmt.natural)
        return tuple(names[:_MOST_CURVES])

    def set_active(self, is_active: bool) -> None:
        """Whether anybody can see it: what nobody sees is not drawn."""
        self._is_active = is_active
        if is_active and self._charts is None and self._loading is None:
            self._loading = Background(self)
            self._loading.run(_load, self._on_loaded)
        self._draw()

    def select(self, names: Sequence[str]) -> None:
        """Plot these hosts."""
        if tuple(names) != self._selected:
            self._selected = tuple(names)
            self._draw()

    def follow(self, snapshot: ClusterSnapshot) -> None:
        """A poll brought something new."""
        self._snapshot = snapshot
        if not self._next_frame.isActive():
            self._next_frame.start()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        if self._charts is not None:
            self._charts.set_theme(theme)
            self._draw()

    def close_loading(self) -> None:
        """Expect nothing more."""
        self._next_frame.stop()
        if self._loading is not None:
            self._loading.close()

    def _on_loaded(self, charts: type[LoadCharts]) -> None:
        self._charts = charts(self._theme)
        self._note.hide()
        self._layout.addWidget(self._charts)
        QTimer.singleShot(0, self, self._complete)  # in turns: keys and mouse come in between

    def _complete(self) -> None:
        if self._charts is not None:
            self._charts.complete()
            QTimer.singleShot(0, self, self._draw)

    def _draw(self) -> None:
        if self._is_active and self._charts is not None:
            self._charts.plot({name: self._history.series(name) for name in self.shown_hosts})


def _load() -> type[LoadCharts]:
    """Import the charts; runs on a worker thread, for the import is what takes long."""
    from hpconsole.ui.load_charts.charts import LoadCharts

    return LoadCharts
