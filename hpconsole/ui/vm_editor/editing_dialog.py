"""What dialogs that edit definitions share: gestures, what is computed about them meanwhile, one save at a time.

Every gesture is told to the presenter and shown at once; the presenter's question is then computed on a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from hpconsole.core.errors import HpconsoleError
from hpconsole.ui.bridge import Background
from hpconsole.ui.theme import Theme
from hpconsole.ui.vm_editor.changes_dialog import ChangesDialog
from hpconsole.ui.vm_editor.view import ChangeLine

_Answer = TypeVar("_Answer")


class Asking(Protocol[_Answer]):
    """A presenter that has questions for a worker thread, one at a time."""

    def next_question(self) -> Callable[[], _Answer] | None:
        """What to compute now; None while one is under way or nothing is new."""

    def take_answer(self, answer: _Answer) -> None:
        """A question was answered."""

    def take_failure(self, error: HpconsoleError) -> None:
        """A question could not be answered."""


class EditingDialog(QDialog):
    """See the module."""

    def __init__(self, asking: Asking[Any], theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._asking = asking
        self._theme = theme
        self._failure = ""  # of the last save or computation, until the next gesture
        self._is_writing = False
        self._background = Background(self)
        self._writing = Background(self)  # never behind a computation

    def _show(self) -> None:
        """Show what the presenter says."""
        raise NotImplementedError

    @property
    def _is_in_hand(self) -> bool:
        """Whether something is being dragged, so that nothing may be shown anew."""
        return False

    def done(self, result: int) -> None:
        self._background.close()
        self._writing.close()
        super().done(result)

    def reject(self) -> None:
        """Close without saving; not while a save is under way, whose outcome must be told."""
        if not self._is_writing:
            super().reject()

    def _gesture(self, tell: Callable[[], object]) -> None:
        tell()
        self._failure = ""
        self._show()
        self._ask()

    def _ask(self) -> None:
        question = self._asking.next_question()
        if question is not None:
            self._background.run(question, self._on_answer, self._on_no_answer)

    def _on_answer(self, answer: Any) -> None:
        self._asking.take_answer(answer)
        if not self._is_in_hand:
            self._show()
        self._ask()

    def _on_no_answer(self, error: HpconsoleError) -> None:
        self._asking.take_failure(error)
        self._show()
        self._ask()

    def _begin_writing(self) -> None:
        self._is_writing = True
        self._failure = ""
        self._show()

    def _on_failure(self, error: HpconsoleError) -> None:
        self._is_writing = False
        self._failure = error.sentence
        self._show()

    def _confirm_changes(
        self, title: str, lines: Sequence[ChangeLine], difference: str, accept_text: str, then: Callable[[], object]
    ) -> ChangesDialog:
        """Show what would change; `then` is done if it is accepted."""
        dialog = ChangesDialog(title, lines, difference, self._theme, accept_text=accept_text, parent=self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(then)
        return dialog
