"""What repositories give and take: frozen values. No SQLAlchemy here, so that anybody may import them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfiguredHost:
    """A host the user added. `position` is its place in the list."""

    name: str
    uri: str
    position: int
