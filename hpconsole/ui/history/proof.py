"""The proof of a migration as the journal keeps it: each vCPU and node as planned, as asked back, at the next start.

Knows no Qt. What is in the journal is hostile: what cannot be read is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.planning.placement_json import placement_from_json
from hpconsole.ui import format as fmt

_PLANNED, _LIVE, _NEXT = "planned", "live", "next_start"
_TUNE, _NODE, _VCPU, _EMULATOR, _IO = range(5)  # in this order
_Thing = tuple[int, int, str]  # what kind of thing, its number, its name


class ProofLine(NamedTuple):
    """One thread or node. `later` is `UNKNOWN` where the VM has no definition there."""

    what: str
    planned: str
    live: str
    later: str

    @property
    def is_live_wrong(self) -> bool:
        """Whether it is not as planned there."""
        return self.live != self.planned

    @property
    def is_later_wrong(self) -> bool:
        """Whether it will not be as planned at its next start."""
        return self.later not in (self.planned, fmt.UNKNOWN)

    @property
    def is_wrong(self) -> bool:
        """Whether it is not as planned, now or at the next start."""
        return self.is_live_wrong or self.is_later_wrong


def proof_of(statistics: Mapping[str, Any]) -> tuple[ProofLine, ...]:
    """A line for every vCPU, node and helper thread that is pinned anywhere; empty where nothing was asked back.

    >>> one = {"vm_uuid": "u", "host": "b", "nodes": {}, "vcpus": {"0": "4"}, "emulator": None, "iothreads": {},
    ...        "numa_tune": None}
    >>> proof_of({"proof": {"planned": one, "live": {**one, "vcpus": {"0": "5"}}}})
    (ProofLine(what='vCPU 0', planned='CPU 4', live='CPU 5', later='–'),)
    >>> proof_of({"proof": {"planned": 3}}), proof_of({})
    ((), ())
    """
    kept = statistics.get("proof")
    if not isinstance(kept, Mapping):
        return ()
    found: dict[str, Placement] = {}
    for which in (_PLANNED, _LIVE, _NEXT):
        value = kept.get(which)
        if isinstance(value, Mapping):
            try:
                found[which] = placement_from_json(value)
            except InvalidPinning:
                return ()
    if _PLANNED not in found or _LIVE not in found:
        return ()
    texts = {which: _texts(placement) for which, placement in found.items()}
    things = sorted({thing for each in texts.values() for thing in each})

    def said(which: str, thing: _Thing) -> str:
        free = "any node" if thing[0] in (_TUNE, _NODE) else "any CPU"
        return texts[which].get(thing, free) if which in texts else fmt.UNKNOWN

    return tuple(ProofLine(thing[2], *(said(which, thing) for which in (_PLANNED, _LIVE, _NEXT))) for thing in things)


def title_of(lines: tuple[ProofLine, ...]) -> str:
    """What it comes to, for a tab."""
    wrong = sum(line.is_wrong for line in lines)
    return f"Pinning ({wrong} of {len(lines)} not as planned)" if wrong else "Pinning (as planned)"


def _texts(placement: Placement) -> dict[_Thing, str]:
    said: dict[_Thing, str] = {}
    tune, pinning = placement.numa_tune, placement.pinning
    if tune is not None:
        said[_TUNE, 0, "All its memory"] = f"node {tune.nodeset.format()}, {tune.mode.value}"
    for bound in placement.bindings:
        nodes = CpuSet.of(bound.host_nodes).format()
        said[_NODE, bound.node_id, f"Virtual node {bound.node_id}"] = f"node {nodes}, {bound.mode.value}"
    for vcpu, cpus in pinning.vcpus:
        said[_VCPU, vcpu, f"vCPU {vcpu}"] = f"CPU {cpus.format()}"
    if pinning.emulator is not None:
        said[_EMULATOR, 0, "Emulator"] = f"CPU {pinning.emulator.format()}"
    for thread, cpus in pinning.iothreads:
        said[_IO, thread, f"IO thread {thread}"] = f"CPU {cpus.format()}"
    return said
