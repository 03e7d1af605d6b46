"""vCPUs without CPUs of their own: which CPUs of their host nodes they use, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hpconsole.core.scheduler.demand import Block, CoreRule, NodeNeed
from hpconsole.core.scheduler.room import CoreCost, NodeRoom


def used_bits(room: NodeRoom, need: NodeNeed, vcpu: int) -> int:
    """The CPUs of this node that one of the need's floating vCPUs uses.

    Floating vCPUs use all usable CPUs. Resized ones fill the cores after the first in order, as many to a core as it
    has CPUs, each on all CPUs of its core.
    """
    if room.rule is not CoreRule.RESIZED:
        return room.usable_bits
    place = need.vcpus.index(vcpu)
    for core in room.resizable_cores:
        if place < core.width:
            return core.bits
        place -= core.width
    return 0


def float_cost(rooms: Sequence[NodeRoom], need: NodeNeed, now: Mapping[int, int]) -> CoreCost:
    """What the need's floating vCPUs cost on these nodes together: banks they use, less vCPUs that stay as they are.

    `now`: the CPUs of each vCPU now, as bits.
    """
    if not need.vcpus:
        return CoreCost(0, 0, 0)
    together = [0] * len(rooms)
    kept = 0
    for vcpu in need.vcpus:
        union = 0
        for i, room in enumerate(rooms):
            bits = used_bits(room, need, vcpu)
            together[i] |= bits
            union |= bits
        kept += now.get(vcpu) == union
    banks = sum(
        1
        for room, bits in zip(rooms, together, strict=True)
        for bank in room.tables.banks[room.position]
        if bank & bits
    )
    return CoreCost(banks * len(need.vcpu_owners), 0, -kept)


def counted_blocks(need: NodeNeed) -> tuple[Block, ...]:
    """The need's blocks, owned only by virtual nodes whose banks `float_cost` does not count already."""
    if not need.vcpu_owners:
        return need.blocks
    counted = set(need.vcpu_owners)
    return tuple(replace(b, owners=tuple(o for o in b.owners if o not in counted)) for b in need.blocks)
