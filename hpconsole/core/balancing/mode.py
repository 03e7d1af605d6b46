"""Whether VMs are moved by themselves, only recommended to be, or not looked at. Kept as one document."""

from __future__ import annotations

from enum import StrEnum

from hpconsole.core.keeping import Documents

MODE_KIND, MODE_NAME = "balancer", "mode"


class Mode(StrEnum):
    """What a round may do, for load and for affinity rules alike. Hosts that fail are looked after in every mode."""

    ACT = "act"
    RECOMMEND = "recommend"
    OFF = "off"


def read_mode(documents: Documents) -> Mode:
    """What was decided; acting where nothing was, or what is kept is not understood.

    Raises:
        StorageError: the database cannot be read.
    """
    kept = (documents.get(MODE_KIND, MODE_NAME) or {}).get("mode")
    return next((mode for mode in Mode if mode.value == kept), Mode.ACT)


def save_mode(documents: Documents, mode: Mode) -> None:
    """Decide it. Every console that uses this database follows at its next round. Raises StorageError."""
    documents.save(MODE_KIND, MODE_NAME, {"mode": mode.value})
