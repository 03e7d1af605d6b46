"""The best packing of needs into one set of host nodes: depth first, ended by the first that cannot be bettered."""

from __future__ import annotations

from hpconsole.core.scheduler.core_assignment import least_part_cores, part_core_tables
from hpconsole.core.scheduler.demand import CoreRule
from hpconsole.core.scheduler.host_tables import positions
from hpconsole.core.scheduler.packing_task import FIELD, TOP, Option, PackingTask, packed
from hpconsole.core.scheduler.room import CoreCost

BUDGET = 400  # packings judged once there is one, over all sets; whether there is one is never cut short
KEEPING_BUDGET = 64  # of these, packings judged only to let more vCPUs stay
VISITS = 300  # steps taken only to let more vCPUs stay
NEVER_BETTER = CoreCost(1 << 30, 0, 0)  # as a goal: any packing will do


class SetPacking:
    """One search. `goal`: a lower bound of the cost in this set. What it takes is counted in the task.

    First without regard to where vCPUs are now, so that needs of one kind are interchangeable; then, with what that
    found, for packings as good that let more vCPUs stay.
    """

    def __init__(self, task: PackingTask, nodes: int, goal: CoreCost) -> None:
        self.task = task
        self.options = [[o for o in options if not o.nodes & ~nodes] for options in task.options]
        self.nodes = list(positions(nodes))
        resources = len(task.capacities[0])
        self.tops = sum(TOP << FIELD * r for r in range(resources))
        self.left = [0] * task.ground.size
        for i in self.nodes:
            self.left[i] = packed([max(0, amount) for amount in task.capacities[i]]) + self.tops
        self.holds: dict[int, list[int]] = {i: [] for i in self.nodes}
        kinds = [task.costs.prepared.kinds[j] for j in task.order]
        # The later one of two of a kind never goes to a lower node.
        self.follows = [place > 0 and kinds[place] == kinds[place - 1] for place in range(len(kinds))]
        self.wishes = [mask & nodes for mask in task.wish_masks]
        self.keepable = [0] * (len(kinds) + 1)  # vCPUs of this need and all later ones that might stay
        for place in range(len(kinds) - 1, -1, -1):
            more = task.could_keep(place, nodes) if self.wishes[place] else 0
            self.keepable[place] = self.keepable[place + 1] + more
        self.goal = goal
        self.is_shape = task.rule is CoreRule.SHAPE
        self.is_keeping = False
        self.part_floors: dict[int, list[int]] = {}
        self.best: tuple[CoreCost, list[int]] | None = None
        self.chosen: list[int] = []
        self.is_done = False
        self.dead: set[tuple[int, ...]] = set()

    def run(self) -> tuple[CoreCost, list[int]] | None:
        """(cost, nodes of each need); None if they cannot be packed."""
        self._place(0, 0)
        if self.best is None or self.goal is NEVER_BETTER or self.task.tries > KEEPING_BUDGET:
            return self.best
        if -self.best[0].kept < self.keepable[0]:
            self._let_stay(self.best[0])
        return self.best

    def _let_stay(self, best: CoreCost) -> None:
        self.is_keeping, self.is_done = True, False
        self.goal = CoreCost(best.banks, best.part_cores, -self.keepable[0])
        for place, wishes in enumerate(self.wishes):
            if wishes:
                self.follows[place] = False
                if place + 1 < len(self.follows):
                    self.follows[place + 1] = False
                self.options[place].sort(key=lambda option: not option.nodes & wishes)
        self._place(0, 0)

    def _place(self, place: int, kept: int) -> bool:
        """Whether any packing exists from this need on. `kept`: vCPUs of earlier needs that might stay."""
        if self.is_keeping and self.best is not None:
            if kept + self.keepable[place] <= -self.best[0].kept:
                return True  # no more stay than in the best so far
            self.task.visits += 1
            self.is_done = self.task.visits > VISITS
        if place == len(self.options):
            self._judge()
            return True
        if self.part_floors and self._is_worse():
            return True
        floor = self.chosen[-1] if self.follows[place] else 0
        state = (place, floor, *self.left)
        if state in self.dead:
            return False
        exists = False
        for option in self.options[place]:
            if option.nodes < floor or not self._take(place, option):
                continue
            self.chosen.append(option.nodes)
            more = 0
            if self.is_keeping and self.wishes[place] & option.nodes:
                more = self.task.could_keep(place, option.nodes)
            exists = self._place(place + 1, kept + more) or exists
            self.chosen.pop()
            for i in option.places:
                self.left[i] += option.packed
                self.holds[i].pop()
            if self.is_done:
                return True
        if not exists and not self.is_shape:
            self.dead.add(state)
        return exists

    def _take(self, place: int, option: Option) -> bool:
        tops = self.tops
        for i in option.places:
            if (self.left[i] - option.packed) & tops != tops:
                return False
        if self.is_shape:  # one number does not tell which cores are left
            order, needs = self.task.order, self.task.costs.prepared.demand.node_needs
            together = [needs[order[other]] for other in (*self.holds[option.places[0]], place)]
            if not self.task.ground.rooms[option.places[0]].fits_all(together):
                return False
        for i in option.places:
            self.left[i] -= option.packed
            self.holds[i].append(place)
        return True

    def _judge(self) -> None:
        if self.goal is NEVER_BETTER:
            self.best, self.is_done = (self.goal, list(self.chosen)), True
            return
        self.task.steps += 1
        self.task.tries += self.is_keeping
        cost = self.task.cost_of_packing(self.chosen, self.holds)
        if self.best is None:
            self._raise_goal(cost)
        if self.best is None or cost < self.best[0]:
            self.best = cost, list(self.chosen)
        is_enough = self.best[0] <= self.goal if self.is_keeping else self.best[0][:2] <= self.goal[:2]
        self.is_done = is_enough or self.task.steps > BUDGET or self.task.tries > KEEPING_BUDGET

    def _raise_goal(self, first: CoreCost) -> None:
        """Look closer at what is possible, if the first packing is not as good as it might be."""
        blocks = self.task.costs.prepared.blocks
        is_full = all(len(block.roles) == block.size for own in blocks for block in own)
        if self.task.rule is not CoreRule.SIBLINGS or first[:2] <= self.goal[:2] or not is_full:
            return
        tables = part_core_tables([self.task.ground.rooms[i] for i in self.nodes])
        if tables is None:
            return
        self.goal = self.goal._replace(part_cores=least_part_cores(tables, [len(own) for own in blocks]))
        for table in tables:  # what more blocks cannot mend any more
            for n in range(len(table) - 2, -1, -1):
                table[n] = min(table[n], table[n + 1])
        self.part_floors = dict(zip(self.nodes, tables, strict=True))

    def _is_worse(self) -> bool:
        """Whether the nodes so far are already as bad as the best packing."""
        best = self.best
        if best is None or best[0].banks > self.goal.banks:
            return False
        parts = 0
        for i, table in self.part_floors.items():
            parts += table[len(table) - 1 - (self.left[i] & TOP - 1)]
        return parts >= best[0].part_cores + self.is_keeping
