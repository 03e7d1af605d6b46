"""The whole cluster at one moment, as one frozen value that everybody may hold as long as they like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from hpconsole.core.model.affinity import DEFAULT_SETTINGS, AffinityGroup, ClusterSettings
from hpconsole.core.model.host import Host
from hpconsole.core.model.vm import Vm, VmLoad


@dataclass(frozen=True)
class ClusterSnapshot:
    """Hosts by name and VMs by UUID. `serial` rises with every published snapshot.

    Snapshots share what did not change: hosts and VMs are the same objects until a poll brings something new.
    """

    serial: int = 0
    taken_at: datetime | None = None
    hosts: Mapping[str, Host] = field(default_factory=dict)
    vms: Mapping[str, Vm] = field(default_factory=dict)
    loads: Mapping[str, VmLoad] = field(default_factory=dict)
    affinity_groups: tuple[AffinityGroup, ...] = ()
    settings: ClusterSettings = DEFAULT_SETTINGS

    @cached_property
    def vms_by_host(self) -> Mapping[str, tuple[Vm, ...]]:
        """The active VMs of each host."""
        by_host: dict[str, list[Vm]] = {name: [] for name in self.hosts}
        for vm in self.vms.values():
            if vm.state.is_active and vm.host in by_host:
                by_host[vm.host].append(vm)
        return {name: tuple(vms) for name, vms in by_host.items()}

    def vms_on(self, host: str) -> tuple[Vm, ...]:
        """The VMs that have a QEMU process on this host."""
        return self.vms_by_host.get(host, ())

    def vm_named(self, name: str) -> Iterator[Vm]:
        """Every VM of this name (names are unique on a host, not in a cluster)."""
        return (vm for vm in self.vms.values() if vm.name == name)


EMPTY_SNAPSHOT = ClusterSnapshot()
