"""The whole answer about hosts and VMs that make no sense: every refusal a sentence, every placement a valid one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hpconsole.cli.output import ranking_json
from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host, HostLink, HostTopology, HostUsage, LinkState
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, NumaPin, VcpuTopology, VirtualNumaNode, Vm, VmIntent
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.policy_editing import with_weight
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from tests.builders import NOW, a_host, a_snapshot, a_topology
from tests.core.scheduler.test_bad_input import EVERY_POLICY, odd_hosts, pinned_vm
from tests.core.scheduler.validity import violations

# Words that no sentence may hold: unknown numbers, and what Python says of values.
NOT_WORDS = re.compile(r"\bnan\b|\binf\b|\bNone\b|CpuSet|frozenset|<|\[|  |-\d{2,} (MiB|more)")
CONNECTED = HostLink(LinkState.CONNECTED, since=NOW, answered_at=NOW)


def further_hosts() -> dict[str, Host]:
    """Machines at the ends of what there can be."""
    plain = a_topology()
    holes = replace(plain, nodes=tuple(replace(node, node_id=node.node_id * 8) for node in plain.nodes))
    return {
        "no NUMA": a_host("h", topology=replace(plain, nodes=(), l3_banks=())),
        "holes in node numbers": a_host("h", topology=holes),
        "a node without CPUs": a_host(
            "h", topology=replace(plain, nodes=(*plain.nodes, replace(plain.nodes[0], node_id=2, cpus=EMPTY)))
        ),
        "a node without memory": a_host(
            "h", topology=replace(plain, nodes=(plain.nodes[0], replace(plain.nodes[1], memory_kib=0)))
        ),
        "1,024 CPUs, 64 nodes": a_host("h", topology=a_topology(8, 8, 8, 2)),
        "no sockets": a_host("h", topology=replace(plain, sockets=0, cores=0, threads=0)),
        "more threads than cores can have": a_host("h", topology=replace(plain, cores=1, threads=1000)),
        "all memory reserved": a_host("h", reserved_kib=1 << 60),
        "more free than there is": a_host("h", memory_kib=1),
        "load beyond 100": a_host("h", cpu_load_pct=1e9),
        "overloaded in the future": _overloaded_later(),
        "every CPU isolated": a_host("h", isolated_cpus=plain.all_cpus),
    }


def _overloaded_later() -> Host:
    host = a_host("h", cpu_load_pct=99)
    return replace(host, usage=replace(host.usage, overloaded_since=NOW + timedelta(days=1)))


def every_host() -> list[Host]:
    hosts = [*odd_hosts().items(), *further_hosts().items(), ("as it should be", a_host("h"))]
    return [replace(host, name=name, link=CONNECTED) for name, host in hosts]


def odd_vms(policy: CpuPinningPolicy) -> Iterator[Vm]:
    """Intents that contradict themselves or the VM, sizes that nothing has."""
    changes: list[dict[str, Any]] = [
        {},
        {"virtual_nodes": ()},
        {"vcpus": 0, "topology": VcpuTopology(0, 0, 0)},
        {"vcpus": 4096, "topology": VcpuTopology(4096, 1, 1), "virtual_nodes": ()},
        {"memory_kib": 1 << 60},
        {"memory_kib": -1},
        {"huge_page_kib": 1 << 40},
        {"virtual_nodes": (VirtualNumaNode(5, CpuSet.parse("0-300"), 1),)},
        {"virtual_nodes": (VirtualNumaNode(0, CpuSet.parse("0-3"), 1 << 50, (63,)),)},
        {"pinning": CpuPinning(((0, EMPTY), (1, CpuSet.parse("5000")), (77, CpuSet.parse("0"))))},
        {"intent": VmIntent(cpu_pinning_policy=policy, numa_pins=(NumaPin(44, (63,)),), allowed_hosts=("gone",))},
        {"intent": VmIntent(cpu_pinning_policy=policy, cpu_pinning=((-1, CpuSet.parse("0")),))},
    ]
    for i, change in enumerate(changes):
        for host in (None, "as it should be", "a host that is gone"):
            yield replace(pinned_vm(policy, name=f"vm-{i}", host=host), **change)


def read_everything(ranking: Ranking, snapshot: ClusterSnapshot, vm: Vm) -> None:
    """Every sentence and number there is, and each checked."""
    accepted = ranking.accepted
    assert set(accepted) | set(ranking.refused) == set(snapshot.hosts)
    for name in ranking.refused:
        reasons = ranking.refusals(name)
        assert reasons, f"{name} is refused without a reason"
        for sentence in (*(reason.sentence for reason in reasons), ranking.would_help(name)):
            assert not NOT_WORDS.search(sentence), sentence
            assert not sentence or sentence.endswith((".", ")")), sentence
        for shortage in (one for reason in reasons for one in reason.shortages):
            assert math.isfinite(shortage.needed)
            assert math.isfinite(shortage.available)
    for name in accepted:
        placed = ranking.placement(name, vm.uuid)
        assert isinstance(placed, Placement)
        if not placed.is_free:
            assert violations(vm, ranking.occupancy(name), placed) == []
        assert not NOT_WORDS.search(ranking.why(accepted[0], name))
        assert all(math.isfinite(part.raw) for part in ranking.parts(name))
        forecast = ranking.forecast(name, vm.uuid)
        assert forecast is not None
    ranking_json(ranking, (vm.uuid,), explain=True)


def test_what_is_unknown_is_to_be_found_out_not_freed() -> None:
    hosts, vm = every_host(), next(odd_vms(CpuPinningPolicy.KEEP_SHAPE))
    ranking = rank(Request((vm.uuid,)), a_snapshot(hosts, [vm]))
    advice = ranking.would_help("nothing told of memory")
    assert advice.startswith("Find out why nothing told of memory does not tell enough of itself")
    assert "more" not in advice


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_every_host_has_an_answer(policy: CpuPinningPolicy) -> None:
    hosts = every_host()
    for vm in odd_vms(policy):
        snapshot = a_snapshot(hosts, [vm])
        read_everything(rank(Request((vm.uuid,)), snapshot), snapshot, vm)


@pytest.mark.parametrize("rules", [*BUILT_IN[1:], with_weight(DEFAULT_POLICY.copied("x"), "Performance forecast", 9)])
def test_every_policy_has_an_answer(rules: Policy) -> None:
    hosts = every_host()
    vms = list(odd_vms(CpuPinningPolicy.KEEP_SHAPE))
    for vm in vms[:: len(vms) // 12]:
        snapshot = a_snapshot(hosts, [vm])
        read_everything(rank(Request((vm.uuid,)), snapshot, rules), snapshot, vm)


def test_a_cluster_of_nothing_but_unknown_hosts() -> None:
    hosts = [Host(f"h{i}", link=CONNECTED, topology=HostTopology(), usage=HostUsage()) for i in range(3)]
    for vm in odd_vms(CpuPinningPolicy.DEDICATED):
        snapshot = a_snapshot(hosts, [vm])
        ranking = rank(Request((vm.uuid,)), snapshot)
        assert ranking.accepted == ()
        read_everything(ranking, snapshot, vm)
