"""A mixed-integer program, built row by row and solved by HiGHS. Knows nothing of VMs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class Solution:
    """Values by column, their cost, and the bound: no solution costs less."""

    values: Sequence[float]
    cost: float
    bound: float


class Program:
    """Minimise the sum of cost x value. For one thread."""

    def __init__(self) -> None:
        self._costs: list[float] = []
        self._uppers: list[float] = []
        self._is_whole: list[bool] = []
        self._rows: list[tuple[list[tuple[int, float]], float, float]] = []

    def whole(self, cost: float, most: float) -> int:
        """A new column of whole numbers from 0."""
        return self._column(cost, most, is_whole=True)

    def continuous(self, cost: float, most: float) -> int:
        """A new column from 0 on."""
        return self._column(cost, most, is_whole=False)

    def row(self, terms: Sequence[tuple[int, float]], *, lower: float = -INFINITY, upper: float = INFINITY) -> None:
        """The sum of factor x column lies between."""
        self._rows.append((list(terms), lower, upper))

    def solve(self, time_limit_s: float, gap: float) -> Solution | None:
        """The best that is found in time; None where nothing was. HiGHS is imported only now."""
        import highspy
        import numpy as np

        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self._costs), len(self._rows)
        model.col_cost_ = np.array(self._costs, np.float64)
        model.col_lower_ = np.zeros(len(self._costs))
        model.col_upper_ = np.array(self._uppers, np.float64)
        model.row_lower_ = np.array([lower for _, lower, _ in self._rows], np.float64)
        model.row_upper_ = np.array([upper for _, _, upper in self._rows], np.float64)
        starts = np.zeros(len(self._rows) + 1, np.int32)
        np.cumsum([len(terms) for terms, _, _ in self._rows], out=starts[1:])
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = starts
        model.a_matrix_.index_ = np.array([column for terms, _, _ in self._rows for column, _ in terms], np.int32)
        model.a_matrix_.value_ = np.array([value for terms, _, _ in self._rows for _, value in terms], np.float64)
        kinds = highspy.HighsVarType
        model.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in self._is_whole]
        solver = cast("Any", highspy).Highs()  # its class has no types
        for option, value in (
            ("output_flag", False),
            ("threads", 1),
            ("time_limit", max(0.01, time_limit_s)),
            ("mip_rel_gap", gap),
            ("random_seed", 1),
        ):
            solver.setOptionValue(option, value)
        solver.passModel(model)
        solver.run()
        info = solver.getInfo()
        if info.primal_solution_status != 2:  # HiGHS has no feasible point
            return None
        values = solver.getSolution().col_value
        is_mip = any(self._is_whole)
        bound = info.mip_dual_bound if is_mip else info.objective_function_value
        return Solution(list(values), info.objective_function_value, bound)

    def _column(self, cost: float, most: float, *, is_whole: bool) -> int:
        self._costs.append(cost)
        self._uppers.append(most)
        self._is_whole.append(is_whole)
        return len(self._costs) - 1
