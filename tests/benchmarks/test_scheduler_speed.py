"""How fast the scheduler decides, beside OpenStack nova on the same hosts.

`make bench` runs these (2 cores, medians); plain test runs skip them. nova runs in a Python of its own:
`python -m venv build/nova-venv && build/nova-venv/bin/pip install nova`, or where HPCONSOLE_NOVA_PYTHON says. Without
it the ratios are skipped and our own figures still count.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.account import HostAccount, NodeAccount
from hpconsole.core.scheduler.column_cache import columns_of, forget
from hpconsole.core.scheduler.columns import Bools, HostColumns
from hpconsole.core.scheduler.demand import Block, CoreRule, Demand, NodeNeed
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.pinning_fit import fit
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.request import Request
from tests.benchmarks.clusters import a_large_cluster

ROOT = Path(__file__).resolve().parents[2]
NOVA = Path(os.environ.get("HPCONSOLE_NOVA_PYTHON", ROOT / "build" / "nova-venv" / "bin" / "python"))
HOSTS = 1000
CPUS = 16  # logical CPUs of a cell, two threads a core
MIB = 1024
SHAPES = ((4, 2), (8, 4), (16, 8))  # host cells, virtual cells


@dataclass(frozen=True)
class Need:
    """One virtual cell: CPUs of its own and plain memory."""

    vcpus: int
    memory_mib: int


@dataclass(frozen=True)
class Cell:
    """One host cell: its cores (pairs of CPUs), free CPUs and free memory."""

    cores: tuple[tuple[int, int], ...]
    free: frozenset[int]
    memory_mib: int

    def holds(self, need: Need) -> bool:
        return len(self.free) >= need.vcpus and self.memory_mib >= need.memory_mib


Host = tuple[Cell, ...]
Benchmark = Any  # pytest-benchmark's fixture; half of it is untyped


def needs_of(count: int, *, equal: bool) -> tuple[Need, ...]:
    """4 vCPUs and 8 GiB each; or each a little more than the one before."""
    if equal:
        return (Need(4, 8192),) * count
    return tuple(Need(2 + 2 * (i % 4), 4096 + 2048 * i) for i in range(count))


def hosts_of(cells: int, count: int, scenario: str, needs: tuple[Need, ...], *, seed: int = 7) -> list[Host]:
    """Loaded: half of the cores of each cell taken. Short: one cell fewer than needed has any room."""
    random = Random(seed)
    half = cells * CPUS // 2
    per_cell = CPUS // 2
    made: list[Host] = []
    for _ in range(count):
        room = set(random.sample(range(cells), len(needs) - 1))
        host: list[Cell] = []
        for cell in range(cells):
            cores = tuple((cell * per_cell + i, half + cell * per_cell + i) for i in range(per_cell))
            taken, memory = 0, 65_536
            if scenario == "loaded":
                taken, memory = (
                    int(per_cell * random.choice((0.25, 0.5, 0.5, 0.75))),
                    random.choice((8192, 16_384, 49_152)),
                )
            elif cell not in room:
                taken, memory = per_cell, 0
            gone = {cpu for core in random.sample(cores, taken) for cpu in core}
            host.append(Cell(cores, frozenset(cpu for core in cores for cpu in core) - gone, memory))
        made.append(tuple(host))
    return made


def exhaustive(host: Host, needs: tuple[Need, ...]) -> bool:
    """Every way to give each need a cell of its own (augmenting paths where that would take forever)."""
    suits = [[i for i, cell in enumerate(host) if cell.holds(need)] for need in needs]
    if len(host) <= 8:
        cells = range(len(host))
        return any(all(c in suits[i] for i, c in enumerate(chosen)) for chosen in permutations(cells, len(needs)))
    guest: dict[int, int] = {}

    def seat(need: int, tried: set[int]) -> bool:
        for cell in suits[need]:
            if cell not in tried:
                tried.add(cell)
                if cell not in guest or seat(guest[cell], tried):
                    guest[cell] = need
                    return True
        return False

    return all(seat(need, set()) for need in range(len(needs)))


def columns_for(hosts: list[Host]) -> HostColumns:
    """The hosts as the scheduler keeps them."""
    accounts = []
    for number, host in enumerate(hosts):
        online = free = 0
        nodes = []
        for index, cell in enumerate(host):
            cores = tuple(1 << a | 1 << b for a, b in cell.cores)
            bits = sum(cores)
            online |= bits
            free |= sum(1 << cpu for cpu in cell.free)
            nodes.append(NodeAccount(index, cell.memory_mib * MIB, 65_536 * MIB, bits, cores, (index,) * len(cores)))
        accounts.append(
            HostAccount(f"h{number:05d}", online_bits=online, exclusive_bits=online & ~free, nodes=tuple(nodes))
        )
    return HostColumns(accounts)


def demand_for(needs: tuple[Need, ...]) -> Demand:
    """The virtual cells as the placement engine reads them from a VM with dedicated CPUs."""
    blocks: list[NodeNeed] = []
    first = 0
    for i, need in enumerate(needs):
        own = tuple(Block((vcpu,), 1, (i,), 1) for vcpu in range(first, first + need.vcpus))
        blocks.append(NodeNeed((i,), memory_kib=need.memory_mib * MIB, cpus_needed=need.vcpus, blocks=own))
        first += need.vcpus
    return Demand(Vm("u", "vm"), CoreRule.SIBLINGS, 1, tuple(blocks), nodes_distinct=True)


def ask_nova(hosts: list[Host], needs: tuple[Need, ...], *, host_s: float = 0.5) -> dict[str, Any]:
    """Nova's verdicts and microseconds per host."""
    task = {
        "hosts": [[{"memory": c.memory_mib, "cores": c.cores, "free": sorted(c.free)} for c in host] for host in hosts],
        "needs": [{"vcpus": need.vcpus, "memory": need.memory_mib} for need in needs],
        "repeat": 2,
        "host_s": host_s,
    }
    script = Path(__file__).with_name("nova_numa.py")
    done = subprocess.run(
        [str(NOVA), str(script)], input=json.dumps(task), capture_output=True, text=True, check=True, timeout=600
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def measured_s(benchmark: Benchmark) -> float:
    """The median of what was measured."""
    return float(benchmark.stats.stats.median)


def median_s(action: Callable[[], object], rounds: int = 15) -> float:
    """Median of single runs."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


# NUMA verdicts


def verdicts(columns: HostColumns, needs: tuple[Need, ...]) -> Bools:
    return fit(columns, demand_for(needs)).holds


@pytest.mark.parametrize("equal", [True, False], ids=["equal", "unequal"])
@pytest.mark.parametrize(("cells", "virtual"), SHAPES, ids=[f"{c}-{v}" for c, v in SHAPES])
def test_numa_verdicts_beside_nova(benchmark: Benchmark, cells: int, virtual: int, equal: bool) -> None:
    """>= 500 times nova for equal virtual nodes, >= 100 times for unequal ones, every verdict right."""
    needs = needs_of(virtual, equal=equal)
    hosts = hosts_of(cells, HOSTS, "loaded", needs)
    columns = columns_for(hosts)
    found = benchmark(verdicts, columns, needs)
    right = [exhaustive(host, needs) for host in hosts]
    assert found.tolist() == right
    ours = measured_s(benchmark) / HOSTS * 1e6
    benchmark.extra_info["us_per_host"] = round(ours, 3)
    if not NOVA.exists():
        pytest.skip("nova is not installed: no ratio")
    nova = ask_nova(hosts[:200], needs)
    wrong = sum(1 for his, truth in zip(nova["fits"], right, strict=False) if his is not None and his != truth)
    ratio = nova["us_per_host"] / ours
    benchmark.extra_info.update(nova_us_per_host=round(nova["us_per_host"], 1), ratio=round(ratio), nova_wrong=wrong)
    assert ratio >= (500 if equal else 100), benchmark.extra_info


@pytest.mark.parametrize("equal", [True, False], ids=["equal", "unequal"])
@pytest.mark.parametrize(("cells", "virtual"), SHAPES, ids=[f"{c}-{v}" for c, v in SHAPES])
def test_the_hardest_hosts_cost_as_much_as_easy_ones(
    benchmark: Benchmark, cells: int, virtual: int, equal: bool
) -> None:
    """One node too few: at most twice the time of loaded hosts, where searches are exponential."""
    needs = needs_of(virtual, equal=equal)
    short = columns_for(hosts_of(cells, HOSTS, "short", needs))
    loaded = columns_for(hosts_of(cells, HOSTS, "loaded", needs))
    found = benchmark(verdicts, short, needs)
    assert not found.any()
    verdicts(loaded, needs)
    easy = median_s(lambda: verdicts(loaded, needs), 50)
    benchmark.extra_info["ratio"] = round(measured_s(benchmark) / easy, 2)
    assert measured_s(benchmark) <= 2 * easy


def test_never_a_false_fit(benchmark: Benchmark) -> None:
    """4+4+4+64 vCPUs do not fit 4 nodes of 16 CPUs; nova says they do."""
    needs = (Need(4, 8192), Need(4, 8192), Need(4, 8192), Need(64, 8192))
    hosts = hosts_of(4, 1, "free", needs)
    free = [
        tuple(replace(c, free=frozenset(cpu for core in c.cores for cpu in core), memory_mib=65_536) for c in hosts[0])
    ]
    found = benchmark(verdicts, columns_for(free), needs)
    assert found.tolist() == [False]
    if NOVA.exists():
        benchmark.extra_info["nova_says"] = ask_nova(free, needs)["fits"]


# Complete decisions


@pytest.mark.parametrize(("hosts", "limit_ms"), [(1000, 2.0), (10_000, 15.0)])
def test_a_complete_decision(benchmark: Benchmark, hosts: int, limit_ms: float) -> None:
    """The whole default policy for one VM of four virtual nodes among pinned neighbours, placed exactly."""
    snapshot, vm = a_large_cluster(hosts)
    request = Request((vm.uuid,))

    def decide() -> object:
        ranking = rank(request, snapshot)
        best = ranking.best
        assert best is not None
        return ranking.placement(best, vm.uuid)

    decide()  # the columns of the snapshot are made by the first decision
    assert not isinstance(benchmark(decide), Misfit)
    assert measured_s(benchmark) * 1e3 <= limit_ms


def test_decisions_grow_no_faster_than_hosts(benchmark: Benchmark) -> None:
    times = {}
    for hosts in (1000, 10_000):
        snapshot, vm = a_large_cluster(hosts)
        request = Request((vm.uuid,))
        rank(request, snapshot)
        times[hosts] = median_s(lambda r=request, s=snapshot: rank(r, s), 15)  # type: ignore[misc]
        gc.collect()
    benchmark.pedantic(lambda: None)
    benchmark.extra_info["factor"] = round(times[10_000] / times[1000], 1)
    assert times[10_000] <= 10 * times[1000]


def test_every_sentence_and_placement_of_1000_hosts(benchmark: Benchmark) -> None:
    """All reasons of all refused hosts and the exact maps of all accepted ones."""
    snapshot, vm = a_large_cluster(1000)
    request = Request((vm.uuid,))

    def read_all() -> int:
        ranking = rank(request, snapshot)
        sentences = sum(len(ranking.refusals(name)) for name in ranking.refused)
        placed = [ranking.placement(name, vm.uuid) for name in ranking.accepted]
        assert not any(isinstance(item, Misfit) for item in placed)
        return sentences + len(placed)

    read_all()
    assert benchmark.pedantic(read_all, rounds=5) >= 1000
    assert measured_s(benchmark) * 1e3 <= 150


def test_one_host_changed_of_1000_with_10000_vms(benchmark: Benchmark) -> None:
    """From a new snapshot to the next decision."""
    snapshot, vm = a_large_cluster(1000, vms_per_host=10)
    request = Request((vm.uuid,))
    rank(request, snapshot)
    serial = 0

    def changed() -> tuple[tuple[object], dict[str, object]]:
        nonlocal serial
        serial += 1
        name = f"host-{serial % 1000:05d}"
        host = snapshot.hosts[name]
        usage = replace(host.usage, cpu_pct=float(serial % 100))
        hosts = {**snapshot.hosts, name: replace(host, usage=usage)}
        return (replace(snapshot, serial=serial, hosts=hosts),), {}

    def decide(next_snapshot: Any) -> object:
        return rank(request, next_snapshot).best

    assert benchmark.pedantic(decide, setup=changed, rounds=30) is not None
    assert measured_s(benchmark) * 1e3 <= 5


def test_memory_per_host_and_vm(benchmark: Benchmark) -> None:
    """What the scheduler keeps of a snapshot: at most 20 KB a host and 4 KB a VM."""

    def kept(vms_per_host: int) -> float:
        snapshot, vm = a_large_cluster(500, vms_per_host=vms_per_host)
        forget()
        gc.collect()
        tracemalloc.start()
        rank(Request((vm.uuid,)), snapshot)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(columns_of(snapshot)) == 500
        return size

    few, many = kept(1), kept(11)
    per_vm = max(0.0, (many - few) / (10 * 500))
    per_host = few / 500
    benchmark.pedantic(lambda: None)
    benchmark.extra_info.update(bytes_per_host=round(per_host), bytes_per_vm=round(per_vm))
    assert per_host <= 20 * 1024
    assert per_vm <= 4 * 1024
    assert np.isfinite(per_host)
