"""How do a thousand hosts of one model share one topology? Equal values become one object."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)

_LIMIT = 4096  # a host that tells something new at every reading cannot fill the memory
_lock = threading.Lock()
_values: dict[Hashable, Hashable] = {}


def one_object(value: _T) -> _T:
    """The first value equal to this one, and of its type. Threads: any."""
    with _lock:
        if len(_values) >= _LIMIT:
            _values.clear()
        return _values.setdefault((type(value), value), value)  # type: ignore[return-value]  # of the key's type
