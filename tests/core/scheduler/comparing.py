"""Holds the engine's answers against brute force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinningPolicy
from hpconsole.core.scheduler.demand_reading import demand_of
from hpconsole.core.scheduler.placement import Misfit, place
from hpconsole.core.scheduler.placement_order import order_of
from hpconsole.core.scheduler.room import HostRoom
from tests.core.scheduler.brute_force import OWN, Case, Machine
from tests.core.scheduler.random_cases import random_case

EVERY = 8
UP_TO_DEVICES = 5
UP_TO_DISTANCE = 2


@dataclass
class Summary:
    """What a run of comparisons came to."""

    fitting: int = 0
    misfits: int = 0
    compared_fully: int = 0  # in kinds of which the engine promises every criterion
    best_beyond: int = 0  # in other kinds, and best in every criterion nevertheless
    short_of_best: list[str] = field(default_factory=list)  # in other kinds, not best in what is not promised
    by_policy: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def compare(seeds: Iterable[int]) -> Summary:
    """Compares the cases of these numbers."""
    summary = Summary()
    for seed in seeds:
        case = random_case(seed)
        wrong = difference(case)
        summary.by_policy[case.policy.value] = summary.by_policy.get(case.policy.value, 0) + 1
        if wrong is not None:
            summary.differences.append(f"{seed} ({case.policy.value}): {wrong}")
        else:
            _count(summary, seed, case)
    return summary


def _count(summary: Summary, seed: int, case: Case) -> None:
    answer = place(case.vm, case.taken, source=case.source)
    if isinstance(answer, Misfit):
        summary.misfits += 1
        return
    summary.fitting += 1
    if compared(case) == EVERY:
        summary.compared_fully += 1
    elif answer.is_free or case.measure(answer) == case.best():
        summary.best_beyond += 1
    else:
        summary.short_of_best.append(f"{seed} ({case.policy.value}): {case.measure(answer)}, best {case.best()}")


def difference(case: Case) -> str | None:
    """What is wrong with the engine's answer; None if it is right: same verdict, and no better placement exists."""
    answer = place(case.vm, case.taken, source=case.source)
    best = case.best()
    if isinstance(answer, Misfit):
        return None if best is None else f"misfit though there is {best}: {answer.sentence}"
    if best is None:
        return f"placed where nothing fits: {answer}"
    if answer.is_free:
        return None
    measured = case.measure(answer)
    count = compared(case)
    if measured[:count] != best[:count]:
        return f"{measured} but the best is {best}: {answer}"
    return _order_difference(case, answer)


def compared(case: Case) -> int:
    """How many criteria of the order are compared: all, but for a few kinds of VM.

    Of these the engine may keep fewer vCPUs in place than it could (the sixth criterion): vCPUs pinned over several
    host nodes at once, or over several cores that other sets share or where a node has several cache banks; VMs
    without virtual nodes whose virtual sockets have several vCPUs; vCPUs that want CPUs of their own and share them
    now. And where some vCPUs are at home on nodes and others on CPUs, isolated CPUs may cost a cache bank more than
    counted.
    """
    if case.policy is CpuPinningPolicy.KEEP_SHAPE:
        assert case.source is not None
        nodes = case.source.nodes
        is_plain = all(sum(not node.cpus.isdisjoint(cpus) for node in nodes) == 1 for _, cpus in case.vm.pinning.vcpus)
        if case.floating() and case.taken.host.isolated_cpus:
            return UP_TO_DISTANCE
        return EVERY if is_plain and not _is_tangled(case) else UP_TO_DEVICES
    now = [cpus for _, cpus in case.vm.pinning.vcpus]
    if case.policy in OWN and len(set(now)) < len(now):
        return UP_TO_DEVICES
    topology = case.vm.topology
    is_large = (topology.threads > 1 or topology.sockets > 1 < topology.cores) and not case.vm.virtual_nodes
    return UP_TO_DEVICES if case.policy in OWN and is_large else EVERY


def _is_tangled(case: Case) -> bool:
    """Whether some vCPU lies over several cores now, and sets meet on a core or nodes there are uneven."""
    there, machine = Machine.of(case.source or case.taken.host.topology), case.machine
    is_wide = any(len({there.core[cpu] for cpu in cpus}) > 1 for cpus in case.now.values())
    # Where two sets meet on a core, other roles on the same CPUs may come to the same sets.
    sets = set(case.now.values())
    meets = any(len([cpus for cpus in sets if cpus & core]) > 1 for core in set(there.core.values()))
    by_node = [{machine.core[cpu] for cpu in cpus} for cpus in machine.cpus.values()]
    is_mixed = any(len({len(core) for core in cores}) > 1 for cores in by_node)
    has_banks = any(sum(1 for bank in machine.banks if bank & cpus) > 1 for cpus in machine.cpus.values())
    return is_wide and (is_mixed or has_banks or meets)


def _order_difference(case: Case, answer: Placement) -> str | None:
    demand = demand_of(case.vm, case.source, host=case.taken.host.name)
    own = tuple(order_of(HostRoom(demand, case.taken), answer))
    measured = case.measure(answer)
    return None if own == measured else f"order_of says {own}, brute force {measured}"
