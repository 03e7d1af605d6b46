"""What the tests of availability get."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hpconsole.core.hypervisor.simulated.guests import GuestModel
from tests.core.availability.site import Site


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(*, site: Callable[..., Site] = Site, **guests: list[GuestModel]) -> Site:
        made.append(site({name.replace("_", "-"): models for name, models in guests.items()}))
        return made[-1]

    yield make
    for one in made:
        one.close()
