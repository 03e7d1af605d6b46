"""The host with its nodes, and the list of what is not pinned: chips that can be carried between them."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from hpconsole.ui.numa.capacity import Fit
from hpconsole.ui.numa.chip_widget import ChipWidget
from hpconsole.ui.numa.node_widgets import DistanceMatrix, NodeWidget
from hpconsole.ui.numa.view import Chip, Key, NodeGroup, NumaView
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.text_label import TextLabel

_MOST_COLUMNS = 2  # of nodes in a socket: a chip's text must stay readable
_ALL_PLACED = "Every virtual node has its place. Drop one here to unpin it."
_NONE = "No VM that may run on this host has virtual NUMA nodes. Edit VM gives a VM some (NUMA & pinning)."


class NumaPicture(QWidget):
    """Passes on what is done to its chips. `loose` is the widget of what is not pinned."""

    chosen = Signal(object)
    carried = Signal(object, QPoint)
    dropped = Signal(object, QPoint)
    stepped = Signal(object, int)
    numbered = Signal(object, int, bool)
    unpinned = Signal(object)
    menu_wanted = Signal(object, QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self._theme = LIGHT
        self._nodes: dict[int, NodeWidget] = {}
        self._chips: dict[tuple[Key, int], ChipWidget] = {}
        self._shown: object = None
        self.is_carrying = False
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 6, 0)
        self._content = QWidget()
        self._layout = QVBoxLayout(self._content)
        outer.addWidget(self._content)
        self.loose = QFrame()
        self.loose.setObjectName("loose_nodes")
        self.loose.setProperty("panel", "true")
        loose_outer = QVBoxLayout(self.loose)
        loose_outer.setContentsMargins(9, 7, 9, 7)
        self._loose_content = QWidget()
        self._loose_layout = QVBoxLayout(self._loose_content)
        loose_outer.addWidget(self._loose_content)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self._shown = None

    # Where something is

    def node_at(self, place: QPoint) -> int | None:
        """The host node under a global point."""
        for node_id, widget in self._nodes.items():
            if widget.isVisible() and widget.rect().contains(widget.mapFromGlobal(place)):
                return node_id
        return None

    def is_loose_at(self, place: QPoint) -> bool:
        """Whether a global point is over the list of what is not pinned."""
        return self.loose.rect().contains(self.loose.mapFromGlobal(place))

    def show_carrying(self, node_id: int | None, fit: Fit | None) -> None:
        """Light up the node something is carried over; None: nothing is carried over any."""
        self.is_carrying = fit is not None or node_id is not None
        for number, widget in self._nodes.items():
            widget.show_fit(fit if number == node_id else None, self._theme)

    # Showing

    def show_view(self, view: NumaView) -> None:
        """Draw anew, if anything is other than before; the focus stays on the chip that had it."""
        selected = view.selected.chip.key if view.selected is not None else None
        shown = (view.groups, view.unpinned, view.distances, selected, self._theme)
        if shown == self._shown:
            return
        self._shown = shown
        focused = next((key for (key, _), chip in self._chips.items() if chip.hasFocus()), None)
        self._content, self._layout = _renewed(self._content, 8)
        self._loose_content, self._loose_layout = _renewed(self._loose_content, 5)
        self._nodes, self._chips = {}, {}
        self._show_loose(view, selected)
        self._show_host(view, selected)
        if focused is not None:
            self._focus(selected if selected is not None else focused)

    def _focus(self, key: Key) -> None:
        chip = next((chip for (found, _), chip in self._chips.items() if found == key), None)
        if chip is not None:
            chip.setFocus()

    def _show_loose(self, view: NumaView, selected: Key | None) -> None:
        title = TextLabel("Not pinned")
        title.set_weight(QFont.Weight.DemiBold)
        self._loose_layout.addWidget(title)
        for name, chips in view.unpinned:
            self._loose_layout.addWidget(TextLabel(name, tone=Tone.MUTED))
            for chip in chips:
                self._loose_layout.addWidget(self._chip(chip, -1, selected))
        if not view.unpinned:
            has_any = any(card.chips for group in view.groups for card in group.cards)
            self._loose_layout.addWidget(TextLabel(_ALL_PLACED if has_any else _NONE, tone=Tone.MUTED, wraps=True))
        self._loose_layout.addStretch(1)

    def _show_host(self, view: NumaView, selected: Key | None) -> None:
        sockets = QHBoxLayout()
        sockets.setSpacing(8)
        for group in view.groups:
            sockets.addWidget(self._socket(group, selected, len(view.groups)), 1)
        self._layout.addLayout(sockets)
        if view.distances:
            matrix = DistanceMatrix()
            matrix.set_theme(self._theme)
            matrix.show_distances(view.node_ids, view.distances)
            row = QHBoxLayout()
            row.addWidget(TextLabel("Distances", tone=Tone.MUTED), 0, Qt.AlignmentFlag.AlignTop)
            row.addWidget(matrix)
            row.addStretch(1)
            self._layout.addLayout(row)
        else:
            self._layout.addWidget(TextLabel("This host tells no NUMA nodes.", tone=Tone.MUTED))
        self._layout.addStretch(1)

    def _socket(self, group: NodeGroup, selected: Key | None, sockets: int) -> QWidget:
        frame = QFrame()
        frame.setProperty("socket", "true")
        column = QVBoxLayout(frame)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(4)
        column.addWidget(TextLabel(group.title, tone=Tone.MUTED))
        grid = QGridLayout()
        grid.setSpacing(6)
        columns = 1 if sockets > 1 and len(group.cards) < 3 else min(_MOST_COLUMNS, len(group.cards))
        for place, card in enumerate(group.cards):
            widget = NodeWidget(card, [self._chip(chip, card.node_id, selected) for chip in card.chips])
            self._nodes[card.node_id] = widget
            grid.addWidget(widget, place // columns, place % columns)
        for row in range(ceil(len(group.cards) / columns)):
            grid.setRowStretch(row, 1)
        column.addLayout(grid, 1)
        return frame

    def _chip(self, chip: Chip, node_id: int, selected: Key | None) -> ChipWidget:
        widget = ChipWidget(chip, is_selected=chip.key == selected)
        for signal, own in (
            (widget.chosen, self.chosen), (widget.carried_over, self.carried), (widget.dropped, self.dropped),
            (widget.stepped, self.stepped), (widget.numbered, self.numbered), (widget.unpinned, self.unpinned),
            (widget.menu_wanted, self.menu_wanted),
        ):  # fmt: skip
            signal.connect(own)
        self._chips[chip.key, node_id] = widget
        return widget


def _renewed(old: QWidget, spacing: int) -> tuple[QWidget, QVBoxLayout]:
    """An empty widget in the place of this one."""
    new = QWidget()
    new.setObjectName("plain")
    column = QVBoxLayout(new)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(spacing)
    parent = old.parentWidget()
    around = parent.layout() if parent is not None else None
    if around is not None:
        around.replaceWidget(old, new)
    old.hide()
    old.deleteLater()
    return new, column


def style(theme: Theme) -> str:
    """Chips, sockets and the strip in a theme's colours."""
    return f"""
    QFrame[chip="plain"], QFrame[chip="selected"] {{ background: {theme.selection}; border: 1px solid {theme.border};
        border-radius: 5px; }}
    QFrame[chip="selected"] {{ border: 2px solid {theme.accent}; }}
    QFrame[chip="plain"]:focus, QFrame[chip="selected"]:focus {{ border: 2px solid {theme.text}; }}
    QFrame[chip="locked"] {{ background: {theme.stripe}; border: 1px dashed {theme.border}; border-radius: 5px; }}
    QFrame[socket="true"] {{ border: 1px solid {theme.border}; border-radius: 6px; }}
    QToolButton[strip="true"] {{ border: 1px solid {theme.border}; border-radius: 5px; padding: 4px 9px;
        background: {theme.button}; }}
    QToolButton[strip="true"]:checked {{ border: 2px solid {theme.accent}; padding: 3px 8px; }}
    QToolButton[strip="true"]:focus {{ border-color: {theme.text}; }}
    """
