"""What an empty table says in its middle: what would be there, and what to do next."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QAbstractItemView

from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel

_MARGIN = 24
_WIDEST = 520


class EmptyHint(TextLabel):
    """Lies over the view while its model has no row. Follows the model and the size by itself.

    Args:
        view: Its model stays the same from now on.
        sentence: Plain text.
    """

    def __init__(self, view: QAbstractItemView, sentence: str = "") -> None:
        super().__init__(
            sentence, name=f"{view.objectName()}_empty", tone=Tone.MUTED, wraps=True, parent=view.viewport()
        )
        self._view = view
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        view.viewport().installEventFilter(self)
        model = view.model()
        for signal in (model.modelReset, model.rowsInserted, model.rowsRemoved):
            signal.connect(self._follow)
        self._follow()

    def say(self, sentence: str) -> None:
        """Another sentence from now on."""
        if sentence != self.text():
            self.setText(sentence)
            self.setAccessibleName(sentence)
            self._follow()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _follow(self) -> None:
        is_empty = not self._view.model().rowCount() and bool(self.text())
        self.setVisible(is_empty)
        if is_empty:
            self._place()

    def _place(self) -> None:
        """In the upper half, where one looks first."""
        room = self._view.viewport().rect()
        width = min(_WIDEST, max(room.width() - 2 * _MARGIN, 0))
        height = min(self.heightForWidth(width), room.height())
        self.setGeometry((room.width() - width) // 2, max((room.height() - height) // 3, 0), width, height)
