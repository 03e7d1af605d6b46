"""A simulated day of balancing: how often are VMs moved, and does any go to and fro?

    python -m tests.benchmarks.balancing_day [--hours 24] [--hosts 100] [--vms 2000] [--seed 1] [--no-rest]

Each VM has a daily rhythm of its own and noise from minute to minute; every minute is one round of the real code
(`core.balancing.rounds`) over a snapshot, and its move is carried out before the next. The cluster begins unevenly.
`--no-rest` leaves hysteresis out, for comparison.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hpconsole.core.balancing import worth
from hpconsole.core.balancing.resting import REST_S, Rests
from hpconsole.core.balancing.rounds import run_round
from hpconsole.core.model.host import Host
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmLoad
from hpconsole.core.scheduler.policies import built_in
from tests.builders import a_host, a_topology, a_vm

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT_PCT = 80.0
RETURN_S = 7200.0  # back where it came from within this time counts as to and fro


@dataclass
class Day:
    """What happened so far."""

    moves: list[tuple[int, str, str, str]] = field(default_factory=list)  # minute, VM, source, destination
    round_ms: list[float] = field(default_factory=list)
    over_limit: int = 0  # host minutes over the limit
    spread: list[float] = field(default_factory=list)  # busiest - calmest host, points

    def returns(self) -> int:
        """Moves that sent a VM back where it had been within two hours."""
        left: dict[tuple[str, str], int] = {}
        count = 0
        for minute, vm, source, destination in self.moves:
            at = left.get((vm, destination))
            count += at is not None and (minute - at) * 60 <= RETURN_S
            left[vm, source] = minute
        return count


@dataclass(frozen=True)
class Rhythm:
    """One VM's day: percent of its vCPUs, between night and day, with its peak at this hour."""

    night_pct: float
    day_pct: float
    peak_h: float
    noise_pct: float

    def at(self, hour: float, noise: float) -> float:
        """How busy each vCPU is, 0-100."""
        swing = 0.5 + 0.5 * math.cos((hour - self.peak_h) / 24 * 2 * math.pi)
        return min(100.0, max(0.5, self.night_pct + (self.day_pct - self.night_pct) * swing + self.noise_pct * noise))


def rhythms(vms: list[Vm], chance: random.Random) -> dict[str, Rhythm]:
    """Office machines, batch jobs at night, and some that are always busy."""
    found: dict[str, Rhythm] = {}
    for vm in vms:
        kind = chance.random()
        if kind < 0.6:
            found[vm.uuid] = Rhythm(3, chance.uniform(30, 90), chance.gauss(14, 1.5), 4)
        elif kind < 0.85:
            found[vm.uuid] = Rhythm(5, chance.uniform(40, 90), chance.gauss(2, 1), 5)
        else:
            base = chance.uniform(20, 70)
            found[vm.uuid] = Rhythm(base, base, 0, 6)
    return found


def run(hours: int, host_count: int, vm_count: int, seed: int, *, rests: bool = True) -> Day:
    """Simulate."""
    chance = random.Random(seed)
    topology = a_topology(2, 1, 12, 2, mib_per_node=262_144)
    hosts = {f"host-{i:03}": a_host(f"host-{i:03}", topology=topology) for i in range(host_count)}
    names = list(hosts)
    # unevenly: the first hosts have more than their share
    weights = [1.0 + 0.8 * (1 - i / host_count) for i in range(host_count)]
    places = chance.choices(names, weights, k=vm_count)
    vms = [a_vm(f"vm-{i:04}", host=place, vcpus=4, memory_mib=8192) for i, place in enumerate(places)]
    rhythm = rhythms(vms, chance)
    noise = dict.fromkeys(rhythm, 0.0)
    known = {vm.uuid: vm for vm in vms}
    policy = built_in("evenly_distributed")
    assert policy is not None
    day, memory, overloaded = Day(), Rests({}, REST_S if rests else 0.0), dict.fromkeys(names, None)
    since: dict[str, datetime | None] = dict(overloaded)
    for minute in range(hours * 60):
        now = BEGIN + timedelta(minutes=minute)
        loads = _loads(known, rhythm, noise, minute / 60, chance, now)
        hosts = _measured(hosts, known, loads, since, now, day)
        snapshot = ClusterSnapshot(minute + 1, now, hosts, dict(known), loads)
        started = time.perf_counter()
        report = run_round(snapshot, policy, rests=memory, now=now)
        day.round_ms.append((time.perf_counter() - started) * 1000)
        found = report.recommendation
        if found is not None:
            day.moves.append((minute, found.vm_name, found.source, found.destination))
            known[found.vm_uuid] = replace(known[found.vm_uuid], host=found.destination)
            memory = memory.moved(found.vm_uuid, found.source, found.destination, now)
    return day


def _loads(
    known: dict[str, Vm],
    rhythm: dict[str, Rhythm],
    noise: dict[str, float],
    hour: float,
    chance: random.Random,
    now: datetime,
) -> dict[str, VmLoad]:
    loads: dict[str, VmLoad] = {}
    for uuid, vm in known.items():
        noise[uuid] = 0.8 * noise[uuid] + 0.6 * chance.gauss(0, 1)  # what a minute is like depends on the one before
        loads[uuid] = VmLoad(now, cpu_pct=vm.vcpus * rhythm[uuid].at(hour, noise[uuid]))
    return loads


def _measured(
    hosts: dict[str, Host],
    known: dict[str, Vm],
    loads: dict[str, VmLoad],
    since: dict[str, datetime | None],
    now: datetime,
    day: Day,
) -> dict[str, Host]:
    busy: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    for uuid, vm in known.items():
        busy[vm.host or ""] += loads[uuid].cpu_pct  # type: ignore[assignment]  # counts may be fractions
        memory[vm.host or ""] += vm.memory_kib
    found: dict[str, Host] = {}
    shares = []
    for name, host in hosts.items():
        pct = min(100.0, busy[name] / len(host.topology.cpus))
        shares.append(pct)
        since[name] = (since[name] or now) if pct >= LIMIT_PCT else None
        day.over_limit += pct >= LIMIT_PCT
        free = (host.memory_kib or 0) - memory[name]
        usage = replace(host.usage, at=now, cpu_pct=pct, overloaded_since=since[name], memory_free_kib=free)
        found[name] = replace(host, usage=usage)
    day.spread.append(max(shares) - min(shares))
    return found


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--vms", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-rest", action="store_true")
    given = parser.parse_args()
    if given.no_rest:
        worth.LEAST_GAIN_PCT, worth.FACTOR = float("-inf"), 0.0
    started = time.perf_counter()
    day = run(given.hours, given.hosts, given.vms, given.seed, rests=not given.no_rest)
    per_vm = Counter(vm for _, vm, _, _ in day.moves)
    print(f"{given.hours} h, {given.hosts} hosts, {given.vms} VMs, seed {given.seed}: {len(day.moves)} moves")
    print(f"moves per VM and hour: {len(day.moves) / given.vms / given.hours:.5f}")
    print(f"most moves of one VM: {max(per_vm.values(), default=0)}; VMs that moved: {len(per_vm)}")
    print(f"moved back where it came from within 2 h: {day.returns()}")
    print(f"host minutes at {LIMIT_PCT:g} % or more: {day.over_limit} of {given.hours * 60 * given.hosts}")
    print(f"busiest - calmest host: {day.spread[0]:.0f} points at the beginning, {day.spread[-1]:.0f} at the end")
    rounds = sorted(day.round_ms)
    print(f"a round: median {rounds[len(rounds) // 2]:.1f} ms, slowest {rounds[-1]:.1f} ms")
    print(f"took {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
