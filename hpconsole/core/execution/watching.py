"""What a running migration says of itself, twice a second: progress for the user, the help it needs to end, the cancel.

The thread that called libvirt's migrate is blocked in it for minutes; this one looks meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.events import MigrationProgress
from hpconsole.core.execution.cancel import CancelToken
from hpconsole.core.execution.convergence import ScheduleFollower
from hpconsole.core.execution.progress import ProgressMeter
from hpconsole.core.hypervisor.pool import ConnectionPool

_log = logging.getLogger(__name__)

_JOB_UNDER_WAY = (1, 2)  # VIR_DOMAIN_JOB_BOUNDED, _UNBOUNDED


class JobReader:
    """Asks the source for the running job and turns it into progress.

    Threads: one at a time.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        source: str,
        vm_uuid: str,
        on_progress: Callable[[MigrationProgress], None],
        *,
        deadline_s: float,
    ) -> None:
        self._pool = pool
        self._source = source
        self._vm_uuid = vm_uuid
        self._on_progress = on_progress
        self._deadline_s = deadline_s
        self._meter = ProgressMeter()

    def read(self, sentence: str = "", follower: ScheduleFollower | None = None) -> bool:
        """Report how far the job is; silent where there is none or the host does not answer.

        Args:
            follower: Whom to show the statistics; its sentence is the one reported.

        Returns:
            Whether a job is under way.
        """
        try:
            stats = self._pool.call(
                self._source, lambda source: source.job_stats(self._vm_uuid), deadline_s=self._deadline_s
            )
        except HpconsoleError as error:
            _log.debug("no job statistics of %s from %s: %s", self._vm_uuid, self._source, error)
            return False
        if stats.job_type not in _JOB_UNDER_WAY:
            return False
        progress = self._meter.read(stats, sentence)
        if follower is not None:
            follower.look(stats, progress)
            progress = replace(progress, downtime_limit_ms=follower.downtime_ms, sentence=follower.sentence)
        self._on_progress(progress)
        return True

    def allow_downtime(self, downtime_ms: int) -> bool:
        """Let the guest be stopped so long at the switch-over; whether the source took it."""
        try:
            self._pool.call(
                self._source,
                lambda source: source.set_migration_limits(self._vm_uuid, downtime_ms=downtime_ms),
                deadline_s=self._deadline_s,
            )
        except HpconsoleError as error:  # it has not begun, or has just ended
            _log.info("downtime of %s on %s: %s", self._vm_uuid, self._source, error)
            return False
        return True

    def abort(self) -> None:
        """Ask the source to abort the job; whether it did is seen by how the migration ends."""
        try:
            self._pool.call(self._source, lambda source: source.abort_job(self._vm_uuid), deadline_s=self._deadline_s)
        except HpconsoleError as error:  # it has not begun, or has just ended: asked again, or verified
            _log.info("abort of %s on %s: %s", self._vm_uuid, self._source, error)


class JobWatcher:
    """A thread that reads the job until it is closed, does what the follower wants, and aborts it once the token says
    so.
    """

    def __init__(self, reader: JobReader, token: CancelToken, follower: ScheduleFollower, *, interval_s: float) -> None:
        self._reader = reader
        self._token = token
        self._follower = follower
        self._interval_s = interval_s
        self._allowed_ms: int | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hpc-migration-watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._token.wait(self._interval_s)
            if self._closed.is_set():
                return
            if self._token.is_cancelled:
                self._reader.abort()
            if self._reader.read(follower=self._follower) and not self._token.is_cancelled:
                self._help()

    def _help(self) -> None:
        follower = self._follower
        wanted_ms = follower.downtime_ms
        if follower.given_up is not None:
            self._reader.abort()
        elif wanted_ms is not None and wanted_ms != self._allowed_ms and self._reader.allow_downtime(wanted_ms):
            self._allowed_ms = wanted_ms

    def close(self) -> None:
        """Stop looking. Waits for a question that is under way, within its deadline."""
        self._closed.set()
        self._token.poke()
        self._thread.join()
