"""The record of a drain while it runs: each line is kept, and told, before what it says is done. Decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from hpconsole.core.execution.drain_record import DoneVm, DrainRecord, DrainState, StuckVm
from hpconsole.core.planning.drain import DrainItem


class DrainBook:
    """See the module.

    Args:
        keep: Writes the record and tells of it; called without the lock.
        lock: Guards the record, and whatever else of the drain must change together with it.

    Threads: any.
    """

    def __init__(self, record: DrainRecord, keep: Callable[[DrainRecord], None], lock: threading.Condition) -> None:
        self._record = record
        self._lock = lock
        self.keep = keep

    @property
    def record(self) -> DrainRecord:
        """How it stands."""
        with self._lock:
            return self._record

    def write(self, sentence: str, **changes: object) -> DrainRecord:
        """Change the record, with a line; whoever holds the lock keeps it afterwards (`keep`)."""
        with self._lock:
            self._record = self._record.with_line(sentence, **changes)
            return self._record

    def say(self, sentence: str, **changes: object) -> None:
        """Change the record, with a line, and keep it."""
        self.keep(self.write(sentence, **changes))

    def turn(self, state: DrainState, sentence: str) -> None:
        """Another state, unless it is over."""
        with self._lock:
            if self._record.state.is_over:
                return
            record = self.write(sentence, state=state)
        self.keep(record)

    def has_left(self, item: DrainItem, destination: str, sentence: str) -> None:
        """A VM is gone from its host. `destination` empty: it was stopped."""
        record = self.record
        gone = DoneVm(item.vm_uuid, item.vm_name, item.source, destination, datetime.now(UTC))
        others = tuple(one for one in record.done if one.vm_uuid != item.vm_uuid)
        stuck = tuple(one for one in record.stuck if one.vm_uuid != item.vm_uuid)
        self.say(sentence, done=(*others, gone), stuck=stuck)

    def is_stuck(self, item: DrainItem, sentence: str) -> None:
        """A VM cannot leave; why."""
        others = tuple(one for one in self.record.stuck if one.vm_uuid != item.vm_uuid)
        self.say(sentence, stuck=(*others, StuckVm(item.vm_uuid, item.vm_name, item.source, sentence)))
