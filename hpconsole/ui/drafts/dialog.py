"""A list of named documents on the left and the selected one's form beside it; edits are drafts until *Save*.

Copies, deletes, imports, exports and chooses on a worker thread. What a document is, and what may be done with it, is
the presenter's (`Drafts`); a dialog brings its panes and its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.ui.bridge import Background
from hpconsole.ui.drafts.drafts import Document, Drafts, unsaved_sentence
from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.cell import tip_of
from hpconsole.ui.widgets.columns import Column
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.keyed_selection import KeyedSelection
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.table_model import TableModel
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import set_view_theme, table_view


@dataclass(frozen=True, slots=True)
class Words:
    """What such a dialog is called, and what it says."""

    dialog: str  # names of widgets for tests: of the dialog ...
    one: str  # ... of what is there for one document: `policy_copy`
    many: str  # ... of what is there for all: `policies_table`
    title: str
    kind: str  # as in "Export Policy"
    listed: str  # what the list is, for screen readers and file dialogs
    choose: str  # the end of the name of the button that makes one the one that counts
    choose_text: str
    choose_tip: str
    chosen: str  # said afterwards; {name}
    save_tip: str
    what_stays: str  # said before one is deleted


class DraftsDialog(QDialog, Generic[Document]):
    """See the module. `kept` is emitted when what is kept, or which one counts, changed."""

    kept = Signal()

    def __init__(
        self, drafts: Drafts[Document], columns: tuple[Column[Any], ...], words: Words, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName(words.dialog)
        self.setWindowTitle(words.title)
        self._drafts = drafts
        self._words = words
        self._background = Background(self)
        self._doomed = ""  # asked once whether to delete it
        self._is_warned = False  # asked once whether to drop edits
        self._model: TableModel[Any] = TableModel(columns, lambda row: row.key)
        self._model.setParent(self)

    # For the dialog that this is

    def build(self, panes: Sequence[tuple[QWidget, int, int]], *, list_width: int) -> None:
        """Put the panes (widget, width, share of what room is left) beside the list, and show what there is."""
        splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        splitter.setHandleWidth(11)
        splitter.addWidget(self._build_list())
        for place, (pane, _, share) in enumerate(panes, start=1):
            splitter.addWidget(pane)
            splitter.setStretchFactor(place, share)
        splitter.setSizes([list_width, *(width for _, width, _ in panes)])
        self._note = TextLabel(name=f"{self._words.one}_locked", tone=Tone.WARNING, wraps=True)
        self._remark = TextLabel(name=f"{self._words.many}_remark", tone=Tone.MUTED, wraps=True)
        self._remark.setMinimumHeight(self._remark.fontMetrics().lineSpacing())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(splitter, 1)
        layout.addWidget(self._note)
        layout.addWidget(self._remark)
        layout.addLayout(self._build_buttons())

    def show_form(self) -> None:
        """Show the selected document in the form."""
        raise NotImplementedError

    def on_chosen(self, name: str) -> None:
        """Another document counts from now on."""

    def on_form_edited(self) -> None:
        """The form changed the draft of the selected document."""
        self._is_warned = False
        self._say("")
        self._show_rows()
        self._show_buttons()

    def reload(self) -> None:
        """Show what is kept now."""
        self._show_rows()
        with QSignalBlocker(self._selection):
            self._selection.select([self._drafts.selected])
        self._show_document()

    # Building

    def _build_list(self) -> QWidget:
        self._view = table_view(self._model, f"{self._words.many}_table", self._words.listed)
        self._view.setSelectionMode(self._view.SelectionMode.SingleSelection)
        self._view.setSortingEnabled(False)  # what came with the program first, the user's own by name
        self._view.horizontalHeader().setSortIndicatorShown(False)
        self._selection = KeyedSelection(self._view, self._model)
        self._selection.changed.connect(self._on_selected)
        return framed(self._view)

    def _build_buttons(self) -> QHBoxLayout:
        one, words = self._words.one, self._words
        copy_tip = "Make a policy of your own that begins as this one"
        self._copy = push_button(f"{one}_copy", "&Copy", copy_tip, self._on_copy)
        self._remove = push_button(f"{one}_remove", "De&lete", slot=self._on_remove)
        import_tip = "Read a policy from a file; none is replaced"
        self._import = push_button(f"{one}_import", "Impor&t…", import_tip, self._on_import)
        self._export = push_button(
            f"{one}_export", "E&xport…", "Write this policy to a file, as it is kept", self._on_export
        )
        self._choose = push_button(f"{one}_{words.choose}", words.choose_text, slot=self._on_choose)
        self._revert = push_button(f"{one}_revert", "&Revert", slot=self._on_revert)
        self._save = push_button(f"{one}_save", "&Save", slot=self._on_save)
        self._save.setDefault(True)
        close = push_button(f"{one}_close", "Close", "Close this dialog", self.reject)
        row = QHBoxLayout()
        for left in (self._copy, self._remove, self._import, self._export):
            row.addWidget(left)
        row.addStretch(1)
        for right in (self._choose, self._revert, self._save, close):
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
        unsaved = self._drafts.unsaved
        if unsaved and not self._is_warned:
            self._is_warned = True
            self._say(unsaved_sentence(unsaved), Tone.WARNING)
            return
        super().reject()

    def done(self, result: int) -> None:
        self._background.close()
        super().done(result)

    def export_to(self, path: Path) -> None:
        """Write the selected document to this file."""
        self._background.run(self._drafts.exporting(path), self._say, self._on_failure)

    def import_from(self, path: Path) -> None:
        """Read a document from this file."""

        def done(outcome: tuple[Document, str]) -> None:
            made, sentence = outcome
            self._drafts.select(self._drafts.key_of(made))
            self._after(sentence)

        self._background.run(self._drafts.importing(path), done, self._on_failure)

    # Gestures

    def _on_selected(self) -> None:
        keys = self._selection.keys
        if keys and keys[0] != self._drafts.selected:
            self._drafts.select(keys[0])
            self._doomed = ""
            self._say("")
            self._show_document()

    def _on_save(self) -> None:
        old = self._drafts.selected

        def done(made: Document) -> None:
            self._drafts.saved(old, self._drafts.key_of(made))
            self._after(f"{made.name} was saved.")

        if not self._drafts.why_not_save:
            self._background.run(self._drafts.saving(), done, self._on_failure)

    def _on_revert(self) -> None:
        self._drafts.revert()
        self._say("")
        self.reload()

    def _on_copy(self) -> None:
        def done(made: Document) -> None:
            self._drafts.select(self._drafts.key_of(made))
            self._after(f"{made.name} is your own: change what you like, name it, and save.")

        self._background.run(self._drafts.copying(), done, self._on_failure)

    def _on_choose(self) -> None:
        name = self._drafts.stored.name

        def done(_: None) -> None:
            self.on_chosen(name)
            self._after(self._words.chosen.format(name=name))

        self._background.run(self._drafts.choosing(), done, self._on_failure)

    def _on_remove(self) -> None:
        """The first press asks, the second does."""
        doomed, name = self._drafts.selected, self._drafts.stored.name
        if self._doomed != doomed:
            self._doomed = doomed
            self._say(f"Delete {name} for good? {self._words.what_stays}", Tone.WARNING)
            self._show_buttons()
            return
        self._doomed = ""

        def done(_: None) -> None:
            self._drafts.removed(doomed)
            self._after(f"{name} was deleted.")

        self._background.run(self._drafts.removing(), done, self._on_failure)

    def _on_export(self) -> None:
        chooser = self._chooser(f"Export {self._words.kind}", self.export_to)
        chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        chooser.setDefaultSuffix("json")
        chooser.selectFile(f"{self._drafts.selected}.json")
        chooser.open()

    def _on_import(self) -> None:
        self._chooser(f"Import {self._words.kind}", self.import_from).open()

    def _chooser(self, title: str, then: Callable[[Path], None]) -> QFileDialog:
        chooser = QFileDialog(self, title, "", f"{self._words.listed} (*.json);;All files (*)")
        chooser.setObjectName(f"{self._words.one}_file_dialog")
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.fileSelected.connect(lambda path: then(Path(path)))
        return chooser

    def _after(self, sentence: str) -> None:
        self._say(sentence)
        self.kept.emit()
        self.reload()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._say(error.sentence, Tone.BAD)
        self._show_buttons()

    # Showing

    def _show_rows(self) -> None:
        with QSignalBlocker(self._selection):  # a row that goes is no gesture
            self._model.set_rows(self._drafts.rows)

    def _show_document(self) -> None:
        self.show_form()
        self._show_buttons()

    def _show_buttons(self) -> None:
        drafts = self._drafts
        for button, why_not, tip in (
            (self._save, drafts.why_not_save, self._words.save_tip),
            (self._choose, drafts.why_not_choose, self._words.choose_tip),
            (self._remove, drafts.why_not_remove, "Forget this policy"),
        ):
            button.setEnabled(not why_not)
            button.setToolTip(tip_of(why_not or tip))
        self._revert.setEnabled(drafts.is_edited)
        self._revert.setToolTip(
            "Forget what was changed since the last save" if drafts.is_edited else "Nothing was changed."
        )
        self._remove.setText("De&lete for Good" if self._doomed == drafts.selected else "De&lete")
        self._note.setText(drafts.note)
        self._note.setVisible(bool(drafts.note))

    def _say(self, sentence: str, tone: Tone = Tone.MUTED) -> None:
        self._remark.setText(sentence)
        self._remark.set_tone(tone)
