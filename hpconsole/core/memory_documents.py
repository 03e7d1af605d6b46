"""Documents that live as long as the program: `Documents` for the demo and a console without a database."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any


class MemoryDocuments:
    """`DocumentRepository` without a file. Threads: any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: dict[tuple[str, str], dict[str, Any]] = {}

    def all(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every document of this kind by name, in the order of names."""
        with self._lock:
            return {name: body for (own, name), body in sorted(self._bodies.items()) if own == kind}

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """One document, or None."""
        with self._lock:
            return self._bodies.get((kind, name))

    def save(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Keep a document; one of this kind and name is replaced."""
        with self._lock:
            self._bodies[kind, name] = dict(body)

    def add(self, kind: str, name: str, body: Mapping[str, Any]) -> bool:
        """Keep a document if there is none of this name; whether it was added."""
        with self._lock:
            return self._bodies.setdefault((kind, name), made := dict(body)) is made

    def remove(self, kind: str, name: str) -> None:
        """Forget a document; nothing happens if there is none."""
        with self._lock:
            self._bodies.pop((kind, name), None)
