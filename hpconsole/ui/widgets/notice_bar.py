"""Notices the user should not miss, one at a time above the tables, until dismissed. Plain text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from hpconsole.core.events import Notice
from hpconsole.ui import icons
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel

_TONES = {"error": Tone.BAD, "warning": Tone.WARNING}
_MOST = 100


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be done about a notice, on a button beside it."""

    text: str
    tip: str
    do: Callable[[], None]


class NoticeBar(QFrame):
    """Hidden while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice_bar")
        self.setProperty("panel", "true")
        self._theme = LIGHT
        self._waiting: list[tuple[Notice, Offer | None]] = []
        self._mark = QLabel()
        self._text = TextLabel(name="notice_text", wraps=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._more = TextLabel(name="notice_count", tone=Tone.MUTED)
        self._offer = QPushButton()
        self._offer.setObjectName("notice_offer")
        self._offer.clicked.connect(self._on_taken)
        self._dismiss = QToolButton()
        self._dismiss.setObjectName("notice_dismiss")
        self._dismiss.setText("Dismiss")
        self._dismiss.setAutoRaise(True)
        self._dismiss.clicked.connect(self._on_dismissed)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 6, 6, 6)
        row.addWidget(self._mark)
        row.addWidget(self._text, 1)
        row.addWidget(self._more)
        row.addWidget(self._offer)
        row.addWidget(self._dismiss)
        self.hide()

    def add(self, notice: Notice, offer: Offer | None = None) -> None:
        """Show this when those before it are dismissed; one that repeats a waiting one is not shown twice.

        Args:
            offer: A button beside it; pressing it dismisses the notice as well.
        """
        if any(n.sentence == notice.sentence for n, _ in self._waiting) or len(self._waiting) >= _MOST:
            return
        self._waiting.append((notice, offer))
        self._render()

    def set_theme(self, theme: Theme) -> None:
        """Tint the mark."""
        self._theme = theme
        self._render()

    def _on_taken(self) -> None:
        offer = self._waiting[0][1] if self._waiting else None
        self._on_dismissed()
        if offer is not None:
            offer.do()

    def _on_dismissed(self) -> None:
        del self._waiting[:1]
        self._render()

    def _render(self) -> None:
        self.setVisible(bool(self._waiting))
        if not self._waiting:
            return
        notice, offer = self._waiting[0]
        tone = _TONES.get(notice.severity, Tone.ACCENT)
        name = "info" if tone is Tone.ACCENT else "warning"
        self._mark.setPixmap(icons.pixmap(name, getattr(self._theme, tone.value), 16))
        self._mark.setAccessibleName(notice.severity)
        self._text.setText(notice.sentence)
        self._offer.setVisible(offer is not None)
        if offer is not None:
            self._offer.setText(offer.text)
            self._offer.setToolTip(offer.tip)
        more = len(self._waiting) - 1
        self._more.setText(f"{more} more" if more else "")
