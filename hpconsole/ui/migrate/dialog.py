"""Migrate VM(s): shows what the presenter says, hands gestures to it, and emits the plan. Computes nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QRadioButton,
    QSplitter,
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError, PlanningError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.migration_options import DEFAULT_OPTIONS, MigrationOptions
from hpconsole.core.planning.migration_policy import BUILT_IN, MINIMAL_DOWNTIME, MigrationPolicy
from hpconsole.core.planning.preflight_findings import Severity
from hpconsole.ui import format as fmt
from hpconsole.ui.bridge import Background
from hpconsole.ui.migrate.candidates_model import candidates_model
from hpconsole.ui.migrate.detail_pane import DetailPane
from hpconsole.ui.migrate.options_box import OptionsBox
from hpconsole.ui.migrate.outlook import AT_ONCE, Checked, Measured, Outlook, headline, with_outlook
from hpconsole.ui.migrate.outlook_pane import ChecksPage, ForecastPage
from hpconsole.ui.migrate.presenter import MigratePresenter
from hpconsole.ui.migrate.question import Answer
from hpconsole.ui.migrate.view import MigrateView
from hpconsole.ui.migrate.vms_table import VmsTable
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed_in
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.tab_order import TabOrder
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

if TYPE_CHECKING:
    from hpconsole.core.execution.advice import MigrationAdvice

_FORECAST_TAB, _CHECKS_TAB = 1, 2
_CALM_MS = 1000  # polls are judged anew no more often than this; gestures at once


class MigrateDialog(QDialog):
    """Emits `plan_accepted(Plan)` when the user presses Migrate. Not modal: the window goes on beside it.

    Args:
        advice: Forecasts, checks and policies; without it nothing is foreseen or checked beforehand.
        options: How it is to be made, as the user had it last.
    """

    plan_accepted = Signal(object)
    options_changed = Signal(object)  # MigrationOptions

    def __init__(
        self,
        presenter: MigratePresenter,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        advice: MigrationAdvice | None = None,
        options: MigrationOptions = DEFAULT_OPTIONS,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("migrate_dialog")
        self.setWindowTitle("Migrate VM(s)")
        self.resize(1200, 720)
        self.setStyleSheet(form_style(theme))  # before there is anything that would have to be dressed again
        self._theme = theme
        self._presenter = presenter
        self._outlook = Outlook(advice)
        self._forecasts: ForecastPage | None = None
        self._findings: ChecksPage | None = None
        self._vms: VmsTable | None = None
        self._policies = advice.policies.all() if advice is not None else BUILT_IN
        self._default_id = advice.policies.default_id if advice is not None else MINIMAL_DOWNTIME.policy_id
        self._first_options = options
        self._background = Background(self)
        self._checks = Background(self, at_once=AT_ONCE)  # silent hosts hold up neither verdicts nor measurements
        self._measurements = Background(self, at_once=AT_ONCE)
        self._next_survey = QTimer(self, singleShot=True, interval=_CALM_MS)
        self._next_survey.timeout.connect(self._ask)
        self._build()
        self._connect()
        self.set_theme(theme)
        self._render()
        self._hosts_view.setFocus()
        self._ask()

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        """The cluster changed."""
        self._presenter.refresh(snapshot)
        if not self._next_survey.isActive():
            self._next_survey.start()

    def offer_policies(self, policies: Sequence[MigrationPolicy], default_id: str) -> None:
        """Other migration policies can be chosen from now on."""
        self._how.offer(policies, default_id)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self._hosts_view, theme)
        if theme is not self._theme:
            self._theme = theme
            self.setStyleSheet(form_style(theme))
        for part in (self._hosts, self._vms, self._detail, self._forecasts, self._findings):
            if part is not None:
                part.set_theme(theme)

    def accept(self) -> None:
        """Hand over the plan, if there is one."""
        try:
            plan = self._presenter.plan()
        except PlanningError:
            return  # the button is off and the view says why
        if self._why_not_yet():
            return
        self.plan_accepted.emit(with_outlook(plan, self._outlook, self._how.options))
        super().accept()

    def done(self, result: int) -> None:
        for jobs in (self._background, self._checks, self._measurements):
            jobs.close()
        self._next_survey.stop()
        super().done(result)

    # Building

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        self._title = TextLabel(name="migrate_title", wraps=True, parent=self)
        self._title.set_weight(QFont.Weight.DemiBold, larger_by=2)
        layout.addWidget(self._title)
        layout.addLayout(self._build_choice())
        self._how = OptionsBox(self._policies, self._default_id, self._first_options, self)
        layout.addWidget(self._how)
        layout.addWidget(self._build_tables(), 1)
        layout.addLayout(self._build_bottom())
        self._migrate.setDefault(True)  # not before it is inside the dialog: Qt would make Cancel the default

    def _build_choice(self) -> QVBoxLayout:
        self._automatic = QRadioButton("&Automatically choose host", self)
        self._automatic.setObjectName("choose_automatically")
        self._chosen = QRadioButton(self)
        self._chosen.setObjectName("choose_host")
        self._automatic_text = ElidedLabel(name="automatic_text", tone=Tone.MUTED, parent=self)
        first = QHBoxLayout()
        first.setSpacing(12)
        first.addWidget(self._automatic)
        first.addWidget(self._automatic_text, 1)
        choice = QVBoxLayout()
        choice.setSpacing(4)
        choice.addLayout(first)
        choice.addWidget(self._chosen)
        return choice

    def _build_tables(self) -> QWidget:
        """Hosts above, pages below; every widget is made inside its parent (see `framed_in`)."""
        splitter = QSplitter(Qt.Orientation.Vertical, self, childrenCollapsible=False)
        splitter.setObjectName("migrate_splitter")
        splitter.setHandleWidth(10)
        top = QWidget(splitter)
        self._status = TextLabel(name="migrate_status", tone=Tone.MUTED, parent=top)
        tables = QHBoxLayout()
        tables.setSpacing(10)
        if len(self._presenter.view().vms) > 1:
            self._vms = VmsTable(self._theme, top)
            self._vms.picked.connect(self._on_vm_picked)
            tables.addWidget(self._vms)
        self._hosts = candidates_model()
        self._hosts.setParent(self)
        frame, self._hosts_view = framed_in(
            top, lambda parent: table_view(self._hosts, "migrate_hosts", "Hosts, best first", parent)
        )
        self._hosts_view.setSelectionMode(self._hosts_view.SelectionMode.SingleSelection)
        self._host_selection = KeyedSelection(self._hosts_view, self._hosts)
        tables.addWidget(frame, 1)
        hosts = QVBoxLayout(top)
        hosts.setSpacing(4)
        hosts.setContentsMargins(0, 0, 0, 0)
        hosts.addWidget(self._status)
        hosts.addLayout(tables, 1)
        self._build_pages(splitter)
        splitter.setSizes([230, 300])
        return splitter

    def _build_pages(self, splitter: QSplitter) -> None:
        """Below the hosts: the pinning there, what is expected, what was found."""
        below = QWidget(splitter)
        self._tabs = QTabBar(below)
        self._tabs.setObjectName("migrate_tabs")
        self._tabs.setAccessibleName("Details")
        self._tabs.setExpanding(False)
        self._tabs.setDrawBase(False)
        self._tabs.setUsesScrollButtons(False)
        for title in ("Score and pinning", "Forecast", "Checks"):
            self._tabs.addTab(title)
        self._tab_order = TabOrder(self._tabs)
        self._headline = ElidedLabel(name="forecast_headline", parent=below)
        self._pages = QStackedWidget(below)
        self._detail = DetailPane(self._theme, self._pages)
        self._pages.addWidget(self._detail)
        top = QHBoxLayout()
        top.setSpacing(14)
        top.addWidget(self._tabs)
        top.addWidget(self._headline, 1)
        layout = QVBoxLayout(below)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(top)
        layout.addWidget(self._pages, 1)

    def _build_bottom(self) -> QHBoxLayout:
        self._remark = TextLabel(name="migrate_remark", wraps=True, parent=self)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        self._accepts = QCheckBox(self)
        self._accepts.setObjectName("accept_warnings")
        self._accepts.setToolTip("The warnings under Checks are read, and it is wanted all the same")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self._migrate = buttons.addButton("Migrate", QDialogButtonBox.ButtonRole.AcceptRole)
        self._migrate.setObjectName("migrate_accept")
        self._migrate.setMinimumWidth(self.fontMetrics().averageCharWidth() * 34)  # its text changes with the choice
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        bottom = QHBoxLayout()
        bottom.addWidget(self._remark, 1)
        bottom.addSpacing(12)
        bottom.addWidget(self._accepts)
        bottom.addSpacing(8)
        bottom.addWidget(buttons)
        return bottom

    def _connect(self) -> None:
        self._automatic.clicked.connect(lambda: self._gesture(self._presenter.pick_automatic))
        self._chosen.clicked.connect(lambda: self._gesture(self._presenter.pick_highlighted))
        self._host_selection.changed.connect(self._on_host_selected)
        self._hosts_view.doubleClicked.connect(self._on_host_picked)
        self._how.changed.connect(self._on_options)
        self._tabs.currentChanged.connect(self._on_tab)
        self._accepts.clicked.connect(self._on_accepted)

    # Gestures

    def _on_tab(self, place: int) -> None:
        """Show a page; it is made when it is first looked at, for the dialog should be there at once."""
        if place == _FORECAST_TAB and self._forecasts is None:
            self._forecasts = ForecastPage(self._pages)
            self._forecasts.remedy_taken.connect(lambda change: self._how.want(**change))
        elif place == _CHECKS_TAB and self._findings is None:
            self._findings = ChecksPage(self._pages)
            self._findings.recheck_wanted.connect(self._on_recheck)
        page: QWidget = {_FORECAST_TAB: self._forecasts, _CHECKS_TAB: self._findings}.get(place) or self._detail
        if self._pages.indexOf(page) < 0:
            self._pages.addWidget(page)
            self.set_theme(self._theme)
            self._render_outlook()
        self._pages.setCurrentWidget(page)
        self._tab_order.put_behind(self._pages)

    def _gesture(self, tell: Callable[[], None]) -> None:
        tell()
        self._render()
        self._ask()

    def _on_host_selected(self) -> None:
        keys = self._host_selection.keys
        if keys:
            self._gesture(lambda: self._presenter.highlight(keys[0]))

    def _on_vm_picked(self, uuid: str) -> None:
        self._gesture(lambda: self._presenter.highlight_vm(uuid))

    def _on_host_picked(self, index: QModelIndex) -> None:
        self._presenter.highlight(self._hosts.key_at(index.row()))
        self._gesture(self._presenter.pick_highlighted)

    def _on_options(self, options: MigrationOptions) -> None:
        self.options_changed.emit(options)
        self._render()

    def _on_recheck(self) -> None:
        self._outlook.recheck()
        self._render()

    def _on_accepted(self, is_accepted: bool) -> None:
        self._outlook.accept_warnings(is_accepted)
        self._render()

    # Answers

    def _look_ahead(self) -> None:
        """Check and measure what is planned, some at a time, each on a thread of its own."""
        while (check := self._outlook.next_check()) is not None:
            self._checks.run(check, self._on_checked)
        while (measurement := self._outlook.next_measurement()) is not None:
            self._measurements.run(measurement, self._on_measured)

    def _on_checked(self, checked: Checked) -> None:
        self._outlook.take_check(checked)
        self._render()

    def _on_measured(self, measured: Measured) -> None:
        self._outlook.take_measurement(measured)
        self._render()

    def _ask(self) -> None:
        question = self._presenter.next_question()
        if question is not None:
            self._background.run(question, self._on_answer, self._on_failure)

    def _on_answer(self, answer: Answer) -> None:
        self._presenter.take_answer(answer)
        self._render()
        if self._presenter.is_hurried:
            self._ask()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._presenter.take_failure(error)
        self._render()

    def _render(self) -> None:
        view = self._presenter.view()
        self._title.setText(view.title)
        self._automatic.setChecked(view.is_automatic)
        self._chosen.setChecked(not view.is_automatic)
        self._automatic_text.setText(view.automatic_text)
        self._chosen.setText(view.chosen_text.replace("&", "&&"))
        self._chosen.setEnabled(view.highlighted is not None)
        self._status.setText(view.status)
        with QSignalBlocker(self._host_selection):
            self._hosts.set_rows(view.hosts)
            self._select(view)
        if self._vms is not None:
            self._vms.show_vms(view.vms, view.highlighted_vm)
            self._vms.setVisible(len(view.vms) > 1)
        self._detail.show_line(view.highlighted, view.detail)
        self._outlook.follow(self._presenter.present_plan, self._how.options)
        self._look_ahead()
        self._render_outlook()
        problem = view.problem or (self._why_not_yet() if view.can_migrate else "")
        self._remark.setText(problem or "  ".join(view.warnings))
        self._remark.set_tone(self._remark_tone(view.problem, problem))
        self._migrate.setText(view.button_text.replace("&", "&&"))
        self._migrate.setEnabled(view.can_migrate and not self._why_not_yet())

    def _remark_tone(self, refusal: str, problem: str) -> Tone:
        """What has only to be waited for, or to be accepted, is no error."""
        if not refusal and not self._outlook.is_checked:
            return Tone.MUTED
        is_hopeless = refusal or self._how.options.problem() or self._outlook.problem()
        return Tone.BAD if problem and is_hopeless else Tone.WARNING

    def _render_outlook(self) -> None:
        text, tone = headline(self._outlook)
        if text != self._headline.full_text():
            self._headline.setText(text)
        self._headline.set_tone(tone)
        for page in (self._forecasts, self._findings):
            if page is not None:
                page.show_outlook(self._outlook)
        self._tab_order.put_behind(self._pages)
        self._tabs.setTabText(_CHECKS_TAB, self._outlook.checks_title())
        warnings = len(self._outlook.of(Severity.WARNING))
        self._accepts.setVisible(bool(warnings))
        self._accepts.setText(f"Accept {fmt.count(warnings, '&warning')}")
        self._accepts.setChecked(bool(warnings) and self._outlook.is_accepted)

    def _why_not_yet(self) -> str:
        """What stands against pressing Migrate though there is a plan; a sentence, empty if nothing does."""
        if problem := self._how.options.problem() or self._outlook.problem():
            return problem
        if not self._outlook.is_checked:
            return "Asking both hosts whether anything stands against it…"
        if not self._outlook.is_accepted:
            first = self._outlook.of(Severity.WARNING)[0].finding.sentence
            return f"{first} Accept the warnings, or see Checks."
        return ""

    def _select(self, view: MigrateView) -> None:
        """Keep the table's selection what the presenter says, without hearing of it as a gesture."""
        if view.highlighted is not None and self._host_selection.keys != (view.highlighted.name,):
            self._host_selection.select([view.highlighted.name])
