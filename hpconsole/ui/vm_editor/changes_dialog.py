"""What an edit would change, before it is done: field by field, and as a difference of the XML."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontDatabase, QSyntaxHighlighter, QTextCharFormat, QTextDocument
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHeaderView,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from hpconsole.ui.theme import Theme
from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.view import ChangeLine
from hpconsole.ui.widgets.form_style import form_style
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.text_label import TextLabel
from hpconsole.ui.widgets.views import row_height


class DifferenceColours(QSyntaxHighlighter):
    """Colours the lines of a unified difference; the signs at their beginning say the same."""

    def __init__(self, document: QTextDocument, theme: Theme) -> None:
        super().__init__(document)
        self._theme = theme

    def highlightBlock(self, text: str) -> None:
        color = {"+": self._theme.good, "-": self._theme.bad, "@": self._theme.accent}.get(text[:1])
        if color is not None:
            form = QTextCharFormat()
            form.setForeground(QColor(color))
            self.setFormat(0, len(text), form)


class ChangesDialog(QDialog):
    """Shows changes and difference. With `accept_text` there is a button that does it; else it only shows."""

    def __init__(
        self,
        title: str,
        lines: Sequence[ChangeLine],
        difference: str,
        theme: Theme,
        *,
        accept_text: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("changes_dialog")
        self.setWindowTitle("Changes")
        self.resize(1000, 660)
        self.setStyleSheet(form_style(theme))
        heading = TextLabel(title, name="changes_title", wraps=True)
        table = self._table(lines)
        text = QPlainTextEdit(difference or "The definition stays as it is.", readOnly=True)
        text.setObjectName("changes_difference")
        text.setAccessibleName("Difference of the definition")
        text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        text.setFrameShape(QFrame.Shape.NoFrame)
        text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._colours = DifferenceColours(text.document(), theme)
        closing = QDialogButtonBox.StandardButton.Cancel if accept_text else QDialogButtonBox.StandardButton.Close
        buttons = QDialogButtonBox(closing)
        if accept_text:
            accept = buttons.addButton(accept_text, QDialogButtonBox.ButtonRole.AcceptRole)
            accept.setObjectName("changes_accept")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(heading)
        layout.addWidget(framed(table), 2)
        layout.addWidget(TextLabel("As XML", tone=Tone.MUTED))
        layout.addWidget(framed(text), 3)
        layout.addWidget(buttons)
        if accept_text:
            accept.setDefault(True)
            accept.setFocus()

    def _table(self, lines: Sequence[ChangeLine]) -> QTableWidget:
        table = QTableWidget(len(lines), 4)
        table.setObjectName("changes_table")
        table.setAccessibleName("Changes")
        table.setHorizontalHeaderLabels(["What", "Before", "After", "Takes effect"])
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(row_height(table))
        for row, line in enumerate(lines):
            for column, text in enumerate((line.label, line.before, line.after, line.when)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, mode in enumerate((QHeaderView.ResizeMode.ResizeToContents, QHeaderView.ResizeMode.Stretch) * 2):
            header.setSectionResizeMode(column, mode)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.ResizeToContents)
        return table
