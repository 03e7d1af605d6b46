"""*Load Balancing*: the policy's limits, whether VMs move by themselves, what should move now and why, and what moved.

Follows the watch of this console once a second; looks and applies on a worker thread.
"""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.availability.leadership import Leadership
from hpconsole.core.balancing.mode import Mode
from hpconsole.core.balancing.moves_log import MoveLine
from hpconsole.core.balancing.report import RoundReport
from hpconsole.core.balancing.watch import Watch
from hpconsole.core.errors import HpconsoleError
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.ui.balancing import presenter
from hpconsole.ui.balancing.limits_box import LimitsBox
from hpconsole.ui.balancing.presenter import LogRow
from hpconsole.ui.bridge import Background
from hpconsole.ui.drafts.drafts import unsaved_sentence
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

_TICK_MS = 1000
COLUMNS: tuple[Column[LogRow], ...] = (
    Column("Begun", lambda r: r.place, lambda r: r.time, width=146),
    Column("VM", lambda r: r.line.vm_name, lambda r: r.line.vm_name, width=120),
    Column("Move", lambda r: r.move, lambda r: r.move, width=150),
    Column("Why", lambda r: r.cause, lambda r: r.cause, width=90),
    Column("By", lambda r: r.line.by, lambda r: r.line.by, width=150),
    Column("Gain / cost", lambda r: r.line.gain, lambda r: r.pays, align=Align.RIGHT, width=124,
           tooltip=lambda r: presenter.GAIN_HELP),
    Column("Reason", lambda r: r.line.reason, lambda r: r.line.reason, tooltip=lambda r: r.line.reason, width=400),
)  # fmt: skip


class BalancingDialog(QDialog):
    """See the module. Emits `policies_wanted` for Scheduling Policies.

    Args:
        watch: What looks after the cluster in this console.
    """

    policies_wanted = Signal()

    def __init__(self, book: PolicyBook, watch: Watch, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("balancing_dialog")
        self.setWindowTitle("Load Balancing")
        self.resize(1080, 680)
        self._book = book
        self._watch = watch
        self._background = Background(self)
        self._asking = Background(self)  # who acts: never behind a round
        self._shown: RoundReport | None = None
        self._applied: dict[str, datetime] = {}
        self._looks = 0  # that were asked for and are not answered
        self._leadership: Leadership | None = None
        self._is_asked = False
        self._is_warned = False
        self._build()
        self.set_theme(theme)
        self._tick = QTimer(self, interval=_TICK_MS)
        self._tick.timeout.connect(self._on_second)
        self._tick.start()
        self._on_second()
        self._read_log()
        if watch.last is None:
            self._on_look()

    # Building

    def _build(self) -> None:
        self._limits = LimitsBox(self._book, self._background)
        self._limits.changed.connect(self._on_limits)
        self._limits.failed.connect(self._on_failure)
        self._limits.policies_wanted.connect(self.policies_wanted)
        top = QHBoxLayout()
        top.setSpacing(28)
        top.addWidget(self._limits, 1)
        top.addLayout(self._build_mode(), 1)
        self._remark = TextLabel(name="balancing_remark", tone=Tone.MUTED, wraps=True)
        self._remark.setMinimumHeight(self._remark.fontMetrics().lineSpacing())
        close = push_button(
            "balancing_close", "Close", "Close this dialog; balancing goes on as it is set", self.reject
        )
        bottom = QHBoxLayout()
        bottom.addWidget(self._remark, 1)
        bottom.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addLayout(top)
        layout.addWidget(self._build_now())
        self._log_title = TextLabel("Moves so far", name="balancing_log_title", is_bold=True)
        layout.addWidget(self._log_title)
        layout.addWidget(self._build_log(), 1)
        layout.addLayout(bottom)

    def _build_mode(self) -> QVBoxLayout:
        self._mode = QComboBox()
        self._mode.setObjectName("balancing_mode")
        self._mode.setToolTip("For load and for affinity rules; consoles and “hpconsole watch” follow it")
        for mode, text, tip in presenter.MODES:
            self._mode.addItem(text, mode)
            self._mode.setItemData(self._mode.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self._mode.activated.connect(self._on_mode)
        label = QLabel("&By itself")
        label.setBuddy(self._mode)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self._mode, 1)
        self._mode_help = TextLabel(name="balancing_mode_help", tone=Tone.MUTED, wraps=True)
        self._who = TextLabel(name="balancing_who", wraps=True)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addLayout(row)
        column.addWidget(self._mode_help)
        column.addWidget(self._who)
        column.addStretch(1)
        return column

    def _build_now(self) -> QFrame:
        self._headline = TextLabel(name="balancing_headline", is_bold=True, wraps=True)
        self._reasons = TextLabel(name="balancing_reasons", wraps=True)
        self._reasons.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._age = TextLabel(name="balancing_age", tone=Tone.MUTED)
        self._look = push_button("balancing_look", "&Look Now", "Look at once; nothing is moved by it", self._on_look)
        self._apply = push_button("balancing_apply", "&Apply", "Move this VM now", self._on_apply)
        self._apply.setDefault(True)
        row = QHBoxLayout()
        row.addWidget(self._age, 1)
        row.addWidget(self._look)
        row.addWidget(self._apply)
        panel = QFrame()
        panel.setProperty("panel", "true")
        column = QVBoxLayout(panel)
        column.setContentsMargins(14, 10, 14, 10)
        column.setSpacing(6)
        column.addWidget(self._headline)
        column.addWidget(self._reasons)
        column.addLayout(row)
        return panel

    def _build_log(self) -> QWidget:
        self._model: TableModel[LogRow] = TableModel(COLUMNS, lambda row: row.key)
        self._model.setParent(self)
        self._view = table_view(self._model, "balancing_log", "Moves that rounds found and somebody made")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        self._view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        EmptyHint(self._view, "Moves are listed here: those made by themselves, and those begun with Apply.")
        return framed(self._view)

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme))
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)

    def reload(self) -> None:
        """Policies may have changed elsewhere in this console."""
        self._limits.reload()
        self._on_look()

    def reject(self) -> None:
        """Close; where typed limits would be lost, the first time it is said."""
        if self._limits.unsaved and not self._is_warned:
            self._is_warned = True
            self._say(unsaved_sentence(self._limits.unsaved), Tone.WARNING)
            return
        super().reject()

    def done(self, result: int) -> None:
        self._tick.stop()
        self._background.close()
        self._asking.close()
        super().done(result)

    # Gestures

    def _on_limits(self, sentence: str) -> None:
        self._is_warned = False
        self._say(sentence)
        self._on_look()

    def _on_mode(self) -> None:
        mode = Mode(self._mode.currentData())  # Qt gives back a plain string
        text = self._mode.currentText()

        def done(_: None) -> None:
            self._say(f"Kept: {text}.")
            self._on_second()

        self._background.run(lambda: self._watch.set_mode(mode), done, self._on_failure)

    def _on_look(self) -> None:
        self._looks += 1
        self._look.setEnabled(False)
        self._age.setText("Looking…")

        def done(_: RoundReport) -> None:
            self._looks -= 1
            self._look.setEnabled(not self._looks)
            self._on_second()

        def failed(error: HpconsoleError) -> None:
            self._looks -= 1
            self._look.setEnabled(not self._looks)
            self._on_failure(error)

        self._background.run(lambda: self._watch.run_now(acts=False), done, failed)

    def _on_apply(self) -> None:
        report = self._shown
        if report is None or report.recommendation is None:
            return
        found = report.recommendation
        self._applied[found.vm_uuid] = report.at
        self._show_report()

        def done(_: None) -> None:
            self._applied[found.vm_uuid] = datetime.now(UTC)
            self._show_report()
            self._say(f"{found.vm_name} is on its way to {found.destination}; the task list shows how it goes.")
            self._read_log()

        def failed(error: HpconsoleError) -> None:
            self._applied.pop(found.vm_uuid, None)
            self._on_failure(error)

        self._background.run(lambda: self._watch.apply(report), done, failed)

    def _on_failure(self, error: HpconsoleError) -> None:
        self._say(error.sentence, Tone.BAD)
        self._show_report()

    # Following

    def _on_second(self) -> None:
        """Who acts is asked on a worker thread: the answer may wait for hosts."""
        if not self._is_asked:
            self._is_asked = True
            self._asking.run(lambda: self._watch.leadership, self._on_leadership)
        report = self._watch.last
        if report is not self._shown:
            self._shown = report
            self._read_log()
            self._show_report()
        if self._look.isEnabled():
            self._age.setText(presenter.looked(report, datetime.now(UTC)))
        self._show_mode()

    def _on_leadership(self, leadership: Leadership) -> None:
        self._is_asked = False
        self._leadership = leadership
        self._show_mode()

    def _read_log(self) -> None:
        def show(lines: tuple[MoveLine, ...]) -> None:
            self._log_title.setText("Moves so far" if lines else "No moves so far.")
            self._model.set_rows(presenter.log_rows(lines))

        self._background.run(self._watch.moves, show, self._on_failure)

    # Showing

    def _show_mode(self) -> None:
        mode = self._watch.mode
        if not self._mode.view().isVisible():
            with QSignalBlocker(self._mode):
                self._mode.setCurrentIndex(self._mode.findData(mode))
        self._mode_help.setText(presenter.mode_help(mode, self._book.chosen.balancer))
        if self._leadership is not None:
            text, tone = presenter.who_acts(self._leadership, mode, self._book.chosen.balancer)
            self._who.setText(text)
            self._who.set_tone(tone)

    def _show_report(self) -> None:
        report = self._shown
        text, tone = presenter.headline(report)
        self._headline.setText(text)
        self._headline.set_tone(tone)
        self._reasons.setText(presenter.reasons(report))
        why_not = presenter.why_not_apply(report, self._applied)
        self._apply.setEnabled(not why_not)
        self._apply.setToolTip(why_not or "Move this VM now")

    def _say(self, sentence: str, tone: Tone = Tone.MUTED) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)
