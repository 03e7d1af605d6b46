"""Whole CPUs for one VM on one host, as the reference allocates them (behaviour.md A6.3).

Works on an ordered list of CPU units; order matters. Our own placements come from `placement`, which finds one
whenever there is one; this greedy allocation serves the weight "CPU for high performance VMs" and conformance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.model.vm import CpuPinningPolicy, VcpuTopology


@dataclass(frozen=True, slots=True)
class CpuUnit:
    """One CPU of a host and who is pinned to it. Numbers may repeat; what counts is the place in the list."""

    node_id: int
    socket_id: int
    core_id: int
    cpu_id: int
    policy: CpuPinningPolicy = CpuPinningPolicy.NONE
    vms: tuple[str, ...] = ()

    @property
    def is_pinned(self) -> bool:
        """Whether any VM is pinned here."""
        return bool(self.vms)

    @property
    def is_exclusive(self) -> bool:
        """Whether a VM has it for its own."""
        return self.is_pinned and self.policy.is_exclusive

    def pinned(self, vm: str, policy: CpuPinningPolicy) -> CpuUnit | None:
        """With this VM pinned to it; None where that is not allowed."""
        if self.is_exclusive or (self.is_pinned and policy.is_exclusive):
            return None
        stored = policy if policy.is_exclusive else CpuPinningPolicy.MANUAL
        return replace(self, policy=stored, vms=(*self.vms, vm))


@dataclass(frozen=True, slots=True)
class Allocation:
    """The positions of the CPUs a VM gets, in the order of its vCPUs."""

    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """What a VM asks."""

    vm: str
    topology: VcpuTopology
    policy: CpuPinningPolicy
    node_memory_kib: tuple[int, ...] = ()  # of its virtual nodes
    pinned_cpus: tuple[int, ...] = ()  # a shared VM's own list


def pin(units: Sequence[CpuUnit], vm: str, policy: CpuPinningPolicy, cpu_ids: Iterable[int]) -> list[CpuUnit]:
    """The units with a VM pinned to these CPUs; where that is not allowed nothing happens."""
    wanted = set(cpu_ids)
    return [(unit.pinned(vm, policy) or unit) if unit.cpu_id in wanted else unit for unit in units]


def pin_positions(units: Sequence[CpuUnit], request: AllocationRequest, allocation: Allocation) -> list[CpuUnit]:
    """The units after an allocation was taken."""
    taken = set(allocation.positions)
    return [
        (unit.pinned(request.vm, request.policy) or unit) if position in taken else unit
        for position, unit in enumerate(units)
    ]


def unavailable_cpus(units: Sequence[CpuUnit], *, count_threads_as_cores: bool) -> int:
    """CPUs that are some VM's own; counted as cores: cores with no other CPU left."""
    if count_threads_as_cores:
        return sum(1 for unit in units if unit.is_exclusive)
    cores: dict[tuple[int, int], bool] = {}
    for unit in units:
        key = (unit.socket_id, unit.core_id)
        cores[key] = cores.get(key, True) and unit.is_exclusive
    return sum(cores.values())


def allocate(
    request: AllocationRequest, units: Sequence[CpuUnit], node_free_kib: Mapping[int, int] | None = None
) -> Allocation | None:
    """The CPUs for this VM; None if it cannot have them. `node_free_kib`: free memory of the host's nodes, if known."""
    if not request.policy.is_exclusive:
        position_of = {unit.cpu_id: position for position, unit in reversed(list(enumerate(units)))}
        if any(cpu_id not in position_of for cpu_id in request.pinned_cpus):
            return None
        return Allocation(tuple(position_of[cpu_id] for cpu_id in request.pinned_cpus))
    return _Allocator(request, units, node_free_kib or {}).run()


class _Allocator:
    def __init__(self, request: AllocationRequest, units: Sequence[CpuUnit], node_free_kib: Mapping[int, int]) -> None:
        self.request = request
        self.units = units
        self.node_free_kib = node_free_kib
        self.threads = max(1, request.topology.threads)
        self.cores_per_socket = max(1, request.topology.cores * request.topology.dies)
        self.isolates = request.policy is CpuPinningPolicy.ISOLATE_THREADS

    def run(self) -> Allocation | None:
        wanted = self.request.topology.sockets
        chosen: list[int] = []
        for socket in self._sockets():
            if wanted <= 0:
                break
            found = self._virtual_cores(socket)
            count = min(wanted, len(found) // self.cores_per_socket, self._most_by_memory(socket))
            for core in found[: count * self.cores_per_socket]:
                chosen += core
            wanted -= count
        if wanted > 0 or not self._is_complete(chosen):
            return None
        return Allocation(tuple(chosen))

    def _sockets(self) -> list[list[int]]:
        """Positions by socket, the one with most free CPUs first; the earlier one of equals."""
        sockets: dict[int, list[int]] = {}
        for position, unit in enumerate(self.units):
            sockets.setdefault(unit.socket_id, []).append(position)
        kept = [positions for positions in sockets.values() if self._has_memory(positions)]
        return sorted(kept, key=lambda positions: -sum(1 for p in positions if not self.units[p].is_pinned))

    def _free_kib(self, positions: Sequence[int]) -> int:
        return sum(self.node_free_kib.get(node, 0) for node in {self.units[p].node_id for p in positions})

    def _has_memory(self, positions: Sequence[int]) -> bool:
        if not self.request.node_memory_kib or not self.node_free_kib:
            return True
        return self._free_kib(positions) >= self.request.node_memory_kib[0]

    def _most_by_memory(self, positions: Sequence[int]) -> int:
        """How many virtual sockets the memory of a socket allows."""
        nodes = self.request.node_memory_kib
        if not nodes or not self.node_free_kib or nodes[0] <= 0:
            return len(self.units)
        per_virtual_socket = -(-len(nodes) // max(1, self.request.topology.sockets))
        return self._free_kib(positions) // nodes[0] // per_virtual_socket

    def _virtual_cores(self, positions: Sequence[int]) -> list[list[int]]:
        """The virtual cores that free CPUs of a socket give, in order."""
        cores: dict[int, list[int]] = {}
        for position in positions:
            cores.setdefault(self.units[position].core_id, []).append(position)
        found: list[list[int]] = []
        whole: list[list[int]] = []
        for core in cores.values():
            free = [p for p in core if not self.units[p].is_pinned]
            if self.isolates:
                if len(free) == len(core):
                    whole.append(core)
                continue
            found += [free[i : i + self.threads] for i in range(0, len(free) - self.threads + 1, self.threads)]
        if not self.isolates:
            return found
        groups = [whole[i : i + self.threads] for i in range(0, len(whole) - self.threads + 1, self.threads)]
        return [[position for core in group for position in core] for group in groups]

    def _is_complete(self, chosen: Sequence[int]) -> bool:
        if self.isolates:
            cores = {(self.units[p].socket_id, self.units[p].core_id) for p in chosen}
            return len(cores) == self.request.topology.vcpus
        return len(chosen) == self.request.topology.vcpus
