"""What is asked of the units: these VMs as one group, all hosts as columns, and the rules that hold.

A question is built once for a decision. `narrowed` asks the same of fewer hosts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from hpconsole.core.model.affinity import DEFAULT_SETTINGS, AffinityGroup, ClusterSettings
from hpconsole.core.model.vm import Vm, VmLoad
from hpconsole.core.scheduler import needs
from hpconsole.core.scheduler.account import HostAccount
from hpconsole.core.scheduler.columns import Bools, HostColumns, Ints


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
    low_utilization_pct: float = 20


DEFAULT_CONFIGURATION = Configuration()


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
