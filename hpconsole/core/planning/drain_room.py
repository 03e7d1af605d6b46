"""Which VMs of other hosts must step aside so that a unit that fits nowhere fits: the fewest moves. Pure.

Looks at each host that only lacks room: every set of one VM, then of two, up to the number that is allowed; the first
set that makes room and whose VMs all find places elsewhere is the answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode, Vm
from hpconsole.core.planning.drain_greedy import Assignment
from hpconsole.core.planning.drain_judge import Judge
from hpconsole.core.planning.drain_units import Unit, units_of
from hpconsole.core.planning.migrate import why_not_movable
from hpconsole.core.planning.migration_checks import upgrade_problems

_MOST_HOSTS = 400
_MOST_PLACES = 40  # hosts tried for a VM that steps aside


@dataclass(frozen=True, slots=True)
class RoomMade:
    """`asides` step aside (each with its place in `made`), then the unit goes to `host` (in `made` as well).

    `judge` knows the cluster without those that stepped aside.
    """

    host: str
    asides: tuple[Vm, ...]
    made: Assignment
    judge: Judge


def make_room(
    unit: Unit,
    judge: Judge,
    made: Assignment,
    *,
    most_moves: int,
    only_hosts: frozenset[str] = frozenset(),
    untouchable: frozenset[str] = frozenset(),
    ends_at: float,
) -> RoomMade | None:
    """The fewest moves that let the unit in; None if no set within the limit and the time does.

    Args:
        made: What is planned already; its units keep their places.
        untouchable: VMs that must not step aside.
        ends_at: On `time.monotonic()`.
    """
    hosts = [h for h in judge.possible(unit.vms, avoided=unit.avoided) if not only_hosts or h in only_hosts]
    if unit.only_host is not None:
        hosts = [host for host in hosts if host == unit.only_host]
    hosts = hosts[:_MOST_HOSTS]
    movable = {host: _movable(judge.snapshot, host, untouchable | set(made.placements)) for host in hosts}
    hopeful = _hopeful(unit, judge, made, movable, ends_at)
    for size in range(1, most_moves + 1):
        for host in hopeful:
            for asides in _sets(movable[host], size):
                if time.monotonic() > ends_at:
                    return None
                found = _with_aside(unit, host, asides, judge, made)
                if found is not None:
                    return found
    return None


def _hopeful(unit: Unit, judge: Judge, made: Assignment, movable: dict[str, list[Vm]], ends_at: float) -> list[str]:
    """The hosts that would take the unit if everybody who can left: others need not be looked at."""
    hopeful = []
    for host, vms in movable.items():
        if time.monotonic() > ends_at:
            break
        empty = judge.after(vm.uuid for vm in vms)
        if vms and empty.fits(unit.vms, host, made.promises) is not None:
            hopeful.append(host)
    return sorted(hopeful, key=lambda host: (len(movable[host]), host))


def _sets(vms: Sequence[Vm], size: int) -> Iterator[tuple[Vm, ...]]:
    return combinations(vms, size)


def _movable(snapshot: ClusterSnapshot, host: str, untouchable: frozenset[str] | set[str]) -> list[Vm]:
    """Those that may be asked to step aside, the least burdened by it first."""
    vms = [vm for vm in snapshot.vms_on(host) if vm.uuid not in untouchable and not why_not_movable(vm, snapshot)]
    return sorted(
        vms,
        key=lambda vm: (
            vm.intent.migration_mode is not MigrationMode.AUTOMATIC,
            vm.is_pinned_or_high_performance,
            _burden(vm),
            vm.memory_kib,
            vm.name,
        ),
    )


def _burden(vm: Vm) -> int:
    """How much of it speaks against moving it around for others: the reference's list for upgrades of a cluster."""
    problems = upgrade_problems(
        mode=vm.intent.migration_mode,
        has_cpu_pinning=bool(vm.pinning.vcpus),
        has_numa_pinning=any(node.host_nodes for node in vm.virtual_nodes),
        needs_passthrough=bool(vm.devices.assigned),
    )
    return len(problems)


def _with_aside(unit: Unit, host: str, asides: tuple[Vm, ...], judge: Judge, made: Assignment) -> RoomMade | None:
    after = judge.after(vm.uuid for vm in asides)
    placed = after.fits(unit.vms, host, made.promises)
    if placed is None:
        return None
    whole = made.copy()
    whole.put(unit, host, placed, after)
    for aside in units_of(asides, judge.snapshot, ignores_vm_affinity=True):
        standing = judge.standing(aside.vms, avoided=frozenset({host}))
        for place in standing.hosts[:_MOST_PLACES]:
            found = judge.fits(aside.vms, place, whole.promises, is_accepted=True)
            if found is not None:
                whole.put(aside, place, found, judge)
                break
        else:
            return None
    return RoomMade(host, asides, whole, after)
