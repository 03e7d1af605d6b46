"""Forecasts and checks of the Migrate dialog as two pages: tables of what is known, remedies that can be taken."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from hpconsole.core.planning.forecast import Forecast, Remedy, Verdict
from hpconsole.core.planning.preflight_findings import Severity
from hpconsole.ui import format as fmt
from hpconsole.ui import icons
from hpconsole.ui.migrate.outlook import VERDICT_TONES, FindingLine, Outlook, Subject, remedy_options, span
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.scrolled import clear, scrolled
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import table_view

_MARKS = {
    Severity.ERROR: ("bad", Tone.BAD),
    Severity.WARNING: ("warning", Tone.WARNING),
    Severity.NOTE: ("info", Tone.MUTED),
}
_VERDICT_MARKS = {
    Verdict.CONVERGES: "good",
    Verdict.MAY_CONVERGE: "warning",
    Verdict.POST_COPY: "warning",
    Verdict.DOES_NOT_CONVERGE: "bad",
    Verdict.UNKNOWN: "ring",
}
_Row = tuple[Subject, Forecast]


def _basis(row: _Row) -> str:
    return "; ".join(row[1].basis)


def _is_sure(row: _Row) -> bool:
    return row[1].verdict is not Verdict.UNKNOWN


_COLUMNS: tuple[Column[_Row], ...] = (
    Column("VM", lambda r: fmt.natural(r[0].vm_name), lambda r: r[0].vm_name, width=176,
           icon=lambda r: (_VERDICT_MARKS[r[1].verdict], VERDICT_TONES[r[1].verdict]),
           tooltip=lambda r: r[1].sentence),
    Column("To", lambda r: fmt.natural(r[0].destination), lambda r: r[0].destination, width=84),
    Column("Pre-copy", lambda r: r[1].verdict.value, lambda r: r[1].verdict.value, width=164,
           tone=lambda r: VERDICT_TONES[r[1].verdict]),
    Column("Total time", lambda r: r[1].total_s, lambda r: span(r[1]), align=Align.RIGHT, width=226),
    Column("Passes", lambda r: r[1].passes, lambda r: str(r[1].passes) if _is_sure(r) else fmt.UNKNOWN,
           align=Align.RIGHT, width=72),
    Column("Pause", lambda r: r[1].downtime_ms,
           lambda r: fmt.milliseconds(round(r[1].downtime_ms)) if _is_sure(r) else fmt.UNKNOWN,
           align=Align.RIGHT, width=74),
    Column("To move", lambda r: r[1].to_move_mib, lambda r: fmt.mib(r[1].to_move_mib), align=Align.RIGHT, width=84),
    Column("Writes to", lambda r: r[1].dirty_mib_s, lambda r: fmt.mib_s(r[1].dirty_mib_s), align=Align.RIGHT,
           width=92, tooltip=lambda _: "Memory written to within a second: each page counts once"),
    Column("Path carries", lambda r: r[1].bandwidth_mib_s, lambda r: fmt.mib_s(r[1].bandwidth_mib_s),
           align=Align.RIGHT, width=112),
    Column("Known from", _basis, _basis, tone=lambda _: Tone.MUTED, width=120,
           tooltip=lambda r: "\n".join(r[1].basis)),
)  # fmt: skip


class ForecastPage(QWidget):
    """A line for each migration; below it what would help the first that needs help. Emits `remedy_taken`."""

    remedy_taken = Signal(dict)  # what to change of the options

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model: TableModel[_Row] = TableModel(_COLUMNS, lambda row: row[0].vm_uuid)
        self._model.setParent(self)
        self._view = table_view(self._model, "forecast_table", "What is expected")
        self._note = TextLabel(name="forecast_note", tone=Tone.MUTED, wraps=True)
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._shown: tuple[object, ...] = ()
        self._remedies = QVBoxLayout()
        self._remedies.setContentsMargins(0, 0, 0, 0)
        self._remedies.setSpacing(4)
        self._scroll = scrolled(self._remedies, "forecast_remedies", "What would help")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self._table = framed(self._view)
        layout.addWidget(self._table, 3)
        layout.addWidget(self._note)
        layout.addWidget(self._scroll, 2)

    def show_outlook(self, outlook: Outlook) -> None:
        """Show what is expected now."""
        rows = [(s, forecast) for s in outlook.subjects if (forecast := outlook.forecast(s)) is not None]
        self._model.set_rows(rows)
        self._give_room(len(rows))
        needy = next((forecast for _, forecast in rows if forecast.remedies), None)
        self._show_remedies(needy)
        about = needy or (rows[0][1] if rows else None)
        if about is not None:
            self._note.setText(about.sentence)
        else:
            self._note.setText("Nothing is known yet." if outlook.subjects else "Nothing is to be moved.")

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._model.set_theme(theme)

    def _give_room(self, rows: int) -> None:
        """The table takes what its rows need, up to half; what would help has the rest."""
        header, row = (
            self._view.horizontalHeader().sizeHint().height(),
            self._view.verticalHeader().defaultSectionSize(),
        )
        bar = self._view.horizontalScrollBar().sizeHint().height()
        self._table.setMaximumHeight(header + max(2, rows) * row + bar + 4)

    def _show_remedies(self, forecast: Forecast | None) -> None:
        remedies = forecast.remedies if forecast is not None else ()
        self._scroll.setVisible(bool(remedies))
        if remedies == self._shown:
            return  # what is being read stays
        self._shown = remedies
        clear(self._remedies)
        for remedy in remedies:
            self._remedies.addWidget(self._remedy(remedy))
        self._remedies.addStretch(1)

    def _remedy(self, remedy: Remedy) -> QWidget:
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(TextLabel(remedy.sentence, name="remedy", wraps=True), 1)
        change = remedy_options(remedy.kind, remedy.bandwidth_mib_s, remedy.downtime_limit_ms)
        if change:
            button = QPushButton("Use This")
            button.setObjectName(f"remedy_{remedy.kind}")
            button.setAccessibleName(f"Use this: {remedy.sentence}")
            button.setToolTip("Change the options so")
            button.setAutoDefault(False)
            button.clicked.connect(lambda: self.remedy_taken.emit(change))
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        return line


class ChecksPage(QWidget):
    """Every finding with what to do about it, and a button to check again."""

    recheck_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = LIGHT
        self._shown: tuple[FindingLine, ...] | None = None
        self._note = TextLabel(name="checks_note", tone=Tone.MUTED, wraps=True)
        self._again = push_button("check_again", "Chec&k Again", "Ask both hosts once more", self.recheck_wanted)
        self._lines = QVBoxLayout()
        self._lines.setContentsMargins(12, 8, 12, 8)
        self._lines.setSpacing(8)
        top = QHBoxLayout()
        top.addWidget(self._note, 1)
        top.addWidget(self._again)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(top)
        layout.addWidget(framed(scrolled(self._lines, "findings", "What was found")), 1)

    def show_outlook(self, outlook: Outlook) -> None:
        """Show what was found."""
        self._again.setEnabled(outlook.is_checked and bool(outlook.subjects))
        if not outlook.is_checked:
            self._note.setText("Asking both hosts…")
        elif not outlook.findings():
            self._note.setText("Nothing stands against it." if outlook.subjects else "Nothing is to be moved.")
        else:
            self._note.setText("Errors block a migration; warnings can be accepted below.")
        findings = outlook.findings()
        if findings != self._shown:
            self._shown = findings
            clear(self._lines)
            for line in findings:
                self._lines.addWidget(self._finding(line, is_named=len(outlook.subjects) > 1))
            self._lines.addStretch(1)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme when shown next."""
        self._theme = theme
        self._shown = None

    def _finding(self, line: FindingLine, *, is_named: bool) -> QWidget:
        icon, tone = _MARKS[line.finding.severity]
        mark = QLabel()
        mark.setPixmap(icons.pixmap(icon, getattr(self._theme, tone.value), 16))
        mark.setAccessibleName(line.finding.severity.value)
        name = f"{line.subject.vm_name} to {line.subject.destination}: " if is_named else ""
        sentence = TextLabel(f"{name}{line.finding.sentence}", name=f"finding_{line.finding.severity}", wraps=True)
        sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(sentence)
        if line.finding.remedy:
            words.addWidget(TextLabel(line.finding.remedy, name="finding_remedy", tone=Tone.MUTED, wraps=True))
        block = QWidget()
        layout = QHBoxLayout(block)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(words, 1)
        return block
