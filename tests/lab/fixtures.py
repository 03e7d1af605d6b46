"""The lab for pytest: one for the whole session, as new for each test, or one made to measure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.lab.lab import Lab
from tests.lab.prerequisites import missing
from tests.lab.topology import HostSpec

FIXTURES = frozenset({"lab", "make_lab"})


class LabMaker(Protocol):
    """What `make_lab` gives: `make_lab("a=1x1x4x1", "b=2x1x4x2:16384:64", resolves_names=False)`."""

    def __call__(self, *hosts: HostSpec | str, resolves_names: bool = True) -> Lab:
        """Start a lab of these hosts; it is closed when the test is over."""


def require_lab() -> None:
    """Skip where the lab cannot run; fail instead where it has to (HPCONSOLE_REQUIRE_LAB=1)."""
    reason = missing()
    if not reason:
        return
    if os.environ.get("HPCONSOLE_REQUIRE_LAB", "") not in ("", "0"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Hosts a (2 NUMA nodes), b (4) and c (1, no huge pages), started once; `uri_ssh` works in this process."""
    require_lab()
    with Lab.start() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(autouse=True)
def clean_lab(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test that used the session's lab: faults ended, all guests gone from all hosts."""
    if "lab" not in request.fixturenames:
        yield
        return
    running: Lab = request.getfixturevalue("lab")
    yield
    running.clear()


@pytest.fixture
def make_lab() -> Iterator[LabMaker]:
    """Start labs of one's own, side by side with the session's."""
    require_lab()
    labs: list[Lab] = []

    def make(*hosts: HostSpec | str, resolves_names: bool = True) -> Lab:
        labs.append(Lab.start(hosts, resolves_names=resolves_names))
        return labs[-1]

    yield make
    for running in labs:
        running.close()


def mark_lab_tests(items: list[pytest.Item]) -> None:
    """Give every test that uses the lab its marker."""
    for item in items:
        if FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("lab")
