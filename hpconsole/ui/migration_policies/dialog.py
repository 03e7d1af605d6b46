"""*Migration Policies*: how hard migrations try: the presets, own ones, and which counts where none is chosen.

Not modal. Edits are drafts until *Save*; the Migrate dialog offers what is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.ui.bridge import Background
from hpconsole.ui.migration_policies.editor import WayEditor
from hpconsole.ui.migration_policies.presenter import WayRow, WaysPresenter
from hpconsole.ui.policies.presenter import unsaved_sentence
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Column
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

COLUMNS: tuple[Column[WayRow], ...] = (
    Column("Policy", lambda r: "", lambda r: r.text, width=280, tooltip=lambda r: r.text,
           tone=lambda r: Tone.ACCENT if r.is_changed else Tone.NORMAL, is_toned_when_selected=True),
    Column("", lambda r: "", lambda r: r.kind, width=100, tooltip=lambda r: r.kind,
           tone=lambda r: Tone.GOOD if r.is_default else Tone.MUTED, is_toned_when_selected=True),
)  # fmt: skip


class MigrationPoliciesDialog(QDialog):
    """See the module. Emits `kept` when what can be chosen for a migration changed."""

    kept = Signal()

    def __init__(self, ways: MigrationPolicies, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("migration_policies_dialog")
        self.setWindowTitle("Migration Policies")
        self.resize(1080, 680)
        self._background = Background(self)
        self._presenter = WaysPresenter(ways)
        self._doomed = ""  # asked once whether to delete it
        self._is_warned = False  # asked once whether to drop edits
        self._editor = WayEditor(self._presenter)
        self._editor.edited.connect(self._on_edited)
        self._build()
        self.set_theme(theme)
        self._reload()

    # Building

    def _build(self) -> None:
        splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        splitter.setHandleWidth(11)
        splitter.addWidget(self._build_list())
        splitter.addWidget(framed(self._editor))
        splitter.setSizes([400, 650])
        splitter.setStretchFactor(1, 1)
        self._locked = TextLabel(name="way_locked", tone=Tone.WARNING, wraps=True)
        self._remark = TextLabel(name="ways_remark", tone=Tone.MUTED, wraps=True)
        self._remark.setMinimumHeight(self._remark.fontMetrics().lineSpacing())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(splitter, 1)
        layout.addWidget(self._locked)
        layout.addWidget(self._remark)
        layout.addLayout(self._build_buttons())

    def _build_list(self) -> QWidget:
        self._model: TableModel[WayRow] = TableModel(COLUMNS, lambda row: row.policy_id)
        self._model.setParent(self)
        self._view = table_view(self._model, "ways_table", "Migration policies")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        self._view.setSortingEnabled(False)  # presets first, own ones by name
        self._view.horizontalHeader().setSortIndicatorShown(False)
        self._selection = KeyedSelection(self._view, self._model)
        self._selection.changed.connect(self._on_selected)
        return framed(self._view)

    def _build_buttons(self) -> QHBoxLayout:
        def button(name: str, text: str, slot: Callable[[], None], tip: str = "") -> QPushButton:
            made = QPushButton(text)
            made.setObjectName(f"way_{name}")
            made.setToolTip(tip)
            made.setAutoDefault(False)
            made.clicked.connect(slot)
            return made

        self._copy = button("copy", "&Copy", self._on_copy, "Make a policy of your own that begins as this one")
        self._remove = button("remove", "De&lete", self._on_remove)
        self._import = button("import", "Impor&t…", self._on_import, "Read a policy from a file; none is replaced")
        self._export = button("export", "E&xport…", self._on_export, "Write this policy to a file, as it is kept")
        self._default = button("default", "Make De&fault", self._on_default)
        self._revert = button("revert", "&Revert", self._on_revert)
        self._save = button("save", "&Save", self._on_save)
        self._save.setDefault(True)
        close = button("close", "Close", self.reject, "Close this dialog")
        row = QHBoxLayout()
        for left in (self._copy, self._remove, self._import, self._export):
            row.addWidget(left)
        row.addStretch(1)
        for right in (self._default, self._revert, self._save, close):
            row.addWidget(right)
        return row

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(form_style(theme))
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)

    def reject(self) -> None:
        """Close; where edits would be lost, the first time it is said."""
        unsaved = self._presenter.unsaved
        if unsaved and not self._is_warned:
            self._is_warned = True
            self._say(unsaved_sentence(unsaved), Tone.WARNING)
            return
        super().reject()

    def done(self, result: int) -> None:
        self._background.close()
        super().done(result)

    # Gestures

    def _on_selected(self) -> None:
        keys = self._selection.keys
        if keys and keys[0] != self._presenter.selected:
            self._presenter.select(keys[0])
            self._doomed = ""
            self._say("")
            self._show_policy()

    def _on_edited(self) -> None:
        self._is_warned = False
        self._say("")
        self._show_rows()
        self._show_buttons()

    def _on_save(self) -> None:
        def done(made: MigrationPolicy) -> None:
            self._presenter.saved(made.policy_id)
            self._after(f"{made.name} was saved.")

        if not self._presenter.why_not_save:
            self._background.run(self._presenter.saving(), done, self._on_failure)

    def _on_revert(self) -> None:
        self._presenter.revert()
        self._say("")
        self._reload()

    def _on_copy(self) -> None:
        def done(made: MigrationPolicy) -> None:
            self._presenter.select(made.policy_id)
            self._after(f"{made.name} is your own: change what you like, name it, and save.")

        self._background.run(self._presenter.copying(), done, self._on_failure)

    def _on_default(self) -> None:
        name = self._presenter.stored.name
        self._background.run(
            self._presenter.choosing(),
            lambda _: self._after(f"Migrations that name no policy follow {name} from now on."),
            self._on_failure,
        )

    def _on_remove(self) -> None:
        """The first press asks, the second does."""
        doomed, name = self._presenter.selected, self._presenter.stored.name
        if self._doomed != doomed:
            self._doomed = doomed
            self._say(f"Delete {name} for good? Migrations under way go on.", Tone.WARNING)
            self._show_buttons()
            return
        self._doomed = ""

        def done(_: None) -> None:
            self._presenter.removed(doomed)
            self._after(f"{name} was deleted.")

        self._background.run(self._presenter.removing(), done, self._on_failure)

    def _on_export(self) -> None:
        name = f"{self._presenter.selected}.json"
        self._ask_path("Export Migration Policy", name, is_saving=True, then=lambda p: self.export_to(Path(p)))

    def export_to(self, path: Path) -> None:
        """Write the selected policy to this file."""
        self._background.run(self._presenter.exporting(path), self._say, self._on_failure)

    def _on_import(self) -> None:
        self._ask_path("Import Migration Policy", "", is_saving=False, then=lambda p: self.import_from(Path(p)))

    def import_from(self, path: Path) -> None:
        """Read a policy from this file."""

        def done(made: MigrationPolicy) -> None:
            self._presenter.select(made.policy_id)
            self._after(f"{made.name} was imported.")

        self._background.run(self._presenter.importing(path), done, self._on_failure)

    def _ask_path(self, title: str, name: str, *, is_saving: bool, then: Callable[[str], None]) -> None:
        chooser = QFileDialog(self, title, "", "Migration policies (*.json);;All files (*)")
        chooser.setObjectName("way_file_dialog")
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if is_saving:
            chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            chooser.setDefaultSuffix("json")
            chooser.selectFile(name)
        chooser.fileSelected.connect(then)
        chooser.open()

    def _after(self, sentence: str) -> None:
        self._say(sentence)
        self.kept.emit()
        self._reload()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._say(error.sentence, Tone.BAD)
        self._show_buttons()

    # Showing

    def _reload(self) -> None:
        """Show what is kept now."""
        self._show_rows()
        with QSignalBlocker(self._selection):
            self._selection.select([self._presenter.selected])
        self._show_policy()

    def _show_rows(self) -> None:
        with QSignalBlocker(self._selection):  # a row that goes is no gesture
            self._model.set_rows(self._presenter.rows)

    def _show_policy(self) -> None:
        self._editor.show_policy()
        self._show_buttons()

    def _show_buttons(self) -> None:
        presenter = self._presenter
        for button, why_not, tip in (
            (self._save, presenter.why_not_save, "Keep the changes; migrations begun from now on follow them"),
            (self._default, presenter.why_not_default, "Migrations that name no policy follow this one"),
            (self._remove, presenter.why_not_remove, "Forget this policy"),
        ):
            button.setEnabled(not why_not)
            button.setToolTip(why_not or tip)
        self._revert.setEnabled(presenter.is_changed)
        self._revert.setToolTip(
            "Forget what was changed since the last save" if presenter.is_changed else "Nothing was changed."
        )
        self._remove.setText("De&lete for Good" if self._doomed == presenter.selected else "De&lete")
        self._locked.setText(presenter.locked)
        self._locked.setVisible(bool(presenter.locked))

    def _say(self, sentence: str, tone: Tone = Tone.MUTED) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)
