"""Exactly one console acts: a lease on more than half of the hosts, kept by the hosts themselves. No server, no clock.

Each host keeps at most one lease (`Hypervisor.take_lease`, atomic there). Whoever holds those of a majority leads;
two majorities share a host, so there are never two leaders. Times are compared on one console's own steady clock only:
a lease whose text did not change for its life time and a margin, as seen from here, is taken to be abandoned; its
holder has stopped acting by then, because it stops when its own renewal is as old as the life time. A new leader waits
for one life time before it acts. Limits: docs/balancing.md, *Who acts*.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from functools import partial

from hpconsole.core.errors import HostUnreachable, HpconsoleError
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor, LeaseRecord

_log = logging.getLogger(__name__)

LIFE_S = 30.0
MARGIN_S = 10.0  # what a lease may be seen late by
_ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who acts for the cluster, and why. `holder` names the console that leads, as far as is known."""

    is_mine: bool
    sentence: str
    holder: str = ""
    granted: tuple[str, ...] = ()  # hosts that keep the lease for us
    needed: int = 0  # how many must


NOBODY = Leadership(False, "Nobody has asked the hosts yet who acts.")


def has_majority(granted: Collection[str], electorate: Mapping[str, str]) -> bool:
    """Whether these hosts are more than half.

    Exactly half is enough where the host with the smallest identity is among them, and only if every identity is
    known: so one half of an even cluster can go on, and never both.

    Args:
        granted: Host names.
        electorate: Host name to the host's own UUID (the same for every console; empty = not known).
    """
    count = len(set(granted) & electorate.keys())
    if 2 * count > len(electorate):
        return True
    if 2 * count < len(electorate) or not count or not all(electorate.values()):
        return False
    return min(electorate, key=lambda name: electorate[name]) in granted


@dataclass(slots=True)
class _Seen:
    """Somebody else's lease on one host, and since when it has looked like this."""

    record: LeaseRecord
    since_s: float


@dataclass(slots=True)
class _Term:
    """One attempt to lead. A term that ended is never continued: the next one has another number."""

    number: str = field(default_factory=lambda: str(uuid.uuid4()))
    held_since_s: float | None = None  # first of an unbroken row of majorities
    renewed_at_s: float = float("-inf")


class Leader:
    """This console's part in deciding who acts.

    Args:
        pool: The hosts.
        identities: Every host's own UUID by name; empty text where it is not known yet.
        off: Hosts that are provably off: they keep no lease for anybody, and count no more after a while.
        who: How this console is named to others.
        life_s: How long a lease lasts without renewal; it is renewed three times in that.

    Threads: `current` and `may_act` from any; `renew` by one thread at a time, which it keeps for up to 5 s.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        *,
        identities: Callable[[], Mapping[str, str]],
        off: Callable[[], Collection[str]] = tuple,
        who: str = "a console",
        life_s: float = LIFE_S,
        margin_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._identities = identities
        self._off = off
        self._who = who
        self._life_s = life_s
        self._ask_s = min(_ASK_S, life_s / 4)  # a host that is silent must not cost the lease
        self._margin_s = life_s / 3 if margin_s is None else margin_s
        self._clock = clock
        self._lock = threading.Lock()
        self._term = _Term()
        self._past: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._off_since_s: dict[str, float] = {}
        self._count = 0
        self._current = NOBODY
        self._rest_until_s = float("-inf")

    @property
    def interval_s(self) -> float:
        """How often `renew` should be called."""
        return self._life_s / 3

    @property
    def current(self) -> Leadership:
        """What the last renewal said."""
        with self._lock:
            return self._current

    def may_act(self) -> bool:
        """Whether this console leads at this moment. Ask right before each action."""
        now_s = self._clock()
        with self._lock:
            return self._leads(now_s)

    def _leads(self, now_s: float) -> bool:
        since = self._term.held_since_s
        return since is not None and now_s - since >= self._life_s and now_s - self._term.renewed_at_s < self._life_s

    def renew(self) -> Leadership:
        """Ask every host for its lease, or for a longer one; gives everything back where that makes no majority."""
        started_s = self._clock()
        if started_s < self._rest_until_s:
            return self.current
        self._begin_anew_if_late(started_s)
        electorate = self._electorate(started_s)
        answers = self._ask_all(tuple(electorate), started_s)
        granted = tuple(name for name in electorate if answers.get(name) is True)
        others = {name: record for name, record in answers.items() if isinstance(record, LeaseRecord)}
        is_elected = has_majority(granted, electorate)
        with self._lock:
            if is_elected:
                self._term.renewed_at_s = started_s
                if self._term.held_since_s is None:
                    self._term.held_since_s = started_s
            must_give_back = not is_elected and not self._leads(self._clock())
            if must_give_back and self._term.held_since_s is not None:
                self._end_term()
            self._current = current = self._describe(granted, electorate, others)
        if must_give_back and granted:
            self._give_back(granted)
            # by chance, so that two that each hold half do not meet again
            self._rest_until_s = self._clock() + random.uniform(0, self.interval_s)  # noqa: S311 - no secret
        return current

    def close(self, timeout_s: float = 2.0) -> None:
        """Give the lease back, so that another console need not wait. Blocks for at most `timeout_s`."""
        with self._lock:
            self._end_term()
            self._current = Leadership(False, "This console does not act any more.")
        self._give_back(self._pool.names(), timeout_s)

    def _begin_anew_if_late(self, now_s: float) -> None:
        with self._lock:
            if self._term.held_since_s is not None and now_s - self._term.renewed_at_s >= self._life_s:
                self._end_term()

    def _end_term(self) -> None:
        self._past.add(self._term.number)
        self._term = _Term()

    def _electorate(self, now_s: float) -> dict[str, str]:
        """Every host, without those that were provably off for so long that nobody can lead by their leases."""
        identities = self._identities()
        off = set(self._off())
        self._off_since_s = {name: self._off_since_s.get(name, now_s) for name in off}
        gone = {name for name, since in self._off_since_s.items() if now_s - since > self._life_s + self._margin_s}
        return {name: identities.get(name, "") for name in self._pool.names() if name not in gone}

    def _ask_all(self, hosts: Collection[str], now_s: float) -> dict[str, bool | LeaseRecord]:
        """True: it keeps the lease for us. A record: for that one. Hosts that cannot be asked are left out."""
        with self._lock:
            self._count += 1
            number, past = self._term.number, frozenset(self._past)
        text = f"{self._who} #{self._count}"
        futures: dict[str, Future[bool | LeaseRecord]] = {}
        for name in hosts:
            stale = self._stale(name, now_s)
            try:
                take = partial(_take, number=number, text=text, droppable=past | stale)
                futures[name] = self._pool.submit(name, take, deadline_s=self._ask_s)
            except HpconsoleError:
                continue
        answers: dict[str, bool | LeaseRecord] = {}
        until_s = time.monotonic() + self._ask_s
        for name, future in futures.items():
            try:
                answers[name] = future.result(max(0.0, until_s - time.monotonic()))
            except (HpconsoleError, FutureTimeout, CancelledError) as error:
                _log.info("%s keeps no lease: %s", name, error)
        self._note_seen(answers)
        return answers

    def _stale(self, host: str, now_s: float) -> frozenset[str]:
        seen = self._seen.get(host)
        if seen is None or now_s - seen.since_s < self._life_s + self._margin_s:
            return frozenset()
        return frozenset({seen.record.uuid})

    def _note_seen(self, answers: Mapping[str, bool | LeaseRecord]) -> None:
        now_s = self._clock()
        for name, answer in answers.items():
            known = self._seen.get(name)
            if not isinstance(answer, LeaseRecord):
                self._seen.pop(name, None)
            elif known is None or known.record != answer:
                self._seen[name] = _Seen(answer, now_s)

    def _describe(
        self, granted: tuple[str, ...], electorate: Mapping[str, str], others: Mapping[str, LeaseRecord]
    ) -> Leadership:
        needed = len(electorate) // 2 + 1
        if self._leads(self._clock()):
            return Leadership(True, "This console acts for the cluster.", self._who, granted, needed)
        if self._term.held_since_s is not None:
            rest_s = self._life_s - (self._clock() - self._term.held_since_s)
            sentence = f"This console will act for the cluster in {max(0.0, rest_s):.0f} s."
            return Leadership(False, sentence, self._who, granted, needed)
        texts = [record.text.rpartition(" #")[0] or record.text for record in others.values()]
        if texts:
            holder = max(sorted(set(texts)), key=texts.count)
            return Leadership(False, f"Another console acts for the cluster: {holder}.", holder, granted, needed)
        sentence = (
            f"Only {len(granted)} of {len(electorate)} hosts could be asked who acts, {needed} are needed: "
            "nothing is done by itself until more of them answer."
        )
        return Leadership(False, sentence, "", granted, needed)

    def _give_back(self, hosts: Collection[str], timeout_s: float = 1.0) -> None:
        with self._lock:
            numbers = {*self._past, self._term.number}
        futures: list[Future[None]] = []
        for name in hosts:
            try:
                futures.append(self._pool.submit(name, lambda at: _drop(at, numbers), deadline_s=_ASK_S))
            except HostUnreachable:
                continue
        until_s = time.monotonic() + timeout_s
        for future in futures:
            try:
                future.result(max(0.0, until_s - time.monotonic()))
            except (HpconsoleError, FutureTimeout, CancelledError) as error:
                _log.info("a lease could not be given back, it ends by itself: %s", error)


def _take(at: Hypervisor, number: str, text: str, droppable: frozenset[str]) -> bool | LeaseRecord:
    """On the host's lane."""
    if at.take_lease(number, text):
        return True
    held = at.lease()
    if held is not None and held.uuid in droppable:
        at.drop_lease(held.uuid)
        if at.take_lease(number, text):
            return True
        held = at.lease()
    return held if held is not None and held.uuid != number else False


def _drop(at: Hypervisor, numbers: set[str]) -> None:
    """On the host's lane."""
    for number in numbers:
        at.drop_lease(number)
