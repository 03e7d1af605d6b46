"""What makes a VM fast, done or missing: why each matters, and a button that fills it in from the real hosts."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from hpconsole.ui import icons
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.view import Advice
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.scrolled import clear, scrolled
from hpconsole.ui.widgets.text_label import TextLabel


class PerformancePanel(QFrame):
    """Emits `fill_wanted(key)`; "" = everything that can be filled in."""

    fill_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("performance_panel")
        self.setProperty("panel", "true")
        self._theme = LIGHT
        self._advice: tuple[Advice, ...] | None = None
        self._title = TextLabel("Performance", name="performance_title")
        self._title.set_weight(QFont.Weight.DemiBold, larger_by=1)
        self._count = TextLabel(name="performance_count", tone=Tone.MUTED)
        self._all = push_button(
            "fill_all",
            "&Fill In All…",
            "Shows what would change, and does all of it",
            lambda: self.fill_wanted.emit(""),
        )
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 6, 0)
        self._column.setSpacing(10)
        scroll = scrolled(self._column, "performance_scroll")
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addWidget(self._count, 1)
        head.addWidget(self._all)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 6, 8)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(scroll, 1)
        self.setFixedWidth(self.fontMetrics().averageCharWidth() * 50)

    def set_theme(self, theme: Theme) -> None:
        """Tint the marks."""
        self._theme = theme
        advice, self._advice = self._advice, None
        if advice is not None:
            self.show_advice(advice)

    def show_advice(self, advice: tuple[Advice, ...]) -> None:
        """Show these recommendations, missing ones first: what can be done is not below the fold."""
        if advice == self._advice:
            return
        self._advice = advice
        done = sum(item.is_done for item in advice)
        self._count.setText(f"{done} of {len(advice)} done" if advice else "checking…")
        self._all.setEnabled(any(item.can_fill for item in advice))
        clear(self._column)
        for item in sorted(advice, key=lambda item: item.is_done):
            self._column.addWidget(self._card(item))
        self._column.addStretch(1)

    def _card(self, item: Advice) -> QWidget:
        card = QWidget()
        card.setObjectName(f"advice_{item.key}")
        mark = QLabel()
        name, tone = ("good", Tone.GOOD) if item.is_done else ("warning", Tone.WARNING)
        mark.setPixmap(icons.pixmap(name, getattr(self._theme, tone.value), 16))
        mark.setAccessibleName("done" if item.is_done else "missing")
        title = TextLabel(item.title, name=f"advice_title_{item.key}", wraps=True)
        title.set_weight(QFont.Weight.DemiBold)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(title, 1)
        column = QVBoxLayout(card)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        if item.can_fill:
            fill = push_button(
                f"fill_{item.key}",
                "Fill In…",
                f"Shows what would change: {item.title}",
                lambda: self.fill_wanted.emit(item.key),
            )
            head.addWidget(fill, 0, Qt.AlignmentFlag.AlignTop)
        for text, color in ((item.why, Tone.MUTED), (item.detail, Tone.NORMAL), (item.obstacle, Tone.WARNING)):
            if text and not (item.is_done and text == item.obstacle):
                label = TextLabel(text, tone=color, wraps=True)
                label.setContentsMargins(22, 0, 0, 0)
                column.addWidget(label)
        return card
