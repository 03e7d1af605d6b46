"""*Maintenance host(s)*: the question, the warning, the plan with its choices, and then its course.

Asks no host itself. Not modal: the window goes on beside it, and a drain goes on when it is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.errors import HpconsoleError, StorageError
from hpconsole.core.events import DrainChanged, Event
from hpconsole.core.planning import drain
from hpconsole.core.planning.drain import DrainIntent, DrainItem, DrainPlan, PlanProblem
from hpconsole.core.planning.drain_export import plan_json, plan_text
from hpconsole.core.store import Store
from hpconsole.ui import format as fmt
from hpconsole.ui.bridge import Background, EventBridge
from hpconsole.ui.maintenance import presenter
from hpconsole.ui.maintenance.affinity_choice import AffinityChoice
from hpconsole.ui.maintenance.columns import COLUMNS
from hpconsole.ui.maintenance.presenter import Edit, ItemRow
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.scrolled import clear, scrolled, show_lines
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

if TYPE_CHECKING:
    from hpconsole.core.execution.drain_record import DrainRecord
    from hpconsole.core.execution.maintenance import Maintenance


class MaintenanceDialog(QDialog):
    """For one or several hosts.

    Args:
        hosts: Which to empty.
        maintenance: Called for the core's part of it, on worker threads and for quick looks.
        store: Whose events tell of the drain's course.
        destinations: Called for the hosts that a VM may be sent to.
    """

    began = Signal(object)  # DrainRecord

    def __init__(
        self,
        hosts: tuple[str, ...],
        maintenance: Maintenance,
        store: Store,
        theme: Theme,
        *,
        destinations: Callable[[], tuple[str, ...]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("maintenance_dialog")
        self.setWindowTitle("Maintenance Host(s)")
        self.resize(1180, 680)
        self._maintenance = maintenance
        self._store = store
        self._destinations = destinations
        self._background = Background(self)
        known = (maintenance.of_host(host) for host in hosts)
        self._record: DrainRecord | None = next((record for record in known if record is not None), None)
        self._intent = self._record.intent if self._record is not None else DrainIntent(hosts)
        self._plan: DrainPlan | None = None
        self._shown: object = None  # what the pane beside the table shows
        self._asked = 0
        self._build()
        self.set_theme(theme)
        self._events = EventBridge(store, self)
        self._events.happened.connect(self._on_event)
        self._ask()
        self._show_state()

    # What others say

    @property
    def drain_id(self) -> str:
        """The drain it shows; empty before one has begun."""
        return self._record.drain_id if self._record is not None else ""

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)

    def refresh(self, _snapshot: object = None) -> None:
        """A new snapshot: nothing is planned anew behind the user's back; *Re-check* does it."""

    def done(self, result: int) -> None:
        self._background.close()
        self._events.close()
        super().done(result)

    # Building

    def _build(self) -> None:
        hosts = self._intent.hosts
        self._question = TextLabel(presenter.question(hosts), name="maintenance_question", is_bold=True, wraps=True)
        self._reason = QLineEdit(self._intent.reason, placeholderText="Why (optional; everybody sees it)")
        self._reason.setObjectName("maintenance_reason")
        self._reason.setMaxLength(500)
        reason_label = QLabel("Rea&son:")
        reason_label.setBuddy(self._reason)
        top = QHBoxLayout()
        top.addWidget(reason_label)
        top.addWidget(self._reason, 1)
        self._warning = TextLabel(name="maintenance_warning", tone=Tone.WARNING, wraps=True)
        self._consequence = TextLabel("Planning…", name="maintenance_consequence", wraps=True)
        self._planner = TextLabel(name="maintenance_planner", tone=Tone.MUTED, wraps=True)
        splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        splitter.setHandleWidth(9)
        splitter.addWidget(self._build_table())
        splitter.addWidget(self._build_detail())
        splitter.setSizes([850, 300])
        cluster_says = self._store.snapshot.settings.ignores_vm_affinity_for_maintenance
        self._ignore = AffinityChoice(self._intent.options.ignores_vm_affinity, cluster_says=cluster_says)
        self._ignore.chosen.connect(self._on_affinity)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        for widget in (self._question, self._warning, self._consequence):
            layout.addWidget(widget)
        layout.addLayout(top)
        layout.addWidget(splitter, 1)
        layout.addWidget(self._planner)
        layout.addWidget(self._ignore)
        layout.addLayout(self._build_buttons())

    def _build_table(self) -> QWidget:
        self._model: TableModel[ItemRow] = TableModel(COLUMNS, lambda row: row.key)
        self._model.setParent(self)
        self._view = table_view(self._model, "maintenance_table", "What becomes of each VM, in order")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        EmptyHint(
            self._view, "What becomes of each VM is listed here, in its order. Where none runs, none has to leave."
        )
        titles = [column.title for column in COLUMNS]
        self._view.setColumnHidden(titles.index("From"), len(self._intent.hosts) == 1)
        self._now = titles.index("Now")
        self._selection = KeyedSelection(self._view, self._model)
        self._selection.changed.connect(self._show_detail)
        return framed(self._view)

    def _build_detail(self) -> QWidget:
        self._lines = QVBoxLayout()
        self._lines.setContentsMargins(12, 8, 12, 8)
        scroll = scrolled(self._lines, "maintenance_detail", "What is known of the selected VM")
        self._goes_to = QComboBox()
        self._goes_to.setObjectName("maintenance_destination")
        self._goes_to.setToolTip("Send this VM to a host of your choice instead")
        self._goes_to.activated.connect(self._on_destination)
        label = QLabel("&Goes to:")
        label.setBuddy(self._goes_to)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self._goes_to, 1)
        self._choices = QGridLayout()
        detail = QWidget()
        layout = QVBoxLayout(detail)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(framed(scroll), 1)
        layout.addLayout(row)
        layout.addLayout(self._choices)
        return detail

    def _build_buttons(self) -> QHBoxLayout:
        self._earlier = push_button(
            "maintenance_earlier", "Move &Earlier", "The selected VM one place sooner", lambda: self._on_order(-1)
        )
        self._later = push_button(
            "maintenance_later", "Move L&ater", "The selected VM one place later", lambda: self._on_order(1)
        )
        self._check = push_button("maintenance_check", "Re-&check", "Plan again, as things are now", self._ask)
        self._export = push_button("maintenance_export", "E&xport…", "Save the plan as text or JSON", self._on_export)
        self._pause = push_button(
            "maintenance_pause", "&Pause", "Begin nothing new; what moves goes on", self._on_pause
        )
        self._resume = push_button("maintenance_resume", "&Resume", "Go on, with what you decided", self._on_resume)
        self._stop = push_button(
            "maintenance_stop", "S&top", "Cancel what moves, and begin nothing more", self._on_stop
        )
        self._run = push_button("maintenance_run", "&Begin Maintenance", "Carry the plan out", self._on_run)
        self._run.setDefault(True)
        close = push_button(
            "maintenance_close", "Close", "Close this dialog; a maintenance under way goes on", self.reject
        )
        row = QHBoxLayout()
        for left in (self._earlier, self._later, self._check, self._export):
            row.addWidget(left)
        row.addStretch(1)
        for right in (self._pause, self._resume, self._stop, self._run, close):
            row.addWidget(right)
        return row

    # Planning

    def _ask(self) -> None:
        """Plan on a worker thread; the newest answer counts."""
        self._asked += 1
        number, intent, maintenance = self._asked, self._intent, self._maintenance
        self._consequence.setText("Planning…")

        def done(plan: DrainPlan) -> None:
            if number == self._asked:
                self._on_plan(plan)

        def failed(error: HpconsoleError) -> None:
            if number == self._asked:
                self._consequence.setText(error.sentence)

        self._background.run(lambda: maintenance.plan(intent), done, failed)

    def _on_plan(self, plan: DrainPlan) -> None:
        self._plan = plan
        self._show_rows()
        if not self._selection.keys and self._model.rowCount():
            first = next((item for item in plan.items if item.needs_choice), plan.items[0])
            self._selection.select([first.vm_uuid])
        self._show_state()
        self._show_detail()

    def _change(self, edit: Edit) -> None:
        """Another decision: plan again."""
        self._intent = edit(self._intent)
        self._ask()

    def _on_destination(self, place: int) -> None:
        item, host = self._item(), self._goes_to.itemData(place)
        if item is not None and isinstance(host, str) and host:
            self._change(lambda intent: drain.with_destination(intent, item.vm_uuid, host))

    def _on_affinity(self, wanted: bool | None) -> None:
        self._change(lambda intent: replace(intent, options=replace(intent.options, ignores_vm_affinity=wanted)))

    def _on_order(self, by: int) -> None:
        item, plan = self._item(), self._plan
        if item is not None and plan is not None:
            self._change(lambda _: presenter.moved(plan, item.vm_uuid, by))

    def _on_export(self) -> None:
        plan = self._plan
        if plan is None:
            return
        chooser = QFileDialog(self, "Export Plan", "", "Text (*.txt);;JSON (*.json)")
        chooser.setObjectName("maintenance_export_dialog")
        chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        chooser.setDefaultSuffix("txt")
        chooser.fileSelected.connect(lambda path: self.export_to(Path(path), plan))
        chooser.open()

    def export_to(self, path: Path, plan: DrainPlan) -> None:
        """Save the plan: JSON where the name ends so, text otherwise."""

        def write() -> None:
            import json

            is_json = path.suffix == ".json"
            text = json.dumps(plan_json(plan), indent=1) + "\n" if is_json else plan_text(plan)
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise StorageError(f"{path} cannot be written ({error.strerror}).", subject=str(path)) from error

        self._background.run(write, lambda _: self._planner.setText(f"Saved as {path}."), self._on_failure)

    # Running

    def _on_run(self) -> None:
        """Check once more against what is true now, then begin."""
        plan, maintenance, reason = self._plan, self._maintenance, self._reason.text().strip()
        if plan is None or presenter.why_not_run(plan):
            return
        self._run.setEnabled(False)
        wanted = replace(plan, intent=replace(plan.intent, reason=reason))

        def begin() -> DrainRecord | tuple[PlanProblem, ...]:
            return maintenance.check(wanted) or maintenance.start(wanted)

        self._background.run(begin, self._on_begun, self._on_failure)

    def _on_begun(self, outcome: DrainRecord | tuple[PlanProblem, ...]) -> None:
        if isinstance(outcome, tuple):
            self._ask()
            self._planner.setText("Things changed, so it was planned again: " + " ".join(p.sentence for p in outcome))
            return
        self._record = outcome
        self.began.emit(outcome)
        self._show_state()

    def _on_pause(self) -> None:
        if self._record is not None:
            drain_id = self._record.drain_id
            self._background.run(lambda: self._maintenance.pause(drain_id), None, self._on_failure)

    def _on_resume(self) -> None:
        if self._record is not None:
            drain_id, intent = self._record.drain_id, replace(self._intent, reason=self._reason.text().strip())
            self._background.run(lambda: self._maintenance.resume(drain_id, intent), None, self._on_failure)

    def _on_stop(self) -> None:
        if self._record is not None:
            drain_id = self._record.drain_id
            self._background.run(lambda: self._maintenance.stop(drain_id), None, self._on_failure)

    def _on_failure(self, error: HpconsoleError) -> None:
        self._planner.setText(error.sentence)
        self._show_state()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, DrainChanged) and self._record is not None and event.drain_id == self._record.drain_id:
            self._record = self._maintenance.get(event.drain_id) or self._record
            self._plan = self._maintenance.plan_of(event.drain_id) or self._plan
            self._show_rows()
            self._show_state()
            self._show_detail()

    # Showing

    def _item(self) -> DrainItem | None:
        if self._plan is None or not self._selection.keys:
            return None
        return self._plan.item(self._selection.keys[0])

    def _show_rows(self) -> None:
        if self._plan is not None:
            with QSignalBlocker(self._selection):
                moving = self._maintenance.under_way(self.drain_id)
                self._model.set_rows(presenter.rows(self._plan, self._record, moving))

    def _show_state(self) -> None:
        plan, record = self._plan, self._record
        is_live = record is not None and not record.state.is_over
        self._view.setColumnHidden(self._now, record is None)
        is_moving = is_live and record is not None and record.state.value == "running"
        if record is not None:
            self._question.setText(record.title)
            self._consequence.setText(presenter.course(record))
            self._planner.setText("\n".join(presenter.log(record)[-4:]))
        elif plan is not None:
            self._consequence.setText(presenter.consequence(plan))
            self._planner.setText(presenter.planner(plan))
        if plan is not None:
            self._warning.setText(presenter.warning(plan))
        self._warning.setVisible(bool(self._warning.text()) and not is_live)
        why_not = presenter.why_not_run(plan)
        self._run.setVisible(not is_live)
        self._run.setEnabled(not why_not and record is None)
        self._run.setToolTip(why_not or "Carry the plan out")
        self._pause.setVisible(is_moving)
        self._resume.setVisible(is_live and not is_moving)
        self._stop.setVisible(is_live)
        for widget in (self._check, self._export, self._earlier, self._later, self._ignore, self._reason):
            widget.setEnabled(record is None or (is_live and not is_moving))

    def _show_detail(self) -> None:
        item, plan = self._item(), self._plan
        lines = presenter.details(plan, item) if item is not None and plan is not None else ()
        shown = (item, lines, self._may_choose)
        if shown == self._shown:
            return  # a drain tells of every step: what is read is not built anew
        self._shown = shown
        show_lines(self._lines, "maintenance_line", lines)
        self._show_choices(item)

    @property
    def _may_choose(self) -> bool:
        return self._record is None or self._record.state.value in ("paused", "waiting")

    def _show_choices(self, item: DrainItem | None) -> None:
        clear(self._choices)
        may_choose = self._may_choose
        self._goes_to.clear()
        self._goes_to.setEnabled(item is not None and may_choose)
        if item is None:
            return
        self._goes_to.addItem("As planned" if item.destination else "Nowhere yet", "")
        hosts = [host for host in self._destinations() if host not in self._intent.hosts]
        for host in sorted(hosts, key=fmt.natural):
            self._goes_to.addItem(host, host)
        self._goes_to.setCurrentIndex(max(self._goes_to.findData(item.destination or ""), 0))
        for place, (name, text, edit) in enumerate(presenter.choices(item)):
            chosen = push_button(f"maintenance_choice_{name}", text)
            chosen.setEnabled(may_choose)
            chosen.setToolTip(presenter.CHOICE_TIPS[name])
            chosen.clicked.connect(lambda _on=False, edit=edit: self._change(edit))
            self._choices.addWidget(chosen, place // 2, place % 2)
