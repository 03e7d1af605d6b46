"""*Affinity Groups*: the groups with their state, the form of the selected one, suggestions, labels. Not modal.

Judging, saving and suggesting run on worker threads; what is edited and not saved is kept until the dialog closes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtWidgets import QDialog, QHBoxLayout, QSplitter, QTabWidget, QVBoxLayout, QWidget

from hpconsole.core.cluster_rules import ClusterRules
from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.affinity_verdict import Verdict, judge
from hpconsole.ui import format as fmt
from hpconsole.ui.affinity import keeping, presenter
from hpconsole.ui.affinity.group_form import GroupForm
from hpconsole.ui.affinity.keeping import Step
from hpconsole.ui.affinity.labels_page import LabelsPage
from hpconsole.ui.affinity.presenter import NEW, Drafts, GroupRow, Survey
from hpconsole.ui.affinity.suggestions_page import SuggestionsPage
from hpconsole.ui.bridge import Background
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

_LOOK_MS = 2000  # the cluster is looked at not more often than this
_JUDGE_MS = 80  # after the last key

COLUMNS: tuple[Column[GroupRow], ...] = (
    Column("Group", lambda r: fmt.natural(r.group.name), lambda r: r.name, width=140,
           tooltip=lambda r: r.group.description),
    Column("Now", lambda r: r.standing[0], lambda r: r.standing[0], tone=lambda r: r.standing[1], width=150,
           tooltip=lambda r: r.standing[0], is_toned_when_selected=True),
    Column("VMs", lambda r: r.vm_rule, lambda r: r.vm_rule, width=100),
    Column("Hosts", lambda r: r.host_rule, lambda r: r.host_rule, width=100),
    Column("Members", lambda r: len(r.state.members), lambda r: r.members, width=110),
    Column("Priority", lambda r: r.group.priority, lambda r: f"{r.group.priority:g}", align=Align.RIGHT, width=70),
)  # fmt: skip


class AffinityDialog(QDialog):
    """The editor of affinity groups.

    Args:
        rules: Where groups are kept.
        snapshot: The newest snapshot.
        give_labels: Gives a VM (UUID) exactly these labels; blocks, raises HpconsoleError.
    """

    def __init__(
        self,
        rules: ClusterRules,
        snapshot: Callable[[], ClusterSnapshot],
        theme: Theme,
        *,
        give_labels: Callable[[str, frozenset[str]], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("affinity_dialog")
        self.setWindowTitle("Affinity Groups")
        self.resize(1240, 690)
        self._rules = rules
        self._newest = snapshot
        self._background = Background(self)
        self._drafts = Drafts()
        self._survey: Survey | None = None
        self._verdict: Verdict | None = None  # None: the form was edited since
        self._asked = 0
        self._key = NEW
        self._is_making = False  # New was pressed: the form is of a group that does not exist yet
        self._undo: Step | None = None
        self._is_leaving = False
        self._suggestions = SuggestionsPage(self.snapshot, self._accept)
        self._labels = LabelsPage(rules, self.snapshot, give_labels, self.look)
        self._build()
        self._judging = QTimer(self, singleShot=True, interval=_JUDGE_MS)
        self._judging.timeout.connect(self._judge)
        self._pause = QTimer(self, singleShot=True, interval=_LOOK_MS)
        self._pause.timeout.connect(self.look)
        self.set_theme(theme)
        self._show_form()
        self.look()

    # From outside

    def snapshot(self) -> ClusterSnapshot:
        """The newest snapshot with the groups that count now: one saved a moment ago may not be in it yet."""
        return replace(self._newest(), affinity_groups=self._rules.current().groups)

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme).replace("QSpinBox", "QAbstractSpinBox"))  # the priority has decimals
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)
        for part in (self._form, self._suggestions, self._labels):
            part.set_theme(theme)

    def refresh(self, _snapshot: object = None) -> None:
        """A new snapshot: looked at after a pause."""
        if not self._pause.isActive():
            self._pause.start()

    def look(self) -> None:
        """Look at the cluster again, on a worker thread."""
        self._background.run(lambda: presenter.survey(self.snapshot()), self._show_survey, self._on_failure)

    def done(self, result: int) -> None:
        self._background.close()
        self._suggestions.close_work()
        self._labels.close_work()
        super().done(result)

    def reject(self) -> None:
        """Close; what is not saved is pointed out once."""
        unsaved = tuple(key or "the new group" for key in self._drafts.keys)
        if unsaved and not self._is_leaving:
            self._is_leaving = True
            self._close.setText("Discard and Close")
            self._say(
                f"{fmt.names(unsaved)}: changes are not saved. Save them, or close again to discard.", Tone.WARNING
            )
            return
        super().reject()

    # Building

    def _build(self) -> None:
        self._model: TableModel[GroupRow] = TableModel(COLUMNS, lambda row: row.key)
        self._model.setParent(self)
        self._view = table_view(self._model, "affinity_table", "Affinity groups")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        EmptyHint(
            self._view, "New makes a group. Suggest Groups proposes some for VMs that cannot share a host anyway."
        )
        self._selection = KeyedSelection(self._view, self._model)
        self._selection.changed.connect(self._on_selected)
        self._summary = TextLabel(name="affinity_summary", wraps=True)
        self._form = GroupForm()
        self._form.edited.connect(self._on_edited)
        left = QWidget()
        left_layout = QVBoxLayout(left)
        left_layout.setContentsMargins(0, 8, 0, 0)
        left_layout.addWidget(self._summary)
        left_layout.addWidget(framed(self._view), 1)
        left_layout.addLayout(self._build_list_buttons())
        right = QWidget()
        right_layout = QVBoxLayout(right)
        right_layout.setContentsMargins(6, 8, 0, 0)
        right_layout.addWidget(self._form, 1)
        right_layout.addLayout(self._build_form_buttons())
        splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        splitter.setHandleWidth(9)
        splitter.addWidget(left)
        splitter.addWidget(right)
        splitter.setSizes([600, 610])
        self._tabs = QTabWidget()
        self._tabs.setObjectName("affinity_tabs")
        self._tabs.setDocumentMode(True)
        for page, title in (
            (splitter, "&Groups"), (self._suggestions, "S&uggestions"), (self._labels, "&Labels"),
        ):  # fmt: skip
            self._tabs.addTab(page, title)
        self._remark = TextLabel(name="affinity_remark", wraps=True)
        self._remark.setMinimumHeight(2 * self._remark.fontMetrics().lineSpacing())
        self._take_back = push_button("affinity_undo", "Und&o", "Take back what was saved or removed last")
        self._take_back.clicked.connect(self._on_undo)
        self._take_back.hide()
        self._close = push_button("affinity_close", "Close", "Close this dialog")
        self._close.clicked.connect(self.reject)
        bottom = QHBoxLayout()
        bottom.addWidget(self._remark, 1)
        bottom.addWidget(self._take_back)
        bottom.addWidget(self._close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(self._tabs, 1)
        layout.addLayout(bottom)

    def _build_list_buttons(self) -> QHBoxLayout:
        new = push_button("affinity_new", "Ne&w", "Make another group")
        new.clicked.connect(self._on_new)
        self._remove = push_button("affinity_remove", "&Remove", "Forget the selected group; it can be taken back")
        self._remove.clicked.connect(self._on_remove)
        suggest = push_button(
            "affinity_suggest", "Su&ggest Groups", "What pinned VMs cannot share anyway, as groups with reasons"
        )
        suggest.clicked.connect(self._on_suggest)
        row = QHBoxLayout()
        for button in (new, self._remove):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(suggest)
        return row

    def _build_form_buttons(self) -> QHBoxLayout:
        self._consequence = TextLabel(name="affinity_consequence", tone=Tone.MUTED, wraps=True)
        self._revert = push_button("affinity_revert", "Rever&t", "Forget what was changed in this group")
        self._revert.clicked.connect(self._on_revert)
        self._save = push_button("affinity_save", "&Save", "")
        self._save.setDefault(True)
        self._save.clicked.connect(self._on_save)
        row = QHBoxLayout()
        row.addWidget(self._consequence, 1)
        row.addWidget(self._revert)
        row.addWidget(self._save)
        return row

    # Gestures

    @property
    def _is_of_new(self) -> bool:
        """Whether a group is being made."""
        return self._is_making or NEW in self._drafts.keys

    def _kept(self) -> dict[str, AffinityGroup]:
        return {group.name: group for group in self._rules.current().groups}

    def _on_selected(self) -> None:
        keys = self._selection.keys
        if keys and (keys[0] != self._key or self._is_making):
            self._key = keys[0]
            self._is_making = False
            self._show_form()

    def _on_new(self) -> None:
        self._key = NEW
        self._is_making = True
        self._drafts.forget(NEW)
        self._selection.select([])
        self._show_form()
        self._form.focus_name()

    def _on_edited(self) -> None:
        self._is_leaving = False
        self._close.setText("Close")
        self._drafts.change(self._key, self._form.group(), self._kept())
        self._verdict = None
        self._asked += 1  # what is being judged is out of date
        self._show_rows()
        self._show_state()
        self._judging.start()

    def _on_revert(self) -> None:
        self._drafts.forget(self._key)
        self._show_rows()
        self._show_form()

    def _on_save(self) -> None:
        key, group, rules = self._key, self._form.group(), self._rules
        self._save.setEnabled(False)

        def done(step: Step) -> None:
            self._drafts.forget(key)
            self._done(step, select=group.name)

        self._background.run(lambda: keeping.save(rules, self.snapshot(), group, key), done, self._on_failure)

    def _on_remove(self) -> None:
        key, rules = self._key, self._rules
        if key not in self._kept():
            self._on_revert()
            return

        def done(step: Step) -> None:
            self._drafts.forget(key)
            self._key = NEW
            self._done(step)

        self._background.run(lambda: keeping.remove(rules, key), done, self._on_failure)

    def _on_undo(self) -> None:
        step, rules = self._undo, self._rules
        if step is None:
            return

        def done(sentence: str) -> None:
            self._key = step.before.name if step.before is not None else NEW
            self._done(None, select=self._key)
            self._say(sentence)

        self._background.run(lambda: keeping.take_back(rules, step), done, self._on_failure)

    def _on_suggest(self) -> None:
        self._tabs.setCurrentWidget(self._suggestions)
        self._suggestions.ask()

    def _accept(self, group: AffinityGroup) -> None:
        """A suggestion is taken over: kept at once, and taken back as any other."""
        rules = self._rules

        def done(step: Step) -> None:
            self._done(step, select=group.name)

        self._background.run(lambda: keeping.save(rules, self.snapshot(), group), done, self._on_failure)

    def _done(self, step: Step | None, *, select: str = "") -> None:
        """After a change: look again, and offer to take it back."""
        self._undo = step
        self._is_making = False
        self._take_back.setVisible(step is not None)
        if step is not None:
            self._say(step.sentence)
        if select:
            self._key = select

        def show(survey: Survey) -> None:
            self._show_survey(survey)
            self._selection.select([self._key] if self._key else [])
            self._show_form()

        self._background.run(lambda: presenter.survey(self.snapshot()), show, self._on_failure)

    def _on_failure(self, error: HpconsoleError) -> None:
        self._say(error.sentence, Tone.BAD)
        self._show_state()

    # Judging

    def _judge(self) -> None:
        """On a worker thread; the newest answer counts."""
        self._asked += 1
        number, key, group = self._asked, self._key, self._form.group()

        def done(verdict: Verdict) -> None:
            if number == self._asked:
                self._verdict = verdict
                self._show_state()

        self._background.run(lambda: judge(group, self.snapshot(), old_name=key or None), done, self._on_failure)

    # Showing

    def _show_survey(self, survey: Survey) -> None:
        self._survey = survey
        self._form.show_survey(survey)
        self._labels.show_survey(survey)
        self._suggestions.show_kept({state.group.name for state in survey.states})
        text, tone = presenter.summary(survey.states)
        self._summary.setText(text)
        self._summary.set_tone(tone)
        self._show_rows()
        if not self._selection.keys and not self._key and survey.states and not self._is_of_new:
            self._selection.select([survey.states[0].group.name])
        self._judge()

    def _show_rows(self) -> None:
        if self._survey is not None:
            with QSignalBlocker(self._selection):
                self._model.set_rows(presenter.rows(self._survey.states, self._drafts))

    def _show_form(self) -> None:
        self._form.show_group(self._drafts.of(self._key, self._kept()))
        self._verdict = None
        self._show_state()
        self._judge()

    def _show_state(self) -> None:
        is_edited = self._key in self._drafts.keys
        is_untouched = self._key == NEW and not is_edited
        is_of_none = is_untouched and not self._is_making
        self._form.setEnabled(not is_of_none)
        self._form.setToolTip(presenter.SELECT_FIRST if is_of_none else "")
        verdict = self._verdict
        if verdict is not None:
            self._form.show_verdict(Verdict() if is_untouched else verdict)
        why_not = presenter.why_not_save(
            is_edited=is_edited, is_judged=verdict is not None, problem=verdict.problem if verdict is not None else ""
        )
        self._save.setEnabled(not why_not)
        self._save.setToolTip((is_of_none and presenter.SELECT_FIRST) or why_not or "Let the group count, and keep it")
        self._revert.setEnabled(is_edited)
        self._revert.setToolTip("Forget what was changed in this group" if is_edited else "Nothing was changed.")
        self._remove.setEnabled(not is_untouched)
        self._remove.setToolTip(
            "Select a group first." if is_untouched else "Forget the selected group; it can be taken back"
        )
        text = "Tick the VMs and hosts, and choose what holds among them." if is_untouched else ""
        text = presenter.SELECT_FIRST if is_of_none else text
        if verdict is not None and not is_untouched:
            text = "It cannot be saved like this: see above." if verdict.problem else verdict.consequence
        self._consequence.setText(text)
        self._consequence.set_tone(Tone.BAD if verdict is not None and verdict.problem and is_edited else Tone.MUTED)

    def _say(self, sentence: str, tone: Tone = Tone.NORMAL) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)
