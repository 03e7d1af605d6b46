"""hypothesis: whatever the host, the load and the VM, a placement breaks no rule and never depends on chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinningPolicy, Vm
from hpconsole.core.scheduler.occupancy import Occupancy
from hpconsole.core.scheduler.placement import Misfit, place
from tests.builders import a_topology
from tests.core.scheduler.loads import EIGHT_NODES, loaded, pinned_vm
from tests.core.scheduler.validity import violations

TOPOLOGIES = [
    EIGHT_NODES,
    a_topology(sockets=2, cores_per_node=24),
    a_topology(sockets=4, nodes_per_socket=4, cores_per_node=6, threads=1),
    a_topology(sockets=1, nodes_per_socket=4, cores_per_node=6, has_l3=False),
    a_topology(sockets=3, cores_per_node=6, threads=4),
]
POLICIES = [policy for policy in CpuPinningPolicy if policy is not CpuPinningPolicy.MANUAL]


@dataclass(frozen=True)
class Setting:
    """A VM on one machine and another machine under some load."""

    vm: Vm
    source: HostTopology
    taken: Occupancy

    def place(self) -> Placement | Misfit:
        return place(self.vm, self.taken, source=self.source)


@st.composite
def settings_of(draw: st.DrawFn) -> Setting:
    source, target = draw(st.sampled_from(TOPOLOGIES)), draw(st.sampled_from(TOPOLOGIES))
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=len(source.nodes)))
    policy, seed = draw(st.sampled_from(POLICIES)), draw(st.integers(0, 10**6))
    vm = pinned_vm(policy, source, tuple(sizes), pages_per_vcpu=draw(st.sampled_from([1, 1024, 4096])))
    return Setting(vm, source, loaded(Random(seed), target))


@settings(max_examples=250, deadline=None)
@given(settings_of())
def test_a_placement_breaks_no_rule(setting: Setting) -> None:
    """No CPU of others or offline, no node over its memory, vCPUs of a virtual node on its node, siblings together."""
    answer = setting.place()
    if isinstance(answer, Placement):
        assert violations(setting.vm, setting.taken, answer) == []


@settings(max_examples=60, deadline=None)
@given(settings_of())
def test_the_answer_is_always_the_same(setting: Setting) -> None:
    assert setting.place() == replace(setting, vm=replace(setting.vm)).place()


@settings(max_examples=80, deadline=None)
@given(settings_of(), st.integers(0, 10**6))
def test_less_taken_never_makes_a_misfit(setting: Setting, seed: int) -> None:
    """Freeing CPUs keeps every VM placeable that was."""
    if isinstance(setting.place(), Misfit):
        return
    rng = Random(seed)
    fewer = CpuSet.of(cpu for cpu in setting.taken.exclusive if rng.random() < 0.5)
    assert isinstance(replace(setting, taken=replace(setting.taken, exclusive=fewer)).place(), Placement)


@settings(max_examples=60, deadline=None)
@given(settings_of())
def test_what_was_placed_can_be_placed_again_where_it_is(setting: Setting) -> None:
    """A VM that runs as it was placed fits its own host, and nothing of it moves without need."""
    answer = setting.place()
    if isinstance(answer, Misfit):
        return
    there = replace(setting.vm, host=setting.taken.host.name, pinning=answer.pinning)
    bound = {binding.node_id: binding.host_nodes for binding in answer.bindings}
    nodes = tuple(replace(node, host_nodes=bound.get(node.node_id, ())) for node in there.virtual_nodes)
    again = replace(setting, vm=replace(there, virtual_nodes=nodes), source=setting.taken.host.topology).place()
    assert isinstance(again, Placement), again
