"""The exact planner against every way there is: small random clusters, complete whenever any complete plan exists."""

from __future__ import annotations

from functools import cache
from itertools import product
from random import Random

import pytest

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.drain import DrainIntent, DrainOptions
from hpconsole.core.planning.drain_judge import Judge
from hpconsole.core.planning.drain_planner import checked, plan_drain
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from tests.builders import a_snapshot, a_vm
from tests.core.planning.test_drain_planner import a_pinned, hosts

SEEDS = (0, 1, 2, 10, 11, 13, 17, 18)


def a_tight_cluster(seed: int) -> ClusterSnapshot:
    """Two hosts that are nearly full, and five VMs on a that have to go there."""
    random = Random(seed)
    vms: list[Vm] = []
    for host in "bc":
        for node in (0, 1):
            taken = random.choice([1, 2, 2, 3, 3])
            vms.append(a_pinned(f"{host}{node}", [5 * node + i for i in range(taken)], host=host))
    for i in range(4):
        size = random.choice([1, 2, 3, 3])
        vms.append(a_pinned(f"m{i}", [5 * (i % 2) + k for k in range(size)]))
    vms.append(a_vm("plain", host="a", vcpus=1, memory_mib=random.choice([4096, 16_384])))
    return a_snapshot(hosts("a", "b", "c"), vms)


@cache
def is_possible(seed: int) -> bool:
    """Whether some assignment of the VMs of a to b and c is accepted host by host."""
    snapshot = a_tight_cluster(seed)
    judge = Judge(snapshot, DEFAULT_POLICY, excluded=frozenset("a"), ignores_vm_affinity=True)
    vms = sorted(snapshot.vms_on("a"), key=lambda vm: vm.name)
    known: dict[tuple[str, tuple[str, ...]], bool] = {}
    for places in product("bc", repeat=len(vms)):
        for host in "bc":
            group = tuple(vm.uuid for vm, place in zip(vms, places, strict=True) if place == host)
            if (host, group) not in known:
                alone = all(judge.fits((snapshot.vms[uuid],), host) is not None for uuid in group)
                known[host, group] = alone and (
                    not group or judge.group([(snapshot.vms[uuid],) for uuid in group], host, ()) is not None
                )
            if not known[host, group]:
                break
        else:
            return True
    return False


@pytest.mark.parametrize("seed", SEEDS)
def test_a_complete_plan_is_found_whenever_there_is_one(seed: int) -> None:
    snapshot = a_tight_cluster(seed)
    options = DrainOptions(most_other_moves=0)
    plan = plan_drain(DrainIntent(("a",), options=options), snapshot)
    assert plan.is_complete == is_possible(seed), [item.why for item in plan.open_items]
    assert not checked(plan, snapshot)


def test_the_cases_are_neither_all_easy_nor_all_hopeless() -> None:
    answers = [is_possible(seed) for seed in SEEDS]
    assert 2 <= sum(answers) <= len(SEEDS) - 2, answers
