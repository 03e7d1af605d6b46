"""What the window shows while there is no host: what to do first."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QFont
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from hpconsole.ui import icons
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel


class EmptyState(QWidget):
    """An invitation to add the first host."""

    def __init__(self, add_host: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("empty_state")
        self._mark = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        title = TextLabel("No hosts yet")
        title.set_weight(QFont.Weight.DemiBold, larger_by=5)
        text = TextLabel(
            "Add a libvirt host to see its virtual machines and move them.\n"
            "To look around first, close this window and run: hpconsole --demo",
            tone=Tone.MUTED,
        )
        text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        button = QPushButton("Add Host…")
        button.setObjectName("empty_add_host")
        button.clicked.connect(add_host.trigger)
        layout = QVBoxLayout(self)
        layout.setSpacing(12)
        layout.addStretch(2)
        for widget in (self._mark, title, text, button):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)

    def set_theme(self, theme: Theme) -> None:
        """Tint the picture."""
        self._mark.setPixmap(icons.pixmap("host", theme.tile_taken, 64))
