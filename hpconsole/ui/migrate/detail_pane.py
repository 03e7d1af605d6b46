"""The highlighted host in the Migrate dialog: its score and the pinning there, or every reason against it."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from hpconsole.core.scheduler.units import Refusal
from hpconsole.ui import format as fmt
from hpconsole.ui.migrate.placement_view import Legend, PlacementView
from hpconsole.ui.migrate.unit_names import words
from hpconsole.ui.migrate.view import HostDetail, HostLine, PinRow
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.framed import framed_in
from hpconsole.ui.widgets.scrolled import clear
from hpconsole.ui.widgets.scrolled_column import ScrolledColumn
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import table_view


class _Part(NamedTuple):
    place: int
    name: str
    sum: str
    points: float


def _part_tone(part: _Part) -> Tone:
    return Tone.NORMAL if part.points else Tone.MUTED


_PART_COLUMNS: tuple[Column[_Part], ...] = (
    Column("Score from", lambda r: r.place, lambda r: r.name, tone=_part_tone, width=252, tooltip=lambda r: r.name),
    Column("Place × weight", lambda r: r.points, lambda r: r.sum, align=Align.RIGHT, tone=_part_tone, width=124),
    Column("Points", lambda r: r.points, lambda r: fmt.number(r.points), align=Align.RIGHT, tone=_part_tone, width=60),
)


def _there_tone(row: PinRow) -> Tone:
    return Tone.ACCENT if row.is_moved else Tone.NORMAL


_PIN_COLUMNS: tuple[Column[tuple[int, PinRow]], ...] = (
    Column("Pinned", lambda r: r[0], lambda r: r[1].what, width=120),
    Column("Now", lambda r: r[1].now, lambda r: r[1].now, tone=lambda _: Tone.MUTED, width=118),
    Column(
        "Then (blue: changes)", lambda r: r[1].there, lambda r: r[1].there, tone=lambda r: _there_tone(r[1]), width=90
    ),
)


class DetailPane(QStackedWidget):
    """One page for a suitable host, one for an unsuitable one, one for while nothing is known."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("host_detail")
        self._theme = theme
        self._note = TextLabel(name="detail_note", tone=Tone.MUTED, wraps=True, parent=self)
        self._note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.addWidget(self._note)
        self._suitable: SuitablePage | None = None  # both are made when they are first needed
        self._unsuitable: UnsuitablePage | None = None

    def show_line(self, line: HostLine | None, detail: HostDetail | None) -> None:
        """Show this host; `detail` is None while its pinning is being computed."""
        if line is None or not line.is_known:
            self._note.setText("Checking…" if line is not None else "Select a host to see why it is where it is.")
            self.setCurrentWidget(self._note)
        elif line.is_suitable:
            if self._suitable is None:
                self._suitable = SuitablePage(self._theme, self)
                self.addWidget(self._suitable)
            self._suitable.show_line(line, detail)
            self.setCurrentWidget(self._suitable)
        else:
            if self._unsuitable is None:
                self._unsuitable = UnsuitablePage(self)
                self.addWidget(self._unsuitable)
            self._unsuitable.show_line(line)
            self.setCurrentWidget(self._unsuitable)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        if self._suitable is not None:
            self._suitable.set_theme(theme)


class SuitablePage(QWidget):
    """What makes the score, and the pinning there beside the one now."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._parts: TableModel[_Part] = TableModel(_PART_COLUMNS, lambda part: part.name)
        self._pins: TableModel[tuple[int, PinRow]] = TableModel(_PIN_COLUMNS, lambda row: row[1].what)
        self._parts.setParent(self)
        self._pins.setParent(self)
        scores, _ = framed_in(
            self, lambda inside: table_view(self._parts, "score_parts", "What makes the score", inside)
        )
        scores.setFixedWidth(self.fontMetrics().averageCharWidth() * 64)
        self._pictures = QWidget(self)
        self._now = PlacementView("picture_now", self._pictures)
        self._there = PlacementView("picture_there", self._pictures)
        self._legend = Legend(self._pictures)
        self._pins_frame, _ = framed_in(
            self, lambda inside: table_view(self._pins, "pin_rows", "Pinning now and there", inside)
        )
        self._pins_frame.setMinimumWidth(self.fontMetrics().averageCharWidth() * 62)
        self._remark = TextLabel(name="detail_remark", tone=Tone.MUTED, wraps=True, parent=self)
        self._remark.setAlignment(Qt.AlignmentFlag.AlignCenter)
        pictures = QHBoxLayout()
        pictures.setSpacing(14)
        pictures.addWidget(self._now, 1)
        pictures.addWidget(self._there, 1)
        middle = QVBoxLayout(self._pictures)
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(4)
        middle.addLayout(pictures, 1)
        middle.addWidget(self._legend)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(scores)
        layout.addWidget(self._pictures, 3)
        layout.addWidget(self._pins_frame, 2)
        layout.addWidget(self._remark, 5)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        for part in (self._parts, self._pins, self._now, self._there, self._legend):
            part.set_theme(theme)

    def show_line(self, line: HostLine, detail: HostDetail | None) -> None:
        """Show this host; `detail` is None while its pinning is being computed."""
        parts = sorted(line.parts, key=lambda part: -part.contribution)
        rows = [
            _Part(i, _capital(words(part.unit)), f"{part.rank} × {part.factor}", part.contribution)
            for i, part in enumerate(parts)
        ]
        self._parts.set_rows(rows)
        text = "" if detail is None else detail.misfit or detail.remark
        is_drawn = detail is not None and not text
        self._remark.setText("Computing the pinning there…" if detail is None else text)
        for widget, is_shown in (
            (self._pictures, is_drawn),
            (self._pins_frame, is_drawn),
            (self._remark, not is_drawn),
        ):
            widget.setVisible(is_shown)
        if detail is not None and is_drawn:
            self._now.set_picture(detail.now)
            self._there.set_picture(detail.there)
            self._pins.set_rows(list(enumerate(detail.rows)))


class UnsuitablePage(QFrame):
    """Every reason against a host, and what would help."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("panel", "true")
        self._shown: tuple[tuple[Refusal, ...], str] = ((), "")
        scroll = QScrollArea(self)
        scroll.setObjectName("refusals")
        scroll.setAccessibleName("Reasons against this host")
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        inner = ScrolledColumn()
        self._reasons = QVBoxLayout(inner)
        self._reasons.setSpacing(10)
        self._reasons.setContentsMargins(14, 12, 14, 12)
        scroll.setWidget(inner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(scroll)

    def show_line(self, line: HostLine) -> None:
        """Show this host."""
        if (line.refusals, line.will_help) == self._shown and self._reasons.count():
            return  # a poll that changes nothing must not move what is being read
        self._shown = (line.refusals, line.will_help)
        clear(self._reasons)
        count = fmt.count(len(line.refusals), "reason")
        heading = TextLabel(f"Not {line.name}, for {count}", name="refusal_heading")
        heading.set_weight(QFont.Weight.DemiBold, larger_by=1)
        self._reasons.addWidget(heading)
        if line.will_help:
            self._reasons.addWidget(TextLabel(f"What would help: {line.will_help}", name="will_help", wraps=True))
        for refusal in line.refusals:
            self._reasons.addWidget(_reason(refusal))
        self._reasons.addStretch(1)


def _reason(refusal: Refusal) -> QWidget:
    block = QWidget()
    block.setObjectName("refusal")
    layout = QVBoxLayout(block)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    layout.addWidget(TextLabel(_capital(words(refusal.unit)), name="refusal_unit", is_bold=True))
    sentence = TextLabel(refusal.sentence, name="refusal_sentence", wraps=True)
    sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout.addWidget(sentence)
    for shortage in refusal.shortages:
        unit = f" {shortage.unit}" if shortage.unit and shortage.unit not in shortage.what else ""
        text = (
            f"{_capital(shortage.what)}: needed {fmt.number(shortage.needed)}{unit}, "
            f"there {fmt.number(shortage.available)}{unit}"
        )
        if shortage.missing > 0:
            text += f", missing {fmt.number(shortage.missing)}{unit}"
        layout.addWidget(TextLabel(text, name="shortage", tone=Tone.MUTED, wraps=True))
    return block


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
