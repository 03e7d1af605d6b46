"""Which hosts are provably off, and who says so. Kept on disk, so that every console of this database knows.

A proof holds until the host answers again; nobody else can take it back.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hpconsole.core.availability.settings import Documents

KIND = "host_off"
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class OffProof:
    """One host that is off. `incident` names this very loss: each VM is restarted once for it."""

    host: str
    at: datetime
    sentence: str
    incident: str


class Offs:
    """The proofs, read anew whenever asked: another console may have written one. Threads: any."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._lock = threading.Lock()

    def all(self) -> dict[str, OffProof]:
        """Every proof by host; one that cannot be read does not count.

        Raises:
            StorageError: the database cannot be read.
        """
        found = {host: _proof(host, body) for host, body in self._documents.all(KIND).items()}
        return {host: proof for host, proof in found.items() if proof is not None}

    def add(self, host: str, sentence: str) -> OffProof:
        """Note that a host is off; an older proof of the same loss stays.

        Raises:
            StorageError: it cannot be kept.
        """
        proof = OffProof(host, datetime.now(UTC), sentence[:_LONGEST], uuid.uuid4().hex)
        body = {"at": proof.at.isoformat(), "sentence": proof.sentence, "incident": proof.incident}
        with self._lock:
            if self._documents.add(KIND, host, body):
                return proof
            known = _proof(host, self._documents.get(KIND, host) or {})
            if known is not None:
                return known
            self._documents.save(KIND, host, body)
            return proof

    def remove(self, host: str) -> None:
        """The host answers again."""
        self._documents.remove(KIND, host)


def _proof(host: str, body: Mapping[str, Any]) -> OffProof | None:
    try:
        at = datetime.fromisoformat(body["at"])
        if at.tzinfo is None:
            return None
        return OffProof(host, at, str(body["sentence"])[:_LONGEST], str(body["incident"])[:100])
    except (KeyError, TypeError, ValueError):
        return None
