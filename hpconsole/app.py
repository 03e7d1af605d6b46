"""The composition root: builds every long-lived object of the core once, in order, and closes them in reverse.

Knows no Qt: the window and the command line both stand on it. Nothing heavy (SQLAlchemy, numpy, libvirt) is
imported before `start()`, and there on a thread of its own, so that a window can be on the screen first.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hpconsole.core.cluster_rules import ClusterRules
from hpconsole.core.errors import HpconsoleError, StorageError
from hpconsole.core.events import Notice
from hpconsole.core.first_answer import wait_for_first_answer
from hpconsole.core.history import LoadHistory
from hpconsole.core.host_status import HostStatuses
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.hypervisor.uri import parse_uri
from hpconsole.core.link_notices import LinkNotices
from hpconsole.core.model.host import HostStatus
from hpconsole.core.planning.plan import Plan
from hpconsole.core.polling import Poller
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.core.store import Store

if TYPE_CHECKING:
    from hpconsole.core.availability.availability import Availability
    from hpconsole.core.balancing.report import RoundReport
    from hpconsole.core.balancing.watch import Pace, Watch
    from hpconsole.core.database.database import Database
    from hpconsole.core.execution.advice import MigrationAdvice
    from hpconsole.core.execution.executor import Executor
    from hpconsole.core.execution.journal import Journal
    from hpconsole.core.execution.maintenance import Maintenance
    from hpconsole.core.execution.migration import Timings
    from hpconsole.core.execution.moving import Moving
    from hpconsole.core.execution.repairs import Repairs
    from hpconsole.core.execution.steering import JobChange
    from hpconsole.core.execution.step_queue import Limits
    from hpconsole.core.keeping import Documents
    from hpconsole.core.memory_documents import MemoryDocuments
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation

_log = logging.getLogger(__name__)

DATABASE_NAME = "hpconsole.sqlite3"  # in the data folder
_WATCH_AFTER_S = 10.0  # the window is filled first


def open_libvirt_lazily(uri: str) -> Hypervisor:
    """Open a real connection; libvirt itself is imported only now."""
    from hpconsole.core.hypervisor.libvirt_host import open_libvirt

    return open_libvirt(uri)


class App:
    """One running console, window or command line.

    Args:
        hosts: Hosts by name and URI for this run. Empty: those configured in the database.
        opener: Opens a connection; the simulated cluster brings its own.
        data: The folder of the database; None = remember nothing (demo).
        interval_s: Seconds between two polls of a host.
        watches: Whether it looks after hosts that fail, rules and load by itself (`start_watching`).
        timings: How long hosts are asked and waited for while VMs move; None = as it is good for people.

    Threads: methods may be called from any thread; `start` returns at once.
    """

    def __init__(
        self,
        hosts: Mapping[str, str],
        *,
        opener: Callable[[str], Hypervisor] = open_libvirt_lazily,
        data: Path | None = None,
        interval_s: float = 1.0,
        timings: Timings | None = None,
        watches: bool = False,
    ) -> None:
        self._hosts = dict(hosts)
        self._watches = watches
        self._closing = threading.Event()
        self._availability: Availability | None = None
        self.watch: Watch | None = None
        self._timings = timings
        self._data = data
        self._ready = threading.Event()
        self._closed = False
        self._is_connecting = False
        self._lock = threading.Lock()
        self._moving: Moving | None = None  # None until `start` has done its work
        self.database: Database | None = None
        self._documents: MemoryDocuments | None = None
        self.policies = PolicyBook()
        self.rules = ClusterRules()  # settings of the cluster and affinity groups, as every snapshot has them
        self.store = Store()
        self.statuses = HostStatuses(self.store.report)
        self.history = LoadHistory()
        self.store.subscribe(self.history.record)
        self.pool = ConnectionPool(opener, on_change=LinkNotices(self.notify))
        self.poller = Poller(
            self.pool,
            self.store,
            interval_s=interval_s,
            statuses=self.statuses.all,
            rules=self.rules.current,
        )

    @property
    def policy(self) -> Policy:
        """The scheduling policy in force (`policies` has them all, and changes which)."""
        return self.policies.chosen

    @property
    def executor(self) -> Executor | None:
        """What runs plans; None until `start` has done its work."""
        return self._moving.executor if self._moving is not None else None

    @property
    def journal(self) -> Journal | None:
        """Of migrations; None until `start` has done its work."""
        return self._moving.journal if self._moving is not None else None

    @property
    def repairs(self) -> Repairs:
        """What can be done about migrations that ended badly. Blocks while hosts are asked: not for a window's thread.

        Raises:
            HpconsoleError: the console is still starting.
        """
        from hpconsole.core.execution.repairs import Repairs

        return Repairs(self.pool, self._built().journal)

    @property
    def hosts(self) -> Mapping[str, str]:
        """Name and URI of every host of this run."""
        return self.pool.uris()

    def connect(self) -> None:
        """Begin to connect to the hosts given for this run, and to poll. `start` does it too; returns at once."""
        with self._lock:
            if self._is_connecting or self._closed:
                return
            self._is_connecting = True
            for name, uri in self._hosts.items():
                self.pool.add(name, uri)
            self.poller.start()

    def start(self) -> None:
        """Begin: open the database, connect to the hosts, poll, look after unfinished migrations. Returns at once."""
        threading.Thread(target=self._start, name="hpc-start", daemon=True).start()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until everything is built (hosts need not have answered yet)."""
        return self._ready.wait(timeout_s)

    def _built(self) -> Moving:
        """What `start` builds, once it has."""
        if not self._ready.wait(30) or self._moving is None:
            raise HpconsoleError("The console is still starting; nothing was changed. Try again in a moment.")
        return self._moving

    def _start(self) -> None:
        self.connect()
        if self._hosts and self._data is not None:
            wait_for_first_answer(self.store, hosts=len(self._hosts))
        database = self._open_database()
        if database is not None and not self._hosts:
            for configured in database.hosts.all():
                self.pool.add(configured.name, configured.uri)
        from hpconsole.core.execution.moving import Moving

        with self._lock:
            if self._closed:
                if database is not None:
                    database.close()
                return
            self.database = database
            self._moving = moving = Moving.of(self, self._timings)
        self._ready.set()
        moving.recover()
        if self._watches and not self._closing.wait(_WATCH_AFTER_S):
            self.start_watching()

    @property
    def maintenance(self) -> Maintenance:
        """Drain plans, and the drains that run.

        Raises:
            HpconsoleError: the console is still starting.
        """
        return self._built().maintenance

    @property
    def documents(self) -> Documents:
        """Where templates, pools and the like are kept: the database, or this run's memory where there is none.

        Waits until it is known which: worker threads only.

        Raises:
            HpconsoleError: the console is still starting.
        """
        from hpconsole.core.memory_documents import MemoryDocuments

        if self._data is not None:  # before it is open, what is saved would be lost
            self._built()
        with self._lock:
            if self.database is not None:
                return self.database.documents
            if self._documents is None:
                self._documents = MemoryDocuments()
            return self._documents

    @property
    def availability(self) -> Availability:
        """Settings, fence devices and proofs about hosts that fail; kept in the database, if there is one.

        Raises:
            HpconsoleError: the console is still starting.
        """
        from hpconsole.core.availability.availability import Availability

        documents = self.documents
        with self._lock:
            if self._availability is None:
                self._availability = Availability(documents, lambda: self.store.snapshot, refresh=self.poller.refresh)
            return self._availability

    def start_watching(
        self,
        *,
        acts: bool = True,
        pace: Pace | None = None,
        life_s: float | None = None,
        on_round: Callable[[RoundReport], None] = lambda _report: None,
    ) -> Watch:
        """Look after hosts that fail, broken rules and load from now on (`core.balancing.watch`). Once per run.

        Args:
            acts: False: recommend only.
            life_s: How long the lease of whoever acts lasts; None = as usual.
        """
        from hpconsole.core.availability.guard import Means
        from hpconsole.core.availability.leadership import LIFE_S
        from hpconsole.core.balancing.composition import build_watch
        from hpconsole.core.balancing.worth import foreseen

        means = Means(
            pool=self.pool,
            availability=self.availability,
            snapshot=lambda: self.store.snapshot,
            policy=lambda: self.policy,
            reservations=self.reservations,
            submit=self.submit,
            decisions=self.statuses.newest,
            decide=self.set_host_status,
            tell=self.notify,
            refresh=self.poller.refresh,
        )
        duration = foreseen(self.advice.known_forecast)
        watch = build_watch(
            means,
            acts=acts,
            pace=pace,
            life_s=life_s or LIFE_S,
            duration=duration,
            reload=lambda: (self.policies.reload(), self.rules.reload()),
            on_round=on_round,
        )
        with self._lock:
            if self._closed or self.watch is not None:
                return self.watch or watch
            self.watch = watch
        watch.start()
        return watch

    def _open_database(self) -> Database | None:
        if self._data is None:
            return None
        from hpconsole.core.database.database import Database

        try:
            database = Database.open(self._data / DATABASE_NAME)
            problems = (*self.rules.keep_in(database), *self.policies.keep_in(database))
            self.statuses.attach(database.documents)
        except StorageError as error:
            _log.warning("the database cannot be used: %s", error.detail or error.sentence)
            self.notify("warning", error.sentence)
            return None
        for sentence in problems:
            self.notify("warning", sentence)
        return database

    def notify(self, severity: str, sentence: str, subject: str = "") -> None:
        """Tell the user something that belongs to no plan."""
        self.store.report(Notice(datetime.now(UTC), severity, sentence, subject))

    def add_host(self, name: str, uri: str) -> None:
        """Add a host to this run and remember it.

        Raises:
            UriRefused: the URI is not accepted.
            HpconsoleError: the name is taken, or empty.
        """
        parsed = parse_uri(uri)
        if not name.strip():
            raise HpconsoleError("A host needs a name.")
        if name in self.pool.names():
            raise HpconsoleError(f"There is a host named {name} already. Choose another name.", subject=name)
        self.pool.add(name, parsed.text)
        if self.database is not None:
            self.database.hosts.add(name, parsed.text)

    def remove_host(self, name: str) -> None:
        """Forget a host. Nothing is changed on it; its VMs go on.

        Raises:
            HpconsoleError: a VM is on its way from or to it; the host stays.
        """
        if self._moving is not None:
            self._moving.executor.refuse_to_lose(name)
        self.pool.remove(name)
        if self.database is not None:
            self.database.hosts.remove(name)

    def set_host_status(self, name: str, status: HostStatus, reason: str = "") -> None:
        """Decide about a host: up (activate), maintenance ... Only the decision: a drain moves its VMs.

        Raises:
            HpconsoleError: no such host; or the decision holds for this run only, since the database fails.
        """
        if name not in self.pool.names():
            raise HpconsoleError(f"There is no host named {name}.", subject=name)
        self.statuses.set(name, status, reason)

    def submit(self, plan: Plan) -> None:
        """Run a confirmed plan; progress and outcome come as events.

        Raises:
            HpconsoleError: the console is not ready, or is closing.
        """
        self._built().executor.submit(plan)

    @property
    def advice(self) -> MigrationAdvice:
        """Policies, checks and forecasts of migrations.

        Raises:
            HpconsoleError: the console is still starting.
        """
        return self._built().advice

    def set_queue_limits(self, limits: Limits) -> None:
        """How many migrations may run at once, from now on and in the next runs.

        Raises:
            HpconsoleError: the console is still starting, or it holds for this run only since the database fails.
        """
        from hpconsole.core.execution.queue_limits import keep_limits

        self._built().executor.control.set_limits(limits)
        keep_limits(self.database, limits)

    def steer(self, vm_uuid: str, change: JobChange) -> str:
        """Change the running migration of a VM, whoever began it: bandwidth, allowed pause, post-copy; what was done.

        This console's own is changed by who watches it, and a Notice tells; another's at once, on its source host.
        Blocks for the latter.

        Raises:
            HpconsoleError: it is not being migrated, or the host refused; nothing was changed.
        """
        from hpconsole.core.execution.foreign_jobs import steer_job

        if self._moving is not None and self._moving.executor.control.steer_vm(vm_uuid, change):
            return "The change is on its way."
        return steer_job(self.pool, self.store.snapshot, vm_uuid, change)

    def reservations(self) -> tuple[Reservation, ...]:
        """What running and waiting plans have promised."""
        return self._moving.executor.reservations() if self._moving is not None else ()

    def close(self) -> None:
        """Stop everything, in reverse. Idempotent; takes two seconds at most. Migrations between hosts go on.

        Whoever is blocked in a call to a host is left behind: what it does was written to the journal before.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._closing.set()
        if self.watch is not None:
            self.watch.close(timeout_s=2)
        if self._moving is not None:
            self._moving.close()
        self.poller.close(timeout_s=0.5)
        self.pool.close(timeout_s=0.5)
        if self.database is not None:
            self.database.close()


def default_data_folder() -> Path:
    """The user's data folder, or what HPCONSOLE_DATA names (tests, portable use)."""
    from hpconsole.paths import data_folder

    named = os.environ.get("HPCONSOLE_DATA")
    return Path(named) if named else data_folder()
