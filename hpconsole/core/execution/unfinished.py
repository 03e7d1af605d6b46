"""Who looks after migrations whose end is not known? Finds them at the start, and asks again when it is worth it.

Asking is quiet: only what is known by now becomes a task that ends; as long as nothing is new nobody is bothered.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hpconsole.core.errors import StorageError
from hpconsole.core.execution.carrying_over import tidy
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.end_sentences import describe
from hpconsole.core.execution.end_states import EndState, judge
from hpconsole.core.execution.journal import Journal
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.recovery import Found, close_untouched, find_orphans, to_ask_again
from hpconsole.core.execution.verification import look
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.plan import Step

_log = logging.getLogger(__name__)

# A broken post-copy may go on by itself once the link is back, and no host tells.
_LOOK_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Kept:
    hosts: tuple[str, str]
    since: datetime
    state: EndState | None


class Unfinished:
    """The attempts whose end is not known.

    Args:
        adopt: Takes one over as a step that asks the hosts; called on a thread of this object's own.
        notify: Told a severity and a sentence.

    Threads: any; a question to hosts has a thread of its own, so that nobody waits for a silent one.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        journal: Journal,
        console: ConsoleIdentity,
        *,
        adopt: Callable[[Found], None],
        notify: Callable[[str, str], None],
        deadline_s: float,
    ) -> None:
        self._pool = pool
        self._journal = journal
        self._console = console
        self._adopt = adopt
        self._notify = notify
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._unchecked: dict[str, tuple[Step, KnownBefore, datetime]] = {}  # by VM
        self._is_closed = False

    def find(self) -> None:
        """Take over what earlier runs of the console left; blocks while the journal is read."""
        try:
            close_untouched(self._journal, self._console)
            orphans, out_of_reach = find_orphans(self._journal, self._console, self._pool.uris())
        except StorageError as error:
            self._notify("warning", error.sentence)
            return
        for sentence in out_of_reach:
            self._notify("warning", sentence)
        for found in orphans:
            self._adopt(found)

    def keep(self, migration_id: str, step: Step, state: EndState | None) -> None:
        """Ask again about this one: once a silent host is back; now and then if its post-copy broke."""
        with self._lock:
            self._kept[migration_id] = _Kept((step.source, step.destination), datetime.now(UTC), state)

    def watch(self, step: Step, known: KnownBefore) -> None:
        """The destination was silent when a migration failed: look what is left there, once it is back."""
        with self._lock:
            self._unchecked[step.vm_uuid] = step, known, datetime.now(UTC)

    def look_at(self, snapshot: ClusterSnapshot) -> None:
        """A new snapshot: is one of them worth another question? Returns at once."""
        with self._lock:
            due = [key for key, kept in self._kept.items() if _is_due(snapshot, kept)]
            states = [self._kept.pop(key).state for key in due]
            back = [one for one in self._unchecked.values() if _has_come_back(snapshot, (one[0].destination,), one[2])]
            for step, _, _ in back:
                del self._unchecked[step.vm_uuid]
        for key, state in zip(due, states, strict=True):
            self._start(key, state)
        for step, known, _ in back:
            threading.Thread(target=self._tidy, args=(step, known), name="hpc-tidy", daemon=True).start()

    def ask(self, migration_id: str) -> None:
        """Ask about this one now, whatever was found before. Returns at once."""
        with self._lock:
            self._kept.pop(migration_id, None)
        self._start(migration_id, None)

    def close(self) -> None:
        """Ask no more."""
        with self._lock:
            self._is_closed = True
            self._kept.clear()
            self._unchecked.clear()

    def _start(self, migration_id: str, before: EndState | None) -> None:
        with self._lock:
            if self._is_closed:
                return
        threading.Thread(target=self._ask, args=(migration_id, before), name="hpc-ask-again", daemon=True).start()

    def _ask(self, migration_id: str, before: EndState | None) -> None:
        try:
            records = [record for record in self._journal.open_records() if record.migration_id == migration_id]
        except StorageError as error:
            self._notify("warning", error.sentence)
            return
        for record in records:
            found = to_ask_again(record)
            if before is not None:
                source = look(self._pool, record.source, record.vm_uuid, deadline_s=self._deadline_s)
                destination = look(self._pool, record.destination, record.vm_uuid, deadline_s=self._deadline_s)
                known = KnownBefore.from_json(record.facts)
                state = judge(source, destination, was_paused=known.was_paused)
                _log.info("asked again about %s: %s", migration_id, state.value)
                if state is before:
                    self.keep(migration_id, found.plan.steps[0], before)
                    continue
            self._adopt(found)

    def _tidy(self, step: Step, known: KnownBefore) -> None:
        """The destination is back: nothing of the VM that failed to move there may stay, and it must not run twice."""
        source = look(self._pool, step.source, step.vm_uuid, deadline_s=self._deadline_s)
        destination = look(self._pool, step.destination, step.vm_uuid, deadline_s=self._deadline_s)
        if not source.is_reachable or not destination.is_reachable:
            self.watch(step, known)
            return
        state = judge(source, destination, was_paused=known.was_paused)
        problem = ""
        if state is EndState.LEFT_OVER_ON_DESTINATION:
            destination, problem = tidy(self._pool, step, known, (source, destination), self._deadline_s)
            state = judge(source, destination, was_paused=known.was_paused)
            if state is EndState.ON_SOURCE:
                left = f"What the migration that failed had left of {step.vm_name} on {step.destination} was removed."
                self._notify("info", f"{left} {describe(state, step.vm_name, source, destination)}")
                return
        if state not in (EndState.ON_SOURCE, EndState.STILL_MIGRATING):
            self._notify("warning", f"{describe(state, step.vm_name, source, destination)} {problem}".strip())


def _is_due(snapshot: ClusterSnapshot, kept: _Kept) -> bool:
    if kept.state is EndState.BROKEN_POST_COPY:
        return _answer(snapshot, kept.hosts) and datetime.now(UTC) - kept.since >= _LOOK_AGAIN
    return _has_come_back(snapshot, kept.hosts, kept.since)


def _answer(snapshot: ClusterSnapshot, hosts: tuple[str, ...]) -> bool:
    links = [snapshot.hosts[name].link for name in hosts if name in snapshot.hosts]
    return len(links) == len(hosts) and all(link.state is LinkState.CONNECTED for link in links)


def _has_come_back(snapshot: ClusterSnapshot, hosts: tuple[str, ...], since: datetime) -> bool:
    """Whether they all answer, and one of them was lost and found since."""
    links = [snapshot.hosts[name].link.since for name in hosts if name in snapshot.hosts]
    return _answer(snapshot, hosts) and any(at is not None and at > since for at in links)
