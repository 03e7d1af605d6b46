"""Migration History: what was migrated when, how it ended, every attempt with its reasons, and the proof of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.journal import Journal, JournalLine
from hpconsole.ui import format as fmt
from hpconsole.ui.bridge import Background
from hpconsole.ui.history import presenter
from hpconsole.ui.history.figures_pane import FiguresPane
from hpconsole.ui.history.presenter import Entry, read, story, task_of, when
from hpconsole.ui.tasks.task_actions import actions_after
from hpconsole.ui.tasks.task_book import Task
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.scrolled import clear, scrolled, show_lines
from hpconsole.ui.widgets.tab_order import TabOrder
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view


def _error_text(entry: Entry) -> str:
    error = entry.forecast_error
    if error is None:
        return fmt.UNKNOWN
    return "exact" if abs(error) < 0.01 else f"{error:+.0%}".replace("%", " %")


def _attempts(entry: Entry) -> str:
    return str(len(entry.attempts))


ENTRY_COLUMNS: tuple[Column[Entry], ...] = (
    Column("Began", lambda r: r.began_at, lambda r: when(r.began_at, datetime.now(UTC)), width=104,
           tone=lambda _: Tone.MUTED),
    Column("VM", lambda r: fmt.natural(r.last.vm_name), lambda r: r.last.vm_name, icon=lambda r: r.mark, width=136),
    Column("From", lambda r: fmt.natural(r.last.source), lambda r: r.last.source, width=90),
    Column("To", lambda r: fmt.natural(r.last.destination), lambda r: r.last.destination, width=90),
    Column("Ended", lambda r: r.outcome_text, lambda r: r.outcome_text, tone=lambda r: r.mark[1], width=132,
           is_toned_when_selected=True),
    Column("Attempts", lambda r: len(r.attempts), _attempts, align=Align.RIGHT, width=84),
    Column("Took", lambda r: r.total_s, lambda r: fmt.seconds(r.total_s), align=Align.RIGHT, width=92),
    Column("Pause", lambda r: r.downtime_ms, lambda r: fmt.milliseconds(r.downtime_ms), align=Align.RIGHT, width=82),
    Column("Against forecast", lambda r: r.forecast_error, _error_text, align=Align.RIGHT, width=138,
           tooltip=lambda _: "How much longer (+) or shorter (-) it took than was foreseen"),
    Column("What came of it", lambda r: r.last.sentence, lambda r: r.last.sentence, tone=lambda _: Tone.MUTED,
           width=150),
)  # fmt: skip


class HistoryDialog(QDialog):
    """Not modal: the window goes on beside it. Emits what shall be done about the way a migration ended.

    Args:
        journal: Called for the journal; None = the program is still starting.
        sought: What the search box begins with (a VM's name).
    """

    action_wanted = Signal(str, object)  # the name of a `TaskAction`, and the `Task` it is about

    def __init__(
        self, journal: Callable[[], Journal | None], theme: Theme, sought: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("history_dialog")
        self.setWindowTitle("Migration History")
        self.resize(1060, 640)
        self._journal = journal
        self._background = Background(self)
        self._entries: dict[str, Entry] = {}
        self._lines: dict[str, Sequence[JournalLine]] = {}
        self._build()
        self._search.setText(sought)
        self.set_theme(theme)
        self.refresh()

    def refresh(self) -> None:
        """Read the journal anew, on a worker thread."""
        journal = self._journal()
        if journal is not None:
            self._background.run(lambda: read(journal), self._on_read, self._on_failure)
        else:
            self._note.setText("The console is still starting.")

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)
        self._figures.set_theme(theme)

    def done(self, result: int) -> None:
        self._background.close()
        super().done(result)

    def _build(self) -> None:
        self._search = QLineEdit(placeholderText="Search VMs, hosts, outcomes  (Ctrl+F)")
        self._search.setObjectName("history_search")
        self._search.setAccessibleName("Search migrations")
        self._search.setClearButtonEnabled(True)
        self._note = TextLabel("Reading…", name="history_note", tone=Tone.MUTED)
        self._in_vain = TextLabel(name="history_in_vain", wraps=True)
        self._in_vain.hide()
        top = QHBoxLayout()
        top.addWidget(self._search, 1)
        top.addWidget(self._note)
        self._model: TableModel[Entry] = TableModel(ENTRY_COLUMNS, lambda entry: entry.key, haystack=_haystack)
        self._model.setParent(self)
        self._view = table_view(self._model, "history_table", "Migrations, newest first")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        self._view.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        EmptyHint(self._view, "Migrations are listed here once there are some: select running VMs and press Ctrl+M.")
        self._selection = KeyedSelection(self._view, self._model)
        splitter = QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False)
        splitter.setHandleWidth(9)
        splitter.addWidget(framed(self._view))
        self._detail = self._build_detail()
        self._tab_order = TabOrder(self._view)
        splitter.addWidget(self._detail)
        splitter.setSizes([330, 240])
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addLayout(top)
        layout.addWidget(self._in_vain)
        layout.addWidget(splitter, 1)
        layout.addWidget(buttons)
        self._search.textChanged.connect(self._on_search)
        self._selection.changed.connect(self._on_selected)

    def _build_detail(self) -> QWidget:
        offers = QWidget()  # of their own, so that Tab reaches them before what stands below
        self._buttons = QHBoxLayout(offers)
        self._buttons.setContentsMargins(0, 0, 0, 0)
        self._sentence = TextLabel(name="history_sentence", wraps=True)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._story = QVBoxLayout()
        self._story.setContentsMargins(12, 8, 12, 8)
        self._story.setSpacing(3)
        scroll = scrolled(self._story, "history_story", "What was done when")
        self._figures = FiguresPane()
        lower = QHBoxLayout()
        lower.setSpacing(10)
        lower.addWidget(framed(scroll), 1)
        lower.addWidget(self._figures)
        detail = QWidget()
        layout = QVBoxLayout(detail)
        layout.setContentsMargins(0, 0, 0, 0)
        top = QHBoxLayout()
        top.addWidget(self._sentence, 1)
        top.addWidget(offers)
        layout.addLayout(top)
        layout.addLayout(lower, 1)
        return detail

    def _on_read(self, entries: tuple[Entry, ...]) -> None:
        self._entries = {entry.key: entry for entry in entries}
        self._lines = {}
        with QSignalBlocker(self._selection):
            self._model.set_rows(entries)
        self._say_count()
        if not self._selection.keys and self._model.rowCount():
            self._selection.select([self._model.key_at(0)])
        self._on_selected()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._note.setText("")
        self._sentence.setText(error.sentence)

    def _on_search(self, text: str) -> None:
        self._model.search(text)
        self._say_count()

    def _say_count(self) -> None:
        shown, total = self._model.rowCount(), self._model.row_total
        sought = self._search.text().strip()
        is_in_vain = bool(total and not shown and sought)
        self._in_vain.setText(presenter.found_nothing(sought, total) if is_in_vain else "")
        self._in_vain.setVisible(is_in_vain)
        self._note.setText(
            "Nothing was migrated yet." if not total
            else fmt.count(total, "migration") if shown == total else f"{shown} of {fmt.count(total, 'migration')}"
        )  # fmt: skip

    def _on_selected(self) -> None:
        entry = self._entries.get(self._selection.keys[0]) if self._selection.keys else None
        self._sentence.setText("" if entry is None else entry.last.sentence)
        self._figures.show_attempt(None if entry is None else entry.last)
        self._show_buttons(None if entry is None else task_of(entry, self._entries.values()))
        self._show_story(entry, {})
        journal = self._journal()
        if entry is None or journal is None:
            return

        def lines() -> dict[str, tuple[JournalLine, ...]]:
            return {record.migration_id: journal.lines(record.migration_id) for record in entry.attempts}

        def on_lines(found: dict[str, tuple[JournalLine, ...]]) -> None:
            if self._selection.keys == (entry.key,):
                self._show_story(entry, found)

        self._background.run(lines, on_lines, self._on_failure)

    def _show_buttons(self, task: Task | None) -> None:
        """What can be done about the way it ended, as in the task list."""
        clear(self._buttons)
        for action in actions_after(task) if task is not None else ():
            button = QPushButton(action.text)
            button.setObjectName(f"history_{action.name}")
            button.setToolTip(action.tip)
            button.setAccessibleName(f"{button.text().removesuffix('…')}: {task.title}" if task is not None else "")
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, name=action.name: self.action_wanted.emit(name, task))
            self._buttons.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        self._tab_order.put_behind(self._detail)

    def _show_story(self, entry: Entry | None, lines: Mapping[str, Sequence[JournalLine]]) -> None:
        told = story(entry, lines, datetime.now(UTC)) if entry is not None else ()
        show_lines(self._story, "history_line", told)


def _haystack(entry: Entry) -> str:
    hosts = " ".join(f"{record.source} {record.destination}" for record in entry.attempts)
    return f"{entry.last.vm_name} {hosts} {entry.outcome_text} {entry.last.vm_uuid}"
