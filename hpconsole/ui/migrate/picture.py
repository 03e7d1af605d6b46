"""A host's CPUs as a picture: nodes as boxes, cores as groups of threads, each thread free, taken or the VM's. No Qt.

What is drawn is decided here; `placement_view` only paints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host, HostCpu
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, Vm
from hpconsole.ui import format as fmt

if TYPE_CHECKING:
    from hpconsole.core.scheduler.occupancy import Occupancy


class TileKind(StrEnum):
    """What a logical CPU is to the VM that is looked at."""

    FREE = "free"
    TAKEN = "taken by another VM alone"
    SHARED = "also used by another pinned VM"
    OWN = "of this VM"
    HELPER = "of this VM's emulator or IO threads"
    BOTH = "of this VM, and taken by another"  # should not be: drawn as an alarm


@dataclass(frozen=True, slots=True)
class CpuTile:
    """One logical CPU."""

    cpu_id: int
    kind: TileKind
    label: str = ""  # the vCPU that has it for itself
    tip: str = ""


@dataclass(frozen=True, slots=True)
class NodeBox:
    """One NUMA node. `cores` has the threads of each core."""

    title: str
    cores: tuple[tuple[CpuTile, ...], ...]
    memory: str = ""
    is_bound: bool = False  # memory of the VM is bound here

    @property
    def threads_per_core(self) -> int:
        """The most threads any of its cores has."""
        return max((len(core) for core in self.cores), default=1)


@dataclass(frozen=True, slots=True)
class HostPicture:
    """One host as the VM uses it."""

    caption: str
    nodes: tuple[NodeBox, ...]


def present_placement(vm: Vm) -> Placement:
    """What a VM has now, in the form of what it would get."""
    bindings = tuple(NodeBinding(n.node_id, n.host_nodes, n.mode) for n in vm.virtual_nodes if n.host_nodes)
    return Placement(vm.uuid, vm.host or "", bindings, vm.pinning, vm.numa_tune)


def picture(caption: str, occupancy: Occupancy, placement: Placement) -> HostPicture:
    """The host of this occupancy with this placement on it."""
    host = occupancy.host
    tiles = _tiles(occupancy, placement.pinning)
    bound = {node for binding in placement.bindings for node in binding.host_nodes}
    if placement.numa_tune is not None:
        bound |= set(placement.numa_tune.nodeset)
    nodes = host.topology.nodes
    if not nodes:
        return HostPicture(caption, (NodeBox("CPUs", _cores(host, host.topology.all_cpus, tiles)),))
    boxes = tuple(
        NodeBox(
            f"Node {node.node_id}",
            _cores(host, node.cpus, tiles),
            _memory_text(occupancy, placement, node.node_id),
            node.node_id in bound,
        )
        for node in nodes
    )
    return HostPicture(caption, boxes)


def _tiles(occupancy: Occupancy, pinning: CpuPinning) -> Mapping[int, CpuTile]:
    alone: dict[int, str] = {}
    own = EMPTY
    for vcpu, cpus in pinning.vcpus:
        own |= cpus
        if len(cpus) == 1:
            alone[cpus.first] = str(vcpu)
    helpers = EMPTY
    for helper in (pinning.emulator, *(cpus for _, cpus in pinning.iothreads)):
        helpers |= helper or EMPTY
    all_cpus = occupancy.host.topology.cpus
    if len(helpers) >= len(all_cpus):  # bound to everything is not bound
        helpers = EMPTY
    return {cpu.cpu_id: _tile(cpu, occupancy, own, helpers, alone.get(cpu.cpu_id, "")) for cpu in all_cpus}


def _tile(cpu: HostCpu, occupancy: Occupancy, own: CpuSet, helpers: CpuSet, label: str) -> CpuTile:
    number = cpu.cpu_id
    users = [user.name for user in occupancy.users if number in user.cpus]
    is_taken = number in occupancy.exclusive
    if number in own:
        kind = TileKind.BOTH if is_taken else TileKind.OWN
    elif number in helpers:
        kind = TileKind.HELPER
    elif is_taken:
        kind = TileKind.TAKEN
    else:
        kind = TileKind.SHARED if users else TileKind.FREE
    lines = [f"CPU {number}: {f'vCPU {label}' if label else kind.value}"]
    if users:
        lines.append(f"Pinned here: {fmt.names(users)}")
    return CpuTile(number, kind, label, "\n".join(lines))


def _cores(host: Host, cpus: CpuSet, tiles: Mapping[int, CpuTile]) -> tuple[tuple[CpuTile, ...], ...]:
    cores: dict[tuple[int, int, int], list[CpuTile]] = {}
    for cpu in host.topology.cpus:
        if cpu.cpu_id in cpus:
            cores.setdefault((cpu.socket_id, cpu.die_id, cpu.core_id), []).append(tiles[cpu.cpu_id])
    return tuple(tuple(core) for core in cores.values())


def _memory_text(occupancy: Occupancy, placement: Placement, node_id: int) -> str:
    virtual = [str(binding.node_id) for binding in placement.bindings if node_id in binding.host_nodes]
    if virtual:
        return f"virtual {'node' if len(virtual) == 1 else 'nodes'} {', '.join(virtual)}"
    free = occupancy.free_kib.get(node_id)
    return "" if free is None else f"{fmt.kib(free)} free"
