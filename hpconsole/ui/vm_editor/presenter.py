"""New/Edit VM without the window: the draft, what is wrong with it, what it would change. No Qt.

Edits are applied at once by `core.machines.editing`; what takes longer (verdicts of hosts, recommendations, XML) is
asked for with `next_question()`, computed on a worker thread and brought back with `take_answer()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.machines import editing
from hpconsole.core.machines.draft import MigrationMode, VmDraft
from hpconsole.core.machines.migration_mode import caution, settled, suggestion
from hpconsole.core.machines.profile import profile_changes, with_type
from hpconsole.core.machines.reading import read_draft
from hpconsole.core.machines.writing import with_xml
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.ui.undo import Undo
from hpconsole.ui.vm_editor import showing
from hpconsole.ui.vm_editor.survey import Answer, Question
from hpconsole.ui.vm_editor.view import EditorView

if TYPE_CHECKING:
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation


_EDITS: Mapping[str, Callable[[VmDraft, Any], VmDraft]] = {
    "name": editing.with_name,
    "optimized_for": with_type,
    "memory_kib": editing.with_memory,
    "topology": editing.with_topology,
    "vcpus": editing.with_vcpus,
    "iothreads": editing.with_iothreads,
    "huge_page_kib": editing.with_huge_pages,
    "is_multi_queue": lambda draft, is_on: editing.with_multi_queue(draft, is_on=is_on),
    "cpu_pinning_policy": editing.with_policy,
    "allowed_hosts": editing.with_hosts,
    "migration_mode": editing.with_migration_mode,
    "node_count": editing.with_node_count,
}


class VmEditorPresenter:
    """Built for one draft over a snapshot.

    Args:
        before: The draft as it was read; of a new VM, what it begins with.
        vm: The VM as it is now; None for a new one.
        host: Where it is defined, or where a new one is to be made.
        is_template: It is a template that is edited: no VM stands behind it, and none is made.
        policy: The scheduling policy; called on a worker thread.
        reservations: What is promised to others; called on a worker thread.
    """

    def __init__(
        self,
        before: VmDraft,
        snapshot: ClusterSnapshot,
        policy: Callable[[], Policy],
        reservations: Callable[[], Sequence[Reservation]] = tuple,
        *,
        vm: Vm | None = None,
        host: str = "",
        is_template: bool = False,
    ) -> None:
        self.before = before
        self.vm = vm
        self.snapshot = snapshot
        self._host = host
        self._is_template = is_template
        self.policy = policy
        self.reservations = reservations
        self._draft = before
        self._undo: Undo[VmDraft] = Undo()
        self._last_field = ""
        self._typed: dict[str, tuple[str, str]] = {}  # field -> (text that is no value, why)
        self._answer: Answer | None = None
        self._error = ""
        self._is_wanted = True
        self._is_computing = False

    # What the user does

    @property
    def draft(self) -> VmDraft:
        """As it is edited now."""
        return self._draft

    @property
    def host(self) -> str:
        """Where it is defined, or where a new VM will be made."""
        return self._host

    @property
    def is_new(self) -> bool:
        """Whether a VM is to be made."""
        return self.vm is None and not self._is_template

    def set_host(self, host: str) -> None:
        """Make the new VM on this host."""
        if self.is_new and host in self.snapshot.hosts and host != self._host:
            self._host = host
            self._is_wanted = True

    def set_value(self, field: str, value: Any) -> None:
        """Give a field this value, with what belongs to it."""
        self._typed.pop(field, None)
        edit = _EDITS.get(field)
        changed = edit(self._draft, value) if edit is not None else replace(self._draft, **{field: value})
        self.change(settled(self._draft, changed), field=field)

    def set_typed(self, field: str, text: str, sentence: str) -> None:
        """A text was typed that is no value of this field; the draft keeps the last one."""
        self._typed[field] = (text, sentence)

    def change(self, draft: VmDraft, *, field: str = "") -> None:
        """This draft from now on. Changes of one field in a row are undone together."""
        if draft == self._draft:
            return
        self._undo.leave(self._draft, begins=not field or field != self._last_field)
        self._last_field = field
        self._draft = draft
        self._is_wanted = True

    def suggest_mode(self) -> None:
        """Take the suggested migration mode, and let it follow the pinning from now on."""
        self.change(editing.without_chosen_mode(self._draft))

    def choose_mode(self, mode: MigrationMode) -> None:
        """The user's own choice: nothing overwrites it."""
        if mode is not self._draft.migration_mode:
            self.change(editing.with_migration_mode(self._draft, mode))

    def type_xml(self, text: str) -> None:
        """The definition edited by hand; while it cannot be read, the draft keeps the last one."""
        try:
            changed = with_xml(self._draft, text)
        except HpconsoleError as error:
            self._typed["xml"] = (text, error.sentence)
            return
        self._typed.pop("xml", None)
        self.change(changed, field="xml")

    def forget_typed_xml(self) -> None:
        """Back to the definition the fields make."""
        self._typed.pop("xml", None)

    def undo(self) -> None:
        """Back by one change."""
        self._restore(self._undo.back(self._draft))

    def redo(self) -> None:
        """Forth by one change."""
        self._restore(self._undo.forth(self._draft))

    def _restore(self, draft: VmDraft | None) -> None:
        if draft is None:
            return
        self._draft = draft
        self._typed.clear()
        self._last_field = ""
        self._is_wanted = True

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        """The cluster changed: the draft stays, and is judged anew."""
        if snapshot.serial != self.snapshot.serial:
            self.snapshot = snapshot
            if self.vm is not None:
                self.vm = snapshot.vms.get(self.vm.uuid, self.vm)
            self._is_wanted = True

    # What is computed

    def next_question(self) -> Question | None:
        """What to compute now; None while one is under way or nothing is new."""
        if self._is_computing or not self._is_wanted:
            return None
        self._is_computing, self._is_wanted = True, False
        return Question(self.before, self._draft, self.vm, self._host, self.snapshot, self.policy, self.reservations)

    def take_answer(self, answer: Answer) -> None:
        """A question was answered."""
        self._is_computing = False
        self._error = ""
        self._answer = answer

    def take_failure(self, error: HpconsoleError) -> None:
        """A question could not be answered."""
        self._is_computing = False
        self._error = error.sentence

    @property
    def answer(self) -> Answer | None:
        """The newest answer; it may be about an earlier draft."""
        return self._answer

    @property
    def is_settled(self) -> bool:
        """Whether the newest answer is about the draft as it is now."""
        return self._answer is not None and self._answer.question.draft == self._draft

    def filled(self, key: str) -> VmDraft | None:
        """The draft with this recommendation followed; "" = with all of them. None where there is nothing to fill in.

        May take its time (the exact placement): called on a worker thread.
        """
        if self._answer is None:
            return None
        if key:
            found = (advice.filled for advice in self._answer.recommendations if advice.key == key)
            return next(found, None)
        from hpconsole.core.machines.recommending import fill_all
        from hpconsole.core.machines.surroundings import Surroundings

        around = Surroundings(self.snapshot, self._host, tuple(self.reservations()), self.policy())
        return fill_all(self._draft, around)

    # What is shown

    def view(self) -> EditorView:
        """Everything but the values."""
        answer, draft = self._answer, self._draft
        remarks = showing.remarks(draft, answer, profile_changes(draft), self._typed)
        mode = suggestion(draft)
        problem = self._error or showing.first_problem(remarks)
        lines = showing.change_lines(answer) if self.is_settled else ()
        is_changed = draft != self.before or self.is_new
        return EditorView(
            title=self._title(),
            draft=draft,
            remarks=remarks,
            bad_tabs=showing.bad_tabs(remarks),
            hosts=showing.host_lines(draft, answer, self.snapshot),
            advice=showing.advice(answer),
            is_new=self.is_new,
            host=self._host,
            profile_text=showing.profile_text(profile_changes(draft), draft.optimized_for),
            mode_suggestion=mode.sentence if mode.is_different else "",
            mode_caution=caution(draft),
            changes=lines,
            summary=self._summary(is_changed),
            problem=problem,
            can_save=is_changed and not problem and self.is_settled,
            save_text="&Create" if self.is_new else "&Save",
            can_undo=self._undo.can_undo,
            can_redo=self._undo.can_redo,
        )

    def _title(self) -> str:
        if self.is_new:
            return f"New VM {self._draft.name}".strip()
        return f"Edit {'the template ' if self._is_template else ''}{self.before.name}"

    def _summary(self, is_changed: bool) -> str:
        if not is_changed:
            return "Nothing is changed yet."
        if not self.is_settled or self._answer is None:
            return "Checking…"
        if self.is_new:
            return f"Will be made on {self._host}." if self._host else "Choose the host to make it on."
        return showing.summary(self._answer)

    @property
    def xml(self) -> str:
        """The definition to show: as typed while it is being typed, else what the draft makes."""
        if "xml" in self._typed:
            return self._typed["xml"][0]
        if self._answer is not None and self.is_settled and self._answer.xml:
            return self._answer.xml
        return self._draft.xml

    @property
    def is_same_xml(self) -> bool:
        """Whether the draft is what its definition says, untouched."""
        return bool(self._draft.xml) and read_draft(self._draft.xml) == self._draft
