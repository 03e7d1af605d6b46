"""The VMs of the Migrate dialog with their destinations, where there are several. Emits `picked` with a VM's UUID."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from hpconsole.ui.migrate.candidates_model import vms_model
from hpconsole.ui.migrate.view import VmLine
from hpconsole.ui.theme import Theme
from hpconsole.ui.widgets.framed import framed_in
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.views import table_view


class VmsTable(QWidget):
    """See the module."""

    picked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = vms_model()
        self._model.setParent(self)
        self._model.set_theme(theme)
        frame, view = framed_in(
            self, lambda inside: table_view(self._model, "migrate_vms", "VMs and their destinations", inside)
        )
        view.setSelectionMode(view.SelectionMode.SingleSelection)
        self._selection = KeyedSelection(view, self._model)
        self._selection.changed.connect(self._on_selected)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        self.setFixedWidth(self.fontMetrics().averageCharWidth() * 56)

    def show_vms(self, lines: Sequence[VmLine], highlighted: str) -> None:
        """Show these, without hearing of it as a gesture."""
        with QSignalBlocker(self._selection):
            self._model.set_rows(lines)
            if self._selection.keys != (highlighted,):
                self._selection.select([highlighted])

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self._model.set_theme(theme)

    def _on_selected(self) -> None:
        if self._selection.keys:
            self.picked.emit(self._selection.keys[0])
