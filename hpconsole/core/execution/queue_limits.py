"""How many migrations may run at once, as it is kept between runs of the console; read as hostile."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hpconsole.core.execution.step_queue import Limits

if TYPE_CHECKING:
    from hpconsole.core.database.database import Database

KEY = "migration.limits"
MOST = 1_000_000  # of anything: a larger number is no limit but a mistake


def kept_limits(database: Database | None) -> Limits:
    """The limits that were chosen, or the reference's: two leave and two reach a host. Raises StorageError."""
    kept = database.settings.get(KEY) if database is not None else None
    if not isinstance(kept, dict):
        return Limits()
    default = asdict(Limits())
    found = {name: value for name, value in kept.items() if name in default and _is_count(value)}
    return Limits(**(default | found))


def keep_limits(database: Database | None, limits: Limits) -> None:
    """Choose them for the next runs, too. Raises StorageError."""
    if database is not None:
        database.settings.set(KEY, asdict(limits))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST
