"""The CPU pinning text of the New/Edit VM dialog, such as `0#1-4,^2_1#5`: read, written, and what is wrong with it.

The grammar and the order of the checks are the reference's (behaviour.md B7). Whether a host has the CPUs is not
asked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.model.cpuset import EMPTY, LIMIT, CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy

_ITEM = r"(?:\^[0-9]+|[0-9]+-[0-9]+|[0-9]+)"
_TEXT = re.compile(rf"[0-9]+#{_ITEM}(?:,{_ITEM})*(?:_[0-9]+#{_ITEM}(?:,{_ITEM})*)*")
_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class PinRule:
    """One rule: the CPUs a vCPU may use. Empty where the text leaves none."""

    vcpu_id: int
    cpus: CpuSet


def parse(text: str) -> tuple[PinRule, ...]:
    """The rules in the order of the text; none for empty text.

    Raises:
        InvalidPinning: the text is not of the form, or a number is beyond what libvirt knows.
    """
    if not text:
        return ()
    if len(text) > _LONGEST or not _TEXT.fullmatch(text):
        raise InvalidPinning(
            "The CPU pinning is not of the form vCPU#CPUs, joined by “_”: for example 0#1_1#2-4,^3.",
            kind="VM_PINNING_FORMAT_INVALID",
        )
    return tuple(_rule(rule) for rule in text.split("_"))


@lru_cache(maxsize=16_384)  # a text of thousands of rules is read at every key
def _rule(text: str) -> PinRule:
    vcpu, _, items = text.partition("#")
    included = excluded = EMPTY
    for item in items.split(","):
        if item.startswith("^"):
            excluded |= CpuSet.of([_number(item[1:])])
            continue
        first, _, last = item.partition("-")
        if last and _number(first) >= _number(last):
            return PinRule(int(vcpu[:9]), EMPTY)  # as the reference: such a range empties the whole rule
        included |= CpuSet.of(range(_number(first), _number(last or first) + 1))
    return PinRule(int(vcpu[:9]), included - excluded)


def _number(digits: str) -> int:
    number = int(digits) if len(digits) <= 9 else LIMIT
    if number >= LIMIT:
        raise InvalidPinning(
            f"{digits[:12]} is no CPU number: they go from 0 to {LIMIT - 1}.", kind="VM_PINNING_FORMAT_INVALID"
        )
    return number


def validate(text: str, *, policy: CpuPinningPolicy, vcpus: int, chosen_hosts: int) -> None:
    """Check a pinning text as the VM dialog and the save do; the first thing wrong is raised.

    Args:
        vcpus: vCPUs of the VM.
        chosen_hosts: how many “Specific Host(s)” are chosen.

    Raises:
        InvalidPinning: `kind` is the reference's message key.
    """
    if not text:
        return
    if policy is not CpuPinningPolicy.MANUAL:
        raise InvalidPinning(
            "A CPU pinning was typed in, but the CPU pinning policy is not Manual.",
            kind="ACTION_TYPE_FAILED_VM_MANUAL_PINNING_POLICY_NOT_SELECTED",
        )
    rules = parse(text)
    if chosen_hosts < 1:
        raise InvalidPinning(
            "A CPU pinning names CPUs of a host: choose at least one specific host.",
            kind="ACTION_TYPE_FAILED_VM_CANNOT_BE_PINNED_TO_CPU_WITH_UNDEFINED_HOST",
        )
    seen: set[int] = set()
    for rule in rules:
        if rule.vcpu_id >= vcpus:
            raise InvalidPinning(
                f"There is no vCPU {rule.vcpu_id}: the VM has {vcpus}, 0 to {vcpus - 1}.",
                kind="VM_PINNING_VCPU_DOES_NOT_EXIST",
                vcpu_id=rule.vcpu_id,
            )
        if rule.vcpu_id in seen:
            raise InvalidPinning(
                f"vCPU {rule.vcpu_id} is pinned twice.", kind="VM_PINNING_DUPLICATE_DEFINITION", vcpu_id=rule.vcpu_id
            )
        if not rule.cpus:
            raise InvalidPinning(
                f"The pinning leaves vCPU {rule.vcpu_id} no CPU.",
                kind="VM_PINNING_PINNED_TO_NO_CPU",
                vcpu_id=rule.vcpu_id,
            )
        seen.add(rule.vcpu_id)


def format_pinning(pinning: Iterable[tuple[int, CpuSet]]) -> str:
    """The text of a map, vCPUs ascending; vCPUs without CPUs are left out."""
    return "_".join(f"{vcpu}#{cpus.format()}" for vcpu, cpus in sorted(pinning, key=lambda rule: rule[0]) if cpus)


def as_map(rules: Iterable[PinRule]) -> tuple[tuple[int, CpuSet], ...]:
    """The rules as the model keeps them, ascending."""
    return tuple(sorted(((rule.vcpu_id, rule.cpus) for rule in rules if rule.cpus), key=lambda rule: rule[0]))
