"""*Scheduling Policies*: the list, one policy in full, and what it changes for a VM. Writes on a worker thread.

Not modal. Edits are drafts until *Save*; nothing is decided by a draft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.ui.bridge import Background
from hpconsole.ui.policies.editor import PolicyEditor
from hpconsole.ui.policies.effect_pane import EffectPane
from hpconsole.ui.policies.presenter import PoliciesPresenter, PolicyRow, unsaved_sentence
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Column
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view

COLUMNS: tuple[Column[PolicyRow], ...] = (
    Column("Policy", lambda r: "", lambda r: r.text, width=190, tooltip=lambda r: r.text,
           tone=lambda r: Tone.ACCENT if r.is_changed else Tone.NORMAL, is_toned_when_selected=True),
    Column("", lambda r: "", lambda r: r.kind, width=110, tooltip=lambda r: r.kind,
           tone=lambda r: Tone.GOOD if r.is_in_force else Tone.MUTED, is_toned_when_selected=True),
)  # fmt: skip
_NOT_KEPT = "This run remembers nothing: own policies last until it ends. Export what you want to keep."


class PoliciesDialog(QDialog):
    """See the module.

    Args:
        book: The policies.
        snapshot: What the effect is computed on, called on a worker thread.
        vm_uuid: The VM to show the effect for at first.
        first: The policy to show at first; empty: the one in force.
    """

    chosen = Signal(str)  # another policy is in force
    kept = Signal()  # what is kept, or which is in force, changed

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
        super().__init__(parent)
        self.setObjectName("policies_dialog")
        self.setWindowTitle("Scheduling Policies")
        self.resize(1340, 690)
        self._background = Background(self)
        self._presenter = PoliciesPresenter(book, first)
        self._is_kept = book.is_kept
        self._doomed = ""  # asked once whether to delete it
        self._is_warned = False  # asked once whether to drop edits
        self._editor = PolicyEditor(self._presenter)
        self._editor.edited.connect(self._on_edited)
        self._effect = EffectPane(snapshot, reservations, lambda: self._presenter.compared, first=vm_uuid)
        self._build()
        self.set_theme(theme)
        self._reload()

    # Building

    def _build(self) -> None:
        splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        splitter.setHandleWidth(11)
        splitter.addWidget(self._build_list())
        splitter.addWidget(self._editor)
        splitter.addWidget(self._effect)
        splitter.setSizes([305, 505, 510])
        splitter.setStretchFactor(1, 1)
        splitter.setStretchFactor(2, 2)
        self._locked = TextLabel(name="policy_locked", tone=Tone.WARNING, wraps=True)
        self._remark = TextLabel(name="policies_remark", tone=Tone.MUTED, wraps=True)
        self._remark.setMinimumHeight(self._remark.fontMetrics().lineSpacing())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(splitter, 1)
        layout.addWidget(self._locked)
        layout.addWidget(self._remark)
        layout.addLayout(self._build_buttons())

    def _build_list(self) -> QWidget:
        self._model: TableModel[PolicyRow] = TableModel(COLUMNS, lambda row: row.name)
        self._model.setParent(self)
        self._view = table_view(self._model, "policies_table", "Scheduling policies")
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        self._view.setSortingEnabled(False)  # built-in ones first, own ones by name
        self._view.horizontalHeader().setSortIndicatorShown(False)
        self._selection = KeyedSelection(self._view, self._model)
        self._selection.changed.connect(self._on_selected)
        return framed(self._view)

    def _build_buttons(self) -> QHBoxLayout:
        def button(name: str, text: str, slot: Callable[[], None]) -> QPushButton:
            made = QPushButton(text)
            made.setObjectName(f"policy_{name}")
            made.setAutoDefault(False)
            made.clicked.connect(slot)
            return made

        self._use = button("use", "&Put in Force", self._on_use)
        self._copy = button("copy", "&Copy", self._on_copy)
        self._copy.setToolTip("Make a policy of your own that begins as this one")
        self._remove = button("remove", "De&lete", self._on_remove)
        self._import = button("import", "Impor&t…", self._on_import)
        self._import.setToolTip("Read a policy from a file; none is replaced")
        self._export = button("export", "E&xport…", self._on_export)
        self._export.setToolTip("Write this policy to a file, as it is kept")
        self._revert = button("revert", "&Revert", self._on_revert)
        self._save = button("save", "&Save", self._on_save)
        self._save.setDefault(True)
        close = button("close", "Close", self.reject)
        close.setToolTip("Close this dialog")
        row = QHBoxLayout()
        for left in (self._copy, self._remove, self._import, self._export):
            row.addWidget(left)
        row.addStretch(1)
        for right in (self._use, self._revert, self._save, close):
            row.addWidget(right)
        return row

    # From outside

    def set_theme(self, theme: Theme) -> None:
        """Take colours from this theme."""
        self.setStyleSheet(f"{form_style(theme)}{_tabs_style(theme)}")
        set_view_theme(self._view, theme)
        self._model.set_theme(theme)
        self._effect.set_theme(theme)

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
        self._effect.close_down()
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
        self._effect.look_again()

    def _on_save(self) -> None:
        old = self._presenter.selected

        def done(made: Policy) -> None:
            self._presenter.saved(old, made)
            self._say(f"{made.name} was saved.")
            self.kept.emit()
            self._reload()

        if not self._presenter.why_not_save:
            self._background.run(self._presenter.saving(), done, self._on_failure)

    def _on_revert(self) -> None:
        self._presenter.revert()
        self._say("")
        self._reload()

    def _on_copy(self) -> None:
        def done(made: Policy) -> None:
            self._presenter.select(made.name)
            self._say(f"{made.name} is your own: change what you like, name it, and save.")
            self.kept.emit()
            self._reload()

        self._background.run(self._presenter.copying(), done, self._on_failure)

    def _on_use(self) -> None:
        name = self._presenter.selected

        def done(_: None) -> None:
            self._say(f"{name} is in force: decisions follow it from now on.")
            self.chosen.emit(name)
            self.kept.emit()
            self._reload()

        self._background.run(self._presenter.choosing(), done, self._on_failure)

    def _on_remove(self) -> None:
        """The first press asks, the second does."""
        name = self._presenter.selected
        if self._doomed != name:
            self._doomed = name
            self._say(f"Delete {name} for good? Nothing that runs is changed.", Tone.WARNING)
            self._show_buttons()
            return
        self._doomed = ""

        def done(_: None) -> None:
            self._presenter.removed(name)
            self._say(f"{name} was deleted.")
            self.kept.emit()
            self._reload()

        self._background.run(self._presenter.removing(), done, self._on_failure)

    def _on_export(self) -> None:
        self._ask_path(
            "Export Policy", f"{self._presenter.selected}.json", is_saving=True, then=lambda p: self.export_to(Path(p))
        )

    def export_to(self, path: Path) -> None:
        """Write the selected policy to this file."""
        self._background.run(self._presenter.exporting(path), self._say, self._on_failure)

    def _on_import(self) -> None:
        self._ask_path("Import Policy", "", is_saving=False, then=lambda p: self.import_from(Path(p)))

    def import_from(self, path: Path) -> None:
        """Read a policy from this file."""

        def done(outcome: tuple[Policy, str]) -> None:
            made, sentence = outcome
            self._presenter.select(made.name)
            self._say(sentence)
            self.kept.emit()
            self._reload()

        self._background.run(self._presenter.importing(path), done, self._on_failure)

    def _ask_path(self, title: str, name: str, *, is_saving: bool, then: Callable[[str], None]) -> None:
        chooser = QFileDialog(self, title, "", "Policies (*.json);;All files (*)")
        chooser.setObjectName("policy_file_dialog")
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if is_saving:
            chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            chooser.setDefaultSuffix("json")
            chooser.selectFile(name)
        chooser.fileSelected.connect(then)
        chooser.open()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._say(error.sentence, Tone.BAD)
        self._show_buttons()

    # Showing

    def _reload(self) -> None:
        """Show what the book has now."""
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
        self._effect.look_again()

    def _show_buttons(self) -> None:
        presenter = self._presenter
        for button, why_not, tip in (
            (self._save, presenter.why_not_save, "Keep the changes; they count at once where the policy is in force"),
            (self._use, presenter.why_not_use, "Let this policy decide from now on"),
            (self._remove, presenter.why_not_remove, "Forget this policy"),
        ):
            button.setEnabled(not why_not)
            button.setToolTip(why_not or tip)
        is_changed = presenter.is_changed(presenter.selected)
        self._revert.setEnabled(is_changed)
        self._revert.setToolTip("Forget what was changed since the last save" if is_changed else "Nothing was changed.")
        self._remove.setText("De&lete for Good" if self._doomed == presenter.selected else "De&lete")
        self._locked.setText(presenter.locked or ("" if self._is_kept else _NOT_KEPT))
        self._locked.setVisible(bool(self._locked.text()))

    def _say(self, sentence: str, tone: Tone = Tone.MUTED) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)


def _tabs_style(theme: Theme) -> str:
    """Fusion lightens the pages of tabs on a dark ground until grey text fades."""
    return f"""
    QTabWidget::pane {{ background: {theme.base}; border: 1px solid {theme.border}; border-radius: 4px; }}
    QTabWidget > QStackedWidget {{ background: {theme.base}; }}
    """
