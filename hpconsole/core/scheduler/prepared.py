"""What is the same of a demand on every host: kinds of needs, blocks to count, CPUs now. Computed once per demand."""

from __future__ import annotations

from collections.abc import Mapping

from hpconsole.core.scheduler.core_assignment import signature
from hpconsole.core.scheduler.demand import Demand, NodeNeed
from hpconsole.core.scheduler.floating import counted_blocks
from hpconsole.core.scheduler.present_pinning import Present, present_of
from hpconsole.core.scheduler.room import CoreCost

_KEPT = 32
_KEPT_ANSWERS = 8192

Key = tuple[object, ...]


class Prepared:
    """See the module. Lists go by need.

    `costs`, `kept` and `seats` remember what needs cost, could keep and take on CPUs that are free in the same way:
    hosts of one model, and one host from poll to poll, share the answers. Written by `node_costs` and `placement_map`.
    """

    __slots__ = ("blocks", "costs", "demand", "kept", "kinds", "pages", "present", "seats", "stand_in",
                 "wanted")  # fmt: skip

    def __init__(self, demand: Demand, present: Present | None = None) -> None:
        self.demand = demand  # held, so that its identity stays its own
        self.present = present_of(demand) if present is None else present
        needs = demand.node_needs
        numbers: dict[tuple[object, ...], int] = {}
        self.kinds = [numbers.setdefault(_kind_of(need), len(numbers)) for need in needs]  # alike: same kind
        first: dict[int, int] = {}
        self.stand_in = [first.setdefault(kind, j) for j, kind in enumerate(self.kinds)]  # the first need of its kind
        self.blocks = [counted_blocks(need) for need in needs]
        self.pages = [need.page_needs for need in needs]
        self.wanted = [self._wanted(need) for need in needs]  # CPUs (bits) that some vCPU would stay on
        self.costs: dict[Key, CoreCost] = {}
        self.kept: dict[Key, int] = {}
        self.seats: dict[Key, Mapping[int, int]] = {}

    def make_room(self) -> None:
        """Forget answers where there are too many of them."""
        if len(self.costs) + len(self.kept) + len(self.seats) > _KEPT_ANSWERS:
            self.costs.clear()
            self.kept.clear()
            self.seats.clear()

    def _wanted(self, need: NodeNeed) -> int:
        wishes, bits = self.present.wishes, 0
        for block in need.blocks:
            bits |= wishes.homes.get(block.roles[0], 0)
            for own in wishes.narrow.get(block.roles[0], ()):
                bits |= own
        for vcpu in need.vcpus:
            bits |= self.present.sets.get(vcpu, 0)
        return bits


def _kind_of(need: NodeNeed) -> tuple[object, ...]:
    return (
        need.memory_kib, need.page_needs, need.cpus_needed, signature(need.blocks), len(need.vcpus),
        len(need.vcpu_owners), need.usable_needed, need.allowed_nodes, need.takes_all_allowed, need.span,
    )  # fmt: skip


_prepared: dict[int, Prepared] = {}


def prepared_of(demand: Demand) -> Prepared:
    """The prepared form, remembered by identity. Threads: any."""
    known = _prepared.get(id(demand))
    if known is not None and known.demand is demand:
        return known
    if len(_prepared) >= _KEPT:
        _prepared.clear()
    made = _prepared[id(demand)] = Prepared(demand)
    return made
