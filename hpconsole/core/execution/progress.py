"""How far a migration is, from libvirt's job statistics. Pure; knows no clock and no host.

The share is made from passes, so that it never runs backwards although "memory remaining" jumps up with each pass:
the first pass (all memory, once) is 0 to 75 %, and each further pass is half of what is then left: pass 2 goes to
87.5 %, pass 3 to 93.75 % ... Inside a pass it follows the memory sent since the pass began. It stays below 99 %
until the outcome was verified. The expected rest is remaining / (throughput - dirty rate), where that is positive.
"""

from __future__ import annotations

from hpconsole.core.events import MigrationProgress
from hpconsole.core.hypervisor.port import JobStats

_FIRST_PASS_SHARE = 0.75
_CEILING = 0.99
_MIB = 1024 * 1024
_DEFAULT_PAGE_BYTES = 4096


class ProgressMeter:
    """Turns one attempt's statistics, in the order they come, into progress.

    Threads: one at a time.
    """

    def __init__(self) -> None:
        self._share = 0.0
        self._pass = 0
        self._pass_began_with = 0
        self._last: tuple[int, int] | None = None  # (elapsed ms, processed bytes)
        self._throughput_bps = 0.0

    def read(self, stats: JobStats, sentence: str = "") -> MigrationProgress:
        """The progress these statistics show."""
        total = max(stats.memory_total_bytes or 0, 0)
        remaining = max(stats.memory_remaining_bytes or 0, 0)
        number = max(stats.iteration or 0, self._pass, 1 if total else 0)
        if number != self._pass:
            self._pass, self._pass_began_with = number, (total if number <= 1 else remaining)
        self._pass_began_with = max(self._pass_began_with, remaining)
        self._share = max(self._share, min(_CEILING, self._estimate(remaining)))
        throughput = self._measure(stats)
        dirty = self._dirty_rate(stats)
        return MigrationProgress(
            share=self._share,
            pass_number=number,
            remaining_mib=remaining / _MIB,
            total_mib=total / _MIB,
            throughput_mib_s=throughput / _MIB,
            dirty_rate_mib_s=None if dirty is None else dirty / _MIB,
            elapsed_s=max(stats.elapsed_ms or 0, 0) / 1000,
            expected_rest_s=_rest(remaining, throughput, dirty or 0.0) if total else None,
            sentence=sentence,
        )

    def _estimate(self, remaining: int) -> float:
        sent = 1.0 - remaining / self._pass_began_with if self._pass_began_with else 0.0
        if self._pass <= 1:
            return _FIRST_PASS_SHARE * sent
        left_at_start = (1.0 - _FIRST_PASS_SHARE) * 0.5 ** (self._pass - 2)
        return 1.0 - left_at_start + left_at_start / 2 * sent

    def _measure(self, stats: JobStats) -> float:
        """The figure of libvirt where it gives one; else what was sent since the last look."""
        if stats.memory_bps:
            self._throughput_bps = float(max(stats.memory_bps, 0))
        elif stats.elapsed_ms is not None and stats.memory_processed_bytes is not None:
            if self._last is not None and stats.elapsed_ms > self._last[0]:
                sent = stats.memory_processed_bytes - self._last[1]
                self._throughput_bps = max(0.0, sent * 1000 / (stats.elapsed_ms - self._last[0]))
            self._last = (stats.elapsed_ms, stats.memory_processed_bytes)
        return self._throughput_bps

    def _dirty_rate(self, stats: JobStats) -> float | None:
        """QEMU knows it from the second pass on; before, it says 0."""
        if stats.dirty_rate_pages_s is None or (self._pass <= 1 and not stats.dirty_rate_pages_s):
            return None
        page_bytes = stats.page_size_bytes or _DEFAULT_PAGE_BYTES
        return float(max(stats.dirty_rate_pages_s, 0) * max(page_bytes, 0))


def _rest(remaining: int, throughput: float, dirty: float) -> float | None:
    gain = throughput - dirty
    return remaining / gain if gain > 0 else None
