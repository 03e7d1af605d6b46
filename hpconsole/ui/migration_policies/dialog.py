"""*Migration Policies*: how hard migrations try: the presets, own ones, and which counts where none is chosen.

Not modal. Edits are drafts until *Save*; the Migrate dialog offers what is kept.
"""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.ui.drafts.dialog import DraftsDialog, Words
from hpconsole.ui.migration_policies.editor import WayEditor
from hpconsole.ui.migration_policies.presenter import WayRow, WaysPresenter
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Column
from hpconsole.ui.widgets.framed import framed

COLUMNS: tuple[Column[WayRow], ...] = (
    Column("Policy", lambda r: "", lambda r: r.text, width=280, tooltip=lambda r: r.text,
           tone=lambda r: Tone.ACCENT if r.is_changed else Tone.NORMAL, is_toned_when_selected=True),
    Column("", lambda r: "", lambda r: r.kind, width=100, tooltip=lambda r: r.kind,
           tone=lambda r: Tone.GOOD if r.is_default else Tone.MUTED, is_toned_when_selected=True),
)  # fmt: skip
WORDS = Words(
    dialog="migration_policies_dialog", one="way", many="ways",
    title="Migration Policies", kind="Migration Policy", listed="Migration policies",
    choose="default", choose_text="Make De&fault", choose_tip="Migrations that name no policy follow this one",
    chosen="Migrations that name no policy follow {name} from now on.",
    save_tip="Keep the changes; migrations begun from now on follow them",
    what_stays="Migrations under way go on.",
)  # fmt: skip


class MigrationPoliciesDialog(DraftsDialog[MigrationPolicy]):
    """See the module."""

    def __init__(self, ways: MigrationPolicies, theme: Theme, parent: QWidget | None = None) -> None:
        self._presenter = WaysPresenter(ways)
        super().__init__(self._presenter, COLUMNS, WORDS, parent)
        self.resize(1080, 680)
        self._editor = WayEditor(self._presenter)
        self._editor.edited.connect(self.on_form_edited)
        self.build([(framed(self._editor), 650, 1)], list_width=400)
        self.set_theme(theme)
        self.reload()

    def show_form(self) -> None:
        self._editor.show_policy()
