"""Groups that pinning suggests, with the reason for each, accepted by a click. Computed on a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.affinity_suggest import Scope, Suggestion, Suggestions, suggest_groups
from hpconsole.ui import format as fmt
from hpconsole.ui.bridge import Background
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Column
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

_SCOPES = {Scope.HOST: "a host", Scope.NUMA_NODE: "a NUMA node", Scope.CORE: "a core"}
_INTRODUCTION = (
    "High-performance and pinned VMs that cannot share a host, a NUMA node or a core anyway, judged on empty hosts of "
    "this cluster. A group says so to the scheduler, to everybody else, and to whoever changes a pinning later."
)


@dataclass(frozen=True, slots=True)
class SuggestionRow:
    """One suggestion with the names of its VMs."""

    one: Suggestion
    vms: tuple[str, ...]
    is_kept: bool = False

    @property
    def state(self) -> tuple[str, Tone]:
        """Whether there is anything to accept."""
        if self.is_kept:
            return "accepted", Tone.GOOD
        return ("kept apart already", Tone.MUTED) if self.one.is_covered else ("suggested", Tone.ACCENT)


COLUMNS: tuple[Column[SuggestionRow], ...] = (
    Column("VMs", lambda r: r.vms, lambda r: ", ".join(r.vms), width=300, tooltip=lambda r: ", ".join(r.vms)),
    Column("Cannot share", lambda r: list(Scope).index(r.one.scope), lambda r: _SCOPES[r.one.scope], width=140),
    Column("As a rule", lambda r: r.one.group.is_vm_rule_enforced,
           lambda r: "apart, hard" if r.one.group.is_vm_rule_enforced else "apart, soft", width=120),
    Column("Name", lambda r: fmt.natural(r.one.group.name), lambda r: r.one.group.name, width=280),
    Column("State", lambda r: r.state[0], lambda r: r.state[0], tone=lambda r: r.state[1], width=130,
           is_toned_when_selected=True),
)  # fmt: skip


class SuggestionsPage(QWidget):
    """A page of the affinity editor.

    Args:
        snapshot: The newest, with the groups that count now.
        accept: Keeps a group; `mark_kept` tells when it is.
    """

    def __init__(
        self,
        snapshot: Callable[[], ClusterSnapshot],
        accept: Callable[[AffinityGroup], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("affinity_suggestions")
        self._snapshot = snapshot
        self._accept = accept
        self._background = Background(self)  # of its own: this may take seconds, and judging goes on meanwhile
        self._rows: tuple[SuggestionRow, ...] = ()
        self._is_asking = False
        self._was_asked = False
        introduction = TextLabel(_INTRODUCTION, tone=Tone.MUTED, wraps=True)
        self._model: TableModel[SuggestionRow] = TableModel(COLUMNS, lambda row: row.one.group.name)
        self._model.setParent(self)
        self._view = table_view(self._model, "affinity_suggestions_table", "Suggested groups")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        EmptyHint(
            self._view, "Pinned VMs that cannot share a host, a node or a core are listed here, as groups to accept."
        )
        self._selection = KeyedSelection(self._view, self._model)
        self._selection.changed.connect(self._show_state)
        self._reason = TextLabel(name="affinity_suggestion_reason", wraps=True)
        self._reason.setMinimumHeight(3 * self._reason.fontMetrics().lineSpacing())
        self._ask = push_button(
            "affinity_suggestion_ask", "Su&ggest Again", "Judge all pinned and high-performance VMs as they are now"
        )
        self._ask.clicked.connect(self.ask)
        self._take = push_button("affinity_suggestion_accept", "A&ccept", "")
        self._take.clicked.connect(self._on_accept)
        row = QHBoxLayout()
        row.addWidget(self._ask)
        row.addStretch(1)
        row.addWidget(self._take)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(introduction)
        layout.addWidget(framed(self._view), 1)
        layout.addWidget(self._reason)
        layout.addLayout(row)
        self._show_state()

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)

    def close_work(self) -> None:
        """Expect no more outcomes."""
        self._background.close()

    def ask(self) -> None:
        """Compute the suggestions anew."""
        if self._is_asking:
            return
        self._is_asking = self._was_asked = True
        self._reason.setText("Judging which pinned VMs stand in each other's way…")
        self._reason.set_tone(Tone.MUTED)
        self._show_buttons()

        def suggest() -> tuple[Suggestions, ClusterSnapshot]:
            snapshot = self._snapshot()
            return suggest_groups(snapshot), snapshot

        self._background.run(suggest, self._on_found, self._on_failure)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._was_asked:
            self.ask()  # who goes to this page by its tab wants to see the same

    def show_kept(self, names: Collection[str]) -> None:
        """Which groups there are now: those of accepted suggestions, until they are taken back."""
        rows = tuple(SuggestionRow(row.one, row.vms, row.one.group.name in names) for row in self._rows)
        if rows != self._rows:
            self._rows = rows
            self._model.set_rows(rows)
            self._show_state()

    def _on_found(self, outcome: tuple[Suggestions, ClusterSnapshot]) -> None:
        found, snapshot = outcome
        self._is_asking = False
        self._rows = tuple(
            SuggestionRow(one, tuple(snapshot.vms[uuid].name for uuid in one.group.vms)) for one in found.found
        )
        with QSignalBlocker(self._selection):
            self._model.set_rows(self._rows)
        first = next((row for row in self._rows if not row.one.is_covered), None)
        self._selection.select([first.one.group.name] if first is not None else [])
        self._show_state()
        if found.unjudged:
            more = f"{fmt.count(found.unjudged, 'kind')} of pairs would have taken too long to judge."
            self._reason.setText(f"{self._reason.text()} {more}")

    def _on_failure(self, error: HpconsoleError) -> None:
        self._is_asking = False
        self._reason.setText(error.sentence)
        self._reason.set_tone(Tone.BAD)
        self._show_buttons()

    def _selected(self) -> SuggestionRow | None:
        keys = self._selection.keys
        return next((row for row in self._rows if keys and row.one.group.name == keys[0]), None)

    def _on_accept(self) -> None:
        row = self._selected()
        if row is not None:
            self._accept(row.one.group)

    def _show_state(self) -> None:
        row = self._selected()
        if self._is_asking:
            text = self._reason.text()
        elif row is not None:
            text = row.one.reason
        elif self._rows:
            text = "Select a suggestion to read its reason."
        elif not self._was_asked:
            text = ""
        else:
            text = "No two pinned or high-performance VMs stand in each other's way."
        self._reason.setText(text)
        self._reason.set_tone(Tone.NORMAL if row is not None else Tone.MUTED)
        self._show_buttons()

    def _show_buttons(self) -> None:
        row = self._selected()
        self._ask.setEnabled(not self._is_asking)
        why_not = ""
        if row is None:
            why_not = "Select a suggestion first."
        elif row.is_kept:
            why_not = "It is accepted already."
        elif row.one.is_covered:
            why_not = "A group keeps these VMs apart already."
        self._take.setEnabled(not why_not)
        self._take.setToolTip(why_not or "Keep this group")
