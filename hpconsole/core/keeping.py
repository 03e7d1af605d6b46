"""What the core asks of whatever remembers its values from one run to the next: `core.database`, or memory.

Knows no SQLAlchemy. Read what comes back as hostile: anybody may have edited the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Documents(Protocol):
    """Values read and written whole, by kind and name. Every method raises StorageError where the database fails."""

    def all(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every document of this kind by name, in the order of names."""

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """One document, or None."""

    def save(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Keep a document; one of this kind and name is replaced."""

    def add(self, kind: str, name: str, body: Mapping[str, Any]) -> bool:
        """Keep a document if there is none of this name; whether it was added. Atomic between processes."""

    def remove(self, kind: str, name: str) -> None:
        """Forget a document; nothing happens if there is none."""


class Settings(Protocol):
    """JSON values by key. Every method raises StorageError where the database fails."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of this key."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
