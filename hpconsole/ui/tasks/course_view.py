"""The course of a migration in a task's card: three small charts and the passes in words. Paints only."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from hpconsole.ui import format as fmt
from hpconsole.ui.tasks.course import Course, pass_text
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.sparkline import Line, Sparkline
from hpconsole.ui.widgets.text_label import TextLabel

_LAST_PASSES = 3


class CourseView(QWidget):
    """Memory left, rates, the pause that is allowed; below them the latest passes."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("task_course")
        self._left = Sparkline("course_left", "Memory left", fmt.mib)
        self._rates = Sparkline("course_rates", "Per second", fmt.mib_s)
        self._limit = Sparkline("course_limit", "Allowed pause", fmt.milliseconds)
        self._passes = TextLabel(name="course_passes", tone=Tone.MUTED, wraps=True)
        charts = QHBoxLayout()
        charts.setSpacing(12)
        charts.addWidget(self._left, 3)
        charts.addWidget(self._rates, 7)  # two values below it
        charts.addWidget(self._limit, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(charts)
        layout.addWidget(self._passes)
        self.set_theme(theme)

    def show_course(self, course: Course, foreseen: str = "") -> None:
        """Draw it as it is now. `foreseen`: what was expected of it before it began."""
        samples = course.samples
        marks = [one.began_s for one in course.passes if one.number > 1]
        self._left.show_lines([Line("left", [(s.elapsed_s, s.left_mib) for s in samples], is_filled=True)], marks)
        self._rates.show_lines(
            [
                Line("sent", [(s.elapsed_s, s.sent_mib_s) for s in samples]),
                Line("rewritten", [(s.elapsed_s, s.dirty_mib_s) for s in samples]),
            ],
            marks,
        )
        limits = [(s.elapsed_s, None if s.limit_ms is None else float(s.limit_ms)) for s in samples]
        self._limit.setVisible(any(limit is not None for _, limit in limits))
        self._limit.show_lines([Line("pause", limits, is_stepped=True)], marks)
        lines = [pass_text(one) for one in course.passes[-_LAST_PASSES:]]
        earlier = len(course.passes) - len(lines)
        if earlier > 0:
            lines.insert(0, f"… {fmt.count(earlier, 'pass', 'passes')} before")
        if course.stalls:
            lines.append(f"Stalled {fmt.count(course.stalls, 'time')}: a pass left no less than one before it")
        if foreseen:
            lines.append(foreseen)
        self._passes.setText("\n".join(lines))

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        for chart in (self._left, self._rates, self._limit):
            chart.set_theme(theme)
