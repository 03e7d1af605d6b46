"""*Scheduling Policies*: the list, one policy in full, and what it changes for a VM. Writes on a worker thread.

Not modal. Edits are drafts until *Save*; nothing is decided by a draft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.ui.drafts.dialog import DraftsDialog, Words
from hpconsole.ui.policies.editor import PolicyEditor
from hpconsole.ui.policies.effect_pane import EffectPane
from hpconsole.ui.policies.presenter import PoliciesPresenter, PolicyRow
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Column

COLUMNS: tuple[Column[PolicyRow], ...] = (
    Column("Policy", lambda r: "", lambda r: r.text, width=190, tooltip=lambda r: r.text,
           tone=lambda r: Tone.ACCENT if r.is_changed else Tone.NORMAL, is_toned_when_selected=True),
    Column("", lambda r: "", lambda r: r.kind, width=110, tooltip=lambda r: r.kind,
           tone=lambda r: Tone.GOOD if r.is_in_force else Tone.MUTED, is_toned_when_selected=True),
)  # fmt: skip
WORDS = Words(
    dialog="policies_dialog", one="policy", many="policies",
    title="Scheduling Policies", kind="Policy", listed="Scheduling policies",
    choose="use", choose_text="&Put in Force", choose_tip="Let this policy decide from now on",
    chosen="{name} is in force: decisions follow it from now on.",
    save_tip="Keep the changes; they count at once where the policy is in force",
    what_stays="Nothing that runs is changed.",
)  # fmt: skip


class PoliciesDialog(DraftsDialog[Policy]):
    """See the module.

    Args:
        book: The policies.
        snapshot: What the effect is computed on, called on a worker thread.
        vm_uuid: The VM to show the effect for at first.
        first: The policy to show at first; empty: the one in force.
    """

    chosen = Signal(str)  # another policy is in force

    def __init__(
        self,
        book: PolicyBook,
        theme: Theme,
        *,
        snapshot: Callable[[], ClusterSnapshot],
        reservations: Callable[[], Sequence[Reservation]],
        vm_uuid: str = "",
        first: str = "",
        parent: QWidget | None = None,
    ) -> None:
        self._presenter = PoliciesPresenter(book, first)
        super().__init__(self._presenter, COLUMNS, WORDS, parent)
        self.resize(1340, 690)
        self._editor = PolicyEditor(self._presenter)
        self._editor.edited.connect(self.on_form_edited)
        self._effect = EffectPane(snapshot, reservations, lambda: self._presenter.compared, first=vm_uuid)
        self.build([(self._editor, 505, 1), (self._effect, 510, 2)], list_width=305)
        self.set_theme(theme)
        self.reload()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.setStyleSheet(f"{self.styleSheet()}{_tabs_style(theme)}")
        self._effect.set_theme(theme)

    def done(self, result: int) -> None:
        self._effect.close_down()
        super().done(result)

    def show_form(self) -> None:
        self._editor.show_policy()
        self._effect.look_again()

    def on_form_edited(self) -> None:
        super().on_form_edited()
        self._effect.look_again()

    def on_chosen(self, name: str) -> None:
        self.chosen.emit(name)


def _tabs_style(theme: Theme) -> str:
    """Fusion lightens the pages of tabs on a dark ground until grey text fades."""
    return f"""
    QTabWidget::pane {{ background: {theme.base}; border: 1px solid {theme.border}; border-radius: 4px; }}
    QTabWidget > QStackedWidget {{ background: {theme.base}; }}
    """
