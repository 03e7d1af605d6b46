"""How the weights of many units become one order of hosts. Ties are settled by host name, always the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpconsole.core.scheduler.columns import Floats, Ints


@dataclass(frozen=True, slots=True)
class Table:
    """The weights of one unit for every host; lower is better."""

    unit: str
    factor: int
    raw: Floats


@dataclass(frozen=True, slots=True)
class Selector:
    """A way to choose. `scores`: higher is better; `ranks`: one row per table, higher is better."""

    name: str
    scores: Callable[[Sequence[Table]], Floats]
    help: str


def ranks(raw: Floats) -> Ints:
    """Number of hosts - 1 - hosts strictly better: equal weights share a rank, the best of N gets N - 1."""
    if raw.size and raw.min() == raw.max():
        return np.full(raw.size, raw.size - 1, np.int64)
    better = np.searchsorted(np.sort(raw), raw, side="left")
    return (raw.size - 1 - better).astype(np.int64)


def _ranked(tables: Sequence[Table]) -> Floats:
    score = np.zeros(tables[0].raw.size if tables else 0)
    for table in tables:
        score += table.factor * ranks(table.raw)
    return score


def _weighted(tables: Sequence[Table]) -> Floats:
    score = np.zeros(tables[0].raw.size if tables else 0)
    for table in tables:
        score -= table.factor * table.raw
    return score


RANK = Selector("RankSelector", _ranked, "Each weight counts by the order it gives, not by its size.")
BASIC = Selector("BasicWeighting", _weighted, "The sum of factor x weight; sizes of weights matter.")
ALL = (RANK, BASIC)


def order(scores: Floats) -> Ints:
    """Positions from best to worst; of equal scores the one that comes first (hosts come in the order of names)."""
    return np.argsort(-scores, kind="stable")


def tables_of(
    records: Sequence[tuple[str | None, str, float]], hosts: Sequence[str], factors: Mapping[str, int]
) -> list[Table]:
    """Tables from single records (unit, host, weight): several of one unit and host are added, none counts as 0.

    A record without unit comes from outside the policy and has factor 1.
    """
    row = {host: index for index, host in enumerate(hosts)}
    sums: dict[str, Floats] = {}
    for unit, host, weight in records:
        if host in row:
            sums.setdefault(unit or "", np.zeros(len(hosts)))[row[host]] += weight
    return [Table(unit, factors.get(unit, 1), raw) for unit, raw in sums.items()]


def best(selector: Selector, records: Sequence[tuple[str | None, str, float]], hosts: Sequence[str],
         factors: Mapping[str, int]) -> str | None:  # fmt: skip
    """The best host by single records; hosts that no record names never win by basic weighting."""
    tables = tables_of(records, hosts, factors)
    if not tables:
        return None
    scores = selector.scores(tables)
    if selector is BASIC:
        named = {host for _, host, _ in records}
        scores = np.where([host in named for host in hosts], scores, -np.inf)
    first = min(range(len(hosts)), key=lambda row: (-scores[row], hosts[row]))
    return hosts[first]
