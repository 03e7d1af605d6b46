"""What is asked of the units: these VMs as one group, all hosts as columns, and the rules that hold.

A question is built once for a decision. `narrowed` asks the same of fewer hosts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from hpconsole.core.model.affinity import DEFAULT_SETTINGS, AffinityGroup, ClusterSettings
from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.vm import Vm, VmLoad
from hpconsole.core.scheduler import needs
from hpconsole.core.scheduler.account import HostAccount
from hpconsole.core.scheduler.columns import Bools, HostColumns, Ints
from hpconsole.core.scheduler.demand import Demand
from hpconsole.core.scheduler.demand_reading import demand_of
from hpconsole.core.scheduler.node_judge import NodeJudge
from hpconsole.core.scheduler.pinning_fit import Fit, fit


@dataclass(frozen=True, slots=True)
class Configuration:
    """The reference's engine-wide configuration values (behaviour.md A8, end), with its defaults."""

    max_weight: float = 1000
    starting_vcpu_load_pct: float = needs.STARTING_VCPU_LOAD_PCT
    manager_vcpus: float = 1
    high_utilization_pct: float = 90
    overload_duration_min: float = 2
    swap_used_pct: float = 0
    checks_swap: bool = True
    utilization_threshold_pct: float = 80
    low_utilization_pct: float = 20  # power saving
    overheads: needs.Overheads = needs.USUAL_OVERHEADS
    balance_high_pct: float = 75  # even distribution and power saving, where the policy says nothing


DEFAULT_CONFIGURATION = Configuration()
_KEPT_DEMANDS = 256
_demands: dict[tuple[int, int], tuple[Vm, HostTopology | None, Demand]] = {}


def known_demand(vm: Vm, source: HostTopology | None) -> Demand:
    """The demand of a VM, read once while VM and topology are the same objects: windows ask again at every poll.

    Threads: any; at worst two read the same demand.
    """
    key = (id(vm), id(source))
    known = _demands.get(key)
    if known is not None and known[0] is vm and known[1] is source:
        return known[2]
    demand = demand_of(vm, source)
    if len(_demands) >= _KEPT_DEMANDS:
        _demands.clear()
    _demands[key] = (vm, source, demand)  # both are held, so their identities stay their own
    return demand


@dataclass(frozen=True)
class Question:
    """One decision. Rows of every answer are the rows of `columns`."""

    vms: tuple[Vm, ...]
    columns: HostColumns
    everything: HostColumns | None = None  # all hosts, where `columns` is only a part of them
    parameters: Mapping[str, float] = field(default_factory=dict)
    loads: Mapping[str, VmLoad] = field(default_factory=dict)
    settings: ClusterSettings = DEFAULT_SETTINGS
    affinity_groups: tuple[AffinityGroup, ...] = ()
    known_vms: Mapping[str, Vm] = field(default_factory=dict)  # every VM of the cluster by UUID
    promised: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # VM UUID -> hosts it is on its way to
    ignore_hard_vm_affinity: bool = False
    may_stay: bool = False  # the present host of a running VM is an answer too (balancing)
    now_s: float = field(default_factory=lambda: datetime.now(UTC).timestamp())
    config: Configuration = DEFAULT_CONFIGURATION
    topologies: Mapping[str, HostTopology] = field(default_factory=dict)  # by host, to read the present shape from
    penalty: Callable[[Question, int], float] | None = None  # of the exact placement in a row: see `performance`
    named: Callable[[str], tuple[Vm, ...]] | None = None  # every VM of the cluster that has this name

    @property
    def vm(self) -> Vm:
        """The only VM, or the first of the group."""
        return self.vms[0]

    @property
    def size(self) -> int:
        """How many hosts are asked about."""
        return len(self.columns)

    def parameter(self, name: str) -> float | None:
        """The policy's value of a parameter; None where it is not set."""
        return self.parameters.get(name)

    def account(self, row: int) -> HostAccount:
        """The books of one host."""
        return self.columns.accounts[row]

    def is_here(self, vm: Vm) -> Bools:
        """True for the host this VM runs on now."""
        return self.columns.rows([vm.host] if vm.is_running_somewhere and vm.host is not None else [])

    def is_on(self, vm: Vm, row: int) -> bool:
        """Whether this VM runs on this host now."""
        return vm.is_running_somewhere and vm.host == self.account(row).name

    def arriving(self, row: int) -> tuple[Vm, ...]:
        """The VMs of the group that are not on this host yet."""
        return tuple(vm for vm in self.vms if not self.is_on(vm, row))

    @cached_property
    def demands(self) -> tuple[Demand, ...]:
        """What each VM asks of any host."""
        return tuple(known_demand(vm, self.topologies.get(vm.host or "")) for vm in self.vms)

    def own_demand(self, vm: Vm) -> Demand | None:
        """The demand of a VM that takes CPUs for itself; None for one that does not.

        A policy alone says too little: a kept shape that lies over whole nodes takes none.
        """
        if not vm.intent.cpu_pinning_policy.is_exclusive:
            return None
        demand = known_demand(vm, self.topologies.get(vm.host or ""))
        return demand if demand.is_exclusive else None

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """Where each VM's bound memory and pinned CPUs have room; a VM always fits where it runs."""
        return tuple(self._fit(vm, demand) for vm, demand in zip(self.vms, self.demands, strict=True))

    @cached_property
    def scratch(self) -> dict[str, object]:
        """What units keep from one host they are asked about to the next. Replaced whole, so any thread may."""
        return {}

    @cached_property
    def _judges(self) -> dict[int, NodeJudge]:
        return {id(demand): NodeJudge(self.columns, demand) for demand in self.demands}

    def judge(self, demand: Demand) -> NodeJudge:
        """Which nodes suit which need of one of `demands`."""
        known = self._judges.get(id(demand))
        return known if known is not None else NodeJudge(self.columns, demand)

    def _fit(self, vm: Vm, demand: Demand) -> Fit:
        whole = fit(self.columns, demand)
        for item in vm.intent.per_host:
            row = self.columns.row_of.get(item.host)
            if row is not None:
                only = demand_of(vm, self.topologies.get(vm.host or ""), host=item.host)
                whole = whole.with_row(row, fit(self.columns.take(np.array([row])), only))
        here = self.is_here(vm)
        return whole.accepting(here) if here.any() else whole

    def narrowed(self, rows: Ints) -> Question:
        """The same of these hosts only."""
        return dataclasses.replace(self, columns=self.columns.take(rows), everything=self.everything or self.columns)

    def source_of(self, vm: Vm) -> HostAccount | None:
        """The host a VM runs on now, whether or not it is asked about; None if it does not run."""
        if not vm.is_running_somewhere or vm.host is None:
            return None
        columns = self.everything or self.columns
        row = columns.row_of.get(vm.host)
        return None if row is None else columns.accounts[row]

    def hosts_of(self, vm_uuid: str) -> tuple[str, ...]:
        """Where a VM runs or is about to be."""
        vm = self.known_vms.get(vm_uuid)
        here = (vm.host,) if vm is not None and vm.is_running_somewhere and vm.host is not None else ()
        return (*here, *self.promised.get(vm_uuid, ()))

    def load_pct(self, vm: Vm) -> float:
        """What this VM adds to a host's CPU load, percent of one CPU."""
        load = self.loads.get(vm.uuid)
        if vm.is_running_somewhere and load is not None:
            return load.cpu_pct
        return self.config.starting_vcpu_load_pct * vm.vcpus

    def zeros(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """A zero for every host."""
        return np.zeros(self.size)
