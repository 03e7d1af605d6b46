"""What needs cost on nodes, computed when asked for; alike needs and nodes with the same free CPUs are judged once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpconsole.core.scheduler.core_assignment import cost_of
from hpconsole.core.scheduler.floating import float_cost
from hpconsole.core.scheduler.prepared import Prepared
from hpconsole.core.scheduler.room import CoreCost, HostRoom, NodeRoom

NO_COST = CoreCost(0, 0, 0)


class NodeCosts:
    """The costs of one demand on one host. Nodes are `NodeRoom`s, needs are indices."""

    __slots__ = ("prepared", "wish_masks")

    def __init__(self, room: HostRoom, prepared: Prepared) -> None:
        self.prepared = prepared
        prepared.make_room()
        # For each need the nodes (a mask of positions) where some vCPU of it might stay on its CPUs.
        self.wish_masks = [0] * len(prepared.wanted)
        for j, wanted in enumerate(prepared.wanted):
            for node in room.nodes if wanted & room.tables.online else ():
                if wanted & (node.free_bits | node.usable_bits):
                    self.wish_masks[j] |= 1 << node.position

    def _name(self, node: NodeRoom, j: int) -> int:
        """What needs that cost the same on this node share: their kind (below zero), unless vCPUs might stay here."""
        return j if self.wish_masks[j] >> node.position & 1 else -1 - self.prepared.kinds[j]

    def alone(self, node: NodeRoom, j: int) -> CoreCost:
        """What need j costs on this node with nobody beside it."""
        key = (node.cpus, "alone", self._name(node, j))
        known = self.prepared.costs.get(key)
        if known is None:
            known = self.prepared.costs[key] = total((self.floating((node,), j), self.together(node, (j,))))
        return known

    def together(self, node: NodeRoom, needs: Sequence[int]) -> CoreCost:
        """What the blocks of these needs cost together on one node."""
        if not node.rule.takes_cpus:
            return NO_COST
        key = (node.cpus, *sorted([self._name(node, j) for j in needs]))
        known = self.prepared.costs.get(key)
        if known is None:
            blocks = [block for j in needs for block in self.prepared.blocks[j]]
            known = self.prepared.costs[key] = cost_of(node, blocks, self.prepared.present.wishes)
        return known

    def floating(self, nodes: Sequence[NodeRoom], j: int) -> CoreCost:
        """What the floating vCPUs of need j cost on these nodes: sharing changes nothing for them."""
        need = self.prepared.demand.node_needs[j]
        if not need.vcpus:
            return NO_COST
        key = ("floating", j, *[node.cpus for node in nodes])
        known = self.prepared.costs.get(key)
        if known is None:
            known = self.prepared.costs[key] = float_cost(nodes, need, self.prepared.present.sets)
        return known

    def could_keep(self, node: NodeRoom, j: int) -> int:
        """At most so many vCPUs of need j stay if it goes to this node, whatever else that costs."""
        if not self.wish_masks[j] >> node.position & 1:
            return 0
        key = (node.cpus, j)
        known = self.prepared.kept.get(key)
        if known is None:
            need, wishes = self.prepared.demand.node_needs[j], self.prepared.present.wishes
            free = node.keepable_bits
            narrow = [bits for block in need.blocks for bits in wishes.narrow.get(block.roles[0], ())]
            known = sum(1 for bits in narrow if not bits & ~free) + len(need.vcpus)
            known += len(wishes.wide) if need.blocks else 0
            self.prepared.kept[key] = known
        return known


def total(costs: Iterable[CoreCost]) -> CoreCost:
    """Costs of different needs or nodes, added up."""
    banks = part = kept = 0
    for cost in costs:
        banks, part, kept = banks + cost.banks, part + cost.part_cores, kept + cost.kept
    return CoreCost(banks, part, kept)
