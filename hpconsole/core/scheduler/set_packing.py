"""The best packing of needs into one set of host nodes: depth first, ended by the first that cannot be bettered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpconsole.core.scheduler.core_assignment import least_part_cores
from hpconsole.core.scheduler.demand import CoreRule
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.room import CoreCost

if TYPE_CHECKING:
    from hpconsole.core.scheduler.node_packing import Packer

BUDGET = 6_000  # steps of looking for a better packing once there is one; whether there is one is never cut short


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
        self.goal = goal
        self.best: tuple[CoreCost, list[int]] | None = None
        self.chosen: list[int] = []
        self.steps = 0
        self.is_done = False
        self.dead: set[tuple[object, ...]] = set()

    def run(self) -> tuple[CoreCost, list[int]] | None:
        """(cost, nodes of each need); None if they cannot be packed."""
        if self.packer.rule is CoreRule.SIBLINGS:
            rooms = [self.packer.ground.rooms[i] for i in self.left]
            blocks = [block for blocks in self.packer.blocks for block in blocks]
            self.goal = self.goal._replace(part_cores=least_part_cores(rooms, blocks))
        self._place(0)
        return self.best

    def _place(self, j: int) -> bool:
        """Whether any packing exists from need `j` on."""
        if j == len(self.options):
            self._judge()
            return True
        floor = self._floor(j)
        state = (j, floor, *(tuple(room) for room in self.left.values()))
        if state in self.dead:
            return False
        exists = False
        for option in self.options[j]:
            if option.nodes < floor or not self._take(j, option):
                continue
            self.steps += 1
            self.chosen.append(option.nodes)
            exists = self._place(j + 1) or exists
            self.chosen.pop()
            self._give_back(option)
            if self.is_done:
                return True
        if not exists and self.packer.rule is not CoreRule.SHAPE:
            self.dead.add(state)
        return exists

    def _floor(self, j: int) -> int:
        """Needs of one kind are interchangeable: the later one never goes to a lower node."""
        same = j > 0 and self.packer.stand_in[j] == self.packer.stand_in[j - 1]
        return self.chosen[-1] if same else 0

    def _take(self, j: int, option: Option) -> bool:
        nodes = tuple(positions(option.nodes))
        for i in nodes:
            for have, amount in zip(self.left[i], option.amounts, strict=True):
                if have < amount:
                    return False
        if self.packer.rule is CoreRule.SHAPE:  # one number does not tell which cores are left
            needs = [self.packer.seekers[k].need for k in (*self.holds[nodes[0]], j)]
            if not self.packer.ground.rooms[nodes[0]].fits_all(needs):
                return False
        for i in nodes:
            left = self.left[i]
            for r, amount in enumerate(option.amounts):
                left[r] -= amount
            self.holds[i].append(j)
        return True

    def _give_back(self, option: Option) -> None:
        for i in positions(option.nodes):
            left = self.left[i]
            for r, amount in enumerate(option.amounts):
                left[r] += amount
            self.holds[i].pop()

    def _judge(self) -> None:
        cost = self.packer.cost_of_packing(self.chosen, self.holds)
        if self.best is None or cost < self.best[0]:
            self.best = cost, list(self.chosen)
        self.is_done = self.best[0] <= self.goal or self.steps > BUDGET
