"""Beside the story of a migration: forecast and outcome, and the proof of its pinning, as two small tables."""

from __future__ import annotations

from PySide6.QtWidgets import QStackedWidget, QTabBar, QTableView, QVBoxLayout, QWidget

from hpconsole.core.execution.journal import MigrationRecord
from hpconsole.ui.history.presenter import Measure, measures
from hpconsole.ui.history.proof import ProofLine, proof_of, title_of
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.views import set_view_theme, table_view

_Figure = tuple[int, Measure]
_Proven = tuple[int, ProofLine]
_FIGURES, _PROOF = 0, 1


def _tone(is_wrong: bool) -> Tone:
    return Tone.BAD if is_wrong else Tone.NORMAL


_FIGURE_COLUMNS: tuple[Column[_Figure], ...] = (
    Column("", lambda r: r[0], lambda r: r[1].what, width=118, tone=lambda _: Tone.MUTED),
    Column("Foreseen", lambda r: r[1].foreseen, lambda r: r[1].foreseen, align=Align.RIGHT, width=96),
    Column("Measured", lambda r: r[1].measured, lambda r: r[1].measured, align=Align.RIGHT, width=96),
    Column("", lambda r: r[1].remark, lambda r: r[1].remark, width=150, tone=lambda _: Tone.MUTED),
)
_PROOF_COLUMNS: tuple[Column[_Proven], ...] = (
    Column("Pinned", lambda r: r[0], lambda r: r[1].what, width=122, is_toned_when_selected=True,
           tone=lambda r: _tone(r[1].is_wrong)),
    Column("Planned", lambda r: r[1].planned, lambda r: r[1].planned, width=126, tone=lambda _: Tone.MUTED),
    Column("There", lambda r: r[1].live, lambda r: r[1].live, width=126, is_toned_when_selected=True,
           tone=lambda r: _tone(r[1].is_live_wrong),
           tooltip=lambda _: "As the destination's libvirt told after the move"),
    Column("At its next start", lambda r: r[1].later, lambda r: r[1].later, width=110,
           tone=lambda r: _tone(r[1].is_later_wrong),
           tooltip=lambda _: "As its definition there had it after the move"),
)  # fmt: skip


class FiguresPane(QWidget):
    """Shows one attempt; hides itself where nothing of it is known."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._figures: TableModel[_Figure] = TableModel(_FIGURE_COLUMNS, lambda row: row[1].what)
        self._proof: TableModel[_Proven] = TableModel(_PROOF_COLUMNS, lambda row: row[1].what)
        self._views: list[QTableView] = []
        self._tabs = QTabBar()
        self._tabs.setObjectName("history_tabs")
        self._tabs.setAccessibleName("Figures")
        self._tabs.setExpanding(False)
        self._tabs.setDrawBase(False)
        self._pages = QStackedWidget()
        for model, title, name, accessible_name in (
            (self._figures, "Forecast and outcome", "history_measures", "Forecast beside outcome"),
            (self._proof, "Pinning", "history_proof", "Pinning as planned and as asked back"),
        ):
            model.setParent(self)
            view = table_view(model, name, accessible_name)
            self._views.append(view)
            self._pages.addWidget(framed(view))
            self._tabs.addTab(title)
        self._tabs.currentChanged.connect(self._pages.setCurrentIndex)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._tabs)
        layout.addWidget(self._pages, 1)
        self.setFixedWidth(self.fontMetrics().averageCharWidth() * 76)

    def show_attempt(self, record: MigrationRecord | None) -> None:
        """Show what was foreseen, measured and asked back of this attempt."""
        rows = () if record is None else measures(record)
        lines = () if record is None else proof_of(record.statistics)
        self._figures.set_rows(list(enumerate(rows)))
        self._proof.set_rows(list(enumerate(lines)))
        self._tabs.setTabVisible(_PROOF, bool(lines))
        self._tabs.setTabText(_PROOF, title_of(lines))
        if any(line.is_wrong for line in lines):
            self._tabs.setCurrentIndex(_PROOF)  # what is amiss is seen without looking for it
        self.setVisible(bool(rows or lines))

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        for view in self._views:
            set_view_theme(view, theme)
        self._figures.set_theme(theme)
        self._proof.set_theme(theme)
