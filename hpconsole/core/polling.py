"""Asks every host how it is, all the time, and publishes what is known as one snapshot.

Rounds run on the hosts' lanes; this module's thread only plans them and puts their results together, so that it
never waits for a host.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from hpconsole.core.cluster_rules import Rules
from hpconsole.core.errors import HostUnreachable, HpconsoleError
from hpconsole.core.events import Notice
from hpconsole.core.host_status import UP, HostDecision
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DomainEvent, DomainEventKind, Hypervisor
from hpconsole.core.merging import HostVms, merge
from hpconsole.core.model.host import Host, HostLink, LinkState
from hpconsole.core.model.vm import Vm, VmLoad
from hpconsole.core.rounds import HostReader, HostRound, RoundSettings
from hpconsole.core.same_machine import without_duplicates
from hpconsole.core.store import Store

_log = logging.getLogger(__name__)

# Nothing in the XML changes with these, and a migration brings many of them.
_UNIMPORTANT = frozenset({DomainEventKind.MIGRATION_PASS, DomainEventKind.JOB_COMPLETED})
NO_LABELS: frozenset[str] = frozenset()
# Rounds that are due within this time begin together: with a hundred hosts, fewer wake-ups.
_TOGETHER_S = 0.02
# A storm of events does not become a storm of rounds.
_BETWEEN_EVENTS_S = 0.2


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Feed:
    """One host in the poller's book. Only the poller's thread touches it, except `suspects` (under the lock)."""

    name: str
    reader: HostReader
    due_at_s: float
    future: Future[HostRound] | None = None
    round: HostRound | None = None
    began_at_s: float = 0.0
    asked: frozenset[str] | None = frozenset()  # the suspects of the round under way
    suspects: set[str] | None = field(default_factory=set)  # whose XML may have changed; None = all
    heard: Hypervisor | None = None  # the connection whose events are listened to
    stop_listening: Callable[[], None] | None = None
    problem: str = ""

    def listen(self, hypervisor: Hypervisor, handler: Callable[[DomainEvent], None]) -> None:
        """Hear this connection's events, and no other's."""
        stop = hypervisor.listen(handler)
        self.deafen()
        self.heard, self.stop_listening = hypervisor, stop

    def deafen(self) -> None:
        """Hear nothing any more."""
        stop, self.stop_listening = self.stop_listening, None
        if stop is not None:
            stop()


class Poller:
    """The only writer of the store's snapshots.

    Args:
        interval_s: Between two rounds of a host. Hosts are spread over it.
        statuses: What the administrator decided, by host name; hosts that are not named are up.
        rules: The cluster's settings and affinity groups; asked for every snapshot, so it must not wait for anything.
        deadline_s: A round that takes longer makes the host count as not responding.
        overloaded_pct: From which CPU load on a host counts as overloaded (the reference's HighUtilization).
        publish_gap_s: The least time between two snapshots.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        store: Store,
        *,
        interval_s: float = 1.0,
        statuses: Callable[[], Mapping[str, HostDecision]] | None = None,
        rules: Callable[[], Rules] | None = None,
        deadline_s: float = 5.0,
        overloaded_pct: float = 80.0,
        publish_gap_s: float = 0.2,
        settings: RoundSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._pool = pool
        self._store = store
        self._interval_s = interval_s
        self._statuses = statuses or dict
        self._rules = rules or Rules
        self._deadline_s = deadline_s
        self._publish_gap_s = publish_gap_s
        self._settings = settings or RoundSettings(overloaded_pct=overloaded_pct)
        self._clock = clock
        self._now = now
        self._lock = threading.Condition()
        self._feeds: dict[str, _Feed] = {}
        self._is_woken = True  # the first step is due at once
        self._is_closed = False
        self._published_at_s = -publish_gap_s
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to poll. Threads: any; once."""
        self._thread = threading.Thread(target=self._work, name="hpc-poller", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop; rounds under way end on their lanes. Idempotent."""
        with self._lock:
            self._is_closed = True
            self._lock.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        for feed in list(self._feeds.values()):
            feed.deafen()

    def refresh(self, host: str | None = None) -> None:
        """Read everything of this host (None: all hosts) again, at once. Threads: any.

        Hosts that are not connected are tried at once: a refused one is by nobody else.
        """
        for name in self._pool.names():
            if host in (None, name):
                with contextlib.suppress(HostUnreachable):  # removed meanwhile
                    self._pool.retry(name)
        with self._lock:
            for feed in self._feeds.values():
                if host in (None, feed.name):
                    feed.suspects = None
                    feed.due_at_s = self._clock()
        self._wake()

    # --- the poller's thread -----------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._is_woken or self._is_closed, self._wait_s())
                self._is_woken = False
                if self._is_closed:
                    return
            try:
                self._step()
            except Exception:  # noqa: BLE001 - one of the three places: the poller goes on whatever happens
                _log.exception("a step of the poller failed")

    def _wait_s(self) -> float:
        """Until the next round is due, or until it is time to see how the links stand."""
        dues = [feed.due_at_s for feed in self._feeds.values() if feed.future is None]
        return max(0.0, min([self._clock() + self._publish_gap_s, *dues]) - self._clock())

    def _step(self) -> None:
        self._follow_pool()
        now_s = self._clock()
        for feed in self._feeds.values():
            self._collect(feed, now_s)
            if feed.future is None and feed.due_at_s <= now_s + _TOGETHER_S:
                self._begin(feed, now_s)
        if now_s - self._published_at_s >= self._publish_gap_s:
            self._publish()

    def _follow_pool(self) -> None:
        uris = self._pool.uris()
        for name, uri in uris.items():
            if name not in self._feeds:
                reader = HostReader(name, uri, self._settings, clock=self._clock, now=self._now, lent=self._store.lent)
                # spread, each host always at the same place, but the first answers soon
                phase_s = zlib.crc32(name.encode()) % 1000 / 1000 * min(self._interval_s, 0.25)
                self._add(_Feed(name, reader, due_at_s=self._clock() + phase_s))
        for name in self._feeds.keys() - uris.keys():
            with self._lock:
                feed = self._feeds.pop(name)
            feed.deafen()

    def _add(self, feed: _Feed) -> None:
        with self._lock:
            self._feeds[feed.name] = feed

    def _begin(self, feed: _Feed, now_s: float) -> None:
        with self._lock:
            suspects, feed.suspects = feed.suspects, set()
        feed.asked = None if suspects is None else frozenset(suspects)
        feed.began_at_s = now_s
        feed.due_at_s = now_s + self._interval_s
        try:
            feed.future = self._pool.submit(
                feed.name, partial(self._read, feed, feed.round, feed.asked), deadline_s=self._deadline_s
            )
        except HostUnreachable:
            self._give_back(feed)
        else:
            feed.future.add_done_callback(lambda _: self._wake())

    def _collect(self, feed: _Feed, now_s: float) -> None:
        """Take the result of a round that has ended."""
        future = feed.future
        if future is None:
            return
        if future.done():
            feed.future = None
            self._take(feed, future)
        elif now_s - feed.began_at_s > self._deadline_s and self._link(feed).state is LinkState.CONNECTED:
            # the connection goes on without the call: it was left behind in the lane's old thread
            feed.future = None
            self._give_back(feed)

    def _take(self, feed: _Feed, future: Future[HostRound]) -> None:
        try:
            feed.round = future.result()
        except (HpconsoleError, CancelledError) as error:
            self._give_back(feed)
            feed.problem = error.sentence if isinstance(error, HpconsoleError) else ""
            return
        except Exception:  # noqa: BLE001 - a fault met in one host's answers must not hide the other hosts
            self._give_back(feed)
            sentence = f"Host {feed.name} could not be read because of a fault in hpconsole. Please report it."
            if feed.problem != sentence:
                _log.exception("host %s could not be read", feed.name)
                self._store.report(Notice(self._now(), "error", sentence, feed.name))
            feed.problem = sentence
            return
        feed.problem = ""
        if feed.round.vms and not self._store.snapshot.vms:
            self._published_at_s = -math.inf  # somebody waits for the first of them
        if feed.round.is_complete:
            self._pool.mark_answered(feed.name, self._now())
        if feed.round.unread:
            feed.due_at_s = self._clock()

    def _give_back(self, feed: _Feed) -> None:
        """What was to be read still has to be."""
        with self._lock:
            if feed.asked is None or feed.suspects is None:
                feed.suspects = None
            else:
                feed.suspects |= feed.asked

    def _publish(self) -> None:
        statuses = self._statuses()
        rules = self._rules()
        before = self._store.snapshot
        hosts: dict[str, Host] = {}
        said: dict[str, HostVms] = {}
        seen = {
            name: self._host(feed, statuses.get(name, UP), rules.host_labels.get(name, NO_LABELS))
            for name, feed in self._feeds.items()
        }
        for name, host in without_duplicates(seen).items():
            known = before.hosts.get(name)
            hosts[name] = known if known is not None and known == host else host
            last = self._feeds[name].round
            if last is not None and host is seen[name]:  # the VMs of one machine count once
                said[name] = HostVms(last, is_fresh=host.link.state is LinkState.CONNECTED)
        vms = merge(said, before.vms)
        loads = _loads(said, vms)
        self._published_at_s = self._clock()
        is_same = _is_same(hosts, before.hosts) and _is_same(vms, before.vms) and _is_same(loads, before.loads)
        is_ruled = rules.settings == before.settings and rules.groups == before.affinity_groups
        if is_same and is_ruled and before.taken_at is not None:
            return
        snapshot = replace(before, serial=before.serial + 1, taken_at=self._now(), hosts=hosts, vms=vms, loads=loads)
        if not is_ruled:
            snapshot = replace(snapshot, settings=rules.settings, affinity_groups=rules.groups)
        self._store.publish(snapshot)

    def _host(self, feed: _Feed, decided: HostDecision, labels: frozenset[str]) -> Host:
        link = self._link(feed)
        last = feed.round
        if link.state is LinkState.CONNECTED:
            # until everything was read on this connection, nothing may be placed there
            is_known = last is not None and last.is_complete and self._is_current(last)
            state = LinkState.CONNECTED if is_known else LinkState.CONNECTING
            link = replace(link, state=state, problem=feed.problem)
        base = last.host if last is not None else Host(feed.name, uri=self._uri(feed))
        return replace(base, link=link, status=decided.status, status_reason=decided.reason, labels=labels)

    def _is_current(self, last: HostRound) -> bool:
        """Whether the round was read through the present connection."""
        try:
            return last.hypervisor is self._pool.hypervisor(last.host.name)
        except HostUnreachable:
            return False

    def _link(self, feed: _Feed) -> HostLink:
        try:
            return self._pool.link(feed.name)
        except HostUnreachable:  # removed a moment ago
            return HostLink(LinkState.DISCONNECTED)

    def _uri(self, feed: _Feed) -> str:
        try:
            return self._pool.uri(feed.name)
        except HostUnreachable:
            return ""

    # --- other threads -----------------------------------------------------------

    def _read(
        self, feed: _Feed, before: HostRound | None, suspects: frozenset[str] | None, at: Hypervisor
    ) -> HostRound:
        """On the host's lane."""
        if feed.heard is not at:
            feed.listen(at, partial(self._on_event, feed))  # before anything is read, so that no change is missed
        return feed.reader.read(at, before, suspects)

    def _on_event(self, feed: _Feed, event: DomainEvent) -> None:
        """On the event thread."""
        if event.kind in _UNIMPORTANT:
            return
        with self._lock:
            if feed.suspects is not None:
                feed.suspects.add(event.uuid)
            feed.due_at_s = min(feed.due_at_s, max(self._clock(), feed.began_at_s + _BETWEEN_EVENTS_S))
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if not self._is_woken:
                self._is_woken = True
                self._lock.notify_all()


def _loads(said: Mapping[str, HostVms], vms: Mapping[str, Vm]) -> dict[str, VmLoad]:
    """Of each VM where it runs; nothing of hosts that do not answer."""
    loads: dict[str, VmLoad] = {}
    for of_host in said.values():
        if of_host.is_fresh:
            loads |= of_host.round.loads
    for uuid in [uuid for uuid in loads if uuid in vms and (vms[uuid].other_hosts or vms[uuid].also_running_on)]:
        home = said.get(vms[uuid].host or "")
        load = home.round.loads.get(uuid) if home is not None else None
        if load is None:
            del loads[uuid]
        else:
            loads[uuid] = load
    return loads


def _is_same(new: Mapping[str, object], old: Mapping[str, object]) -> bool:
    """Whether both hold the very same objects."""
    return new.keys() == old.keys() and all(value is old[key] for key, value in new.items())
