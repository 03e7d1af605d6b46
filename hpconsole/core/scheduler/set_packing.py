"""The best packing of needs into one set of host nodes: depth first, ended by the first that cannot be bettered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpconsole.core.scheduler.core_assignment import least_part_cores
from hpconsole.core.scheduler.demand import CoreRule
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.room import CoreCost

if TYPE_CHECKING:
    from hpconsole.core.scheduler.node_packing import Packer

BUDGET = 1500  # packings judged once there is one, over all sets; whether there is one is never cut short
NEVER_BETTER = CoreCost(1 << 30, 0, 0)  # as a goal: any packing will do


class Option(NamedTuple):
    """One way for one need: these nodes, so much of each resource on every one of them."""

    nodes: int
    amounts: tuple[int, ...]


class SetPacking:
    """One search. `goal`: a lower bound of the cost in this set."""

    def __init__(self, packer: Packer, nodes: int, goal: CoreCost) -> None:
        self.packer = packer
        self.options = [[o for o in options if not o.nodes & ~nodes] for options in packer.options]
        self.left = {i: list(packer.capacities[i]) for i in positions(nodes)}
        self.holds: dict[int, list[int]] = {i: [] for i in self.left}
        kinds = [packer.kind_in(place, nodes) for place in range(len(self.options))]
        # Needs of one kind are interchangeable: the later one never goes to a lower node.
        self.follows = [place > 0 and kinds[place] == kinds[place - 1] for place in range(len(kinds))]
        self.wishes = [mask & nodes for mask in packer.wish_masks]
        for options, wishes in zip(self.options, self.wishes, strict=True):
            if wishes:  # first where vCPUs might stay
                options.sort(key=lambda option: not option.nodes & wishes)
        self.keepable = [0] * (len(kinds) + 1)  # vCPUs that might stay of this need and all later ones
        for place in range(len(kinds) - 1, -1, -1):
            self.keepable[place] = self.keepable[place + 1] + packer.could_keep(place, nodes)
        self.goal = goal
        self.best: tuple[CoreCost, list[int]] | None = None
        self.chosen: list[int] = []
        self.is_done = False
        self.dead: set[tuple[object, ...]] = set()

    def run(self) -> tuple[CoreCost, list[int]] | None:
        """(cost, nodes of each need); None if they cannot be packed."""
        if self.packer.rule is CoreRule.SIBLINGS and self.goal is not NEVER_BETTER:
            rooms = [self.packer.ground.rooms[i] for i in self.left]
            blocks = [block for blocks in self.packer.costs.prepared.blocks for block in blocks]
            self.goal = self.goal._replace(part_cores=least_part_cores(rooms, blocks))
        self._place(0, 0)
        return self.best

    def _place(self, place: int, kept: int) -> bool:
        """Whether any packing exists from this need on. `kept`: vCPUs of earlier needs that might stay."""
        if place == len(self.options):
            self._judge()
            return True
        if self._is_hopeless(kept + self.keepable[place]):
            return True
        floor = self.chosen[-1] if self.follows[place] else 0
        state = (place, floor, *map(tuple, self.left.values()))
        if state in self.dead:
            return False
        exists = False
        for option in self.options[place]:
            if option.nodes < floor or not self._take(place, option):
                continue
            self.chosen.append(option.nodes)
            more = self.packer.could_keep(place, option.nodes) if self.wishes[place] & option.nodes else 0
            exists = self._place(place + 1, kept + more) or exists
            self.chosen.pop()
            self._give_back(option)
            if self.is_done:
                return True
        if not exists and self.packer.rule is not CoreRule.SHAPE:
            self.dead.add(state)
        return exists

    def _is_hopeless(self, most_kept: int) -> bool:
        """Whether all that could still be bettered is how many vCPUs stay, and that cannot be."""
        best = self.best
        return best is not None and best[0][:2] <= self.goal[:2] and most_kept <= -best[0].kept

    def _take(self, place: int, option: Option) -> bool:
        nodes = tuple(positions(option.nodes))
        for i in nodes:
            for have, amount in zip(self.left[i], option.amounts, strict=True):
                if have < amount:
                    return False
        if self.packer.rule is CoreRule.SHAPE:  # one number does not tell which cores are left
            order, needs = self.packer.order, self.packer.costs.prepared.demand.node_needs
            together = [needs[order[other]] for other in (*self.holds[nodes[0]], place)]
            if not self.packer.ground.rooms[nodes[0]].fits_all(together):
                return False
        for i in nodes:
            left = self.left[i]
            for r, amount in enumerate(option.amounts):
                left[r] -= amount
            self.holds[i].append(place)
        return True

    def _give_back(self, option: Option) -> None:
        for i in positions(option.nodes):
            left = self.left[i]
            for r, amount in enumerate(option.amounts):
                left[r] += amount
            self.holds[i].pop()

    def _judge(self) -> None:
        if self.goal is NEVER_BETTER:
            self.best, self.is_done = (self.goal, list(self.chosen)), True
            return
        self.packer.steps += 1
        cost = self.packer.cost_of_packing(self.chosen, self.holds)
        if self.best is None or cost < self.best[0]:
            self.best = cost, list(self.chosen)
        self.is_done = self.best[0] <= self.goal or self.packer.steps > BUDGET
