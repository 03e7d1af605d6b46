"""The two tables of the window, each with its heading: hosts above, VMs below."""

from __future__ import annotations

from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QVBoxLayout, QWidget

from hpconsole.ui.main_window import vm_rows
from hpconsole.ui.main_window.host_tree_model import HostTreeModel
from hpconsole.ui.main_window.vm_rows import VmRow
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view, tree_view

_LONGEST_SOUGHT = 40
_NO_VM = (
    "No VM is on the hosts that have answered. New VM… (Ctrl+Shift+N) makes one, Add Host… (Ctrl+N) connects to "
    "another host."
)


class Panel(QWidget):
    """A heading with a count, and a view in a frame."""

    def __init__(self, title: str, view: QAbstractItemView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        heading = TextLabel(title, is_bold=True)
        self._count = TextLabel(tone=Tone.MUTED, name=f"{view.objectName()}_count")
        top = QHBoxLayout()
        top.setContentsMargins(2, 0, 2, 0)
        top.setSpacing(8)
        top.addWidget(heading)
        top.addWidget(self._count)
        self._said = ElidedLabel(name=f"{view.objectName()}_trouble", tone=Tone.WARNING)
        top.addSpacing(8)
        top.addWidget(self._said, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(top)
        layout.addWidget(framed(view), 1)
        self._hint = EmptyHint(view)
        self._if_none = ""

    def say(self, sentence: str) -> None:
        """What is wrong with what is selected, beside the heading: all of it can be read there without a mouse."""
        if sentence != self._said.full_text():
            self._said.setText(sentence)

    def set_count(self, shown: int, total: int, selected: int, sought: str) -> None:
        """Say how many rows there are, how many of them the search found, and how many are selected."""
        self._hint.say("Search for something else, or press Esc to see all." if total else self._if_none)
        if total and not shown:
            short = sought if len(sought) <= _LONGEST_SOUGHT else f"{sought[:_LONGEST_SOUGHT]}…"
            parts = [f"Nothing matches {short} (Esc clears)"]
        else:
            parts = [str(total) if shown == total else f"{shown} of {total} found"]
        if selected > 1:
            parts.append(f"{selected} selected")
        self._count.setText("   ".join(parts))


class HostPanel(Panel):
    """Hosts with their NUMA nodes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self.model = HostTreeModel()
        self.view = tree_view(self.model, "host_tree", "Hosts")
        super().__init__("Hosts", self.view, parent)
        self.model.setParent(self)
        self.view.setExpandsOnDoubleClick(True)
        self.selection = KeyedSelection(self.view, self.model)
        self._expanded = self.model.open_hosts
        self.view.expanded.connect(lambda index: self._expanded.add(self.model.key_at(index.row())))
        self.view.collapsed.connect(lambda index: self._expanded.discard(self.model.key_at(index.row())))
        self.model.rearranged.connect(self._restore_expanded)

    def refresh_count(self, sought: str) -> None:
        """Say how many there are now that this is searched for."""
        self.set_count(self.model.rowCount(), self.model.row_total, len(self.selection.keys), sought)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self.view, theme)
        self.model.set_theme(theme)

    def _restore_expanded(self) -> None:
        for name in self._expanded:
            position = self.model.position_of(name)
            if position is not None and not self.view.isExpanded(index := self.model.index(position, 0)):
                self.view.expand(index)


class VmPanel(Panel):
    """Virtual machines."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self.model: TableModel[VmRow] = TableModel(
            vm_rows.COLUMNS, vm_rows.key, haystack=vm_rows.haystack, facts=vm_rows.facts
        )
        self.view = table_view(self.model, "vm_table", "Virtual machines")
        super().__init__("Virtual machines", self.view, parent)
        self._if_none = _NO_VM
        self.model.setParent(self)
        self.selection = KeyedSelection(self.view, self.model)

    def refresh_count(self, sought: str) -> None:
        """Say how many there are now that this is searched for."""
        self.set_count(self.model.rowCount(), self.model.row_total, len(self.selection.keys), sought)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self.view, theme)
        self.model.set_theme(theme)

    def focus_first(self) -> None:
        """Go to the selected row, or select the first one."""
        self.view.setFocus()
        if not self.selection.keys and self.model.rowCount():
            self.selection.select([self.model.key_at(0)])
