"""A virtual node as a chip that can be carried to a host node, by mouse or by keys."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from hpconsole.ui.numa.view import Chip, Key
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import literal
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel


class ChipWidget(QFrame):
    """Emits what is done to it; decides nothing. Places are global."""

    chosen = Signal(object)  # Key
    carried_over = Signal(object, QPoint)
    dropped = Signal(object, QPoint)
    stepped = Signal(object, int)  # Left and Right: to the previous or next host node
    numbered = Signal(object, int, bool)  # a digit: to this host node; with Ctrl: spanning over it, too
    unpinned = Signal(object)
    menu_wanted = Signal(object, QPoint)

    def __init__(self, chip: Chip, *, is_selected: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chip = chip
        self.setObjectName(f"chip_{chip.vm_name}_{chip.key[1]}")
        self.setProperty("chip", "locked" if chip.is_locked else "selected" if is_selected else "plain")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if chip.is_locked else Qt.FocusPolicy.StrongFocus)
        self._pressed_at: QPointF | None = None
        self._is_carried = False
        spanning = f" · over nodes {', '.join(map(str, chip.host_nodes))}" if chip.is_spanning else ""
        mode = f" · {chip.mode.value}" if chip.host_nodes else ""
        self._title = ElidedLabel(name="chip_title")
        self._title.setText(chip.title)
        self._facts = ElidedLabel(name="chip_facts", tone=Tone.MUTED)
        self._facts.setText(f"{chip.memory.partition(' in ')[0]} · {chip.vcpus}{spanning}")
        tune = TextLabel(chip.mode.value if chip.host_nodes else "", name="chip_mode", tone=Tone.MUTED)
        top = QHBoxLayout()
        top.addWidget(self._title, 1)
        top.addWidget(tune)
        column = QVBoxLayout(self)
        column.setContentsMargins(7, 3, 7, 3)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self._facts)
        for label in (self._title, tune, self._facts):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        text = f"Virtual node {chip.key[1]} of {chip.vm_name}: {chip.memory}, {chip.vcpus}{mode}{spanning}"
        self.setAccessibleName(text)
        how = chip.why_locked or "Drag it to a node, press the node's digit, or use the arrow keys. Delete unpins."
        self.setToolTip(literal(f"{text}\n{how}"))

    @property
    def key(self) -> Key:
        """Which virtual node this is."""
        return self.chip.key

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton and not self.chip.is_locked:
            self._pressed_at = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed_at is None:
            return
        far = (event.position() - self._pressed_at).manhattanLength() >= QApplication.startDragDistance()
        if far or self._is_carried:
            self._is_carried = True
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
            self.carried_over.emit(self.key, event.globalPosition().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.unsetCursor()
        was_carried, self._is_carried = self._is_carried, False
        pressed_at, self._pressed_at = self._pressed_at, None
        if was_carried:
            self.dropped.emit(self.key, event.globalPosition().toPoint())
        elif pressed_at is not None:
            self.chosen.emit(self.key)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            self.chosen.emit(self.key)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if not self.chip.is_locked:
            self.menu_wanted.emit(self.key, event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        has_control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        act: Callable[[], None] | None = None
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            by = 1 if key == Qt.Key.Key_Right else -1
            act = lambda: self.stepped.emit(self.key, by)  # noqa: E731 - one of several short answers
        elif Qt.Key.Key_0 <= key <= Qt.Key.Key_9:
            number = key - Qt.Key.Key_0
            act = lambda: self.numbered.emit(self.key, number, has_control)  # noqa: E731
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            act = lambda: self.unpinned.emit(self.key)  # noqa: E731
        elif key in (Qt.Key.Key_Space, Qt.Key.Key_Menu):
            act = lambda: self.menu_wanted.emit(self.key, self.mapToGlobal(self.rect().center()))  # noqa: E731
        if act is None:
            super().keyPressEvent(event)
        else:
            act()
