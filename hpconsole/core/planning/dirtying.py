"""How fast does a guest write to its memory? A curve through what was sampled on the running guest. Pure.

QEMU's page sampling counts pages whose content differs after a while: the *distinct* memory written to in that time,
which is what the next pass of a live migration must send again. A page written twice counts once, so the figure of
one second alone hides how large the memory is that the guest writes to; several periods show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

PERIODS_S = (1, 2, 4)  # measured one after the other: 7 s, and a curve that bends is told from one that breaks
_FLAT = 0.93  # of all that is ever written to, within the shortest period: how fast it really writes is not known
_NEARLY = 2.0  # chi-square, for a parameter less
_STEPS = 40
_PAGES_PER_GIB = 512
_SMALL_MIB = 2048


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
    is_held_back: bool = False  # its host had no CPU to spare meanwhile: it may write faster once it gets more

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
        return replace(self, rate_mib_s=self.rate_mib_s * factor, working_set_mib=self.working_set_mib * factor)

    def sped_up(self, factor: float) -> WriteCurve:
        """The same memory, written to so many times as fast."""
        return replace(self, rate_mib_s=self.rate_mib_s * factor)


IDLE = WriteCurve(0.0, 0.0)


def periods_for(memory_mib: float) -> tuple[int, ...]:
    """Which periods to measure: small guests once more, since few of their pages are sampled."""
    return PERIODS_S if memory_mib >= _SMALL_MIB else (*PERIODS_S, PERIODS_S[-1])


def fit(samples: tuple[DirtySample, ...], *, memory_mib: float) -> WriteCurve | None:
    """The likeliest curve through these samples; None without any.

    A sample is a share of the pages that were looked at (512 of each GiB), so it wavers as a binomial share does:
    variance m (M - m) / N for N pages of a memory of M. Of all curves on a grid the one of the least chi-square is
    taken; one with no end to the working set if it explains the samples nearly as well.

    Args:
        samples: of any periods, in any order.
        memory_mib: what the guest can write to at most: its working set where the samples show no end of it.
    """
    if not samples:
        return None
    first = min(samples, key=lambda sample: sample.period_s)
    most = max(sample.mib for sample in samples)
    if most <= 0:
        return IDLE
    if first.mib >= _FLAT * most and len({sample.period_s for sample in samples}) > 1:
        return WriteCurve(math.inf, most)
    whole = max(memory_mib, most)

    def distance(curve: WriteCurve) -> float:
        return sum(
            (curve.written_mib(sample.period_s) - sample.mib) ** 2 / _variance(sample.mib, whole) for sample in samples
        )

    low = min(sample.mib / sample.period_s for sample in samples) * 0.8 or most / 100
    high = max(sample.mib / sample.period_s for sample in samples) * 1.6
    rates = [low * (high / low) ** (step / _STEPS) for step in range(_STEPS + 1)]
    endless = min((WriteCurve(rate, whole) for rate in rates), key=distance)
    bounded = [
        WriteCurve(rate, min(whole, most * (1 + share / 20)), is_scattered)
        for rate in rates
        for share in range(-2, 21, 2)
        for is_scattered in (False, True)
    ]
    best = min(bounded, key=distance)
    return endless if distance(endless) <= distance(best) + _NEARLY else best


def _variance(mib: float, memory_mib: float) -> float:
    """Of a sample, MiB^2: a binomial share of the pages looked at, and half a unit of QEMU's whole MiB/s."""
    pages = max(1.0, memory_mib * _PAGES_PER_GIB / 1024)
    share = max(mib, memory_mib / pages) / memory_mib
    return share * max(0.0, 1 - share) * memory_mib**2 / pages + 0.25
