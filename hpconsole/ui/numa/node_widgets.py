"""A host node as a card with what it has and who is pinned there, and the matrix of distances."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from hpconsole.ui.numa.capacity import Fit
from hpconsole.ui.numa.chip_widget import ChipWidget
from hpconsole.ui.numa.view import NodeCard
from hpconsole.ui.theme import LIGHT, Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import literal
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel


class NodeWidget(QFrame):
    """One node of the host; lights up while a virtual node that fits is carried over it."""

    def __init__(self, card: NodeCard, chips: Sequence[ChipWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.card = card
        self.setObjectName(f"node_{card.node_id}")
        self.setProperty("panel", "true")
        self.setAccessibleName(f"{card.title}: {card.cpus}, {card.memory_full}, huge pages {', '.join(card.pages)}")
        self.setToolTip(
            literal(f"{card.title}: {card.cpus}\n{card.memory_full}\nHuge pages: {', '.join(card.pages)}\n{card.load}")
        )
        title = TextLabel(card.title)
        title.set_weight(QFont.Weight.DemiBold)
        cpus = ElidedLabel(tone=Tone.MUTED)
        cpus.setText(card.cpus)
        head = QHBoxLayout()
        head.addWidget(title)
        head.addWidget(cpus, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 6, 9, 8)
        column.setSpacing(3)
        column.addLayout(head)
        bar = QProgressBar(textVisible=False, minimum=0, maximum=1000)
        bar.setProperty("thin", "true")
        bar.setFixedHeight(5)
        bar.setValue(0 if card.used_share is None else int(max(0.0, min(1.0, card.used_share)) * 1000))
        column.addWidget(bar)
        for text in (card.memory, *((card.load,) if card.load else ()), *card.pages):
            label = ElidedLabel(tone=Tone.MUTED)
            label.setText(text)
            column.addWidget(label)
        for chip in chips:
            column.addWidget(chip)
        column.addStretch(1)

    def show_fit(self, fit: Fit | None, theme: Theme) -> None:
        """While something is carried over it: whether it could stay. None: nothing is."""
        if fit is None:
            self.setStyleSheet("")
            return
        color = theme.bad if fit.is_impossible else theme.warning if fit.is_short else theme.good
        self.setStyleSheet(f"NodeWidget {{ border: 2px solid {color}; border-radius: 6px; background: {theme.base}; }}")


class DistanceMatrix(QWidget):
    """Distances between the nodes, as the firmware tells them; near ones stand out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("distances")
        self._theme = LIGHT
        self._rows: tuple[tuple[int, ...], ...] = ()
        self._ids: tuple[int, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_distances(self, ids: tuple[int, ...], rows: tuple[tuple[int, ...], ...]) -> None:
        """Rows and columns in the order of `ids`."""
        self._ids, self._rows = ids, rows
        words = [
            f"node {a} to {b}: {d}" for a, row in zip(ids, rows, strict=True) for b, d in zip(ids, row, strict=True)
        ]
        self.setAccessibleName("Distances between nodes")
        self.setAccessibleDescription(", ".join(words))
        self.setToolTip("Distances between the nodes: 10 is local, 20 takes twice as long")
        self.setFixedSize(self.sizeHint())
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._theme = theme
        self.update()

    @property
    def _cell(self) -> int:
        return max(self.fontMetrics().horizontalAdvance("000") + 6, 16)

    def sizeHint(self) -> QSize:
        height = self.fontMetrics().height() + 4
        return QSize(self._cell * (len(self._ids) + 1), height * (len(self._ids) + 1))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        width, height = self._cell, self.fontMetrics().height() + 4
        near = min((d for i, row in enumerate(self._rows) for j, d in enumerate(row) if i != j), default=0)
        for i, node in enumerate(self._ids):
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(QRectF((i + 1) * width, 0, width, height), _CENTER, str(node))
            painter.drawText(QRectF(0, (i + 1) * height, width, height), _CENTER, str(node))
        for i, row in enumerate(self._rows):
            for j, distance in enumerate(row):
                place = QRectF((j + 1) * width, (i + 1) * height, width - 1, height - 1)
                ground = self._theme.selection if i == j or distance == near else self._theme.base
                painter.fillRect(place, QColor(ground))
                painter.setPen(QColor(self._theme.text))
                painter.drawText(place, _CENTER, str(distance))
        painter.end()


_CENTER = int(Qt.AlignmentFlag.AlignCenter)
