"""Which hosts are provably off, and who says so. Kept on disk, so that every console of this database knows.

A proof holds until the host answers again, and only while somebody looks: a host that nobody watched may have come
back and fallen silent once more, with its VMs running.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hpconsole.core.keeping import Documents

KIND = "host_off"
UNWATCHED = timedelta(minutes=5)  # shorter than a host takes to start, run VMs, and fail again
_RENEWED = timedelta(seconds=10)
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class OffProof:
    """One host that is off. `incident` names this very loss: each VM is restarted once for it.

    `watched_at`: when a console last saw that it still does not answer, while other hosts did.
    """

    host: str
    at: datetime
    sentence: str
    incident: str
    watched_at: datetime

    @property
    def is_watched(self) -> bool:
        """Whether it still proves anything."""
        return datetime.now(UTC) - self.watched_at < UNWATCHED


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
        """Note that a host is off; an older proof of the same loss stays, if it still proves anything.

        Raises:
            StorageError: it cannot be kept.
        """
        now = datetime.now(UTC)
        proof = OffProof(host, now, sentence[:_LONGEST], uuid.uuid4().hex, now)
        with self._lock:
            if self._documents.add(KIND, host, _body(proof)):
                return proof
            known = _proof(host, self._documents.get(KIND, host) or {})
            if known is not None and known.is_watched:
                return known
            self._documents.save(KIND, host, _body(proof))
            return proof

    def watch(self, proof: OffProof) -> None:
        """Note that the host was looked at just now and does not answer.

        Raises:
            StorageError: it cannot be kept.
        """
        now = datetime.now(UTC)
        if now - proof.watched_at >= _RENEWED:
            with self._lock:
                known = _proof(proof.host, self._documents.get(KIND, proof.host) or {})
                if known is not None and known.incident == proof.incident:
                    self._documents.save(KIND, proof.host, _body(replace(known, watched_at=now)))

    def remove(self, host: str) -> None:
        """The host answers again."""
        self._documents.remove(KIND, host)


def _body(proof: OffProof) -> dict[str, str]:
    return {
        "at": proof.at.isoformat(),
        "sentence": proof.sentence,
        "incident": proof.incident,
        "watched_at": proof.watched_at.isoformat(),
    }


def _proof(host: str, body: Mapping[str, Any]) -> OffProof | None:
    try:
        at = datetime.fromisoformat(body["at"])
        watched_at = datetime.fromisoformat(body.get("watched_at", body["at"]))
        if at.tzinfo is None or watched_at.tzinfo is None:
            return None
        return OffProof(host, at, str(body["sentence"])[:_LONGEST], str(body["incident"])[:100], watched_at)
    except (KeyError, TypeError, ValueError):
        return None
