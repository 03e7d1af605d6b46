"""What to do about a migration that makes no headway: the steps of a migration policy's schedule, one after the other.

Pure; knows no clock and no host. A pass stalls when it leaves no less memory to send than the best pass before it;
each stall may lead to the schedule's next step (behaviour.md D3), a longer pause at the switch-over or the abort.
A link that carries nothing at all ends no pass, so that is looked at by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpconsole.core.events import MigrationProgress
from hpconsole.core.hypervisor.port import JobStats
from hpconsole.core.planning.migration_policy import ABORT, POST_COPY, Action, Schedule
from hpconsole.core.planning.stalls import StallCount

_DOWNTIME = "setDowntime"
_CLEARLY = 1.2  # both rates waver: only what differs by more is worth a comparison


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why the schedule ends in an abort. `is_link_silent`: another destination may do better."""

    reason: str  # a sentence
    advice: str  # sentences
    is_link_silent: bool = False


class ScheduleFollower:
    """Follows one attempt's statistics, in the order they come, through a schedule.

    Threads: one at a time.

    Args:
        schedule: Its post-copy steps count only where the migration was begun so that it can be switched.
        silence_s: How long nothing may be sent before the link counts as dead.
        bandwidth_mib_s: What the migration was limited to, for the advice.
    """

    def __init__(
        self, schedule: Schedule, vm_name: str, *, silence_s: float, bandwidth_mib_s: int | None = None
    ) -> None:
        self._vm_name = vm_name
        self._silence_s = silence_s
        self.bandwidth_mib_s = bandwidth_mib_s
        self._least_ms = 0  # what the user allowed: no step of the schedule goes below it
        self._count = StallCount(schedule)
        self._last_sent: tuple[int | None, ...] = ()
        self._sent_at_ms = 0
        self._writes_mib_s = 0.0  # the most that was seen: auto-converge slows the guest down afterwards
        self._carries_mib_s = 0.0
        self.downtime_ms: int | None = None
        self.wants_post_copy = False
        self.given_up: GivenUp | None = None
        for action in schedule.initial:
            self._do(action)

    def look(self, stats: JobStats, progress: MigrationProgress) -> None:
        """Take these statistics of the running job in: `downtime_ms` is then what to allow, `wants_post_copy` whether
        to switch over, `given_up` whether to abort.
        """
        self._writes_mib_s = max(self._writes_mib_s, progress.dirty_rate_mib_s or 0.0)
        self._carries_mib_s = progress.throughput_mib_s or self._carries_mib_s
        self._watch_link(stats)
        if self.wants_post_copy:
            return  # from now on the guest writes on the other side
        action = self._count.look(stats.iteration or 0, stats.memory_remaining_bytes)
        if action is not None:
            self._do(action)

    def allow(self, downtime_ms: int) -> None:
        """The user allows so long a pause; the schedule goes on from there."""
        self.downtime_ms = self._least_ms = downtime_ms

    @property
    def sentence(self) -> str:
        """How it stands while it stalls, for the user; empty while it goes on well."""
        if self.wants_post_copy:
            return f"{self._vm_name} runs on its new host while the rest of its memory follows."
        if not self._count.is_stalling or self.given_up is not None:
            return ""
        pause = f"; allowing a pause of {self.downtime_ms} ms" if self.downtime_ms is not None else ""
        return f"{self._rates()}{pause}."

    def _watch_link(self, stats: JobStats) -> None:
        sent = (
            stats.memory_processed_bytes,
            stats.memory_remaining_bytes,
            stats.iteration,
            stats.disk_remaining_bytes,
            stats.postcopy_requests,
        )
        now_ms = stats.elapsed_ms
        if now_ms is None or sent != self._last_sent or now_ms < self._sent_at_ms:
            self._last_sent, self._sent_at_ms = sent, now_ms or 0
        elif now_ms - self._sent_at_ms >= 1000 * self._silence_s and self.given_up is None:
            self.given_up = GivenUp(
                f"nothing was sent for {self._silence_s:.0f} s, so the migration was aborted.",
                "Check the network between the two hosts, then try again.",
                is_link_silent=True,
            )

    def _do(self, action: Action) -> None:
        if action.name == _DOWNTIME and action.params:
            self.downtime_ms = max(int(action.params[0]), self._least_ms)
        elif action.name == POST_COPY.name:
            self.wants_post_copy = True
        elif action.name == ABORT.name:
            self.given_up = GivenUp(
                f"{self._rates()}. {self._count.stalls} passes made no headway; it was aborted.", self._advice()
            )

    def _rates(self) -> str:
        writes, carries = self._writes_mib_s, self._carries_mib_s
        if writes > _CLEARLY * carries > 0:
            return f"{self._vm_name} writes {writes:.0f} MiB/s of memory, the link carries {carries:.0f} MiB/s"
        # it writes again and again to so much memory that slowing it down does not show yet
        return f"{self._vm_name} writes to its memory as fast as the link carries it ({carries:.0f} MiB/s)"

    def _advice(self) -> str:
        link = (
            "allow the migration more bandwidth"
            if self.bandwidth_mib_s is not None
            else "let no other migration share the link"
        )
        return f"Try again when {self._vm_name} is less busy, {link}, or pause {self._vm_name} while it moves."
