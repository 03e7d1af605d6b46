"""Never two leaders, whatever happens to consoles and hosts; and always one again after a while."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from hpconsole.core.availability.leadership import Leader, has_majority
from hpconsole.core.errors import HostUnreachable
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.large import hosts as some_hosts

LIFE_S = 30.0
IDENTITY = {"host-01": "1", "host-02": "2", "host-03": "3", "host-04": "4"}


class Clock:
    """A steady clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Reach:
    """A console's connection to one host, which answers only while nothing is cut between them."""

    def __init__(self, hypervisor: Hypervisor, is_cut: Callable[[], bool]) -> None:
        self._hypervisor = hypervisor
        self._is_cut = is_cut

    def __getattr__(self, name: str) -> Any:
        if self._is_cut() and name.endswith("lease"):
            raise HostUnreachable("cut")
        return getattr(self._hypervisor, name)


class Site:
    """A simulated cluster and as many consoles as a test wants, each with connections and a clock of its own."""

    def __init__(self, hosts: int) -> None:
        self.cluster = SimulatedCluster(hosts=some_hosts(hosts), guests={})
        self.pools: list[ConnectionPool] = []
        self.off: set[str] = set()
        self.cuts: set[tuple[str, str]] = set()  # (console, host)

    def console(self, name: str, clock: Clock) -> Leader:
        connected = threading.Semaphore(0)

        def open_host(uri: str) -> Hypervisor:
            host = uri.removeprefix("sim://").partition("/")[0]
            return cast("Hypervisor", Reach(self.cluster.open(uri), lambda: (name, host) in self.cuts))

        pool = ConnectionPool(
            open_host, on_change=lambda _n, link: connected.release() if link.state == "connected" else None
        )
        self.pools.append(pool)
        for host, uri in self.cluster.uris().items():
            pool.add(host, uri)
        for _ in self.cluster.uris():
            assert connected.acquire(timeout=10)
        return Leader(pool, identities=lambda: IDENTITY, off=lambda: self.off, who=name, life_s=LIFE_S, clock=clock)

    def close(self) -> None:
        for pool in self.pools:
            pool.close()
        self.cluster.close()


@pytest.fixture
def site() -> Iterator[Callable[[int], Site]]:
    made: list[Site] = []

    def make(hosts: int) -> Site:
        made.append(Site(hosts))
        return made[-1]

    yield make
    for one in made:
        one.close()


def lead(leader: Leader, clock: Clock, seconds: float = LIFE_S) -> bool:
    """Renew every ten seconds for so long."""
    for _ in range(int(seconds // 10) + 1):
        leader.renew()
        clock.now_s += 10
    clock.now_s -= 10
    return leader.may_act()


def test_the_first_console_leads_after_one_life_time_and_the_second_does_not(site: Callable[[int], Site]) -> None:
    place, clock = site(3), Clock()
    first, second = place.console("first", clock), place.console("second", clock)
    first.renew()
    assert not first.may_act(), "a new leader waits until an older one has surely stopped"
    assert lead(first, clock)
    assert "Another console acts" in second.renew().sentence
    assert second.current.holder == "first"
    assert not second.may_act()
    for _ in range(10):
        clock.now_s += 10
        first.renew()
        second.renew()
        assert first.may_act(), "nobody takes a lease that is renewed"


def test_a_leader_that_falls_silent_is_followed_after_its_life_time_and_no_sooner(site: Callable[[int], Site]) -> None:
    place, clock = site(3), Clock()
    first, second = place.console("first", clock), place.console("second", clock)
    assert lead(first, clock)
    silent_since = clock.now_s
    second.renew()
    while not second.may_act():
        assert not (first.may_act() and second.may_act())
        clock.now_s += 5
        second.renew()
        assert clock.now_s < silent_since + 200
    assert not first.may_act()
    assert clock.now_s >= silent_since + LIFE_S
    assert "Another console" in first.renew().sentence, "it finds out, and does not take it back"
    assert second.may_act()


def test_a_leader_that_gives_up_is_followed_sooner(site: Callable[[int], Site]) -> None:
    place, clock = site(3), Clock()
    first, second = place.console("first", clock), place.console("second", clock)
    assert lead(first, clock)
    first.close()
    assert lead(second, clock)


def test_no_majority_no_leader(site: Callable[[int], Site]) -> None:
    place, clock = site(4), Clock()
    leader = place.console("one", clock)
    place.cluster.crash("host-01")
    place.cluster.crash("host-02")
    assert not lead(leader, clock, 100)
    assert "Only 2 of 4 hosts" in leader.current.sentence
    place.off |= {"host-01", "host-02"}
    lead(leader, clock, 200)
    assert leader.may_act(), "hosts that are provably off count no more after a while"


@pytest.mark.parametrize("hosts", [1, 2, 3, 4, 5])
def test_two_that_share_no_host_never_both_have_a_majority(hosts: int) -> None:
    electorate = {name: str(number) for number, name in enumerate("abcde"[:hosts])}
    for size in range(hosts + 1):
        for mine in itertools.combinations(electorate, size):
            theirs = [name for name in electorate if name not in mine]
            assert not (has_majority(mine, electorate) and has_majority(theirs, electorate))


def test_half_is_enough_with_the_smallest_identity_only() -> None:
    electorate = {"a": "1", "b": "2", "c": "3", "d": "4"}
    assert has_majority(["a", "d"], electorate)
    assert not has_majority(["b", "c"], electorate)
    assert not has_majority(["a", "d"], {**electorate, "c": ""}), "an unknown identity could be the smallest"
    assert not has_majority([], {})


@pytest.mark.parametrize("seed", range(6))
def test_there_are_never_two_leaders_whatever_happens(site: Callable[[int], Site], seed: int) -> None:
    """Three consoles that run, stop and go on at random, hosts that crash and come back, links that are cut."""
    chance = random.Random(seed)
    place, clock = site(4 if seed % 2 else 3), Clock()
    leaders = [place.console(f"console-{number}", clock) for number in range(3)]
    awake = set(range(3))
    down: set[str] = set()
    led: set[int] = set()
    for _ in range(150):
        clock.now_s += chance.choice((1, 3, 10))
        if chance.random() < 0.05:
            awake ^= {chance.randrange(3)}
        if chance.random() < 0.03 and not down:
            down.add(host := chance.choice(sorted(place.cluster.uris())))
            place.cluster.crash(host)
        elif down and chance.random() < 0.1:
            place.cluster.boot(down.pop())
        if chance.random() < 0.2:
            place.cuts ^= {(f"console-{chance.randrange(3)}", chance.choice(sorted(place.cluster.uris())))}
        for number in chance.sample(sorted(awake), len(awake)):
            leaders[number].renew()
        acting = {number for number in range(3) if leaders[number].may_act()}
        assert len(acting) <= 1, [leader.current for leader in leaders]
        led |= acting
    assert led, "somebody has to lead some time"
