"""Migrate VM(s): shows what the presenter says, hands gestures to it, and emits the plan. Computes nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QRadioButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError, PlanningError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui.bridge import Background
from hpconsole.ui.migrate.candidates_model import candidates_model, vms_model
from hpconsole.ui.migrate.detail_pane import DetailPane
from hpconsole.ui.migrate.presenter import MigratePresenter
from hpconsole.ui.migrate.question import Answer
from hpconsole.ui.migrate.view import MigrateView
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.text_label import ElidedLabel, TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

_CALM_MS = 1000  # polls are judged anew no more often than this; gestures at once


class MigrateDialog(QDialog):
    """Emits `plan_accepted(Plan)` when the user presses Migrate. Not modal: the window goes on beside it."""

    plan_accepted = Signal(object)

    def __init__(self, presenter: MigratePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("migrate_dialog")
        self.setWindowTitle("Migrate VM(s)")
        self.resize(1180, 690)
        self._presenter = presenter
        self._background = Background(self)
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

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self._hosts_view, theme)
        for part in (self._hosts, self._vms, self._detail):
            part.set_theme(theme)

    def accept(self) -> None:
        """Hand over the plan, if there is one."""
        try:
            plan = self._presenter.plan()
        except PlanningError:
            return  # the button is off and the view says why
        self.plan_accepted.emit(plan)
        super().accept()

    def done(self, result: int) -> None:
        self._background.close()
        self._next_survey.stop()
        super().done(result)

    # Building

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        self._title = TextLabel(name="migrate_title", wraps=True)
        self._title.set_weight(QFont.Weight.DemiBold, larger_by=2)
        layout.addWidget(self._title)
        layout.addLayout(self._build_choice())
        layout.addWidget(self._build_tables(), 1)
        layout.addLayout(self._build_bottom())
        self._migrate.setDefault(True)  # not before it is inside the dialog: Qt would make Cancel the default

    def _build_choice(self) -> QVBoxLayout:
        self._automatic = QRadioButton("&Automatically choose host")
        self._automatic.setObjectName("choose_automatically")
        self._chosen = QRadioButton()
        self._chosen.setObjectName("choose_host")
        self._automatic_text = ElidedLabel(name="automatic_text", tone=Tone.MUTED)
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
        self._hosts = candidates_model()
        self._hosts.setParent(self)
        self._hosts_view = table_view(self._hosts, "migrate_hosts", "Hosts, best first")
        self._hosts_view.setSelectionMode(self._hosts_view.SelectionMode.SingleSelection)
        self._host_selection = KeyedSelection(self._hosts_view, self._hosts)
        self._vms = vms_model()
        self._vms.setParent(self)
        self._vms_view = table_view(self._vms, "migrate_vms", "VMs and their destinations")
        self._vms_view.setSelectionMode(self._vms_view.SelectionMode.SingleSelection)
        self._vm_selection = KeyedSelection(self._vms_view, self._vms)
        self._status = TextLabel(name="migrate_status", tone=Tone.MUTED)
        hosts = QVBoxLayout()
        hosts.setSpacing(4)
        hosts.addWidget(self._status)
        tables = QHBoxLayout()
        tables.setSpacing(10)
        self._vms_frame = framed(self._vms_view)
        self._vms_frame.setFixedWidth(self.fontMetrics().averageCharWidth() * 56)
        tables.addWidget(self._vms_frame)
        tables.addWidget(framed(self._hosts_view), 1)
        hosts.addLayout(tables, 1)
        top = QWidget()
        hosts.setContentsMargins(0, 0, 0, 0)
        top.setLayout(hosts)
        self._detail = DetailPane()
        splitter = QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False)
        splitter.setObjectName("migrate_splitter")
        splitter.setHandleWidth(10)
        splitter.addWidget(top)
        splitter.addWidget(self._detail)
        splitter.setSizes([260, 250])
        return splitter

    def _build_bottom(self) -> QHBoxLayout:
        self._remark = TextLabel(name="migrate_remark", wraps=True)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._migrate = buttons.addButton("Migrate", QDialogButtonBox.ButtonRole.AcceptRole)
        self._migrate.setObjectName("migrate_accept")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        bottom = QHBoxLayout()
        bottom.addWidget(self._remark, 1)
        bottom.addSpacing(12)
        bottom.addWidget(buttons)
        return bottom

    def _connect(self) -> None:
        self._automatic.clicked.connect(lambda: self._gesture(self._presenter.pick_automatic))
        self._chosen.clicked.connect(lambda: self._gesture(self._presenter.pick_highlighted))
        self._host_selection.changed.connect(self._on_host_selected)
        self._vm_selection.changed.connect(self._on_vm_selected)
        self._hosts_view.doubleClicked.connect(self._on_host_picked)

    # Gestures

    def _gesture(self, tell: Callable[[], None]) -> None:
        tell()
        self._render()
        self._ask()

    def _on_host_selected(self) -> None:
        keys = self._host_selection.keys
        if keys:
            self._gesture(lambda: self._presenter.highlight(keys[0]))

    def _on_vm_selected(self) -> None:
        keys = self._vm_selection.keys
        if keys:
            self._gesture(lambda: self._presenter.highlight_vm(keys[0]))

    def _on_host_picked(self, index: QModelIndex) -> None:
        self._presenter.highlight(self._hosts.key_at(index.row()))
        self._gesture(self._presenter.pick_highlighted)

    # Answers

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
        with QSignalBlocker(self._host_selection), QSignalBlocker(self._vm_selection):
            self._hosts.set_rows(view.hosts)
            self._vms.set_rows(view.vms)
            self._select(view)
        self._vms_frame.setVisible(len(view.vms) > 1)
        self._detail.show_line(view.highlighted, view.detail)
        self._remark.setText(view.problem or "  ".join(view.warnings))
        self._remark.set_tone(Tone.BAD if view.problem else Tone.WARNING)
        self._migrate.setText(view.button_text.replace("&", "&&"))
        self._migrate.setEnabled(view.can_migrate)

    def _select(self, view: MigrateView) -> None:
        """Keep the tables' selection what the presenter says, without hearing of it as a gesture."""
        if view.highlighted is not None and self._host_selection.keys != (view.highlighted.name,):
            self._host_selection.select([view.highlighted.name])
        if self._vm_selection.keys != (view.highlighted_vm,):
            self._vm_selection.select([view.highlighted_vm])
