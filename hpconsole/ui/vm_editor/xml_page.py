"""The definition itself, to be read and edited. What cannot be read is said below, and changes nothing."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from hpconsole.ui.tone import Tone
from hpconsole.ui.vm_editor.view import NO_REMARK, EditorView
from hpconsole.ui.widgets.framed import framed
from hpconsole.ui.widgets.push_button import push_button
from hpconsole.ui.widgets.text_label import TextLabel

_CALM_MS = 150  # a definition is read when the hand rests


class XmlPage(QWidget):
    """Emits `typed(text)` when the hand rests, and `forgotten` when the typed text is dropped."""

    typed = Signal(str)
    forgotten = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page_xml")
        self._edit = QPlainTextEdit()
        self._edit.setObjectName("xml_text")
        self._edit.setAccessibleName("Definition of the VM as XML")
        self._edit.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self._edit.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._edit.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._edit.setTabChangesFocus(True)
        self._rest = QTimer(self, singleShot=True, interval=_CALM_MS)
        self._rest.timeout.connect(lambda: self.typed.emit(self._edit.toPlainText()))
        self._edit.textChanged.connect(self._rest.start)
        self._problem = TextLabel(name="problem_xml", tone=Tone.BAD, wraps=True)
        self._forget = push_button(
            "xml_forget", "&Drop What Was Typed", "Back to the definition that the other tabs make", self._on_forgotten
        )
        row = QHBoxLayout()
        row.addWidget(self._problem, 1)
        row.addWidget(self._forget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 6, 10, 4)
        layout.addWidget(
            TextLabel(
                "Everything the other tabs show is kept here, and more. Both ways of editing are one.",
                tone=Tone.MUTED,
            )
        )
        layout.addWidget(framed(self._edit), 1)
        layout.addLayout(row)

    def _on_forgotten(self) -> None:
        self._rest.stop()
        self.forgotten.emit()

    def settle(self) -> None:
        """Read what was typed now."""
        if self._rest.isActive():
            self._rest.stop()
            self.typed.emit(self._edit.toPlainText())

    def show_view(self, view: EditorView, xml: str) -> None:
        """Show this definition, unless another is just being typed."""
        problem = view.remarks.get("xml", NO_REMARK).problem
        self._problem.setText(problem)
        self._forget.setVisible(bool(problem))
        if not self._rest.isActive() and self._edit.toPlainText() != xml:
            with QSignalBlocker(self._edit):
                place = self._edit.verticalScrollBar().value()
                self._edit.setPlainText(xml)
                self._edit.verticalScrollBar().setValue(place)
