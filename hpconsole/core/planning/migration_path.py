"""What does the way from one host to another carry? From earlier migrations, limits and link speeds. Pure.

What was reached before says more than the speed printed on a card: the newest migrations over the same two hosts
count, else those that left or reached one of them, else any; the median of the last ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from hpconsole.core.planning.forecast import Path

ASSUMED_MIB_S = 110.0  # one gigabit: what nearly every network carries
OVERHEAD_S = 0.6  # the destination's QEMU starts and both libvirts agree; lab and literature: 0.4 to 1 s
_ENOUGH_MIB = 32.0  # less than this says nothing about a path
_NEWEST = 10
_ENOUGH_STARTS = 5
_LINE_SHARE = 0.93  # of a link's bits are payload


@dataclass(frozen=True, slots=True)
class PastMigration:
    """What an earlier migration showed. `limit_mib_s` None: it had the whole path."""

    source: str
    destination: str
    vm_uuid: str
    sent_mib: float
    throughput_mib_s: float
    overhead_s: float
    limit_mib_s: float | None = None
    to_move_mib: float | None = None
    memory_mib: float | None = None


def read_past(source: str, destination: str, vm_uuid: str, statistics: Mapping[str, Any]) -> PastMigration | None:
    """The journal's statistics of one attempt as a value; None where they say too little."""

    def number(key: str) -> float | None:
        value = statistics.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number and 0 <= value < 1e12 else None  # type: ignore[operator, arg-type]  # checked

    sent, throughput, overhead = number("sent_mib"), number("throughput_mib_s"), number("overhead_s")
    if sent is None or not throughput or overhead is None:
        return None
    return PastMigration(
        source,
        destination,
        vm_uuid,
        sent,
        throughput,
        overhead,
        number("limit_mib_s"),
        number("to_move_mib"),
        number("memory_mib"),
    )


def path_between(
    source: str,
    destination: str,
    past: Iterable[PastMigration],
    *,
    limit_mib_s: float | None = None,
    source_card_mib_s: float | None = None,
    destination_card_mib_s: float | None = None,
    shared_by: int = 1,
) -> Path:
    """What a migration over this path can count on.

    Args:
        past: newest first.
        limit_mib_s: what it is limited to, by the user or a policy.
        source_card_mib_s: what the network card of the source carries, where the host tells.
        shared_by: how many migrations will share the path, this one included.
    """
    known = list(past)
    cards = [card * _LINE_SHARE for card in (source_card_mib_s, destination_card_mib_s) if card]
    capacity = min(cards) if cards else None
    link, basis = _reached(source, destination, known)
    is_unproven = link is None and (limit_mib_s is None or limit_mib_s > _surely(known))
    if link is None:
        link = capacity if capacity is not None else ASSUMED_MIB_S
        basis = (
            f"the network cards of {source} and {destination} carry {link:.0f} MiB/s; no migration has shown more"
            if capacity is not None
            else f"nothing is known of the path from {source} to {destination}: {ASSUMED_MIB_S:.0f} MiB/s are assumed"
        )
    is_assumed = link == ASSUMED_MIB_S and capacity is None
    usable = link / max(1, shared_by)
    is_limited = limit_mib_s is not None and limit_mib_s < usable
    if limit_mib_s is not None and (is_limited or is_assumed):
        usable, basis = limit_mib_s, f"limited to {limit_mib_s:.0f} MiB/s"
        link = max(link, limit_mib_s)
    overheads = _overheads(source, destination, known)
    return Path(
        source=source,
        destination=destination,
        bandwidth_mib_s=usable,
        link_mib_s=link,
        overhead_s=median(overheads),
        overhead_range_s=_range(overheads),
        basis=basis,
        is_limited=is_limited,
        is_assumed=is_assumed and limit_mib_s is None,
        is_unproven=is_unproven,
        capacity_mib_s=capacity,
    )


def to_move_mib(
    vm_uuid: str, memory_mib: float, rss_mib: float | None, past: Iterable[PastMigration], *, is_locked: bool
) -> tuple[float, str]:
    """How much of a guest's memory is not all zeros, and how that is known.

    Args:
        rss_mib: what its QEMU process holds of ordinary pages; says nothing about huge or locked pages (`is_locked`).
    """
    for one in past:
        if one.vm_uuid == vm_uuid and one.to_move_mib is not None and one.memory_mib == memory_mib:
            return min(one.to_move_mib, memory_mib), "as much of its memory was in use when it was moved last"
    if is_locked or rss_mib is None:
        return memory_mib, "all of its memory counts, since it is allocated in full"
    return min(memory_mib, max(0.0, rss_mib - PROCESS_MIB)), "its process holds that much memory"


PROCESS_MIB = 45.0  # of a QEMU process is its own, not the guest's (measured: 44 MiB under TCG, 30-60 with KVM)


def _reached(source: str, destination: str, past: list[PastMigration]) -> tuple[float | None, str]:
    """The median throughput of the newest comparable migrations that nothing limited."""
    free = [one for one in past if one.limit_mib_s is None and one.sent_mib >= _ENOUGH_MIB]
    for name, fits in _nearness(source, destination):
        same = [one.throughput_mib_s for one in free if fits(one)][:_NEWEST]
        if same:
            rate = median(same)
            return rate, f"{len(same)} earlier {_plural(len(same))} {name} reached {rate:.0f} MiB/s"
    return None, ""


def _surely(past: list[PastMigration]) -> float:
    """What any path carries: the most that a limited migration reached, or half a gigabit."""
    return max((one.throughput_mib_s for one in past), default=0.0) or ASSUMED_MIB_S / 2


def _overheads(source: str, destination: str, past: list[PastMigration]) -> list[float]:
    """What the newest comparable migrations took beside sending; at least one."""
    for _, fits in _nearness(source, destination):
        same = [one.overhead_s for one in past if fits(one)][:_NEWEST]
        if same:
            return same
    return [OVERHEAD_S]


def _range(overheads: list[float]) -> tuple[float, float]:
    """Of ten, the next lies between the shortest and the longest nine times in eleven; of few that says too little."""
    if len(overheads) < _ENOUGH_STARTS:
        return median(overheads) / 2, median(overheads) * 2
    return min(overheads), max(overheads)


def _nearness(source: str, destination: str) -> tuple[tuple[str, Any], ...]:
    return (
        (
            f"from {source} to {destination}",
            lambda one: (one.source, one.destination) == (source, destination),
        ),
        (f"between {source} and {destination}", lambda one: {one.source, one.destination} == {source, destination}),
        (
            f"of {source} or {destination}",
            lambda one: one.source == source or one.destination == destination,
        ),
        ("between other hosts", lambda _one: True),
    )


def _plural(count: int) -> str:
    return "migration" if count == 1 else "migrations"
