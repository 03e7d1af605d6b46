"""What a presenter of named documents has whose edits are drafts until they are saved. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hpconsole.ui import format as fmt


class Named(Protocol):
    """A document as far as sentences need it."""

    @property
    def name(self) -> str:
        """What people call it."""


Document = TypeVar("Document", bound=Named)


class Drafts(Protocol[Document]):
    """What the dialog of documents asks. What `saving` and so on return is called on a worker thread.

    `why_not_...`: empty where it can be done.
    """

    @property
    def selected(self) -> str:
        """The key of the document that is shown."""

    @property
    def rows(self) -> Sequence[Any]:
        """The list; each row has a key."""

    @property
    def stored(self) -> Document:
        """The selected document as it is kept."""

    @property
    def unsaved(self) -> tuple[str, ...]:
        """Names of the documents with edits that are not saved."""

    @property
    def is_edited(self) -> bool:
        """Whether the selected one has."""

    @property
    def note(self) -> str:
        """What is to be known of the selected one: such as why it cannot be edited."""

    @property
    def why_not_save(self) -> str:
        """Why the edits cannot be saved."""

    @property
    def why_not_choose(self) -> str:
        """Why it cannot be made the one that counts."""

    @property
    def why_not_remove(self) -> str:
        """Why it cannot be deleted."""

    def key_of(self, document: Document) -> str:
        """What it is selected by."""

    def select(self, key: str) -> None:
        """Show this one."""

    def revert(self) -> None:
        """Forget its edits."""

    def saving(self) -> Callable[[], Document]:
        """Keep the edits."""

    def saved(self, old: str, new: str) -> None:
        """They were kept; its key was `old` and is `new`."""

    def copying(self) -> Callable[[], Document]:
        """Keep a copy of it under a free name."""

    def choosing(self) -> Callable[[], None]:
        """Make it the one that counts."""

    def removing(self) -> Callable[[], None]:
        """Forget it."""

    def removed(self, key: str) -> None:
        """It is gone."""

    def exporting(self, path: Path) -> Callable[[], str]:
        """Write it as it is kept; a sentence."""

    def importing(self, path: Path) -> Callable[[], tuple[Document, str]]:
        """Keep what is in a file, replacing nothing; and a sentence."""


def unsaved_sentence(names: tuple[str, ...]) -> str:
    """What is said to who closes the dialog with edits."""
    verb = "has" if len(names) == 1 else "have"
    return f"{fmt.names(names)} {verb} changes that are not saved. Save them, or close once more to drop them."
