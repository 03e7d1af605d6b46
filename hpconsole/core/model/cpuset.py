"""Sets of small numbers (CPUs, NUMA nodes, vCPUs) as one value.

Written and read as Linux and libvirt do: `0-3,8,^2`. A set is an integer bit mask inside, so union, difference
and subset are single machine operations even with a thousand CPUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hpconsole.core.errors import InvalidPinning

# libvirt's own bound on a CPU mask in domain XML (VIR_DOMAIN_CPUMASK_LEN, libvirt 9.0).
LIMIT = 16_384

_ITEM = re.compile(r"(\^?)([0-9]{1,30})(?:-([0-9]{1,30}))?")  # longer ones are no numbers anybody meant


@dataclass(frozen=True, slots=True)
class CpuSet:
    """An immutable set of numbers from 0 to 16,383.

    >>> CpuSet.parse("0-3,8,^2").format()
    '0-1,3,8'
    >>> CpuSet.of([5, 1]) | CpuSet.of([2])
    CpuSet('1-2,5')
    >>> list(CpuSet.parse("4-6")), len(CpuSet.parse("4-6")), 5 in CpuSet.parse("4-6")
    ([4, 5, 6], 3, True)
    """

    bits: int = 0

    @classmethod
    def of(cls, numbers: Iterable[int]) -> CpuSet:
        """The set of these numbers.

        Raises:
            InvalidPinning: a number is negative or beyond the limit.
        """
        bits = 0
        for number in numbers:
            if not 0 <= number < LIMIT:
                raise InvalidPinning(f"{number} is no CPU or node number: they go from 0 to {LIMIT - 1}.")
            bits |= 1 << number
        return cls(bits)

    @classmethod
    def parse(cls, text: str) -> CpuSet:
        """Read libvirt's and the kernel's list form; `^n` takes n out again, wherever it stands.

        Raises:
            InvalidPinning: the text is not of that form, a range runs backwards, or a number is too large.
        """
        wanted = unwanted = 0
        for item in text.replace(" ", "").split(","):
            if not item:
                continue
            match = _ITEM.fullmatch(item)
            if match is None:
                raise InvalidPinning(f"“{item[:40]}” is no number, range (0-3) or exclusion (^2).")
            first = int(match[2])
            last = int(match[3]) if match[3] else first
            if last < first:
                raise InvalidPinning(f"The range {item} runs backwards.")
            if last >= LIMIT:
                raise InvalidPinning(f"{last} is too large: numbers go from 0 to {LIMIT - 1}.")
            mask = ((1 << (last - first + 1)) - 1) << first
            if match[1]:
                unwanted |= mask
            else:
                wanted |= mask
        return cls(wanted & ~unwanted)

    def format(self) -> str:
        """The shortest list form, ascending; empty text for the empty set."""
        runs: list[str] = []
        bits, base = self.bits, 0
        while bits:
            skip = (bits & -bits).bit_length() - 1
            bits >>= skip
            base += skip
            length = (~bits & (bits + 1)).bit_length() - 1
            runs.append(str(base) if length == 1 else f"{base}-{base + length - 1}")
            bits >>= length
            base += length
        return ",".join(runs)

    def lowest(self, count: int) -> CpuSet:
        """The `count` smallest members (all of them if there are fewer)."""
        bits, taken = self.bits, 0
        for _ in range(count):
            low = bits & -bits
            if not low:
                break
            taken |= low
            bits ^= low
        return CpuSet(taken)

    @property
    def first(self) -> int:
        """The smallest member.

        Raises:
            ValueError: the set is empty.
        """
        if not self.bits:
            raise ValueError("an empty set has no first member")
        return (self.bits & -self.bits).bit_length() - 1

    def isdisjoint(self, other: CpuSet) -> bool:
        """Whether no number is in both."""
        return not self.bits & other.bits

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number >= 0 and bool(self.bits >> number & 1)

    def __iter__(self) -> Iterator[int]:
        bits = self.bits
        while bits:
            low = bits & -bits
            yield low.bit_length() - 1
            bits ^= low

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return self.bits != 0

    def __or__(self, other: CpuSet) -> CpuSet:
        return CpuSet(self.bits | other.bits)

    def __and__(self, other: CpuSet) -> CpuSet:
        return CpuSet(self.bits & other.bits)

    def __sub__(self, other: CpuSet) -> CpuSet:
        return CpuSet(self.bits & ~other.bits)

    def __le__(self, other: CpuSet) -> bool:
        return not self.bits & ~other.bits

    def __repr__(self) -> str:
        return f"CpuSet({self.format()!r})"


EMPTY = CpuSet()
