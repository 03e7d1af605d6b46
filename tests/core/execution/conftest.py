"""Fixtures: consoles over simulated clusters, closed in the right order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from hpconsole.core.execution.journal import Journal
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from tests.core.execution.console import Console


class ConsoleMaker(Protocol):
    def __call__(self, cluster: SimulatedCluster, journal: Journal | None = None, **more: object) -> Console: ...


@pytest.fixture
def console() -> Iterator[ConsoleMaker]:
    """Makes consoles; afterwards they are closed, the newest first, then their clusters."""
    with ExitStack() as stack:
        known: set[int] = set()

        def make(cluster: SimulatedCluster, journal: Journal | None = None, **more: object) -> Console:
            if id(cluster) not in known:
                known.add(id(cluster))
                stack.callback(cluster.close)
            return stack.enter_context(Console(cluster, journal, **more))  # type: ignore[arg-type]  # passed on as it is

        yield make
