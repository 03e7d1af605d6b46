"""What a running migration says of itself, twice a second: progress for the user, the help it needs to end, the cancel.

The thread that called libvirt's migrate is blocked in it for minutes; this one looks meanwhile. It touches a job only
once it is known to be the one that was begun here: another console, or a tool, may have been faster by a moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.events import MigrationProgress
from hpconsole.core.execution.cancel import CancelToken
from hpconsole.core.execution.convergence import ScheduleFollower
from hpconsole.core.execution.progress import ProgressMeter
from hpconsole.core.execution.steering import NO_CHANGE, JobChange, Steering
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor, JobStats

_log = logging.getLogger(__name__)

_JOB_UNDER_WAY = (1, 2)  # VIR_DOMAIN_JOB_BOUNDED, _UNBOUNDED
_SOON_S = 2.0
_EARLIER_S = 2.0  # a job that is older than our call by more than this is not ours


@dataclass(frozen=True, slots=True)
class Target:
    """The job that is watched: which VM leaves which host for which."""

    vm_uuid: str
    vm_name: str
    source: str
    destination: str


class JobReader:
    """Asks the source for the running job and turns it into progress.

    Threads: one at a time.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        target: Target,
        on_progress: Callable[[MigrationProgress], None],
        *,
        deadline_s: float,
    ) -> None:
        self._pool = pool
        self.target = target
        self._on_progress = on_progress
        self._deadline_s = deadline_s
        self._meter = ProgressMeter()

    def read(self, sentence: str = "") -> JobStats | None:
        """Report how far the job is; silent, and None, where there is none or the host does not answer."""
        stats = self.ask()
        if stats is not None:
            self.report(stats, sentence)
        return stats

    def ask(self) -> JobStats | None:
        """The statistics of the job that is under way, if one is."""
        uuid, source = self.target.vm_uuid, self.target.source
        try:
            stats = self._pool.call(source, lambda host: host.job_stats(uuid), deadline_s=self._deadline_s)
        except HpconsoleError as error:
            _log.debug("no job statistics of %s from %s: %s", uuid, source, error)
            return None
        return stats if stats.job_type in _JOB_UNDER_WAY else None

    def report(self, stats: JobStats, sentence: str, follower: ScheduleFollower | None = None) -> None:
        """Tell the progress that these statistics show.

        Args:
            follower: Whom to show them; what it has to say is said instead of `sentence`.
        """
        progress = self._meter.read(stats, sentence)
        if follower is not None:
            follower.look(stats, progress)
            said = follower.sentence or sentence
            progress = replace(
                progress,
                downtime_limit_ms=follower.downtime_ms,
                sentence=said,
                is_post_copy=follower.wants_post_copy,
            )
        self._on_progress(progress)

    def arrives(self) -> bool:
        """Whether the destination has an incoming guest of this VM; also True where it does not say so soon."""
        uuid = self.target.vm_uuid
        try:
            return self._pool.call(
                self.target.destination,
                lambda host: any(record.uuid == uuid for record in host.sample().domains),
                deadline_s=min(_SOON_S, self._deadline_s),
            )
        except HpconsoleError as error:
            _log.info("%s on %s: %s", uuid, self.target.destination, error)
            return True

    def tell(self, action: Callable[[Hypervisor], None]) -> str:
        """Have the source do something to the job; what it said against it, or empty."""
        try:
            self._pool.call(self.target.source, action, deadline_s=self._deadline_s)
        except HpconsoleError as error:  # the job has not begun, or has just ended
            _log.info("job of %s on %s: %s", self.target.vm_uuid, self.target.source, error)
            return error.sentence
        return ""

    def abort(self) -> None:
        """Ask the source to abort the job; whether it did is seen by how the migration ends."""
        self.tell(lambda source: source.abort_job(self.target.vm_uuid))


class JobHelp:
    """Does to one job what its schedule and its user want.

    Args:
        began_s: When our call began (`time.monotonic`); None: the job is known to be ours.
        on_change: Told of each change the user asked for: severity and sentence.

    Threads: one at a time; `steering` from any.
    """

    def __init__(
        self,
        reader: JobReader,
        token: CancelToken,
        follower: ScheduleFollower,
        steering: Steering,
        *,
        began_s: float | None,
        on_change: Callable[[str, str], None],
    ) -> None:
        self._reader = reader
        self._token = token
        self._follower = follower
        self._steering = steering
        self._began_s = began_s
        self._on_change = on_change
        self._allowed_ms: int | None = None
        self._is_ours = began_s is None
        self._is_switched = False

    def look(self, words: str = "") -> None:
        """Read the job, and do what is due."""
        stats = self._reader.ask()
        if stats is None:
            return
        is_ours = self._check_ours(stats)
        self._reader.report(stats, words, self._follower if is_ours else None)
        if not is_ours:
            return
        if self._token.is_cancelled:
            self._reader.abort()
            return
        self._steer(self._steering.take())
        self._help()

    def _check_ours(self, stats: JobStats) -> bool:
        if not self._is_ours and self._began_s is not None:
            ours_s = time.monotonic() - self._began_s + _EARLIER_S
            is_too_old = stats.elapsed_ms is not None and stats.elapsed_ms / 1000 > ours_s
            self._is_ours = not is_too_old and self._reader.arrives()
        return self._is_ours

    def _help(self) -> None:
        follower, uuid = self._follower, self._reader.target.vm_uuid
        wanted_ms = follower.downtime_ms
        if follower.given_up is not None:
            self._reader.abort()
        elif follower.wants_post_copy:
            if not self._is_switched:
                self._is_switched = not self._reader.tell(lambda source: source.start_post_copy(uuid))
        elif wanted_ms is not None and wanted_ms != self._allowed_ms and not self._allow(wanted_ms):
            self._allowed_ms = wanted_ms

    def _allow(self, downtime_ms: int) -> str:
        uuid = self._reader.target.vm_uuid
        return self._reader.tell(lambda source: source.set_migration_limits(uuid, downtime_ms=downtime_ms))

    def _steer(self, change: JobChange) -> None:
        if change == NO_CHANGE:
            return
        uuid, name = self._reader.target.vm_uuid, self._reader.target.vm_name
        if change.bandwidth_mib_s is not None:
            limit = change.bandwidth_mib_s
            problem = self._reader.tell(lambda source: source.set_migration_limits(uuid, bandwidth_mib_s=limit))
            if not change.is_automatic:
                self._say(problem, f"{name} may be moved with up to {limit} MiB/s from now on.")
            self._follower.bandwidth_mib_s = limit if not problem else self._follower.bandwidth_mib_s
        if change.downtime_ms is not None:
            problem = self._allow(change.downtime_ms)
            self._say(problem, f"{name} may stand still for up to {change.downtime_ms} ms from now on.")
            if not problem:
                self._follower.allow(change.downtime_ms)
                self._allowed_ms = change.downtime_ms
        if change.post_copy and not self._is_switched:
            problem = self._reader.tell(lambda source: source.start_post_copy(uuid))
            self._is_switched = self._follower.wants_post_copy = not problem
            self._say(problem, f"{name} is switched to post-copy: it runs on its new host now, and its memory follows.")

    def _say(self, problem: str, sentence: str) -> None:
        if problem:
            self._on_change("warning", f"Nothing was changed about the migration: {problem}")
        else:
            self._on_change("info", sentence)


class JobWatcher:
    """A thread that looks after the job until it is closed."""

    def __init__(self, help_it: JobHelp, token: CancelToken, *, interval_s: float) -> None:
        self._help = help_it
        self._token = token
        self._interval_s = interval_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hpc-migration-watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._token.wait(self._interval_s)
            if self._closed.is_set():
                return
            self._help.look()

    def close(self) -> None:
        """Stop looking. Waits for a question that is under way, within its deadline."""
        self._closed.set()
        self._token.poke()
        self._thread.join()
