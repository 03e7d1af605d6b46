"""The selected VM in a dock: facts, its pinning as a picture, its latest migrations. Computes on a worker thread."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAction, QFont
from PySide6.QtWidgets import (
    QDockWidget,
    QGridLayout,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.model.snapshot import EMPTY_SNAPSHOT, ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.ui.bridge import Background
from hpconsole.ui.console import Console
from hpconsole.ui.details.presenter import Closer, Section, look_closer, sections
from hpconsole.ui.migrate.placement_view import PlacementView
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.scrolled import clear, scrolled
from hpconsole.ui.widgets.text_label import TextLabel

_CALM_MS = 2000  # facts of a VM are not read faster
_WIDTH = 360


class DetailsDock(QDockWidget):
    """Hidden until it is asked for. Emits `history_wanted` with the VM's name."""

    history_wanted = Signal(str)

    def __init__(self, window: QMainWindow, console: Console, action: QAction) -> None:
        super().__init__("VM details", window)
        self.setObjectName("dock_details")
        self.setAllowedAreas(Qt.DockWidgetArea.RightDockWidgetArea | Qt.DockWidgetArea.LeftDockWidgetArea)
        self._window = window
        self._console = console
        self._snapshot: ClusterSnapshot = EMPTY_SNAPSHOT
        self._vm_uuid = ""
        self._shown: tuple[Section, ...] | None = None
        self._closer: Closer | None = None
        self._background = Background(self)
        self._next_look = QTimer(self, singleShot=True, interval=_CALM_MS)
        self._next_look.timeout.connect(self._show)
        self._build()
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self)
        self.hide()
        self.visibilityChanged.connect(lambda _on: action.setChecked(not self.isHidden()))
        self.visibilityChanged.connect(lambda _on: self._show())

    def open(self, is_wanted: bool = True) -> None:
        """Show or hide it."""
        was_hidden = self.isHidden()
        self.setVisible(is_wanted)
        if is_wanted and was_hidden and not self.isFloating():
            self._window.resizeDocks([self], [_WIDTH], Qt.Orientation.Horizontal)

    def select(self, vms: Sequence[Vm]) -> None:
        """Show the first of these."""
        uuid = vms[0].uuid if vms else ""
        if uuid != self._vm_uuid:
            self._vm_uuid, self._shown, self._closer = uuid, None, None
            self._show()

    def follow(self, snapshot: ClusterSnapshot) -> None:
        """A poll brought something new."""
        self._snapshot = snapshot
        if self.isVisible() and not self._next_look.isActive():
            self._next_look.start()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._picture.set_theme(theme)

    def stop(self) -> None:
        """Expect nothing more."""
        self._next_look.stop()
        self._background.close()

    def _build(self) -> None:
        self._title = TextLabel(name="details_title", wraps=True)
        self._title.set_weight(QFont.Weight.DemiBold, larger_by=1)
        self._state = TextLabel(name="details_state", tone=Tone.MUTED, wraps=True)
        self._facts = QWidget()
        self._facts_grid = _grid(self._facts)
        self._picture = PlacementView("details_picture")
        self._picture.setMinimumHeight(150)
        self._past_title = TextLabel("Latest migrations", is_bold=True)
        self._past = QWidget()
        self._past_grid = _grid(self._past)
        self._history = QPushButton("&History…")
        self._history.setObjectName("details_history")
        self._history.setToolTip("Every migration of this VM, with its attempts and reasons")
        self._history.clicked.connect(lambda: self.history_wanted.emit(self._title.text()))
        layout = QVBoxLayout()
        layout.setContentsMargins(12, 8, 12, 10)
        layout.setSpacing(6)
        for widget in (self._title, self._state, self._facts, self._picture, self._past_title, self._past):
            layout.addWidget(widget)
        layout.addWidget(self._history, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addStretch(1)
        scroll = scrolled(layout, "details_scroll", "Details of the selected VM")
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(scroll)

    def _show(self) -> None:
        """What is known at once; the rest is asked on a worker thread."""
        if not self.isVisible():
            return
        vm = self._snapshot.vms.get(self._vm_uuid)
        for widget in (self._facts, self._past_title, self._past, self._history):
            widget.setVisible(vm is not None)
        if vm is None:
            self._title.setText("")
            self._state.setText("Select a VM to see what it is meant to have, and what it has.")
            self._picture.hide()
            return
        self._title.setText(vm.name)
        where = f" on {vm.host}" if vm.host else ""
        self._state.setText(f"{'migrating' if vm.is_migrating else vm.state.value}{where}\n{vm.uuid}")
        found = sections(vm, self._snapshot.loads.get(vm.uuid))
        if found != self._shown:
            self._shown = found
            _fill(self._facts_grid, found)
        snapshot, journal, uuid = self._snapshot, self._console.journal, vm.uuid
        self._background.run(lambda: look_closer(uuid, snapshot, journal), self._on_looked)

    def _on_looked(self, closer: Closer) -> None:
        if closer.vm_uuid != self._vm_uuid or closer == self._closer:
            return
        self._closer = closer
        self._picture.setVisible(closer.picture is not None)
        self._picture.set_picture(closer.picture)
        _fill(self._past_grid, (Section("", closer.past),))
        self._past_title.setText("Latest migrations" if closer.past else "Never migrated by this console")


def _grid(parent: QWidget) -> QGridLayout:
    grid = QGridLayout(parent)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(1, 1)
    return grid


def _fill(grid: QGridLayout, found: Sequence[Section]) -> None:
    clear(grid)
    row = 0
    for section in found:
        if section.title:
            heading = TextLabel(section.title, name="details_heading", is_bold=True)
            heading.setContentsMargins(0, 6 if row else 0, 0, 0)
            grid.addWidget(heading, row, 0, 1, 2)
            row += 1
        for fact in section.facts:
            what = TextLabel(fact.what, tone=Tone.MUTED)
            value = TextLabel(fact.value, name="details_fact", tone=fact.tone, wraps=True)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(what, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
            row += 1
