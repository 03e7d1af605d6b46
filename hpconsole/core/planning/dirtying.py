"""How fast does a guest write to its memory? A curve through what was sampled on the running guest. Pure.

QEMU's page sampling counts pages whose content differs after a while: the *distinct* memory written to in that time,
which is what the next pass of a live migration must send again. A page written twice counts once, so the figure of
one second alone hides how large the memory is that the guest writes to; several periods show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PERIODS_S = (1, 2, 4)  # measured one after the other: 7 s, and a curve that bends is told from one that breaks
_STRAIGHT = 0.93  # what counts as "still proportional to time", for figures that waver by some percent
_KNEE = 0.93


@dataclass(frozen=True, slots=True)
class DirtySample:
    """Distinct memory, MiB, that the guest wrote to within `period_s` seconds."""

    period_s: float
    mib: float


@dataclass(frozen=True, slots=True)
class WriteCurve:
    """`written_mib(t)`: distinct memory written to in t seconds.

    Three shapes. *steady*: rate * t up to the working set (a guest that walks through its memory). *scattered*:
    W * (1 - exp(-rate * t / W)), writes that hit the working set W at random. Both end at W. A guest whose curve is
    flat already at the shortest period may be writing any amount faster: it is taken to have written all of W at once.
    """

    rate_mib_s: float
    working_set_mib: float
    is_scattered: bool = False

    def written_mib(self, seconds: float) -> float:
        """Distinct memory written to in so many seconds, MiB."""
        rate, most = self.rate_mib_s, self.working_set_mib
        if rate <= 0 or most <= 0 or seconds <= 0:
            return 0.0
        if math.isinf(rate):
            return most
        if self.is_scattered:
            return most * -math.expm1(-rate * seconds / most)
        return min(rate * seconds, most)

    def likely(self) -> WriteCurve:
        """What to expect where only the least is known: a flat curve is taken for four times its working set a second.

        The verdict on whether a migration ends does not use it.
        """
        if math.isinf(self.rate_mib_s):
            return WriteCurve(4 * self.working_set_mib, self.working_set_mib, is_scattered=True)
        return self

    def slowed(self, throttle_pct: float) -> WriteCurve:
        """The curve of the same guest whose vCPUs stand still for this share of the time."""
        if math.isinf(self.rate_mib_s):
            # how fast it really writes is unknown: at least its working set in a second, at most ten times that
            return WriteCurve(self.working_set_mib * 10 * (1 - throttle_pct / 100), self.working_set_mib, True)
        return WriteCurve(self.rate_mib_s * (1 - throttle_pct / 100), self.working_set_mib, self.is_scattered)

    def times(self, factor: float) -> WriteCurve:
        """The same guest, writing so many times as much."""
        return WriteCurve(self.rate_mib_s * factor, self.working_set_mib * factor, self.is_scattered)


IDLE = WriteCurve(0.0, 0.0)


def fit(samples: tuple[DirtySample, ...], *, memory_mib: float) -> WriteCurve | None:
    """The curve through these samples; None without any.

    Args:
        samples: of different periods, in any order.
        memory_mib: what the guest can write to at most: its working set where the samples show no end of it.
    """
    if not samples:
        return None
    ordered = sorted(samples, key=lambda sample: sample.period_s)
    first, last = ordered[0], max(ordered, key=lambda sample: sample.mib)
    most = max(sample.mib for sample in ordered)
    rate = first.mib / first.period_s
    if most <= 0:
        return IDLE
    if rate <= 0:  # less than the shortest period can show
        return WriteCurve(last.mib / last.period_s, memory_mib)
    longest = ordered[-1]
    if len(ordered) == 1 or longest.mib >= _STRAIGHT * rate * longest.period_s:
        mean = sum(sample.mib for sample in ordered) / sum(sample.period_s for sample in ordered)
        return WriteCurve(mean, max(memory_mib, most))
    if first.mib >= _KNEE * most:
        return WriteCurve(math.inf, most)
    return _bent(ordered, rate, most)


def _bent(ordered: list[DirtySample], rate: float, most: float) -> WriteCurve:
    """Steady until everything is written to, or scattered: whichever is nearer to the samples."""
    steady = WriteCurve(rate, most)
    candidates = [steady] + [
        WriteCurve(rate * factor / 20, most * share / 20, True)
        for factor in range(20, 61, 2)
        for share in range(20, 41, 2)
    ]

    def distance(curve: WriteCurve) -> float:
        return sum((curve.written_mib(sample.period_s) / sample.mib - 1) ** 2 for sample in ordered if sample.mib)

    return min(candidates, key=distance)
