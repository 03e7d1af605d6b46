"""The policy in force and the limits of its balancer: chosen, and edited where the policy is an own one."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.core.scheduler.policy_files import parameters
from hpconsole.ui.balancing.presenter import NO_BALANCER
from hpconsole.ui.bridge import Background
from hpconsole.ui.policies.parameter_fields import ParameterFields
from hpconsole.ui.policies.presenter import PoliciesPresenter, titled
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel

_NO_BALANCING = "It does not balance: with it nothing is moved for load, in whatever mode."


class LimitsBox(QWidget):
    """Emits `changed(sentence)` when something was kept, `failed(error)` where it could not be."""

    changed = Signal(str)
    failed = Signal(object)  # HpconsoleError
    policies_wanted = Signal()

    def __init__(self, book: PolicyBook, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._book = book
        self._background = background
        self._presenter = PoliciesPresenter(book)
        self._build()
        self.reload()

    def _build(self) -> None:
        self._policy = QComboBox()
        self._policy.setObjectName("balancing_policy")
        self._policy.setToolTip("Look at another policy's balancing; it counts when it is put in force")
        self._policy.activated.connect(self._on_policy)
        label = QLabel("&Policy")
        label.setBuddy(self._policy)
        edit = push_button(
            "balancing_edit", "&Edit Policies…", "Filters, weights, and own policies", self.policies_wanted
        )
        self._use = push_button("balancing_use", "Put in &Force", "", self._on_use)
        head = QHBoxLayout()
        head.addWidget(label)
        head.addWidget(self._policy, 1)
        head.addWidget(self._use)
        head.addWidget(edit)
        self._balancer = TextLabel(name="balancing_balancer", wraps=True)
        self._fields = ParameterFields(tuple(parameters().values()), "balancing")
        self._fields.typed.connect(self._on_typed)
        self._locked = TextLabel(name="balancing_locked", tone=Tone.MUTED, wraps=True)
        self._copy = push_button(
            "balancing_copy", "&Copy to Change Limits", "Make a copy, and put it in force", self._on_copy
        )
        self._save = push_button("balancing_save", "&Save Limits", "", self._on_save)
        self._revert = push_button("balancing_revert", "&Revert", "Forget what was typed", self._on_revert)
        buttons = QHBoxLayout()
        for button in (self._copy, self._save, self._revert):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addWidget(self._balancer)
        layout.addWidget(self._fields)
        layout.addWidget(self._locked)
        layout.addLayout(buttons)
        layout.addStretch(1)

    # From outside

    @property
    def unsaved(self) -> tuple[str, ...]:
        """The policy whose limits were typed and not saved, if any."""
        return self._presenter.unsaved

    def reload(self) -> None:
        """Show what there is now; what is looked at and typed stays as long as that policy is there."""
        if self._presenter.selected not in [policy.name for policy in self._book.all()]:
            self._presenter = PoliciesPresenter(self._book)
        with QSignalBlocker(self._policy):
            self._policy.clear()
            for row in self._presenter.rows:
                self._policy.addItem(f"{row.name} (in force)" if row.is_in_force else row.name, row.name)
            self._policy.setCurrentIndex(self._policy.findData(self._presenter.selected))
        self._show()

    # Gestures

    def _on_policy(self) -> None:
        """Only looked at: who goes through the list by keys must not put each policy in force on the way."""
        self._presenter.select(self._policy.currentData())
        self._show()

    def _on_use(self) -> None:
        name = self._presenter.selected

        def done(_: None) -> None:
            self.reload()
            self.changed.emit(f"{name} is in force: decisions follow it from now on.")

        self._background.run(self._presenter.choosing(), done, self._on_failure)

    def _on_typed(self, name: str, text: str) -> None:
        self._presenter.set_parameter(name, text)
        self._show_depending()

    def _on_copy(self) -> None:
        make, book = self._presenter.copying(), self._book

        def copy() -> Policy:
            made = make()
            book.choose(made.name)
            return made

        def done(made: Policy) -> None:
            self._presenter.select(made.name)
            self.reload()
            self.changed.emit(f"{made.name} is your own and in force: change its limits, and save.")

        self._background.run(copy, done, self._on_failure)

    def _on_save(self) -> None:
        old = self._presenter.selected

        def done(made: Policy) -> None:
            self._presenter.saved(old, made.name)
            self.reload()
            self.changed.emit(f"The limits of {made.name} were saved; the next round follows them.")

        self._background.run(self._presenter.saving(), done, self._on_failure)

    def _on_revert(self) -> None:
        self._presenter.revert()
        self._show()

    def _on_failure(self, error: HpconsoleError) -> None:
        self.reload()
        self.failed.emit(error)

    # Showing

    def _show(self) -> None:
        presenter = self._presenter
        self._fields.show_values(presenter.parameter_text, is_locked=bool(presenter.locked))
        self._show_depending()

    def _show_depending(self) -> None:
        presenter = self._presenter
        balancer = presenter.balancer
        balances = balancer.name != NO_BALANCER
        self._balancer.setText(f"Balances: {titled(balancer)}. {balancer.help}" if balances else _NO_BALANCING)
        self._fields.show_only([parameter.name for parameter in balancer.parameters])
        self._fields.show_problems(presenter.problems)
        is_locked = bool(presenter.locked)
        self._locked.setText(f"{presenter.stored.name} is built in: its limits stay." if is_locked and balances else "")
        self._locked.setVisible(bool(self._locked.text()))
        self._copy.setVisible(is_locked and balances)
        self._use.setEnabled(not presenter.why_not_choose)
        self._use.setToolTip(presenter.why_not_choose or "Let this policy decide from now on")
        why_not = presenter.why_not_save
        for button in (self._save, self._revert):
            button.setVisible(not is_locked and balances)
        self._save.setEnabled(not why_not)
        self._save.setToolTip(why_not or "Keep them; the next round follows them")
        self._revert.setEnabled(presenter.is_edited)
