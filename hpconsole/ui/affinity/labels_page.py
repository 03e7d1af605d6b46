"""Labels: which there are, and which hosts and VMs carry the selected one; a tick gives it, none takes it away."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QListView, QSplitter, QVBoxLayout, QWidget

from hpconsole.core.cluster_rules import ClusterRules
from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui.affinity.presenter import Survey
from hpconsole.ui.bridge import Background
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Column
from hpconsole.ui.widgets.empty_hint import EmptyHint
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.member_list import Entry, MemberList
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

_INTRODUCTION = (
    "A label brings everybody who carries it into the groups that name it. A host's labels are kept in this console's "
    "database, a VM's in its own definition."
)
LabelRow = tuple[str, str]  # label, who carries it

COLUMNS: tuple[Column[LabelRow], ...] = (
    Column("Label", lambda r: fmt.natural(r[0]), lambda r: r[0], width=170),
    Column("Carried by", lambda r: r[1], lambda r: r[1], width=140),
)


class LabelsPage(QWidget):
    """A page of the affinity editor.

    Args:
        rules: Where the labels of hosts are kept.
        give_to_vm: Gives a VM exactly these labels; blocks.
        look: Asks for a new survey.
    """

    def __init__(
        self,
        rules: ClusterRules,
        snapshot: Callable[[], ClusterSnapshot],
        give_to_vm: Callable[[str, frozenset[str]], None],
        look: Callable[[], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("affinity_labels")
        self._rules = rules
        self._snapshot = snapshot
        self._give_to_vm = give_to_vm
        self._look = look
        self._background = Background(self)
        self._survey: Survey | None = None
        self._made: dict[str, None] = {}  # new labels nobody carries yet
        self._given: dict[tuple[str, str], bool] = {}  # (VM, label) asked for, not seen in a snapshot yet
        self._model: TableModel[LabelRow] = TableModel(COLUMNS, lambda row: row[0])
        self._model.setParent(self)
        self._view = table_view(self._model, "affinity_labels_table", "Labels")
        self._view.setSelectionMode(QListView.SelectionMode.SingleSelection)
        EmptyHint(self._view, "There is no label yet. Type one below, add it, and tick who carries it.")
        self._selection = KeyedSelection(self._view, self._model)
        self._selection.changed.connect(self._show_carriers)
        self._new = QLineEdit(placeholderText="A new label", maxLength=100)
        self._new.setObjectName("affinity_new_label")
        self._new.setToolTip("A word; give it to a host or a VM to keep it")
        self._new.textEdited.connect(lambda _: self._show_add())
        self._new.returnPressed.connect(self._on_add)
        self._add = push_button("affinity_add_label", "A&dd", slot=self._on_add)
        self.hosts = MemberList("affinity_label_hosts", "Hosts that carry the label", "Search hosts")
        self.vms = MemberList("affinity_label_vms", "VMs that carry the label", "Search VMs")
        self.hosts.say_if_empty("No host is known, or none matches.")
        self.vms.say_if_empty("No VM is known, or none matches.")
        self.hosts.changed.connect(self._on_host)
        self.vms.changed.connect(self._on_vm)
        self._remark = TextLabel(name="affinity_label_remark", wraps=True)
        self._build()
        self._show_add()

    def _build(self) -> None:
        adding = QHBoxLayout()
        adding.addWidget(self._new, 1)
        adding.addWidget(self._add)
        left = _column("", framed(self._view))
        inner = left.layout()
        if isinstance(inner, QVBoxLayout):
            inner.addLayout(adding)
        splitter = QSplitter(childrenCollapsible=False)
        splitter.setHandleWidth(9)
        splitter.addWidget(left)
        splitter.addWidget(_column("&Hosts that carry it", self.hosts))
        splitter.addWidget(_column("&VMs that carry it", self.vms))
        splitter.setSizes([340, 380, 480])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(TextLabel(_INTRODUCTION, tone=Tone.MUTED, wraps=True))
        layout.addWidget(splitter, 1)
        layout.addWidget(self._remark)

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)
        for members in (self.hosts, self.vms):
            members.set_theme(theme)

    def close_work(self) -> None:
        """Expect no more outcomes."""
        self._background.close()

    def show_survey(self, survey: Survey) -> None:
        """Who carries what now."""
        self._survey = survey
        known = [(label.name, label.hint) for label in survey.labels]
        new = [(label, "nobody yet") for label in self._made if all(label != name for name, _ in known)]
        self._model.set_rows((*known, *new))
        if not self._selection.keys and self._model.rowCount():
            self._selection.select([self._model.key_at(0)])
        self._show_carriers()

    # Gestures

    def _label(self) -> str:
        return self._selection.keys[0] if self._selection.keys else ""

    def _on_add(self) -> None:
        label = self._new.text().strip()
        if not label or self._why_not_add():
            return
        self._made[label] = None
        self._new.clear()
        self._show_add()
        if self._survey is not None:
            self.show_survey(self._survey)
        self._selection.select([label])

    def _why_not_add(self) -> str:
        label = self._new.text().strip()
        if not label:
            return "Type a word first."
        if "," in label or " " in label or not label.isprintable():
            return "A label is one word, without commas."
        return "There is this label already." if self._model.position_of(label) is not None else ""

    def _on_host(self) -> None:
        label, rules = self._label(), self._rules
        wanted, kept = set(self.hosts.model.chosen), rules.current().host_labels
        hosts = [entry.key for entry in self.hosts.model.entries]
        changed = {host: kept.get(host, frozenset()) for host in hosts}
        changed = {host: own for host, own in changed.items() if (label in own) != (host in wanted)}

        def save() -> str:
            for host, own in changed.items():
                rules.save_host_labels(host, own - {label} if label in own else own | {label})
            words = [f"{host} {'carries' if host in wanted else 'does not carry'} {label} now." for host in changed]
            return " ".join(words)

        if label and changed:
            self._background.run(save, self._on_saved, self._on_failure)

    def _on_vm(self) -> None:
        label, snapshot = self._label(), self._snapshot()
        wanted = set(self.vms.model.chosen)
        for vm in snapshot.vms.values():
            had = self._given.get((vm.uuid, label), label in vm.intent.labels)
            if had == (vm.uuid in wanted):
                continue
            self._given[vm.uuid, label] = not had
            labels = vm.intent.labels - {label} if had else vm.intent.labels | {label}
            self._give(vm.uuid, vm.name, label, labels)

    def _give(self, uuid: str, name: str, label: str, labels: frozenset[str]) -> None:
        def done(_: None) -> None:
            self._on_saved(f"{name} {'carries' if label in labels else 'does not carry'} {label} now.")

        def failed(error: HpconsoleError) -> None:
            self._given.pop((uuid, label), None)
            self._on_failure(error)

        self._background.run(lambda: self._give_to_vm(uuid, labels), done, failed)

    def _on_saved(self, sentence: str) -> None:
        self._say(sentence, Tone.NORMAL)
        self._look()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._say(error.sentence, Tone.BAD)
        self._show_carriers()

    # Showing

    def _show_add(self) -> None:
        why_not = self._why_not_add()
        self._add.setEnabled(not why_not)
        self._add.setToolTip(why_not or "Make this label")

    def _show_carriers(self) -> None:
        label, survey = self._label(), self._survey
        if survey is None:
            return
        for members in (self.hosts, self.vms):
            members.view.setEnabled(bool(label))
            members.view.setToolTip("" if label else "Select or make a label first.")
        kept = self._rules.current().host_labels
        hosts = [person.key for person in survey.hosts if label in kept.get(person.key, frozenset())]
        for key, is_given in list(self._given.items()):
            vm = survey.snapshot.vms.get(key[0])
            if vm is None or (key[1] in vm.intent.labels) == is_given:
                del self._given[key]  # a poll has seen it
        vms = [
            person.key
            for person in survey.vms
            if self._given.get((person.key, label), label in survey.snapshot.vms[person.key].intent.labels)
        ]
        for members, people, chosen in ((self.hosts, survey.hosts, hosts), (self.vms, survey.vms, vms)):
            members.model.set_entries([Entry(person.key, person.name, person.hint) for person in people])
            if set(members.model.chosen) != set(chosen):
                members.model.set_chosen(chosen)

    def _say(self, sentence: str, tone: Tone) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)


def _column(title: str, content: QWidget) -> QWidget:
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    if title:
        label = QLabel(title)
        label.setBuddy(content.view if isinstance(content, MemberList) else content)
        layout.addWidget(label)
    layout.addWidget(content, 1)
    return column
