"""What is planned as one: VMs that rules keep together, and which of those units are alike. Pure.

Units of one kind ask the same of every host and of every node, so they are interchangeable in a plan.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.drain_judge import Judge, Standing
from hpconsole.core.scheduler.affinity import of_vms, with_labelled
from hpconsole.core.scheduler.core_assignment import signature
from hpconsole.core.scheduler.demand import Demand
from hpconsole.core.scheduler.grouping import groups as grouped
from hpconsole.core.scheduler.grouping import pinning_demand
from hpconsole.core.scheduler.needs import MemoryNeed, memory_need
from hpconsole.core.scheduler.question import known_demand


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """VMs that go to one host together; nearly always one. Compared by identity."""

    vms: tuple[Vm, ...]
    demands: tuple[Demand, ...]
    only_host: str | None = None  # the administrator's choice
    avoided: frozenset[str] = frozenset()  # hosts that failed it

    @property
    def uuids(self) -> tuple[str, ...]:
        """The VMs."""
        return tuple(vm.uuid for vm in self.vms)

    @property
    def name(self) -> str:
        """For sentences."""
        return ", ".join(vm.name for vm in self.vms)


@dataclass(eq=False, slots=True)
class Kind:
    """Units that are alike, and the hosts that take one of them."""

    units: list[Unit]
    standing: Standing
    memory: tuple[MemoryNeed, ...] = ()
    position: dict[str, int] = field(default_factory=dict)  # host -> place in the standing

    @property
    def sample(self) -> Unit:
        """Any of them."""
        return self.units[0]

    def cost(self, host: str) -> float:
        """What one unit on this host costs, in points: how much worse the scheduler finds it than the best host."""
        return self.standing.loss(self.position[host])


def units_of(
    vms: Sequence[Vm],
    snapshot: ClusterSnapshot,
    *,
    ignores_vm_affinity: bool,
    destinations: Iterable[tuple[str, str]] = (),
    avoided: Iterable[tuple[str, str]] = (),
) -> list[Unit]:
    """The VMs as units, those that are hardest to place first."""
    rules = rules_of(snapshot)
    chosen = dict(destinations)
    failed: dict[str, set[str]] = {}
    for uuid, host in avoided:
        failed.setdefault(uuid, set()).add(host)
    made: list[Unit] = []
    for members in grouped(vms, rules, ignore_hard_vm_affinity=ignores_vm_affinity):
        demands = tuple(known_demand(vm, _topology(vm, snapshot)) for vm in members)
        wanted = {chosen[vm.uuid] for vm in members if vm.uuid in chosen}
        away = frozenset(host for vm in members for host in failed.get(vm.uuid, ()))
        made.append(Unit(members, demands, min(wanted) if wanted else None, away))
    return sorted(made, key=_hardness)


def rules_of(snapshot: ClusterSnapshot) -> tuple[AffinityGroup, ...]:
    """The affinity groups with everybody in them who carries one of their labels."""
    groups = snapshot.affinity_groups
    return with_labelled(groups, snapshot.vms, snapshot.hosts) if groups else ()


def kinds_of(units: Sequence[Unit], judge: Judge) -> list[Kind]:
    """The units by kind, in the order of their first unit, each kind ranked over all hosts once."""
    rules = rules_of(judge.snapshot)
    known: dict[Hashable, Kind] = {}
    for unit in units:
        key = _key(unit, rules)
        kind = known.get(key)
        if kind is not None:
            kind.units.append(unit)
            continue
        standing = judge.standing(unit.vms, avoided=unit.avoided)
        if unit.only_host is not None:
            standing = _only(standing, unit.only_host)
        known[key] = Kind(
            [unit],
            standing,
            tuple(memory_need(vm) for vm in unit.vms),
            dict(zip(standing.hosts, range(len(standing.hosts)), strict=True)),
        )
    return list(known.values())


def enforced_apart(units: Sequence[Unit], snapshot: ClusterSnapshot) -> list[list[Unit]]:
    """Units of which no two may share a host, for each enforced negative group."""
    apart: list[list[Unit]] = []
    for group in rules_of(snapshot):
        if group.is_vm_rule_enforced and group.vm_rule is AffinityRule.NEGATIVE:
            members = [unit for unit in units if set(unit.uuids) & set(group.vms)]
            if len(members) > 1:
                apart.append(members)
    return apart


def _topology(vm: Vm, snapshot: ClusterSnapshot) -> HostTopology | None:
    host = snapshot.hosts.get(vm.host) if vm.host is not None else None
    return host.topology if host is not None else None


def _only(standing: Standing, host: str) -> Standing:
    found = [i for i, name in enumerate(standing.hosts) if name == host]
    return Standing(
        tuple(standing.hosts[i] for i in found), tuple(standing.scores[i] for i in found), standing.is_settled
    )


def _hardness(unit: Unit) -> tuple[object, ...]:
    widest = max((len(need.blocks) for demand in unit.demands for need in demand.node_needs), default=0)
    blocks = sum(demand.blocks_needed for demand in unit.demands)
    memory = sum(vm.memory_kib for vm in unit.vms)
    demand = max(pinning_demand(vm) for vm in unit.vms)
    bound = sum(len(demand.node_needs) for demand in unit.demands)
    return (-bool(blocks), -widest, -blocks, -bound, -demand[0], -memory, unit.name, unit.uuids)


def _key(unit: Unit, rules: Sequence[AffinityGroup]) -> Hashable:
    """Equal for units that every filter and the placement engine must judge alike."""
    if len(unit.vms) > 1 or of_vms(rules, unit.uuids):
        return unit.uuids
    vm, demand = unit.vms[0], unit.demands[0]
    intent = vm.intent
    return (
        unit.only_host, unit.avoided, vm.host, vm.state, vm.memory_kib, vm.vcpus, vm.topology, vm.iothreads, vm.cpu,
        vm.arch, vm.virt_type, vm.machine, vm.huge_page_kib, _plugs(vm), vm.is_pinned_or_high_performance,
        tuple((node.memory_kib, node.page_kib, node.mode) for node in vm.virtual_nodes),
        intent.optimized_for, intent.cpu_pinning_policy, intent.allowed_hosts, intent.per_host, intent.labels,
        intent.high_availability, intent.needs_tsc_frequency, _demand_key(demand),
    )  # fmt: skip


def _plugs(vm: Vm) -> Hashable:
    """What a host must have for the VM's devices; disks are wherever the storage is."""
    nics = frozenset((nic.kind, nic.source, nic.is_link_up) for nic in vm.devices.nics)
    return nics, vm.devices.assigned, vm.devices.mediated_types


def _demand_key(demand: Demand) -> Hashable:
    kinds = tuple(
        (need.memory_kib, need.page_needs, need.cpus_needed, signature(need.blocks), len(need.vcpus),
         need.usable_needed, need.allowed_nodes, need.takes_all_allowed, need.span)
        for need in demand.node_needs
    )  # fmt: skip
    tune = demand.tune
    return (
        demand.rule, demand.threads, kinds, demand.nodes_distinct, demand.literal, demand.problems,
        tuple(signature(blocks) for blocks in demand.sockets),
        tune and (tune.mode, tune.nodes, tune.needs, tune.memory_kib, tune.page_needs),
    )  # fmt: skip
