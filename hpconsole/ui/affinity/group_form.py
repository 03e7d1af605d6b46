"""The form of one affinity group: its name, its two rules, and who is in it; what is wrong stands where it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.planning.affinity_verdict import Place, Verdict
from hpconsole.ui.affinity import presenter
from hpconsole.ui.affinity.presenter import Person, Survey
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.member_list import Entry, MemberList
from hpconsole.ui.widgets.number_box import with_room
from hpconsole.ui.widgets.text_label import TextLabel

_HARD = "&Hard"
_HARD_TIP = (
    "Hard: never broken, even if a VM then finds no host. Without it: a preference that may lose against others."
)


@dataclass(frozen=True, slots=True)
class _Rule:
    box: QComboBox
    hard: QCheckBox

    def show(self, rule: AffinityRule, *, is_hard: bool) -> None:
        with QSignalBlocker(self.box), QSignalBlocker(self.hard):
            self.box.setCurrentIndex(max(self.box.findData(rule.value), 0))
            self.hard.setChecked(is_hard)
        self.follow()

    @property
    def rule(self) -> AffinityRule:
        return AffinityRule(self.box.currentData())

    def head(self, title: str) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(_label(title, self.box))
        row.addWidget(self.box, 1)
        row.addWidget(self.hard)
        return row

    def follow(self) -> None:
        is_off = self.rule is AffinityRule.DISABLED
        self.hard.setEnabled(not is_off)
        self.hard.setToolTip("Choose a rule first." if is_off else _HARD_TIP)


class GroupForm(QWidget):
    """Emits `edited` for every change a person makes. What is judged is told by `show_verdict`."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("affinity_form")
        self._survey: Survey | None = None
        self._has_priority = AffinityGroup("").priority
        self._remarks = {
            place: TextLabel(name=f"affinity_problem_{place.value}", tone=Tone.BAD, wraps=True) for place in Place
        }
        self._name = QLineEdit(maxLength=200)
        self._name.setObjectName("affinity_name")
        self._name.setToolTip("What the group is called; unique")
        self._description = QLineEdit(maxLength=2000, placeholderText="Why the group exists (optional)")
        self._description.setObjectName("affinity_description")
        self._description.setToolTip("Why the group exists; everybody sees it")
        self._priority = with_room(QDoubleSpinBox(minimum=0, maximum=1000, decimals=1, singleStep=1))
        self._priority.setObjectName("affinity_priority")
        self._priority.setToolTip("Where soft rules contradict each other, the group with the higher priority wins")
        self._vm_rule = self._rule("vm", presenter.VM_RULES, "What holds among the VMs of the group")
        self._host_rule = self._rule("host", presenter.HOST_RULES, "Where the VMs of the group run")
        self._only_pinned = QCheckBox("Only high-&performance or pinned")
        self._only_pinned.setObjectName("affinity_only_pinned")
        self._only_pinned.setToolTip("Offer only VMs that are high-performance or pinned; members stay in the list")
        self.vms = MemberList("affinity_vms", "VMs of the group", "Search VMs")
        self.hosts = MemberList("affinity_hosts", "Hosts of the group", "Search hosts")
        self.vm_labels = MemberList("affinity_vm_labels", "Labels that bring VMs in")
        self.host_labels = MemberList("affinity_host_labels", "Labels that bring hosts in")
        for labels in (self.vm_labels, self.host_labels):
            labels.say_if_empty("There are no labels yet: the Labels page makes them.")
            labels.setMaximumHeight(labels.fontMetrics().lineSpacing() * 5)
        self.hosts.say_if_empty("No host is known, or none matches.")
        self.vms.say_if_empty("No VM is known, or none is like that.")
        self._build()
        self._connect()

    def _rule(self, name: str, choices: Sequence[tuple[AffinityRule, str]], tip: str) -> _Rule:
        box = QComboBox()
        box.setObjectName(f"affinity_{name}_rule")
        box.setToolTip(tip)
        for rule, text in choices:
            box.addItem(text, rule.value)
        hard = QCheckBox(_HARD if name == "vm" else "H&ard")
        hard.setObjectName(f"affinity_{name}_hard")
        return _Rule(box, hard)

    def _build(self) -> None:
        top = QGridLayout()
        top.setVerticalSpacing(6)
        for row, (text, widget) in enumerate((("&Name", self._name), ("&Description", self._description))):
            top.addWidget(_label(text, widget), row * 2, 0)
            top.addWidget(widget, row * 2, 1)
        top.addWidget(self._remarks[Place.NAME], 1, 1)
        top.addWidget(_label("Prior&ity", self._priority), 0, 2)
        top.addWidget(self._priority, 0, 3)
        top.setColumnStretch(1, 1)
        columns = QSplitter(childrenCollapsible=False)
        columns.setHandleWidth(9)
        vm_head, host_head = self._vm_rule.head("&VMs"), self._host_rule.head("H&osts")
        self.vms.add_beside_search(self._only_pinned)
        columns.addWidget(self._column(vm_head, self.vms, self.vm_labels, Place.VMS))
        columns.addWidget(self._column(host_head, self.hosts, self.host_labels, Place.HOSTS))
        columns.setSizes([400, 300])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(top)
        layout.addWidget(columns, 1)

    def _column(self, head: QHBoxLayout, members: MemberList, labels: MemberList, place: Place) -> QWidget:
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self._remarks[place])
        layout.addWidget(members, 1)
        layout.addWidget(TextLabel("and everybody with one of these labels:", tone=Tone.MUTED))
        layout.addWidget(labels)
        return column

    def _connect(self) -> None:
        for edit in (self._name, self._description):
            edit.textEdited.connect(lambda _: self.edited.emit())
        self._priority.valueChanged.connect(lambda _: self.edited.emit())
        for rule in (self._vm_rule, self._host_rule):
            rule.box.activated.connect(lambda _=0, rule=rule: self._on_rule(rule))
            rule.hard.clicked.connect(lambda _: self.edited.emit())
        for members in (self.vms, self.hosts, self.vm_labels, self.host_labels):
            members.changed.connect(self.edited)
        self._only_pinned.toggled.connect(lambda _: self._show_people())

    def _on_rule(self, rule: _Rule) -> None:
        rule.follow()
        self.edited.emit()

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        for members in (self.vms, self.hosts, self.vm_labels, self.host_labels):
            members.set_theme(theme)

    def focus_name(self) -> None:
        """Ready to type a name."""
        self._name.setFocus()
        self._name.selectAll()

    def show_group(self, group: AffinityGroup) -> None:
        """Another group, or the same in another state."""
        for edit, text in ((self._name, group.name), (self._description, group.description)):
            edit.setText(text)
            edit.setCursorPosition(0)
        with QSignalBlocker(self._priority):
            self._priority.setValue(group.priority)
        self._has_priority = group.priority
        self._vm_rule.show(group.vm_rule, is_hard=group.is_vm_rule_enforced)
        self._host_rule.show(group.host_rule, is_hard=group.is_host_rule_enforced)
        for members, keys in (
            (self.vms, group.vms),
            (self.hosts, group.hosts),
            (self.vm_labels, sorted(group.vm_labels)),
            (self.host_labels, sorted(group.host_labels)),
        ):
            members.search.clear()
            members.model.set_chosen(keys)
        self._show_people()

    def group(self) -> AffinityGroup:
        """What the form says."""
        shown = round(self._priority.value(), 1)
        return AffinityGroup(
            name=self._name.text().strip(),
            # what the box cannot show exactly was not edited
            priority=self._has_priority if shown == round(self._has_priority, 1) else shown,
            vm_rule=self._vm_rule.rule,
            is_vm_rule_enforced=self._vm_rule.hard.isChecked(),
            host_rule=self._host_rule.rule,
            is_host_rule_enforced=self._host_rule.hard.isChecked(),
            vms=self.vms.model.chosen,
            hosts=self.hosts.model.chosen,
            vm_labels=frozenset(self.vm_labels.model.chosen),
            host_labels=frozenset(self.host_labels.model.chosen),
            description=self._description.text().strip(),
        )

    def show_survey(self, survey: Survey) -> None:
        """Who may be a member now."""
        self._survey = survey
        self._show_people()

    def show_verdict(self, verdict: Verdict) -> None:
        """Every remark at its place."""
        for place, label in self._remarks.items():
            remarks = verdict.at(place)
            label.setText("\n".join(remark.sentence for remark in remarks))
            is_bad = any(remark.is_problem for remark in remarks)
            label.set_tone(Tone.BAD if is_bad else Tone.WARNING)
            label.setVisible(bool(remarks))

    def _show_people(self) -> None:
        if self._survey is None:
            return
        chosen = self.vms.model.chosen
        vms = presenter.with_strangers(self._survey.vms, chosen, "this VM")
        if self._only_pinned.isChecked():
            vms = presenter.only_pinned(vms, chosen)
        hosts = presenter.with_strangers(self._survey.hosts, self.hosts.model.chosen, "this host")
        self.vms.model.set_entries(_entries(vms))
        self.hosts.model.set_entries(_entries(hosts))
        for labels in (self.vm_labels, self.host_labels):
            known = presenter.with_strangers(self._survey.labels, labels.model.chosen, "this label")
            labels.model.set_entries(_entries(known))


def _entries(people: Sequence[Person]) -> tuple[Entry, ...]:
    return tuple(Entry(person.key, person.name, person.hint, person.tip, person.tone) for person in people)


def _label(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(buddy)
    label.setMinimumWidth(label.sizeHint().width() + 4)  # a mnemonic's label asks for a pixel too little
    return label
