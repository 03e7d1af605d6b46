"""Numbers, sizes and number sets as libvirt writes them, out of documents that may say anything.

Whatever cannot be meant is an InvalidXml with a sentence, never a traceback and never a huge allocation.
"""

from __future__ import annotations

from functools import lru_cache

from hpconsole.core.errors import InvalidPinning, InvalidXml
from hpconsole.core.hypervisor.safe_xml import Element
from hpconsole.core.model.cpuset import LIMIT, CpuSet

MOST_VCPUS = LIMIT  # more could not be named in a CPU set
LARGEST_KIB = 2**53  # libvirt's own bound: 2^63 bytes

# virScaleInteger: "k" and "KiB" are 1024, "KB" is 1000, in any case.
_UNIT_BYTES = {"": 1, "b": 1, "byte": 1, "bytes": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    _UNIT_BYTES |= {_letter: 1024**_power, f"{_letter}ib": 1024**_power, f"{_letter}b": 1000**_power}


@lru_cache(maxsize=8192)  # what raises is not kept, so no long text is
def number(text: str | None, what: str, *, smallest: int = 0, largest: int = 2**31 - 1) -> int:
    """A whole decimal number within bounds.

    Args:
        what: What it counts, for the sentence: "the number of vCPUs".

    Raises:
        InvalidXml: no number, or one out of bounds.
    """
    digits = (text or "").strip()
    if not digits.isascii() or not digits.isdigit() or len(text or "") > 200:
        raise InvalidXml(f"The XML has “{shortened(text)}” for {what}, which is no whole number.")
    value = int(digits)
    if not smallest <= value <= largest:
        raise InvalidXml(f"The XML has {value} for {what}; it can be {smallest} to {largest}.")
    return value


def number_in(
    element: Element, name: str, what: str, *, default: int, smallest: int = 0, largest: int = 2**31 - 1
) -> int:
    """The number in an attribute; `default` where the attribute is absent.

    Raises:
        InvalidXml: as `number`.
    """
    text = element.get(name)
    return default if text is None else number(text, what, smallest=smallest, largest=largest)


def size_kib(text: str | None, unit: str | None, what: str, *, default_unit: str = "KiB") -> int:
    """A size with its unit, in KiB, rounded up as libvirt does.

    Raises:
        InvalidXml: no number, an unknown unit, or more than can be meant.
    """
    amount = number(text, what, largest=10**20)
    if unit is None or unit == "KiB":
        scale = 1024 if unit or default_unit == "KiB" else _scale(default_unit, what)
    else:
        scale = _scale(unit, what)
    kib = -(-amount * scale // 1024)
    if kib > LARGEST_KIB:
        raise InvalidXml(f"The XML has {amount} {unit or default_unit} for {what}, which is more than can be meant.")
    return kib


def number_set(text: str, what: str) -> CpuSet:
    """A set of CPUs, nodes or vCPUs, such as `0-3,^2`. Equal texts of usual length give one shared object.

    Raises:
        InvalidXml: a text that cannot be meant.
    """
    return _number_set(text, what) if len(text) <= 200 else _number_set.__wrapped__(text, what)


@lru_cache(maxsize=8192)
def _number_set(text: str, what: str) -> CpuSet:
    if len(text) > 100_000:
        raise InvalidXml(f"The XML has {len(text)} characters for {what}, which is more than can be meant.")
    try:
        return CpuSet.parse("".join(text.split()))
    except InvalidPinning as error:
        raise InvalidXml(f"The XML has “{shortened(text)}” for {what}: {error.sentence}") from error


def some_number_set(text: str, what: str) -> CpuSet:
    """As `number_set`, and at least one number.

    Raises:
        InvalidXml: an empty set, or a text that cannot be meant.
    """
    numbers = number_set(text, what)
    if not numbers:
        raise InvalidXml(f"The XML has “{shortened(text)}” for {what}, which is nothing at all.")
    return numbers


def shortened(text: str | None) -> str:
    """A foreign text as it may stand in a sentence."""
    plain = " ".join((text or "").split())
    return plain if len(plain) <= 40 else f"{plain[:39]}…"


def _scale(unit: str, what: str) -> int:
    try:
        return _UNIT_BYTES[unit.strip().lower()]
    except KeyError:
        raise InvalidXml(f"The XML has the unknown unit “{shortened(unit)}” for {what}.") from None
