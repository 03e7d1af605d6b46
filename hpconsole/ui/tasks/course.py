"""The course of one migration as the task panel draws it: samples, passes, and when it may end. Knows no Qt.

Fed with each progress in the order it comes; what is kept is bounded, however long a migration takes.
"""

from __future__ import annotations

from typing import NamedTuple

from hpconsole.core.events import MigrationProgress
from hpconsole.ui import format as fmt

_MOST_SAMPLES = 240  # more than a small chart has pixels for
_MOST_PASSES = 60
_RECENT = 8  # samples that say how uncertain the end is: some seconds


class Sample(NamedTuple):
    """One look at the running job. Rates in MiB/s; None is not known."""

    elapsed_s: float
    left_mib: float
    sent_mib_s: float
    dirty_mib_s: float | None
    limit_ms: int | None
    pass_number: int


class Pass(NamedTuple):
    """One pass over the memory. `seconds` and `left_mib` of the last one are as of now."""

    number: int
    began_s: float
    seconds: float
    to_send_mib: float  # at its beginning
    left_mib: float  # at its end, before what was written to meanwhile counts
    sent_mib_s: float
    dirty_mib_s: float | None


class Course:
    """Everything the panel says of a running migration but its state.

    Threads: one at a time.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.passes: list[Pass] = []
        self.total_mib = 0.0
        self.stalls = 0

    def add(self, progress: MigrationProgress) -> None:
        """Take in one look; one that is no later than the last replaces it."""
        if not progress.total_mib:
            return  # nothing is under way yet, or the console lost sight of it
        sample = Sample(
            progress.elapsed_s,
            progress.remaining_mib,
            progress.throughput_mib_s,
            progress.dirty_rate_mib_s,
            progress.downtime_limit_ms,
            progress.pass_number,
        )
        self.total_mib = max(self.total_mib, progress.total_mib)
        if self.samples and sample.elapsed_s <= self.samples[-1].elapsed_s:
            self.samples[-1] = sample._replace(elapsed_s=self.samples[-1].elapsed_s)
        else:
            self.samples.append(sample)
        if len(self.samples) > _MOST_SAMPLES:
            # every other one of the older half: the new is what is looked at
            half = _MOST_SAMPLES // 2
            self.samples = self.samples[:half:2] + self.samples[half:]
        self._follow_pass(self.samples[-1])

    def _follow_pass(self, sample: Sample) -> None:
        last = self.passes[-1] if self.passes else None
        if last is None or sample.pass_number > last.number:
            if last is not None and len(self.passes) > 1 and sample.left_mib >= min(p.to_send_mib for p in self.passes):
                self.stalls += 1  # no less to send than the best pass before it had
            if last is not None:  # it ended somewhere between the two looks
                self.passes[-1] = last._replace(seconds=sample.elapsed_s - last.began_s)
            to_send = self.total_mib if sample.pass_number <= 1 else sample.left_mib
            began = 0.0 if last is None and sample.pass_number <= 1 else sample.elapsed_s
            self.passes.append(
                Pass(
                    sample.pass_number,
                    began,
                    sample.elapsed_s - began,
                    to_send,
                    sample.left_mib,
                    sample.sent_mib_s,
                    sample.dirty_mib_s,
                )
            )
            del self.passes[:-_MOST_PASSES]
            return
        self.passes[-1] = last._replace(
            seconds=max(0.0, sample.elapsed_s - last.began_s),
            left_mib=sample.left_mib,
            to_send_mib=max(last.to_send_mib, sample.left_mib),
            sent_mib_s=sample.sent_mib_s or last.sent_mib_s,
            dirty_mib_s=last.dirty_mib_s if sample.dirty_mib_s is None else sample.dirty_mib_s,
        )

    def rest_s(self) -> tuple[float, float | None] | None:
        """When the present pass may end the migration: at the earliest and at the latest, in seconds from now.

        From how far throughput and dirty rate have varied lately. None: nothing is known; a latest of None: at the
        worst of these rates it does not end.
        """
        recent = [sample for sample in self.samples[-_RECENT:] if sample.sent_mib_s > 0]
        if not recent:
            return None
        left = self.samples[-1].left_mib
        gains = [sample.sent_mib_s - (sample.dirty_mib_s or 0.0) for sample in recent]
        if max(gains) <= 0:
            return None
        return left / max(gains), left / min(gains) if min(gains) > 0 else None

    @property
    def has_stalled(self) -> bool:
        """Whether the present pass began with no less to send than one before it."""
        return len(self.passes) > 2 and self.passes[-1].to_send_mib >= min(p.to_send_mib for p in self.passes[:-1])


def rest_text(course: Course, expected_s: float | None) -> str:
    """When it is expected to end, and how sure that is; empty where nothing can be said.

    Args:
        expected_s: what the core expects.
    """
    span = course.rest_s()
    if span is None:
        has_rates = any(sample.sent_mib_s > 0 for sample in course.samples[-_RECENT:])
        return "no end in sight: the VM rewrites as much as is sent" if has_rates else ""
    low, high = span
    expected = max(1.0, low if expected_s is None else expected_s)
    if high is None:
        return (
            f"about {fmt.seconds(expected)} more, or no end at all"
            if course.stalls
            else (f"about {fmt.seconds(expected)} more")
        )
    if high < 1.0 or high - low < max(1.0, 0.2 * expected):
        return f"about {fmt.seconds(expected)} more"
    return f"about {fmt.seconds(expected)} more ({fmt.seconds(max(1.0, low))} to {fmt.seconds(max(1.0, high))})"


def pass_text(one: Pass) -> str:
    """One pass in a line.

    >>> pass_text(Pass(1, 0.0, 17.2, 16384, 0, 940, None))
    'Pass 1: 16 GiB in 17 s at 940 MiB/s'
    >>> pass_text(Pass(3, 20.0, 0.4, 120, 40, 940, 110))
    'Pass 3: 120 MiB in 0.4 s at 940 MiB/s, rewritten at 110 MiB/s'
    """
    text = f"Pass {one.number}: {fmt.mib(one.to_send_mib)} in {fmt.seconds(one.seconds)}"
    if one.sent_mib_s:
        text += f" at {fmt.mib_s(one.sent_mib_s)}"
    if one.dirty_mib_s:
        text += f", rewritten at {fmt.mib_s(one.dirty_mib_s)}"
    return text
